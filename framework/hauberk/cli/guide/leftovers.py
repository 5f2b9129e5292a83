"""What the security guide's code left: key, sealed records, users, `config.yml`, `audit.log`.

It is only read here. A Fernet token bears no name, so of a record nothing tells whether it was put
in another's place; of a user, the name within does.
"""

from __future__ import annotations

import json
import os
import re
import stat
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from attrs import frozen

from hauberk.cli.guide.trail import LOG, Trail
from hauberk.errors import ConfigError, HauberkError
from hauberk.keypath import KeyPath
from hauberk.secret import Secret
from hauberk.yamlfile import inspect_yaml

KEY: Final = ".encryption_key"
STORAGE: Final = ".secure_storage"
CONFIG: Final = "config.yml"
#: What one file may hold, bytes.
MAX_BYTES: Final = 1 << 24
_SUFFIX: Final = ".enc"
_USER: Final = "user_"
# A Fernet token: version 0x80, 8 bytes of time, 16 of IV, whole blocks of 16, 32 of MAC.
_TOKEN: Final = re.compile(r"gAAAAA[A-Za-z0-9_-]{70,}={0,2}\Z")
_FIXED: Final = 1 + 8 + 16 + 32
_BLOCK: Final = 16


class OpenToken(Protocol):
    """Opens a Fernet token."""

    def __call__(self, token: bytes, key: Secret, *, name: str) -> Secret:
        """Return what is in it; raises `HauberkError` where it does not open."""


@frozen
class Record:
    """One value that was sealed, or one field of it, as it is to be kept.

    Attributes:
        file: Where it stood.
        name: Its name in the vault.
        value: What it holds.
    """

    file: Path
    name: str
    value: Secret


@frozen
class User:
    """A user.

    Attributes:
        file: Where it stood.
        name: As it was spelled there.
        hash: bcrypt's, over the password itself.
    """

    file: Path
    name: str
    hash: Secret


@frozen
class Values:
    """A configuration in which some values are sealed.

    Attributes:
        file: Which.
        text: All of it.
        sealed: What was sealed, by path.
    """

    file: Path
    text: str
    sealed: Mapping[KeyPath, Secret]


@frozen
class Unreadable:
    """A file that cannot be taken over.

    Attributes:
        file: Which.
        why: Why, in words that show nothing of it.
    """

    file: Path
    why: str


Found: TypeAlias = Record | User | Values | Trail | Unreadable


class _Refused(Exception):
    """A file cannot be taken over; says why."""


def look(folder: Path, open_token: OpenToken) -> tuple[Found, ...]:
    """Read everything that is there, in the order of the files' names.

    Args:
        folder: The folder in which the guide's code ran.
        open_token: Opens a token.

    Returns:
        What was found; what cannot be read is among it.
    """
    stored = sorted((folder / STORAGE).rglob(f"*{_SUFFIX}"))
    files: list[tuple[Path, _Read]] = [(path, _stored) for path in stored]
    if (folder / CONFIG).exists():
        files.append((folder / CONFIG, _values))
    if (folder / LOG).exists():
        files.append((folder / LOG, _trail))
    opened = _Opener(folder, open_token)
    found: list[Found] = []
    for path, read in files:
        try:
            found += read(path, opened)
        except _Refused as refused:
            found.append(Unreadable(path, str(refused)))
    return tuple(found)


class _Opener:
    """Opens tokens with the key of a folder, which is read when one is first to be opened."""

    def __init__(self, folder: Path, open_token: OpenToken) -> None:
        self.folder = folder
        self._open = open_token
        self._key: Secret | None = None

    def __call__(self, token: bytes, name: str) -> Secret:
        try:
            if self._key is None:
                self._key = self._read_key()
            return self._open(token, self._key, name=name)
        except HauberkError as error:
            raise _Refused(str(error)) from None

    def _read_key(self) -> Secret:
        try:
            return Secret(_content(self.folder / KEY).strip())
        except FileNotFoundError:
            raise _Refused(f"there is no {KEY} to open it with") from None
        except _Refused as refused:
            raise _Refused(f"{KEY}, to open it with: {refused}") from None


_Read: TypeAlias = Callable[[Path, _Opener], Iterator[Found]]


def _stored(path: Path, opened: _Opener) -> Iterator[Record | User]:
    name = str(path.relative_to(opened.folder / STORAGE)).removesuffix(_SUFFIX)
    if not _is_text(name) or path.name == _SUFFIX:
        raise _Refused("its name is none that a record can have")
    value = opened(_content(path).strip(), name)
    data = _json(value)
    if name.startswith(_USER) and {"username", "password_hash"} <= data.keys():
        yield _user(path, name.removeprefix(_USER), data)
    elif data and all(_is_text(key) and _is_text(data[key]) for key in data):
        # An account refers to one secret, not to a mapping of them.
        for key, item in data.items():
            yield Record(path, f"{name}/{key}", Secret(item))
    else:
        yield Record(path, name, value)


def _user(path: Path, name: str, data: Mapping[str, Any]) -> User:
    username, hashed = data["username"], data["password_hash"]
    if username != name:
        raise _Refused("it is the record of another user, put in this one's place")
    if not _is_text(hashed):
        raise _Refused("it holds no hash of a password")
    return User(path, name, Secret(hashed))


def _values(path: Path, opened: _Opener) -> Iterator[Values]:
    content = _content(path)
    try:
        document, problems = inspect_yaml(content, path.name)
    except ConfigError as error:
        document, problems = None, list(error.problems)
    if problems or document is None:
        raise _Refused(f"it cannot be read: {problems[0]}")
    tokens = dict(_tokens(document.data, ()))
    # `inspect_yaml` has seen that it is UTF-8.
    sealed = {at: opened(token.encode(), CONFIG) for at, token in tokens.items()}
    if sealed:
        yield Values(path, content.decode(), sealed)


def _trail(path: Path, _opened: _Opener) -> Iterator[Trail]:
    if path.is_symlink() or not path.is_file():
        raise _Refused("it is no regular file")
    try:
        found = Trail.of(path)
    except OSError as error:
        raise _Refused(f"it cannot be read: {error.strerror}") from None
    if found is not None:
        yield found


def _tokens(data: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(data, str) and _is_token(data):
        yield path, data
    items = enumerate(data) if isinstance(data, list) else ()
    for key, item in data.items() if isinstance(data, dict) else items:
        yield from _tokens(item, (*path, key))


def _is_token(text: str) -> bool:
    """Whether text is a Fernet token by its form, whatever it was sealed with."""
    if not _TOKEN.match(text) or len(text) % 4:
        return False
    length = len(urlsafe_b64decode(text)) - _FIXED
    return length > 0 and length % _BLOCK == 0


def _json(value: Secret) -> dict[str, Any]:
    """Return the mapping that a value holds; an empty one if it holds anything else."""
    try:
        found = json.loads(value.reveal())
    except (ValueError, RecursionError):
        return {}
    return found if type(found) is dict else {}


def _is_text(value: object) -> bool:
    """Whether it is text that can be kept: not empty, and without lone surrogates."""
    return type(value) is str and value != "" and not re.search(r"[\ud800-\udfff]", value)


def _content(path: Path) -> bytes:
    """Read a regular file, whoever may read it.

    Raises:
        FileNotFoundError: There is none.
        _Refused: It cannot be read.
    """
    try:
        # O_NONBLOCK: a FIFO in its place would hold us for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _Refused("it is no regular file")
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        why = "it is a symbolic link" if path.is_symlink() else f"{error.strerror}"
        raise _Refused(f"it cannot be read: {why}") from None
    if len(content) > MAX_BYTES:
        raise _Refused(f"it is larger than {MAX_BYTES} bytes")
    return content
