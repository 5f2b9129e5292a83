"""`Entry`: a message to one route that is kept until it was sent."""

from __future__ import annotations

import json
from typing import Any, Final

from attrs import asdict, evolve, field, frozen

from hauberk.records import Severity
from hauberk_plugins.notify.templates import Message

_SECOND_NS: Final = 1_000_000_000


@frozen
class Retrying:
    """How often it is tried, and for how long.

    Attributes:
        first_ns: The pause after the first attempt; each later one is twice as long.
        longest_ns: The longest pause.
        expires_ns: How long after it was made an entry that was tried is given up.
        lease_ns: How long whoever sends it has it alone; longer than an attempt takes.
    """

    first_ns: int = 5 * _SECOND_NS
    longest_ns: int = 900 * _SECOND_NS
    expires_ns: int = 86_400 * _SECOND_NS
    lease_ns: int = 60 * _SECOND_NS

    def pause_ns(self, attempts: int, random: float) -> int:
        """Return the pause after so many attempts.

        Args:
            attempts: At least one.
            random: From 0 up to 1: the pause is between half of the whole and the whole, so that
                many that failed together do not come back together.
        """
        whole = min(self.first_ns << min(attempts - 1, 40), self.longest_ns)
        return whole // 2 + round(whole / 2 * random)


@frozen
class Entry:
    """A message to one route. All times are of the wall clock, nanoseconds since the epoch.

    Attributes:
        id: Unique in the outbox.
        route: The route's name; never its URL.
        title: Of the message.
        body: Of the message.
        severity: Of the worst that it tells of.
        made_ns: When it was put in.
        expires_ns: When it is given up, if it was tried by then.
        next_ns: When it is to be tried next.
        leased_ns: Until when somebody is sending it; 0 for nobody.
        attempts: How often it was tried.
        why: Why it was not sent the last time.
        incident: The id of the incident; empty for a count of many.
    """

    id: str
    route: str
    title: str
    body: str = field(repr=False)
    severity: Severity
    made_ns: int
    expires_ns: int
    next_ns: int
    leased_ns: int = 0
    attempts: int = 0
    why: str = ""
    incident: str = ""

    @property
    def message(self) -> Message:
        """What is sent."""
        return Message(self.title, self.body, self.severity)

    @property
    def order(self) -> tuple[int, int]:
        """The worst first, of the same the oldest."""
        return -self.severity, self.made_ns

    def is_due(self, now_ns: int, retrying: Retrying) -> bool:
        """Whether it is to be sent now, and nobody does it.

        What lies further ahead than it can have been put is of a clock that was set back since.
        """
        is_leased = now_ns < self.leased_ns <= now_ns + retrying.lease_ns
        is_later = now_ns < self.next_ns <= now_ns + retrying.longest_ns
        return not is_leased and not is_later

    def due_ns(self, now_ns: int, retrying: Retrying) -> int:
        """Say when it is to be looked at next."""
        if self.is_due(now_ns, retrying):
            return now_ns
        return max(self.next_ns, self.leased_ns)

    def after_failure(self, why: str, now_ns: int, retrying: Retrying, random: float) -> Entry:
        """Return it as it is kept after an attempt that failed."""
        attempts = self.attempts + 1
        next_ns = now_ns + retrying.pause_ns(attempts, random)
        return evolve(self, attempts=attempts, next_ns=next_ns, leased_ns=0, why=why)

    def renewed(self, now_ns: int, retrying: Retrying) -> Entry:
        """Return it as if it had just been put in; whoever is sending it goes on."""
        return evolve(self, next_ns=now_ns, expires_ns=now_ns + retrying.expires_ns, attempts=0)

    def to_bytes(self) -> bytes:
        """Write it as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Entry | None:
        """Read it; `None` where it is none."""
        try:
            read: dict[str, Any] = json.loads(raw)
            entry = cls(**{**read, "severity": Severity(read["severity"])})
        except (ValueError, TypeError, KeyError):
            return None
        texts = (entry.id, entry.route, entry.title, entry.body, entry.why, entry.incident)
        numbers = (entry.made_ns, entry.expires_ns, entry.next_ns, entry.leased_ns, entry.attempts)
        is_one = {*map(type, texts)} == {str} and {*map(type, numbers)} == {int}
        return entry if is_one else None
