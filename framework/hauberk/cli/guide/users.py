"""Users of the security guide's code, as the plugin `auth` keeps them."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from hauberk.cli.guide.leftovers import User
from hauberk.cli.guide.takeover import State
from hauberk_plugins.auth.errors import AuthError
from hauberk_plugins.auth.names import normalised
from hauberk_plugins.auth.passwords import BARE, Hashed
from hauberk_plugins.auth.user_auth import UserAuth, digest_of

_OTHER: Final = "another user has the name; if it is the same person, remove the old file yourself"


@frozen(eq=False)
class AuthUsers:
    """Where users are kept.

    Attributes:
        auth: Keeps them.
        role: What each that is added may do.
    """

    auth: UserAuth
    role: str

    def shown(self, user: User) -> str:
        """Return the name that a user has here; as it was spelled, if nobody can be called that."""
        try:
            return normalised(user.name)
        except AuthError:
            return user.name

    def state(self, user: User) -> tuple[State, str]:
        """Say whether a user is there; one whose password was changed since is."""
        try:
            stands = self.auth.users.find(normalised(user.name))
            Hashed(BARE, "", user.hash)
        except AuthError as error:
            return State.UNREADABLE, str(error)
        if stands is None:
            return State.ABSENT, ""
        if stands.adopted == digest_of(user.hash):
            return State.THERE, ""
        return State.DIFFERS, _OTHER

    def add(self, user: User) -> None:
        """Add a user, who logs in with the old password; its hash is upgraded then."""
        self.auth.adopt(user.name, user.hash, [self.role])
