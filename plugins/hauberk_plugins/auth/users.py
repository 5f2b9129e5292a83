"""Users as they are kept: one sealed record each, changed by compare-and-set."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import frozen

from hauberk.errors import StoreConflict
from hauberk.ports import Store
from hauberk.secret import Secret
from hauberk_plugins.auth.errors import BadRecord, NoSuchUser, UserExists
from hauberk_plugins.auth.parts import StoreNow
from hauberk_plugins.auth.passwords import Hashed
from hauberk_plugins.auth.quiet import quietly
from hauberk_plugins.auth.second_factor import SecondFactor

FORMAT: Final = 1
_USER: Final = "user/"
_DEVICE: Final = "device/"
_TRIES: Final = 20


@frozen
class User:
    """A user.

    Attributes:
        name: In its one form, see `names`.
        roles: What the user may do.
        password: Hashed.
        created_ms: When, wall clock.
        is_disabled: Whether logins are refused.
        factor: The second factor, once there is one.
        devices: Hashes of the tokens of known devices, the latest last.
        epoch: Raised by every change that logins under way must not outlast.
        adopted: Of a user taken over from elsewhere, the digest of the hash there; it tells that
            one from another of the same name, whatever became of the password since.
    """

    name: str
    roles: tuple[str, ...]
    password: Hashed
    created_ms: int = 0
    is_disabled: bool = False
    factor: SecondFactor | None = None
    devices: tuple[str, ...] = ()
    epoch: int = 0
    adopted: str = ""

    def to_bytes(self) -> bytes:
        """Write it as a record, to be sealed."""
        password, factor = self.password, self.factor
        return json.dumps(
            {
                "format": FORMAT,
                "name": self.name,
                "roles": self.roles,
                "created_ms": self.created_ms,
                "disabled": self.is_disabled,
                "devices": self.devices,
                "epoch": self.epoch,
                "adopted": self.adopted,
                "password": {
                    "scheme": password.scheme,
                    "pepper": password.pepper,
                    "hash": password.hash.reveal_text(),
                },
                "second_factor": None
                if factor is None
                else {
                    "secret": b64encode(factor.secret.reveal()).decode(),
                    "last_step": factor.last_step,
                    "codes": factor.codes,
                },
            }
        ).encode()

    @classmethod
    def from_bytes(cls, value: bytes) -> User:
        """Read a record.

        Raises:
            ValueError, TypeError, KeyError, BadRecord: It is none.
        """
        found: dict[str, Any] = json.loads(value)
        if found["format"] != FORMAT:
            raise ValueError("it is of another format")
        password, factor = found["password"], found["second_factor"]
        return cls(
            name=_text(found["name"]),
            roles=_texts(found["roles"]),
            password=Hashed(
                _text(password["scheme"]), _text(password["pepper"]), Secret(password["hash"])
            ),
            created_ms=_typed(found["created_ms"], int),
            is_disabled=_typed(found["disabled"], bool),
            factor=None
            if factor is None
            else SecondFactor(
                Secret(b64decode(factor["secret"], validate=True)),
                _typed(factor["last_step"], int),
                _texts(factor["codes"]),
            ),
            devices=_texts(found["devices"]),
            epoch=_typed(found["epoch"], int),
            adopted=_text(found.get("adopted", "")),
        )


class Users:
    """Every user, in the sealed store.

    Args:
        sealed: The sealed store.
    """

    def __init__(self, sealed: StoreNow) -> None:
        self._sealed = sealed

    def find(self, name: str) -> User | None:
        """Return a user, or `None`.

        Args:
            name: In its one form.

        Raises:
            BadRecord: What is kept is not what this version writes.
        """
        return quietly("reading a user", lambda: _read(self._sealed(), name)[0])

    def get(self, name: str) -> User:
        """Return a user.

        Raises:
            NoSuchUser: There is none.
        """
        user = self.find(name)
        if user is None:
            raise _no_such_user(name)
        return user

    def all(self) -> tuple[User, ...]:
        """Every user, by name."""
        return quietly("reading the users", lambda: tuple(_every(self._sealed())))

    def add(self, user: User) -> User:
        """Add a user.

        Raises:
            UserExists: There is one of that name.
        """
        exists = False
        try:
            quietly("adding a user", lambda: self._put(user, 0))
        except StoreConflict:
            exists = True
        if exists:
            raise user_exists(user.name)
        return user

    def change(
        self,
        name: str,
        change: Callable[[User], User],
        check: Callable[[User, Iterator[User]], None] | None = None,
    ) -> User:
        """Change a user, in one step that nobody else's change comes between.

        Args:
            name: Whose record.
            change: Given the user as it stands, returns it as it is to stand, or raises; called
                again where another process was quicker.
            check: Raises if that must not be; given the user as it is to stand, and all users as
                they stand.

        Raises:
            NoSuchUser: There is none.
            StoreConflict: Others keep changing it.
        """
        return quietly("changing a user", lambda: self._change(name, change, check))

    def is_known_device(self, token_hash: str) -> bool:
        """Whether a device is known, to the user whose name is in the hash.

        The user's record is not looked at: how long this takes must not tell whether there is one.
        """
        return bool(token_hash) and self._sealed().get(_DEVICE + token_hash) is not None

    def _put(self, user: User, version: int) -> None:
        self._sealed().put(_USER + user.name, user.to_bytes(), version=version)

    def _change(
        self,
        name: str,
        change: Callable[[User], User],
        check: Callable[[User, Iterator[User]], None] | None,
    ) -> User:
        for turn in range(_TRIES):
            try:
                with self._sealed().transaction() as store:
                    return _changed(store, name, change, check)
            except StoreConflict:
                if turn == _TRIES - 1:
                    raise
        raise StoreConflict(f"user {name!r} is being changed elsewhere all the time: try again")


def _changed(
    store: Store,
    name: str,
    change: Callable[[User], User],
    check: Callable[[User, Iterator[User]], None] | None,
) -> User:
    before, version = _read(store, name)
    if before is None:
        raise _no_such_user(name)
    after = change(before)
    if after == before:
        return before
    if check is not None:
        check(after, _every(store))
    store.put(_USER + name, after.to_bytes(), version=version)
    for token_hash in before.devices:
        if token_hash not in after.devices:
            store.delete(_DEVICE + token_hash)
    for token_hash in after.devices:
        if token_hash not in before.devices:
            store.put(_DEVICE + token_hash, b"")
    return after


def _read(store: Store, name: str) -> tuple[User | None, int]:
    record = store.get(_USER + name)
    return (None, 0) if record is None else (_parsed(record.value), record.version)


def _every(store: Store) -> Iterator[User]:
    for _, record in store.scan(_USER):
        yield _parsed(record.value)


def _parsed(value: bytes) -> User:
    try:
        return User.from_bytes(value)
    except (ValueError, TypeError, KeyError, AttributeError, BadRecord, RecursionError):
        raise BadRecord(
            "the record of a user is not what this version writes: restore it from a backup"
        ) from None


def _no_such_user(name: str) -> NoSuchUser:
    return NoSuchUser(f"there is no user {name!r}: see `hauberk user list`")


def user_exists(name: str) -> UserExists:
    """Return what to raise where a name is taken."""
    return UserExists(f"there is a user {name!r} already")


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"it is no {kind.__name__}")
    return value


def _text(value: Any) -> str:
    return str(_typed(value, str))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in _typed(value, list))
