"""`Window`: what a route was told last, and what is counted until it is told again.

The first incident is told at once. What follows within the window is counted, and told in one
message when it ends; a worse one than any that was told in it is told at once too.
"""

from __future__ import annotations

import json
from typing import Final

from attrs import asdict, evolve, frozen

from hauberk.records import Incident, Severity

#: How many kinds are told apart; the rest are others.
MAX_KINDS: Final = 20
_MAX_TITLE: Final = 200


@frozen
class Held:
    """A kind of incident that was held back, and how often."""

    title: str
    severity: Severity
    source: str
    count: int = 1


@frozen
class Window:
    """Of one route.

    Attributes:
        until_ns: When it ends, wall clock.
        told: The worst severity that was told at once in it; 0 for none.
        held: Kinds that were counted.
        others: How many incidents are of kinds beyond those.
        first_ns: When the first that was held back happened, wall clock.
        last_ns: When the last did.
    """

    until_ns: int
    told: int = 0
    held: tuple[Held, ...] = ()
    others: int = 0
    first_ns: int = 0
    last_ns: int = 0

    @property
    def count(self) -> int:
        """How many incidents were held back."""
        return sum(one.count for one in self.held) + self.others

    def holding(self, incident: Incident) -> Window:
        """Return it with one more held back."""
        title = incident.title[:_MAX_TITLE]
        kind = (title, incident.severity, incident.source)
        first = self.first_ns if self.held else incident.at_ns
        window = evolve(self, first_ns=first, last_ns=incident.at_ns)
        for at, one in enumerate(self.held):
            if (one.title, one.severity, one.source) == kind:
                more = evolve(one, count=one.count + 1)
                return evolve(window, held=(*self.held[:at], more, *self.held[at + 1 :]))
        if len(self.held) < MAX_KINDS:
            return evolve(window, held=(*self.held, Held(*kind)))
        return window._with_one_more_kind(Held(*kind))

    def _with_one_more_kind(self, one: Held) -> Window:
        """Keep the worst kinds: thousands of made-up names must not hide what matters."""
        mildest = min(self.held, key=lambda held: held.severity)
        if mildest.severity >= one.severity:
            return evolve(self, others=self.others + 1)
        kept = tuple(held for held in self.held if held is not mildest)
        return evolve(self, held=(*kept, one), others=self.others + mildest.count)

    def to_bytes(self) -> bytes:
        """Write it as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Window | None:
        """Read it; `None` where it is none: what it counted is lost, nothing else."""
        try:
            read = json.loads(raw)
            held = tuple(
                Held(
                    str(one["title"]),
                    Severity(one["severity"]),
                    str(one["source"]),
                    int(one["count"]),
                )
                for one in read.pop("held")
            )
            return cls(held=held, **{name: int(value) for name, value in read.items()})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def admitted(
    window: Window | None, incident: Incident, now_ns: int, digest_ns: int, *, is_behind: bool
) -> tuple[bool, Window]:
    """Decide whether an incident is told at once.

    Args:
        window: Of the route; `None` where none is open.
        incident: What was reported.
        now_ns: Wall clock.
        digest_ns: How long a window is.
        is_behind: Whether as much that is at least as bad still waits to be sent: more of it would
            tell nobody anything.

    Returns:
        Whether it is told at once, and the window after it.
    """
    window = None if window is not None and _is_over(window, now_ns) else window
    fresh = Window(now_ns + digest_ns)
    if window is not None and window.until_ns > fresh.until_ns:  # the clock was set back
        window = evolve(window, until_ns=fresh.until_ns)
    if window is None and not is_behind:
        return True, evolve(fresh, told=int(incident.severity))
    window = window or fresh
    if incident.severity > window.told and not is_behind:
        return True, evolve(window, told=int(incident.severity))
    return False, window.holding(incident)


def after(window: Window, now_ns: int, digest_ns: int) -> Window:
    """Return the window that follows one whose count was told: what goes on is counted on."""
    worst = max((int(one.severity) for one in window.held), default=0)
    return Window(now_ns + digest_ns, told=worst)


def _is_over(window: Window, now_ns: int) -> bool:
    return now_ns >= window.until_ns and not window.held
