"""Giving users a second factor, and taking its codes, each once."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, frozen

from hauberk.secret import Secret
from hauberk_plugins.auth.errors import CodeRefused
from hauberk_plugins.auth.names import normalised
from hauberk_plugins.auth.parts import Tell, TokenBytes, WallNs
from hauberk_plugins.auth.second_factor import (
    SecondFactor,
    accept,
    hash_code,
    make_codes,
    make_secret,
    provisioning_uri,
)
from hauberk_plugins.auth.users import User, Users


@frozen
class Enrolment:
    """A second factor that is not a user's yet.

    Attributes:
        name: The user's.
        secret: Of the codes by time.
        uri: What an authenticator is told; it holds the secret.
    """

    name: str
    secret: Secret
    uri: Secret


class SecondFactors:
    """Second factors of users. May be used from any thread, by several processes at once.

    Args:
        users: The users.
        wall_ns: Wall clock.
        token_bytes: Randomness.
        tell: Given what was changed, for the recorders.
        end_sessions: Ends the sessions of a user.
    """

    def __init__(
        self,
        users: Users,
        wall_ns: WallNs,
        token_bytes: TokenBytes,
        *,
        tell: Tell = lambda kind, fields: None,  # noqa: ARG005
        end_sessions: Callable[[str], object] = lambda name: None,  # noqa: ARG005
    ) -> None:
        self._users = users
        self._wall_ns = wall_ns
        self._token_bytes = token_bytes
        self._tell = tell
        self._end_sessions = end_sessions

    def begin(self, name: str) -> Enrolment:
        """Draw a second factor for a user. Nothing is kept of it before `enrol`.

        Raises:
            BadName, NoSuchUser: There is none.
        """
        user = self._users.get(normalised(name))
        secret = make_secret(self._token_bytes)
        return Enrolment(user.name, secret, provisioning_uri(secret, user.name))

    def enrol(self, enrolment: Enrolment, code: Secret) -> tuple[Secret, ...]:
        """Give a user the second factor, in place of one there may be, and end the sessions.

        Args:
            enrolment: From `begin`.
            code: One right code, which shows that the authenticator has the secret; it is used up.

        Returns:
            Recovery codes, to be shown once: only their hashes are kept.

        Raises:
            CodeRefused: The code is wrong; nothing has changed.
            NoSuchUser: The user is gone.
        """
        codes = make_codes(self._token_bytes)
        hashes = tuple(hash_code(one) for one in codes)
        fresh = SecondFactor(enrolment.secret, codes=hashes)
        factor = accept(fresh, code, self._wall_ns())
        user = self._users.change(
            enrolment.name, lambda user: evolve(user, factor=factor, epoch=user.epoch + 1)
        )
        self._tell("user.second_factor", {"user": user.name})
        self._end_sessions(user.name)
        return codes

    def use(self, user: User, code: Secret | None) -> None:
        """Take a code of a user who has a second factor; of another, none is asked for.

        Args:
            user: As verified by password.
            code: As typed.

        Raises:
            CodeRefused: It is wrong or used, or the user was changed meanwhile.
        """
        if user.factor is None:
            return

        def used(stands: User) -> User:
            if stands.epoch != user.epoch or stands.factor is None:
                raise CodeRefused("changed", "the user was changed meanwhile")
            return evolve(stands, factor=accept(stands.factor, code, self._wall_ns()))

        self._users.change(user.name, used)
