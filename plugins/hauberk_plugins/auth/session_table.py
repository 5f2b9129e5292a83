"""The sessions that a process holds in memory, by the hash of their token."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import define, evolve

from hauberk.errors import SealError, StoreConflict, StoreError
from hauberk_plugins.auth.bearer import Known
from hauberk_plugins.auth.parts import StoreNow
from hauberk_plugins.auth.session_record import (
    Instant,
    Session,
    SessionLimits,
    SessionRecord,
    name_of,
    read_record,
)
from hauberk_plugins.auth.shared import Shared


@define(eq=False)
class Held:
    """A session in memory; times are monotonic nanoseconds unless they say otherwise.

    Attributes:
        name: Of its record.
        version: Of its record, as last read or written.
        record: As last read or written.
        session: What is shown of it.
        foreign: What `Shared.foreign` was when it was last looked up.
        used_ns: When it was last used, here or as others wrote it down.
        began_ns: When it began.
        write_ns: When a use is to be written down again.
        look_ns: When it has to be looked at: at the next write, which comes long before it is idle
            for too long, or at its absolute end.
        ends_wall_ns: When it ends by the wall clock, nanoseconds since the epoch.
    """

    name: str
    version: int
    record: SessionRecord
    session: Session
    foreign: int
    used_ns: int
    began_ns: int
    write_ns: int
    look_ns: int
    ends_wall_ns: int

    def is_over(self, now: Instant, limits: SessionLimits) -> bool:
        """Whether it has reached a limit, as far as this process knows."""
        at = now.monotonic_ns
        return (
            at - self.used_ns >= limits.idle_ns
            or at - self.began_ns >= limits.absolute_ns
            or now.wall_ns >= self.ends_wall_ns
        )


class SessionTable:
    """Looks sessions up in memory, and in the store where memory cannot know. Not locked.

    Args:
        store: The sealed store; looked up each time.
        clock: Tells the time.
        limits: How long sessions last, and how many there may be.
        shared: What other processes tell.
        over: Called with a session that was just found to have reached a limit.

    Attributes:
        by_digest: The sessions.
    """

    def __init__(
        self,
        store: StoreNow,
        clock: Callable[[], Instant],
        limits: SessionLimits,
        shared: Shared,
        over: Callable[[Known], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._shared = shared
        self._over = over
        self.by_digest: dict[str, Held] = {}

    def use(self, known: Known) -> Held | None:
        """Return a session and count a use of it; `None` where it was ended, or is over."""
        held = self.by_digest.get(known.digest)
        if (
            held is None
            or held.foreign != self._shared.foreign
            # Another process may have used it since.
            or held.is_over(self._clock(), self._limits)
        ):
            held = self._fetched(known, held)
        return None if held is None else self._used(known, held)

    def hold(self, known: Known, record: SessionRecord, version: int = 1, idle_ns: int = 0) -> Held:
        """Hold what stands in the store.

        Args:
            known: Of its token.
            record: What stands there.
            version: Of the record.
            idle_ns: For how long it has been idle: less than the record says where this process
                has used it since.
        """
        now, limits = self._clock(), self._limits
        if len(self.by_digest) >= limits.total:
            # The one held longest: if it has not ended, it is looked up when it is used again.
            self.forget([next(iter(self.by_digest))])
        since = now.since(record.seen)
        passed = idle_ns if since is None else since
        held = Held(
            name_of(self._shared.state.generation, known),
            version,
            record,
            record.shown(known.digest),
            self._shared.foreign,
            now.monotonic_ns - idle_ns,
            now.monotonic_ns - record.age_ns - passed,
            0,
            0,
            record.created_ns + limits.absolute_ns,
        )
        # Where the clock was set back since, the record misleads others: it is written anew.
        seen_ns = now.monotonic_ns - (limits.seen_ns if since is None else passed)
        self._next_write(held, seen_ns)
        self.by_digest[known.digest] = held
        return held

    def forget(self, digests: Iterable[str]) -> None:
        """Hold these no longer."""
        for digest in digests:
            self.by_digest.pop(digest, None)

    def _used(self, known: Known, held: Held) -> Held | None:
        """Count a use, and write it down if it is time to."""
        now = self._clock()
        held.used_ns = now.monotonic_ns
        if now.monotonic_ns < held.write_ns:
            return held
        self._next_write(held, now.monotonic_ns)
        record = evolve(held.record, age_ns=now.monotonic_ns - held.began_ns, seen=now)
        try:
            held.version = self._store().put(held.name, record.to_bytes(), version=held.version)
        except StoreConflict:  # another process has written it, or ended it
            return self._fetched(known, held)
        except (StoreError, SealError):
            return held  # others will take it to be idle for longer than it is
        held.record, held.session = record, record.shown(known.digest)
        return held

    def _fetched(self, known: Known, was: Held | None) -> Held | None:
        name, now = name_of(self._shared.state.generation, known), self._clock()
        kept = self._store().get(name)
        self.by_digest.pop(known.digest, None)
        if kept is None and was is None:
            # One that began after another process had ended all bears another name.
            self._shared.look(at_once=True)
            name = name_of(self._shared.state.generation, known)
            kept = self._store().get(name)
        if kept is None:
            return None
        record = read_record(kept.value)
        idle_ns = record.idle_ns(now, self._limits)
        if was is not None and was.name == name:
            used_ns = now.monotonic_ns - was.used_ns
            idle_ns = used_ns if idle_ns is None else min(used_ns, idle_ns)
        held = None if idle_ns is None else self.hold(known, record, kept.version, idle_ns)
        if held is not None and was is not None:
            held.began_ns = min(held.began_ns, was.began_ns)
            self._next_write(held, held.write_ns - self._limits.seen_ns)
        if held is None or held.is_over(now, self._limits):
            self.forget((known.digest,))
            self._over(known)
            return None
        return held

    def _next_write(self, held: Held, written_ns: int) -> None:
        held.write_ns = written_ns + self._limits.seen_ns
        held.look_ns = min(held.write_ns, held.began_ns + self._limits.absolute_ns)
