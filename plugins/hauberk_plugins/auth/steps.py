"""The steps of a login, in order: how often, the password, the second factor.

Each is a small guard with one method. They are steps of one plugin, since a login's password and
code are shown to the authenticator alone; whoever adds another has a plugin of their own with
`on_login`, which may deny and is shown neither.
"""

from __future__ import annotations

from contextlib import ExitStack
from math import ceil
from typing import Final, Protocol

from attrs import define, field

from hauberk.records import Login
from hauberk.secret import Secret
from hauberk.verdicts import Deny
from hauberk_plugins.auth.delays import Delays, Key, of_account, of_device, of_source
from hauberk_plugins.auth.devices import hash_token
from hauberk_plugins.auth.enrolment import SecondFactors
from hauberk_plugins.auth.errors import CodeRefused
from hauberk_plugins.auth.gate import Gate
from hauberk_plugins.auth.names import name_at_login
from hauberk_plugins.auth.user_auth import UNKNOWN, UserAuth
from hauberk_plugins.auth.users import User, Users

#: The one text for whatever is wrong with a login: who it is, and which part, is not told.
REFUSED: Final = "the name, the password or the code is not right"
TOO_SOON: Final = "too many logins failed before this one"
BUSY: Final = "too many logins at once"
#: What a login takes: then there may be room.
BUSY_RETRY_S: Final = 1.0


@define
class Attempt:
    """One login under way.

    Attributes:
        name: To look up.
        source: Where it comes from.
        password: As typed.
        code: As typed.
        device: The token given.
        held: What is let go when the login has ended.
        keys: Whom a failure counts against.
        user: Who, once the password was right.
        is_known: Whether there is such a user, once that was looked up.
        why: The true reason of a refusal, for recorders alone.
    """

    name: str
    source: str
    password: Secret | None
    code: Secret | None
    device: Secret
    held: ExitStack
    keys: tuple[Key, ...] = ()
    user: User | None = None
    is_known: bool = False
    why: str = field(default="")

    @classmethod
    def of(cls, login: Login, held: ExitStack) -> Attempt:
        """Begin one."""
        return cls(
            name_at_login(login.user),
            login.source,
            login.password,
            login.code,
            Secret(b"") if login.device is None else login.device,
            held,
        )

    @property
    def shown_name(self) -> str:
        """The name for the recorders; empty for nobody's: people type passwords there."""
        return self.name if self.is_known else ""

    def refused(self, why: str, reason: str = REFUSED, retry_after: float = 0.0) -> Deny:
        """Refuse: the true reason is kept, the other is told."""
        self.why = why
        return Deny(reason, retry_after=ceil(retry_after * 10) / 10 if retry_after else None)


class Step(Protocol):
    """One step."""

    def judge(self, attempt: Attempt) -> Deny | None:
        """Refuse, or have the next step asked."""


class RateStep:
    """Refuses what comes too soon after failures, and what there is no room for.

    Args:
        users: Which devices are known.
        delays: Failures so far.
        gate: Room.
    """

    def __init__(self, users: Users, delays: Delays, gate: Gate) -> None:
        self._users = users
        self._delays = delays
        self._gate = gate

    def judge(self, attempt: Attempt) -> Deny | None:
        """Look first, which costs nothing; then make room; then charge."""
        token_hash = hash_token(attempt.device, attempt.name)
        is_known = self._users.is_known_device(token_hash)
        if is_known:
            attempt.keys = (of_device(token_hash),)
        else:
            sources = (of_source(attempt.source),) if attempt.source else ()
            attempt.keys = (of_account(attempt.name), *sources)
        if wait_s := self._delays.wait_s(attempt.keys):
            return attempt.refused("too soon", TOO_SOON, wait_s)
        if not self._gate.enter(is_known=is_known):
            return attempt.refused("busy", BUSY, BUSY_RETRY_S)
        attempt.held.callback(self._gate.leave)
        # Somebody else may have failed while this one waited for room.
        if wait_s := self._delays.charge(attempt.keys):
            return attempt.refused("too soon", TOO_SOON, wait_s)
        return None


class PasswordStep:
    """Refuses all but the right password of a user who may log in; one bcrypt check in any case.

    Args:
        auth: The users.
        delays: Says when to try again.
    """

    def __init__(self, auth: UserAuth, delays: Delays) -> None:
        self._auth = auth
        self._delays = delays

    def judge(self, attempt: Attempt) -> Deny | None:
        """Check the password."""
        checked = self._auth.check(attempt.name, attempt.password)
        attempt.user = checked.user
        attempt.is_known = checked.why != UNKNOWN
        if checked.user is None:
            return attempt.refused(checked.why, retry_after=self._delays.wait_s(attempt.keys))
        return None


class SecondFactorStep:
    """Refuses whoever has a second factor and gives no right code, or one that was used.

    Args:
        factors: The second factors.
        delays: Says when to try again.
    """

    def __init__(self, factors: SecondFactors, delays: Delays) -> None:
        self._factors = factors
        self._delays = delays

    def judge(self, attempt: Attempt) -> Deny | None:
        """Take the code."""
        if attempt.user is None:
            return attempt.refused("unknown")
        try:
            self._factors.use(attempt.user, attempt.code)
        except CodeRefused as error:
            return attempt.refused(error.why, retry_after=self._delays.wait_s(attempt.keys))
        return None
