"""What may go wrong with users and logins; none of it quotes a password, a code or a key."""

from __future__ import annotations

from hauberk.errors import HauberkError


class AuthError(HauberkError):
    """Something about users or logins cannot be done; says what and what to do."""


class BadName(AuthError):
    """A name that no user can have."""


class UserExists(AuthError):
    """There is a user of that name already."""


class NoSuchUser(AuthError):
    """There is no user of that name."""


class UnknownRole(AuthError):
    """A role that Hauberk does not know."""


class ChangedMeanwhile(AuthError):
    """A user was changed by somebody else in the middle of a change."""


class LastAdmin(AuthError):
    """Nobody who may administer would be left."""


class NotAnAdmin(AuthError):
    """Only an admin is given a way back by the owner of the state folder; others have admins."""


class WeakPassword(AuthError):
    """A password that is too easy to guess, too short or too long; says which, and quotes nothing.

    Attributes:
        reasons: Each in a sentence.
    """

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = reasons

    def __str__(self) -> str:
        return f"the password is refused: {'; '.join(self.reasons)}"


class CodeRefused(AuthError):
    """A code of the second factor that is not taken.

    Attributes:
        why: `code` where it is wrong, `replay` where it was used before, `clock` where the clock
            has been set back behind the last code that was taken.
    """

    def __init__(self, why: str, text: str) -> None:
        super().__init__(why, text)
        self.why = why
        self._text = text

    def __str__(self) -> str:
        return self._text


class PepperMissing(AuthError):
    """A password was hashed with a pepper that the sealed state has not."""


class BadRecord(AuthError):
    """A record of the sealed state is not what this version writes."""
