"""`UserAuth`: users, made, changed and verified."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any, Final

from attrs import evolve, frozen

from hauberk.secret import Secret
from hauberk_plugins.auth.devices import hash_token, remembered
from hauberk_plugins.auth.errors import ChangedMeanwhile, LastAdmin, NotAnAdmin, PepperMissing
from hauberk_plugins.auth.names import name_at_login, normalised
from hauberk_plugins.auth.parts import ADMIN, StoreNow, Tell, WallNs
from hauberk_plugins.auth.passwords import BARE, Hashed, PasswordHasher
from hauberk_plugins.auth.roles import check_role
from hauberk_plugins.auth.strength import check_strength
from hauberk_plugins.auth.users import User, Users, user_exists

#: Why a login is refused of somebody who is no user.
UNKNOWN: Final = "unknown"
#: Ends the sessions of a user.
EndSessions = Callable[[str], object]


@frozen
class Checked:
    """What came of checking a password.

    Attributes:
        user: Who, if the password is right and the user may log in.
        why: Empty then; else the true reason, for recorders alone: `unknown`, `disabled`,
            `password`, or `pepper` where it is not there.
    """

    user: User | None
    why: str = ""


class UserAuth:
    """Users and their passwords. May be used from any thread, by several processes at once.

    Args:
        sealed: The sealed store in which they are kept.
        hasher: Hashes and checks passwords.
        wall_ns: Wall clock.
        tell: Given what was changed, for the recorders.
        end_sessions: Ends the sessions of a user; called after each change that takes something
            away, or that whoever else knows the old password must not outlast.
    """

    def __init__(
        self,
        sealed: StoreNow,
        hasher: PasswordHasher,
        wall_ns: WallNs,
        *,
        tell: Tell = lambda kind, fields: None,  # noqa: ARG005
        end_sessions: EndSessions = lambda name: None,  # noqa: ARG005
    ) -> None:
        self.users = Users(sealed)
        self._hasher = hasher
        self._wall_ns = wall_ns
        self._tell = tell
        self._end_sessions = end_sessions

    # Users.

    def check_free(self, name: str, roles: Iterable[str] = ()) -> tuple[str, tuple[str, ...]]:
        """Check that a user can be added; return name and roles as they will be kept.

        Raises:
            BadName: Nobody can be called that.
            UserExists: Somebody is.
            UnknownRole: There is no such role.
        """
        name, given = normalised(name), _known(roles)
        if self.users.find(name) is not None:
            raise user_exists(name)
        return name, given

    def create(self, name: str, password: Secret, roles: Iterable[str] = ()) -> User:
        """Add a user.

        Raises:
            BadName, UserExists, UnknownRole: As `check_free` does.
            WeakPassword: The password is too short, too long or too easy to guess.
        """
        name, given = self.check_free(name, roles)
        check_strength(password, name, has_factor=False)
        return self._add(User(name, given, self._hasher.hash(password)))

    def adopt(self, name: str, bcrypt_hash: Secret, roles: Iterable[str] = ()) -> User:
        """Add a user whose password the security guide's code hashed; upgraded at the next login.

        Args:
            name: The user's name.
            bcrypt_hash: As bcrypt writes it, over the password itself.
            roles: What the user may do.

        Raises:
            BadName, UserExists, UnknownRole: As `check_free` does.
            BadRecord: That is no hash of bcrypt's, or one that takes too long to check.
        """
        name, given = self.check_free(name, roles)
        hashed = Hashed(BARE, "", bcrypt_hash)
        return self._add(User(name, given, hashed, adopted=digest_of(bcrypt_hash)))

    def all(self) -> tuple[User, ...]:
        """Every user, by name."""
        return self.users.all()

    def has_admin(self) -> bool:
        """Whether there is somebody who may do everything."""
        return any(_is_admin(user) for user in self.users.all())

    def disable(self, name: str) -> User:
        """Refuse a user's logins, forget the devices, and end the sessions.

        Raises:
            NoSuchUser: There is none.
            LastAdmin: Nobody would be left to enable anybody.
        """
        return self._changed(
            name, lambda user: _later(user, is_disabled=True, devices=()), "disabled"
        )

    def enable(self, name: str) -> User:
        """Let a user log in again.

        Raises:
            NoSuchUser: There is none.
        """
        return self._changed(name, lambda user: evolve(user, is_disabled=False), "enabled")

    def set_roles(self, name: str, roles: Iterable[str]) -> User:
        """Give a user other roles, and end the sessions that have the old ones.

        Raises:
            NoSuchUser, UnknownRole: There is none.
            LastAdmin: Nobody would be left to give anybody roles.
        """
        given = _known(roles)
        return self._changed(name, lambda user: _later(user, roles=given), "roles")

    def set_password(self, name: str, password: Secret) -> User:
        """Give a user another password, forget the devices, and end the sessions.

        Raises:
            NoSuchUser: There is none.
            WeakPassword: The password is too short, too long or too easy to guess.
        """
        self.check_password(name, password)
        hashed = self._hasher.hash(password)
        return self._changed(
            name, lambda user: _later(user, password=hashed, devices=()), "password"
        )

    def change_password(self, user: User, password: Secret) -> User:
        """The same, for a user who has just been verified.

        Args:
            user: As verified.
            password: The other one.

        Raises:
            NoSuchUser, WeakPassword: As `set_password`.
            ChangedMeanwhile: Somebody else has changed the user since.
        """
        self.check_password(user.name, password)
        hashed = self._hasher.hash(password)

        def changed(stands: User) -> User:
            if stands.epoch != user.epoch or stands.is_disabled:
                raise ChangedMeanwhile(f"{user.name!r} was changed by somebody else: log in again")
            return _later(stands, password=hashed, devices=())

        return self._changed(user.name, changed, "password")

    def recoverable(self, name: str) -> User:
        """Return an admin, disabled or not, who may be given a way back.

        Raises:
            BadName, NoSuchUser: There is none.
            NotAnAdmin: It is a user whom an admin can give another password.
        """
        user = self.get(name)
        if ADMIN not in user.roles:
            raise NotAnAdmin(
                f"{user.name!r} is no admin: an admin can give them a password: hauberk user "
                f"passwd {user.name}"
            )
        return user

    def recover(self, name: str, password: Secret, by: str) -> User:
        """Give an admin another password, enable them, and forget second factor and devices.

        Args:
            name: The admin's.
            password: The other one.
            by: Who did it, for the recorders.

        Raises: as `recoverable`, and
            WeakPassword: The password is too short, too long or too easy to guess.
        """
        user = self.recoverable(name)
        check_strength(password, user.name, has_factor=False)
        hashed = self._hasher.hash(password)

        def changed(stands: User) -> User:
            return _later(stands, password=hashed, factor=None, devices=(), is_disabled=False)

        return self._changed(user.name, changed, "recovered", by=by)

    def check_password(self, name: str, password: Secret) -> None:
        """Check that a user can be given a password; raises as `set_password`."""
        user = self.get(name)
        check_strength(password, user.name, has_factor=user.factor is not None)

    def rotate_pepper(self) -> int:
        """Put a fresh pepper in place, with which each hash is made anew at the next login.

        Older ones stay, since a hash that was not made anew yet cannot be checked without its own.

        Returns:
            How many users have such a hash.
        """
        self._hasher.rotate_pepper()
        self._tell("pepper.rotated", {})
        return sum(self._hasher.is_outdated(user.password) for user in self.users.all())

    def get(self, name: str) -> User:
        """Return a user.

        Raises:
            BadName, NoSuchUser: There is none.
        """
        return self.users.get(normalised(name))

    # Logins.

    def verify(self, name: str, password: Secret | None) -> User | None:
        """Return the user whose password this is, or `None`: exactly one bcrypt check, always.

        A second factor is not asked for here; `SecondFactors` is.
        """
        return self.check(name_at_login(name), password).user

    def check(self, name: str, password: Secret | None) -> Checked:
        """The same, with the true reason, which no caller from outside may see.

        Args:
            name: As `name_at_login` gives it.
            password: As typed.
        """
        user = self.users.find(name)
        hashed = None if user is None else user.password
        try:
            is_right, why = self._hasher.check(hashed, password), "password"
        except PepperMissing:
            is_right, why = self._hasher.check(None, password), "pepper"
        if user is None:
            return Checked(None, UNKNOWN)
        if user.is_disabled:
            return Checked(None, "disabled")
        return Checked(user) if is_right else Checked(None, why)

    def hashed_anew(self, user: User, password: Secret) -> Hashed | None:
        """Return what is to take the place of an outdated hash; `None` where it is not.

        Args:
            user: As it was verified.
            password: The right one.
        """
        return self._hasher.hash(password) if self._hasher.is_outdated(user.password) else None

    def settle(self, user: User, hashed: Hashed | None, device: Secret) -> None:
        """Note what a login that counts leaves: a hash upgraded, a device known.

        Args:
            user: As it was verified.
            hashed: As `hashed_anew` returned it.
            device: The token that was given; empty for none.
        """
        devices = remembered(user.devices, hash_token(device, user.name))
        if devices == user.devices and hashed is None:
            return

        def settled(stands: User) -> User:
            # Changed meanwhile: this login ends as `stands` says, and must change nothing back.
            if stands.epoch != user.epoch:
                return stands
            known = remembered(stands.devices, hash_token(device, user.name))
            return evolve(stands, password=hashed or stands.password, devices=known)

        self.users.change(user.name, settled)

    def stands(self, user: User) -> bool:
        """Whether nothing was taken from a user since it was verified.

        Asked once a session is there: whoever disables a user writes that first and ends sessions
        then, so one of the two sees the other.
        """
        found = self.users.find(user.name)
        return found is not None and found.epoch == user.epoch and not found.is_disabled

    def _add(self, user: User) -> User:
        added = self.users.add(evolve(user, created_ms=self._wall_ns() // 1_000_000))
        self._tell("user.created", {"user": added.name, "roles": added.roles})
        return added

    def _changed(self, name: str, change: Callable[[User], User], what: str, **told: str) -> User:
        user = self.users.change(normalised(name), change, _check_admins)
        self._tell(f"user.{what}", {"user": user.name, "roles": user.roles, **told})
        if what != "enabled":
            self._end_sessions(user.name)
        return user


def digest_of(bcrypt_hash: Secret) -> str:
    """Return what is kept of an adopted user's first hash: of no use to whoever guesses."""
    return sha256(bcrypt_hash.reveal()).hexdigest()


def _known(roles: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(check_role(role) for role in roles))


def _check_admins(after: User, users: Iterator[User]) -> None:
    """Refuse a change that leaves nobody who may undo it."""
    was_admin = False
    for user in users:
        if user.name == after.name:
            was_admin = _is_admin(user)
        elif _is_admin(user):
            return
    if was_admin and not _is_admin(after):
        raise LastAdmin(
            f"{after.name!r} is the only admin: give another user the role {ADMIN!r} first"
        )


def _later(user: User, **changes: Any) -> User:
    """A user after a change that logins under way must not outlast."""
    return evolve(user, epoch=user.epoch + 1, **changes)


def _is_admin(user: User) -> bool:
    return ADMIN in user.roles and not user.is_disabled
