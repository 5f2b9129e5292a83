"""A session as it is kept, and how much time has passed for it.

Within a process the monotonic clock tells, whatever is done to the wall clock. At rest a record
has both clocks and the boot that the monotonic one counts from: within one boot the larger of the
two spans holds; after another, the wall clock alone. Where that stands before the record's time by
more than `SLACK_NS`, it was set back and nobody knows how much time has passed: the session ends.
"""

from __future__ import annotations

import json
from typing import Any, Final

from attrs import asdict, field, fields_dict, frozen, validators

from hauberk_plugins.auth.bearer import Known
from hauberk_plugins.auth.errors import BadRecord

FORMAT: Final = 1
#: What the name of every session's record begins with.
PREFIX: Final = "session/"
#: Hexadecimal digits in an id for people: 48 bits, so that among 10,000 hardly two are alike.
ID_LENGTH: Final = 12
#: By how much the clocks of two machines that share a store may disagree.
SLACK_NS: Final = 5_000_000_000
_S: Final = 1_000_000_000


@frozen
class SessionLimits:
    """How long sessions last, and how many there may be.

    Attributes:
        idle_s: Seconds after its last use at which a session ends.
        absolute_s: Seconds after its login at which it ends, however much it is used.
        per_user: How many a user may have; one more ends the one that was idle longest.
        total: How many there may be in all.
    """

    idle_s: int = field(default=15 * 60, validator=[validators.ge(60), validators.le(86_400)])
    absolute_s: int = field(
        default=12 * 3_600, validator=[validators.ge(60), validators.le(30 * 86_400)]
    )
    per_user: int = field(default=16, validator=[validators.ge(1), validators.le(1_000)])
    total: int = field(default=10_000, validator=[validators.ge(1), validators.le(1_000_000)])

    @property
    def idle_ns(self) -> int:
        """The idle limit in nanoseconds."""
        return self.idle_s * _S

    @property
    def absolute_ns(self) -> int:
        """The absolute limit in nanoseconds."""
        return self.absolute_s * _S

    @property
    def seen_ns(self) -> int:
        """How often the last use is written down, at most: nanoseconds.

        What is not written down is lost in a crash, and unknown to other processes: to them a
        session seems to have been idle for so much longer than it was, never for less.
        """
        return min(60 * _S, self.idle_ns // 8)


@frozen
class Session:
    """A session, as it may be shown.

    Attributes:
        id: For people: short, and no secret. The first 48 bits of a hash of the token.
        user: Whose.
        roles: Which the user had at the login.
        source: Where the login came from.
        created_ns: When it was, by the wall clock, nanoseconds since the epoch.
        seen_ns: When it was last known to be used, likewise.
    """

    id: str
    user: str
    roles: tuple[str, ...]
    source: str
    created_ns: int
    seen_ns: int


@frozen
class Instant:
    """A moment by both clocks.

    Attributes:
        wall_ns: Nanoseconds since the epoch.
        monotonic_ns: Nanoseconds since the boot.
        boot: Which boot; empty if unknown.
    """

    wall_ns: int
    monotonic_ns: int
    boot: str

    def since(self, before: Instant) -> int | None:
        """Return how many nanoseconds have passed; `None` if the clock was set back since then."""
        by_wall = self.wall_ns - before.wall_ns
        by_monotonic = self.monotonic_ns - before.monotonic_ns
        if self.boot and self.boot == before.boot and by_monotonic >= 0:
            return max(by_wall, by_monotonic)
        return max(by_wall, 0) if by_wall >= -SLACK_NS else None


@frozen
class SessionRecord:
    """What is kept of a session, beside the hash of its token, which is the record's name.

    Attributes:
        user: Whose.
        roles: Which the user had at the login.
        source: Where the login came from.
        created_ns: When it was, by the wall clock, nanoseconds since the epoch.
        age_ns: How old it was when it was last seen, whatever was done to the wall clock.
        seen: When it was last seen.
    """

    user: str
    roles: tuple[str, ...]
    source: str
    created_ns: int
    age_ns: int
    seen: Instant

    def idle_ns(self, now: Instant, limits: SessionLimits) -> int | None:
        """Return for how long it has been idle; `None` where it is over."""
        idle = now.since(self.seen)
        if idle is None or idle >= limits.idle_ns or self.age_ns + idle >= limits.absolute_ns:
            return None
        # A suspended machine's monotonic clock stands still.
        return None if now.wall_ns - self.created_ns >= limits.absolute_ns else idle

    def shown(self, digest: str) -> Session:
        """Return it as it may be shown.

        Args:
            digest: Of its token.
        """
        seen_ns = self.seen.wall_ns
        return Session(
            short_id(digest), self.user, self.roles, self.source, self.created_ns, seen_ns
        )

    def to_bytes(self) -> bytes:
        """Write it as a record."""
        return json.dumps({"format": FORMAT, **asdict(self)}).encode()

    @classmethod
    def from_bytes(cls, value: bytes) -> SessionRecord:
        """Read a record.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: It is none, or of another version.
        """
        found: dict[str, Any] = json.loads(value)
        if found.pop("format") != FORMAT or found.keys() != _FIELDS:
            raise ValueError("it is of another version")
        seen, roles = found["seen"], found["roles"]
        return cls(
            _typed(found["user"], str),
            tuple(_typed(role, str) for role in _typed(roles, list)),
            _typed(found["source"], str),
            _typed(found["created_ns"], int),
            _typed(found["age_ns"], int),
            Instant(
                _typed(seen["wall_ns"], int),
                _typed(seen["monotonic_ns"], int),
                _typed(seen["boot"], str),
            ),
        )


_FIELDS: Final = frozenset(fields_dict(SessionRecord))


def read_record(value: bytes) -> SessionRecord:
    """Read the record of a session.

    Raises:
        BadRecord: It is not what this version writes.
    """
    try:
        return SessionRecord.from_bytes(value)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadRecord(
            "the record of a session is not what this version writes: restore it from a backup, "
            "or end every session: hauberk sessions revoke --all"
        ) from None


def short_id(digest: str) -> str:
    """Return the id for people of the session whose token has this hash."""
    return digest[:ID_LENGTH]


def prefix_of(generation: int, owner: str = "") -> str:
    """Return what the names of records begin with: of all, or of one user.

    Args:
        generation: How often all sessions were ended: what was there before is not found.
        owner: As `owner_key` gives it.
    """
    return f"{PREFIX}{generation}/{owner}/" if owner else f"{PREFIX}{generation}/"


def name_of(generation: int, known: Known) -> str:
    """Return the name of a session's record."""
    return prefix_of(generation, known.owner) + known.digest


def digest_of(name: str) -> str:
    """Return the hash of the token of the session whose record bears this name."""
    return name.rpartition("/")[2]


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{kind.__name__} expected")
    return value
