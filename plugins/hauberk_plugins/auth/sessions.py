"""`SessionManager`: who is logged in, for how long, and who no longer is.

The store has the truth: a record for each session, under the hash of its token. A process holds in
memory what it has looked up; what another process ends, it knows a second later, see `shared`.
"""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from attrs import evolve

from hauberk.errors import MisuseError, SealError, StoreError
from hauberk.secret import Secret
from hauberk_plugins.auth import bearer
from hauberk_plugins.auth import session_changes as changes
from hauberk_plugins.auth.bearer import SESSION, Known
from hauberk_plugins.auth.parts import StoreNow, Tell, TokenBytes, WallNs
from hauberk_plugins.auth.session_changes import Stored, live, stored
from hauberk_plugins.auth.session_errors import NoSuchSession
from hauberk_plugins.auth.session_record import (
    ID_LENGTH,
    Instant,
    Session,
    SessionLimits,
    SessionRecord,
    digest_of,
    prefix_of,
)
from hauberk_plugins.auth.session_table import Held, SessionTable
from hauberk_plugins.auth.shared import POLL_NS, Shared, untold

#: The record that processes share.
SHARED: Final = "sessions"
#: The kind of event of a session that begins; every other one ends some.
CREATED: Final = "session.created"


class SessionManager:
    """Begins, validates and ends sessions. May be used from any thread.

    Args:
        store: The sealed store; looked up each time.
        wall_ns: Nanoseconds since the epoch; may step.
        monotonic_ns: A clock that never steps back, in nanoseconds.
        token_bytes: Randomness.
        limits: How long they last, and how many there may be.
        boot: What tells one boot of the machine from another; empty if nothing does. Within one,
            `monotonic_ns` must be the same clock for every process.
        tell: Is told of each session that begins or ends, and why.
        recheck: Called when sessions were ended, here or elsewhere.
    """

    def __init__(
        self,
        store: StoreNow,
        wall_ns: WallNs,
        monotonic_ns: Callable[[], int],
        token_bytes: TokenBytes,
        limits: SessionLimits | None = None,
        *,
        boot: str = "",
        tell: Tell = untold,
        recheck: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._token_bytes = token_bytes
        self._limits = limits or SessionLimits()
        self._boot = boot
        self._tell = tell
        self._recheck = recheck
        self._shared = Shared(store, SHARED, monotonic_ns)
        self._table = SessionTable(store, self._now, self._limits, self._shared, self._over)
        # Whether all were ended and the store has not got it yet, and when to try that again.
        self._all_ended = False
        self._try_ns = 0
        # What happened under the lock and is told once it is free: a recorder may take its time.
        self._news: list[tuple[str, dict[str, Any]]] = []
        self._lock = threading.RLock()  # a signal's handler may report an incident

    def draw(self, user: str) -> Secret:
        """Draw the token of a session that `create` may begin; until then it is of none."""
        return bearer.make(SESSION, bearer.owner_key(user), self._token_bytes)[0]

    def create(
        self, user: str, roles: Iterable[str] = (), source: str = "", token: Secret | None = None
    ) -> Secret:
        """Begin a session, always with a token of its own.

        Where there are as many as there may be, others end; see `session_changes.too_many`.

        Args:
            user: Who logged in.
            roles: Which the user has.
            source: Where the login came from.
            token: Drawn for this session; drawn here unless given.

        Returns:
            The token, the only copy.

        Raises:
            StoreError: It cannot be kept, so it does not begin.
            MisuseError: The token was not drawn for the user.
        """
        token = self.draw(user) if token is None else token
        known = bearer.read(SESSION, token)
        if known is None or known.owner != bearer.owner_key(user):
            raise MisuseError("a session begins with a token that was drawn for its user")
        with self._locked():
            if self._all_ended:
                self._keep_all_ended()
            now = self._now()
            record = SessionRecord(user, tuple(roles), source, now.wall_ns, 0, now)
            gone = self._shared.change(
                lambda store, state: changes.add(store, state, known, record, now, self._limits)
            )
            self._table.forget(digest_of(one.name) for one in gone)
            self._note_ended(gone, "there was no room for more")
            self._note_created(known, record)
        return token

    def validate_session(self, token: Secret) -> Session | None:
        """Return the session that a token is of, which counts as a use; `None` if there is none.

        Raises:
            StoreError, SealError, BadRecord: Nobody can tell whether there is one: let nobody in.
        """
        # What may be let in at once: whoever is not yet to be looked at more closely.
        digest = bearer.digest(token)
        held = self._table.by_digest.get(digest)
        now = self._monotonic_ns()
        shared = self._shared
        if (
            held is not None
            and not self._all_ended
            and now < shared.due_ns
            and now < held.look_ns
            and held.foreign == shared.foreign
            and self._wall_ns() < held.ends_wall_ns
        ):
            held.used_ns = now
            return held.session
        known = bearer.read(SESSION, token, digest)
        if known is None:
            return None
        with self._locked():
            found = self._used(known)
            return None if found is None else found.session

    def renew(self, token: Secret, roles: Iterable[str]) -> Secret | None:
        """Give a session another token and other roles: the old token ends, the limits go on.

        For whatever changes what its user may do while logged in.

        Returns:
            The token, the only copy; `None` if there was no session.
        """
        old = bearer.read(SESSION, token)
        if old is None:
            return None
        fresh, known = bearer.make(SESSION, old.owner, self._token_bytes)
        with self._locked():
            held = self._used(old)
            if held is None:
                return None
            now = self._now()
            age_ns = now.monotonic_ns - held.began_ns
            record = evolve(held.record, roles=tuple(roles), age_ns=age_ns, seen=now)
            self._table.forget((old.digest,))
            was_there = self._shared.change(
                lambda store, state: changes.replace(store, state, old, known, record)
            )
            if not was_there:
                return None
            self._note("ended", held.session, why="it was given another token")
            self._note_created(known, record)
        return fresh

    def end_session(self, token: Secret, why: str = "logout") -> bool:
        """End the session that a token is of; return whether there was one."""
        known = bearer.read(SESSION, token)
        if known is None:
            return False
        with self._locked():
            return bool(self._removed(known.owner, known.digest, why))

    def end(self, user: str, why: str = "the user was changed") -> int:
        """End every session of a user; return how many there were.

        Args:
            user: The name in its one form.
            why: For the recorders.
        """
        with self._locked():
            return len(live(self._removed(bearer.owner_key(user), "", why)))

    def revoke(self, session_id: str, why: str = "revoked") -> Session:
        """End the session with an id, and return it.

        Args:
            session_id: As `list` shows it.
            why: For the recorders.

        Raises:
            NoSuchSession: There is none; says what to do.
        """
        with self._locked():
            # What is shorter may be the beginning of several.
            ended = self._removed("", session_id, why) if len(session_id) >= ID_LENGTH else []
        if not ended:
            raise NoSuchSession("no session has that id: `hauberk sessions list` has them all")
        return ended[0].shown

    def end_all(self, why: str = "revoked") -> int:
        """End every session there is, at once in memory, then in the store.

        Returns:
            How many there were.

        Raises:
            StoreError: The store cannot be told. Until it can be, which is tried again, this
                process refuses every session; others, and a restart, know nothing of it.
        """
        with self._locked():
            self._all_ended = True
            self._keep_all_ended()
            count = 0
            with suppress(StoreError, SealError):  # they are over, whether or not they are removed
                gone = changes.remove_generations(self._store(), self._shared.state.generation)
                count = len(live(stored(gone, self._now(), self._limits)))
            self._news.append(("session.all_ended", {"count": count, "why": why}))
        return count

    def list(self, user: str = "") -> builtins.list[Session]:
        """Return the sessions there are, by user and time.

        Args:
            user: Only this one's, whose name is in its one form; empty for all.
        """
        owner = bearer.owner_key(user) if user else ""
        with self._locked():
            self._shared.look()
            found = self._store().scan(prefix_of(self._shared.state.generation, owner))
            there = [one.shown for one in live(stored(found, self._now(), self._limits))]
        return sorted(there, key=lambda one: (one.user, one.created_ns))

    def take_over(self, before: SessionManager) -> None:
        """Go on refusing every session where the manager before this one had to."""
        self._all_ended = self._all_ended or before._all_ended

    # What follows is called under the lock.

    def _now(self) -> Instant:
        return Instant(self._wall_ns(), self._monotonic_ns(), self._boot)

    def _used(self, known: Known) -> Held | None:
        """Count a use of a session, asking the store where memory cannot know."""
        if self._all_ended and self._monotonic_ns() >= self._try_ns:
            with suppress(StoreError, SealError):
                self._keep_all_ended()
        if self._all_ended:
            return None
        self._shared.look()
        return self._table.use(known)

    def _over(self, known: Known) -> None:
        """Remove a session that has reached a limit, for every process."""
        with suppress(StoreError, SealError):  # it is over whether or not that is written down
            self._removed(known.owner, known.digest, "its time was over")

    def _removed(self, owner: str, digest: str, why: str) -> builtins.list[Stored]:
        """Remove records by owner, or the beginning of their digest; return them."""
        found = self._shared.change(
            lambda store, state: changes.remove(store, state, owner, digest)
        )
        self._table.forget(digest_of(name) for name, _ in found)
        gone = [*stored(found, self._now(), self._limits)]
        self._note_ended(gone, why)
        return gone

    def _keep_all_ended(self) -> None:
        """Have the store know that every session was ended."""
        self._try_ns = self._monotonic_ns() + POLL_NS
        self._shared.change(changes.end_generation)
        self._table.by_digest = {}
        self._all_ended = False

    def _note_created(self, known: Known, record: SessionRecord) -> None:
        held = self._table.hold(known, record)
        self._note("created", held.session, source=record.source)

    def _note_ended(self, gone: Iterable[Stored], why: str) -> None:
        for one in gone:
            self._note("ended", one.shown, why=why)

    def _note(self, what: str, session: Session, **more: str) -> None:
        told = {"session": session.id, "user": session.user, **more}
        self._news.append((f"session.{what}", told))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock; tell afterwards what happened under it."""
        foreign, news = self._shared.foreign, self._news
        try:
            with self._lock:
                try:
                    yield
                finally:
                    news, self._news = self._news, []
        finally:
            if self._shared.foreign != foreign or any(kind != CREATED for kind, _ in news):
                self._recheck()
            for kind, told in news:
                self._tell(kind, told)
