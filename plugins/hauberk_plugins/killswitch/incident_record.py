"""An incident as it is kept in a store."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from attrs import asdict, evolve, field, frozen

from hauberk.errors import HauberkError
from hauberk.records import Incident, Outcome, Severity

FORMAT: Final = 1
#: Ids under which the same was reported by other processes; the oldest are forgotten first.
MAX_ALSO: Final = 16
_TEXTS: Final = ("id", "title", "source", "details_json", "resolution")


class BadIncident(HauberkError):
    """A record of an incident is not what this version writes."""


def _newest(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(ids)[-MAX_ALSO:]


@frozen
class Kept:
    """An incident that lasts.

    Attributes:
        incident: As it stands.
        last_ns: When it was last reported, by the wall clock, nanoseconds since the epoch.
        resolved_ns: When it was resolved, likewise; 0 while it is not.
        also: Ids under which other processes reported the same while it was open.
    """

    incident: Incident
    last_ns: int
    resolved_ns: int = 0
    also: tuple[str, ...] = field(default=(), converter=_newest)

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that it is known by, its own first."""
        return self.incident.id, *self.also

    def again(self, other: Incident, times: int, now_ns: int) -> Kept:
        """Return it as reported so many times more, with what was done about the last report.

        One that was resolved meanwhile is open again.
        """
        mine = evolve(self.incident, resolution="") if times else self.incident
        also = self.also if other.id in self.ids else (*self.also, other.id)
        outcomes = other.outcomes
        if other.id != mine.id or times:  # what others did the first time still stands
            fresh = {outcome.plugin for outcome in outcomes}
            outcomes += tuple(one for one in mine.outcomes if one.plugin not in fresh)
        told = other.repeats
        if other.id not in self.ids:  # what was the first there is a later one here
            told = (other.details_json, *told)
        incident = evolve(
            mine.again(*told),
            count=mine.count + times,
            outcomes=outcomes,
            is_contained=other.is_contained,
        )
        last_ns = now_ns if times else self.last_ns
        resolved_ns = self.resolved_ns if mine.resolution else 0
        return evolve(self, incident=incident, also=also, last_ns=last_ns, resolved_ns=resolved_ns)

    def resolved(self, resolution: str, now_ns: int) -> Kept:
        """Return it as resolved."""
        return evolve(
            self, incident=evolve(self.incident, resolution=resolution), resolved_ns=now_ns
        )

    def to_bytes(self) -> bytes:
        """Write it as a record."""
        incident = asdict(self.incident) | {"severity": self.incident.severity.name}
        return json.dumps({"format": FORMAT, **asdict(self), "incident": incident}).encode()

    @classmethod
    def from_bytes(cls, value: bytes) -> Kept:
        """Read a record.

        Raises:
            BadIncident: It is not what this version writes.
        """
        try:
            found: dict[str, Any] = json.loads(value)
            if found.pop("format") != FORMAT:
                raise ValueError("it is of another version")
            incident = found.pop("incident")
            incident["severity"] = Severity[incident["severity"]]
            incident["outcomes"] = tuple(Outcome(**one) for one in incident["outcomes"])
            kept = cls(Incident(**incident), **found)
            kept.incident.told()  # parsed
            numbers = (kept.last_ns, kept.resolved_ns)
            if {type(one) for one in numbers} != {int} or not all(
                type(one) is str for one in kept.also
            ):
                raise TypeError("it has other fields")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, HauberkError):
            raise BadIncident("it is not what this version writes") from None
        return kept
