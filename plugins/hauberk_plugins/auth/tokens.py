"""`BotTokens`: what a bot shows to the gateway. Not a session: it has an end and no idle limit.

A token is for some accounts and some capabilities, whoever made it. It can be rotated: the bot gets
another while the old one stays valid for a stated time, so that nothing stops meanwhile.
"""

from __future__ import annotations

import builtins
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from attrs import evolve

from hauberk.ports import Store
from hauberk.secret import Secret
from hauberk.spelling import nearest
from hauberk_plugins.auth import bearer
from hauberk_plugins.auth.bearer import BOT, Known
from hauberk_plugins.auth.parts import StoreNow, Tell, TokenBytes, WallNs
from hauberk_plugins.auth.roles import check_for_bot
from hauberk_plugins.auth.session_errors import BadToken, NoSuchToken, TokenExists
from hauberk_plugins.auth.shared import Shared, State, untold
from hauberk_plugins.auth.token_record import (
    DAY_NS,
    HOUR_NS,
    PREFIX,
    BotToken,
    TokenRecord,
    name_of,
)

#: The record that processes share.
SHARED: Final = "tokens"
MAX_DAYS: Final = 400
MAX_OVERLAP_HOURS: Final = 30 * 24
MAX_TOKENS: Final = 1_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")


class BotTokens:
    """Makes, validates, rotates and revokes bot tokens. May be used from any thread.

    Args:
        store: The sealed store; looked up each time.
        wall_ns: Nanoseconds since the epoch; may step.
        monotonic_ns: A clock that never steps back, in nanoseconds.
        token_bytes: Randomness.
        accounts: Gives the names of the accounts there are.
        tell: Is told of each token that is made, rotated or revoked.
        recheck: Called when one was rotated or revoked, here or elsewhere.
    """

    def __init__(
        self,
        store: StoreNow,
        wall_ns: WallNs,
        monotonic_ns: Callable[[], int],
        token_bytes: TokenBytes,
        accounts: Callable[[], Collection[str]],
        *,
        tell: Tell = untold,
        recheck: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._token_bytes = token_bytes
        self._accounts = accounts
        self._tell = tell
        self._recheck = recheck
        self._shared = Shared(store, SHARED, monotonic_ns)
        self._held: dict[str, tuple[int, TokenRecord]] = {}
        # Set back, the wall clock must not have a token last longer while this process runs.
        self._began_ns = wall_ns() - monotonic_ns()
        self._lock = threading.RLock()  # a signal's handler may revoke

    def create(
        self, name: str, accounts: Iterable[str], allow: Iterable[str], days: int, by: str = ""
    ) -> Secret:
        """Make a token.

        Args:
            name: For people; nobody else's.
            accounts: Which it is for, at least one.
            allow: Its capabilities, at least one; see `roles.FOR_BOTS`.
            days: How long it lasts, 1 to 400.
            by: Who makes it.

        Returns:
            The token, the only copy.

        Raises:
            BadToken, UnknownCapability: It cannot be made so.
            TokenExists: There is one of that name.
        """
        where = tuple(dict.fromkeys(self._checked_account(account) for account in accounts))
        what = tuple(dict.fromkeys(check_for_bot(capability) for capability in allow))
        if not _NAME.match(name):
            raise BadToken("a token's name has a-z, 0-9 and _.- within, at most 64 of them")
        if not where or not what:
            raise BadToken("a token is for at least one account, and allows at least one thing")
        if type(days) is not int or not 1 <= days <= MAX_DAYS:
            raise BadToken(f"a token lasts from 1 to {MAX_DAYS} days")
        token, known = bearer.make(BOT, bearer.owner_key(name), self._token_bytes)
        now = self._now_ns()
        shown = BotToken(name, where, what, now, now + days * DAY_NS, 0, by)
        record = TokenRecord(shown, days, known.digest)
        with self._locked():
            self._shared.change(lambda store, state: _add(store, state, name, record))
        self._tell("token.created", {"token": name, "accounts": where, "allow": what, "by": by})
        return token

    def validate(self, token: Secret) -> BotToken | None:
        """Return what a token is for; `None` if it is none, or not valid.

        Raises:
            StoreError, SealError, BadRecord: Nobody can tell whether it is: let nobody in.
        """
        known = bearer.read(BOT, token)
        if known is None:
            return None
        held = self._held.get(known.owner)
        is_fresh = (
            held is not None
            and held[0] == self._shared.foreign
            and self._monotonic_ns() < self._shared.due_ns
        )
        if held is None or not is_fresh or not held[1].is_of(known.digest):
            with self._locked():
                # What memory does not know may have been made elsewhere just now.
                self._shared.look(at_once=is_fresh)
                held = self._looked_up(known)
        if held is None or not held[1].is_valid(known.digest, self._now_ns()):
            return None
        return held[1].shown

    def rotate(self, name: str, overlap_hours: int, by: str = "") -> Secret:
        """Put another token in place of one; it lasts as long again, from now.

        Args:
            name: The token's.
            overlap_hours: How long the old one stays valid, 0 to 720; never beyond its own end.
                One that an earlier rotation left ends at once.
            by: Who rotates it.

        Returns:
            The token, the only copy.

        Raises:
            NoSuchToken: There is none of that name.
            BadToken: It may not overlap for so long.
        """
        if type(overlap_hours) is not int or not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
            raise BadToken(f"the old token stays valid for 0 to {MAX_OVERLAP_HOURS} hours")
        token, known = bearer.make(BOT, bearer.owner_key(name), self._token_bytes)
        now = self._now_ns()

        def rotated(was: TokenRecord) -> TokenRecord:
            until = min(now + overlap_hours * HOUR_NS, was.shown.expires_ns)
            shown = evolve(
                was.shown,
                created_ns=now,
                expires_ns=now + was.days * DAY_NS,
                old_until_ns=until if until > now else 0,
            )
            return TokenRecord(shown, was.days, known.digest, was.digest)

        with self._locked():
            self._shared.change(lambda store, state: _change(store, state, name, rotated))
            self._held.pop(known.owner, None)
        self._tell("token.rotated", {"token": name, "overlap_hours": overlap_hours, "by": by})
        return token

    def revoke(self, name: str, by: str = "") -> None:
        """End a token, and the one before its rotation.

        Raises:
            NoSuchToken: There is none of that name.
        """
        with self._locked():
            self._shared.change(lambda store, state: _remove(store, state, name))
            self._held.pop(bearer.owner_key(name), None)
        self._tell("token.revoked", {"token": name, "by": by})

    def list(self) -> builtins.list[BotToken]:
        """Return every token, those that have ended too, by name; shows none."""
        found = [TokenRecord.from_bytes(kept.value) for _, kept in self._store().scan(PREFIX)]
        return sorted((record.shown for record in found), key=lambda shown: shown.name)

    def is_over(self, token: BotToken) -> bool:
        """Whether a token of the list has ended."""
        return self._now_ns() >= token.expires_ns

    def _now_ns(self) -> int:
        return max(self._wall_ns(), self._began_ns + self._monotonic_ns())

    def _checked_account(self, account: str) -> str:
        known = self._accounts()
        if account not in known:
            raise BadToken(
                f"there is no account {account[:40]!r}: hauberk.yml has "
                f"{', '.join(known) or 'none'}{nearest(account, known)}"
            )
        return account

    def _looked_up(self, known: Known) -> tuple[int, TokenRecord] | None:
        held = self._held.get(known.owner)
        if held is not None and held[0] == self._shared.foreign:
            return held
        self._held.pop(known.owner, None)
        kept = self._store().get(PREFIX + known.owner)
        if kept is None:
            return None
        self._held[known.owner] = (self._shared.foreign, TokenRecord.from_bytes(kept.value))
        return self._held[known.owner]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock; say afterwards if a token may have ended under it."""
        before = self._shared.state.endings
        try:
            with self._lock:
                yield
        finally:
            if self._shared.state.endings != before:
                self._recheck()


def _add(store: Store, state: State, name: str, record: TokenRecord) -> tuple[State, None]:
    if store.get(name_of(name)) is not None:
        raise TokenExists(
            f"there is a bot token {name!r}: `hauberk token rotate` replaces it, `token revoke` "
            "ends it"
        )
    if state.count >= MAX_TOKENS:
        raise BadToken(f"there are {MAX_TOKENS} bot tokens: revoke those that are not needed")
    store.put(name_of(name), record.to_bytes(), version=0)
    return evolve(state, count=state.count + 1), None


def _change(
    store: Store, state: State, name: str, change: Callable[[TokenRecord], TokenRecord]
) -> tuple[State, None]:
    kept = store.get(name_of(name))
    if kept is None:
        raise _no_such_token(store, name)
    changed = change(TokenRecord.from_bytes(kept.value))
    store.put(name_of(name), changed.to_bytes(), version=kept.version)
    return evolve(state, endings=state.endings + 1), None


def _remove(store: Store, state: State, name: str) -> tuple[State, None]:
    if store.get(name_of(name)) is None:
        raise _no_such_token(store, name)
    store.delete(name_of(name))
    return evolve(state, count=state.count - 1, endings=state.endings + 1), None


def _no_such_token(store: Store, name: str) -> NoSuchToken:
    names = [TokenRecord.from_bytes(kept.value).shown.name for _, kept in store.scan(PREFIX)]
    return NoSuchToken(
        f"there is no bot token {name[:64]!r}: `hauberk token list` has them all"
        f"{nearest(name, names)}"
    )
