"""The plugin `auth`: says who logs in, by password and second factor."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from typing import ClassVar, Final

from attrs import field, frozen, validators

from hauberk.command import OK, WARN, Check, Command
from hauberk.context import Context
from hauberk.errors import Denied
from hauberk.hooks import Plugin, hookimpl
from hauberk.records import Identity, Incident, Login, Outcome, Severity
from hauberk.secret import Secret
from hauberk.verdicts import Deny
from hauberk_plugins.auth.access import NAME, AccessGate
from hauberk_plugins.auth.delays import Delays
from hauberk_plugins.auth.enrolment import SecondFactors
from hauberk_plugins.auth.entry import Entry
from hauberk_plugins.auth.gate import Gate
from hauberk_plugins.auth.once import made_once
from hauberk_plugins.auth.parts import ADMIN, TokenBytes
from hauberk_plugins.auth.passwords import COST, MAX_COST, PasswordHasher
from hauberk_plugins.auth.peppers import Peppers
from hauberk_plugins.auth.session_record import SessionLimits
from hauberk_plugins.auth.sessions import SessionManager
from hauberk_plugins.auth.steps import (
    REFUSED,
    Attempt,
    PasswordStep,
    RateStep,
    SecondFactorStep,
    Step,
)
from hauberk_plugins.auth.user_auth import UserAuth
from hauberk_plugins.auth.users import User
from hauberk_plugins.auth.vouched import Vouched, VouchedLogins

#: Of the keyed hash by which names fall into the table of delays; a record of the sealed store.
DELAYS_KEY: Final = "delays-key"


@frozen
class AuthConfig:
    """The section `auth` of `hauberk.yml`.

    Attributes:
        cost: The logarithm of bcrypt's rounds: 12 takes about 0.3 s of one core for each login.
        sessions: How long sessions last, and how many there may be.
    """

    cost: int = field(default=COST, validator=[validators.ge(10), validators.le(MAX_COST)])
    sessions: SessionLimits = field(factory=SessionLimits)


class AuthPlugin(Plugin):
    """Authenticator and responder. Needs the grants `authenticate`, `sealed` and `store`.

    Args:
        config: Its section.
        token_bytes: Randomness.
        cost: In place of the configured one, for tests: 12 takes 0.3 s.

    Attributes:
        auth: Users and their passwords.
        factors: Their second factors.
        entry: Sessions, bot tokens and the gate.
        sessions: What logins begin and incidents end.
        access: The port of that name.
    """

    interface = (1, 1)
    Config = AuthConfig
    provides: ClassVar[dict[str, str]] = {"access": "access"}

    auth: UserAuth
    factors: SecondFactors
    entry: Entry
    sessions: SessionManager
    access: AccessGate

    def __init__(
        self,
        config: AuthConfig,
        *,
        token_bytes: TokenBytes = secrets.token_bytes,
        cost: int | None = None,
    ) -> None:
        self._cost = config.cost if cost is None else cost
        self._limits = config.sessions
        self._token_bytes = token_bytes
        self._gate = Gate(len(os.sched_getaffinity(0)))
        self._vouched = VouchedLogins()

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Put the parts together; what is kept is read when it is needed."""
        self._context = context
        before = context.predecessor
        entry = None
        if isinstance(before, AuthPlugin):
            entry = before.entry
            # Shared: logins that began before a reload take up room too.
            self._gate = before._gate
        wall_ns, token_bytes = context.clock.wall_ns, self._token_bytes
        self.entry = Entry.of(context, self._limits, token_bytes, self._has_admin, entry)
        self.sessions, self.access = self.entry.sessions, self.entry.access

        peppers = Peppers(lambda: context.sealed, token_bytes)
        hasher = PasswordHasher(peppers, token_bytes, self._cost)
        self.auth = UserAuth(
            lambda: context.sealed,
            hasher,
            wall_ns,
            tell=context.emit,
            end_sessions=self._end_sessions,
        )
        users = self.auth.users
        self.factors = SecondFactors(
            users, wall_ns, token_bytes, tell=context.emit, end_sessions=self._end_sessions
        )
        key = cache(lambda: made_once(context.sealed, DELAYS_KEY, token_bytes))
        self._delays = Delays(lambda: context.store, key, wall_ns)
        self._steps: Sequence[Step] = (
            RateStep(users, self._delays, self._gate),
            PasswordStep(self.auth, self._delays),
            SecondFactorStep(self.factors, self._delays),
        )

    @hookimpl
    def on_login(self, login: Login) -> Deny | Identity:
        """Have each step judge; what no step denies is a user, and what that leaves has to wait."""
        with ExitStack() as held:
            attempt = Attempt.of(login, held)
            return self._refused(attempt) or self._vouch(attempt, login.id)

    @hookimpl
    def on_login_end(self, login: Login, granted: bool, why: str) -> Deny | None:  # noqa: ARG002
        """Begin the session of a login that counts; of one that does not, leave nothing."""
        vouched = self._vouched.take(login.id)
        if vouched is None:
            return Deny(REFUSED) if granted else None
        if granted:
            return self._let_in(vouched)
        # That the password, and any code, was right: somebody knows them.
        self._told("denied", vouched.user.name, login.source)
        return None

    def change_password(self, login: Login, password: Secret) -> tuple[User, Secret | None]:
        """Give somebody who is logged in another password: every step of a login judges first.

        The sessions of the user end, and one begins in their place.

        Args:
            login: With the present password and, where there is a second factor, a code.
            password: The other one.

        Returns:
            The user, and the session; `None` if the user was changed at once by somebody else.

        Raises:
            Denied: The present password or the code is not right, or it comes too soon.
            WeakPassword: The other one is too short, too long or too easy to guess; nothing was
                counted or used up.
            ChangedMeanwhile: Somebody else changed the user meanwhile.
        """
        self.auth.check_password(login.user, password)
        with ExitStack() as held:
            attempt = Attempt.of(login, held)
            refusal, user = self._refused(attempt), attempt.user
            if refusal is not None or user is None:
                refusal = refusal or attempt.refused("unknown")
                raise Denied(NAME, refusal.reason, refusal.retry_after)
            user = self.auth.change_password(user, password)
            self._delays.forgive(attempt.keys)
        return user, self._begun(user, login.source)

    def recover(self, name: str, password: Secret, by: str) -> int:
        """Give an admin who cannot log in any more another password, and end every session.

        Args:
            name: The admin's.
            password: The other one.
            by: Who did it: the owner of the state folder.

        Returns:
            How many sessions there were.

        Raises: as `UserAuth.recover`.
        """
        whose = len(self.sessions.list())
        user = self.auth.recover(name, password, by)
        self.sessions.end_all(f"{user.name} was recovered")
        return whose

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome | None:
        """End every session on HIGH and CRITICAL: whoever goes on shows again who it is."""
        if incident.severity < Severity.HIGH:
            return None
        count = self.sessions.end_all(f"incident {incident.id}")
        return Outcome(f"{count} sessions ended")

    @hookimpl
    def on_commands(self) -> Sequence[Command]:
        """Contribute `user`, `login`, `sessions`, `whoami`, `logout` and `token`."""
        from hauberk_plugins.auth import (
            commands,
            recover_command,
            session_commands,
            token_commands,
        )

        modules = commands, recover_command, session_commands, token_commands
        return tuple(command for module in modules for command in module.COMMANDS)

    @hookimpl
    def on_doctor(self) -> Sequence[Check]:
        """Whether anybody can log in, and with what."""
        users = [user for user in self.auth.all() if not user.is_disabled]
        admins = [user for user in users if ADMIN in user.roles]
        if not admins:
            remedy = "hauberk user add NAME --role admin"
            return [Check("users", WARN, "there is no admin", remedy)]
        bare = [user.name for user in admins if user.factor is None]
        if bare:
            found = f"without a second factor: admin {', '.join(bare)}"
            return [Check("users", WARN, found, f"hauberk user second-factor {bare[0]}")]
        return [Check("users", OK, f"{len(users)} can log in, {len(admins)} of them admin")]

    def _vouch(self, attempt: Attempt, attempt_id: str) -> Deny | Identity:
        user, password = attempt.user, attempt.password
        if user is None or password is None:
            return self._refuse(attempt, attempt.refused("unknown"))
        token = self.sessions.draw(user.name)
        # Here, where there is room for it: it takes as long as a login.
        hashed = self.auth.hashed_anew(user, password)
        self._vouched.keep(
            attempt_id, Vouched(user, token, hashed, attempt.device, attempt.source, attempt.keys)
        )
        return Identity(user.name, user.roles, token)

    def _let_in(self, vouched: Vouched) -> Deny | None:
        user, token = vouched.user, vouched.token
        if self._begun(user, vouched.source, token) is None:
            self._told("changed", user.name, vouched.source)
            return Deny(REFUSED)
        try:
            self.auth.settle(user, vouched.hashed, vouched.device)
            self._delays.forgive(vouched.keys)
        except BaseException:
            self.sessions.end_session(token, "the login could not be completed")
            raise
        return None

    def _refused(self, attempt: Attempt) -> Deny | None:
        """Have each step judge; what none refuses is a user."""
        for step in self._steps:
            if (refusal := step.judge(attempt)) is not None:
                return self._refuse(attempt, refusal)
        return None

    def _refuse(self, attempt: Attempt, refusal: Deny) -> Deny:
        """Tell the recorders why; whoever tried learns only what the refusal says."""
        self._told(attempt.why, attempt.shown_name, attempt.source, refusal.retry_after)
        return refusal

    def _begun(self, user: User, source: str, token: Secret | None = None) -> Secret | None:
        """Begin a session, unless something was taken from the user since it was verified."""
        session = self.sessions.create(user.name, user.roles, source, token)
        # After the session is there: whoever takes something from a user writes that first and
        # ends the sessions then, so one of the two sees the other.
        if self.auth.stands(user):
            return session
        self._end_sessions(user.name)
        return None

    def _told(self, why: str, user: str, source: str, retry_after: float | None = None) -> None:
        told = {"why": why, "user": user, "source": source, "retry_after": retry_after}
        self._context.emit("refused", told)

    def _end_sessions(self, name: str) -> None:
        self.sessions.end(name)

    def _has_admin(self) -> bool:
        return any(ADMIN in user.roles for user in self.auth.all())
