"""Where the wrapping key comes from: a file or a passphrase; two more have files of their own."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote
from typing import Final, NoReturn, Protocol

from hauberk.errors import InvalidValue, UnsafeFile
from hauberk.files import read_private
from hauberk.quiet import quietly
from hauberk.secret import Secret
from hauberk_plugins.encryption.errors import NoKey, WeakPassphrase

#: Bytes of a wrapping key.
KEY: Final = 32
#: Characters that a passphrase has at least, where a ring is put under it: whoever has the ring
#: can try as many as they can pay for.
MIN_PASSPHRASE: Final = 15
#: Bytes that a passphrase has at most.
MAX_PASSPHRASE: Final = 1_024
#: How to make a key, for messages.
MAKE: Final = "openssl rand -base64 32"
#: What to do about a key that is gone where something is wrapped under it, for messages.
BACK: Final = "put it back from your copy of it: what is sealed opens under no other"
_ANOTHER: Final = "name another file in the section `encryption` of hauberk.yml"

#: What a file with a key may hold beside it: a line's end, some space.
_MAX_TEXT: Final = 256
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class WrappingKey(Protocol):
    """A place that a wrapping key comes from."""

    @property
    def reference(self) -> str:
        """What it is called in messages; shows nothing secret."""

    @property
    def is_passphrase(self) -> bool:
        """Whether what it returns is still to be put through scrypt."""

    def fetch(self) -> Secret:
        """Return the key, 32 bytes, or the passphrase.

        Raises:
            NoKey: It is not there; says where it was looked for.
            UnsafeFile: It is kept where others may read it.
        """


class Unnamed:
    """Stands where no place is named; says how to name one.

    Args:
        ways: What may be written.
    """

    is_passphrase = False
    reference = "the section `encryption` of hauberk.yml"

    def __init__(self, ways: str) -> None:
        self._ways = ways

    def fetch(self) -> NoReturn:
        """Refuse; raises as `WrappingKey.fetch`."""
        raise NoKey(self.reference, (), "it names none", f"give it one of: {self._ways}")


class KeyFile:
    """A file with 32 bytes in base64, ours alone, and not beside what it protects.

    Args:
        path: The file.
        state: The state folder, in which it must not lie; `None` where there is none.
    """

    is_passphrase = False

    def __init__(self, path: Path, state: Path | None = None) -> None:
        self.path = path
        self._state = state
        self.reference = f"file:{path}"

    def fetch(self) -> Secret:
        """Read the key; raises as `WrappingKey.fetch`."""
        self._check_place()
        found, why, first = self._read()
        if found is None:
            raise NoKey(self.reference, (str(self.path),), why, BACK, first)
        return found

    def _check_place(self) -> None:
        """Refuse a key that lies with what it unlocks: whoever copies one has the other.

        Raises:
            UnsafeFile: It lies inside the state folder.
        """
        if self._state is not None and self.path.resolve().is_relative_to(self._state.resolve()):
            raise UnsafeFile(
                self.path,
                f"the wrapping key lies inside the state folder {self._state}, which it protects",
                "move it out, and name its place in the section `encryption` of hauberk.yml",
            )

    def _read(self) -> tuple[Secret | None, str, str]:
        """Return the key; else why there is none, and what to do if there never was one."""
        try:
            found = quietly("reading it", lambda: decoded(read_private(self.path, _MAX_TEXT)))
        except (FileNotFoundError, NotADirectoryError):
            # `set -C`: a file that comes to be there meanwhile is not written over.
            make = f"make one: (umask 077; set -C; {MAKE} > {quote(str(self.path))})"
            return None, "there is no such file", make
        except OSError as error:
            why = f"the file cannot be read: {error.strerror}"
            return None, why, "have it readable to whoever runs this"
        return found, "" if found else f"it does not hold {KEY} bytes in base64", _ANOTHER


class Passphrase:
    """A passphrase from the environment, or asked for.

    Two ways to type the same characters are one passphrase: it is normalised (NFC).

    Args:
        reference: `env:NAME`, or `prompt`.
        environ: The environment.
        ask: Asks on a terminal; returns `None` where there is none.

    Raises:
        InvalidValue: The reference is neither.
    """

    is_passphrase = True

    def __init__(
        self, reference: str, environ: Mapping[str, str], ask: Callable[[], Secret | None]
    ) -> None:
        kind, _, name = reference.partition(":")
        if reference != "prompt" and (kind != "env" or not _VARIABLE.match(name)):
            # Not repeated: it may be the passphrase itself.
            raise InvalidValue("a passphrase is referred to as env:NAME, or as prompt")
        self.reference = f"passphrase {reference}"
        self.is_asked_for = reference == "prompt"
        self._name = name
        self._environ = environ
        self._ask = ask

    def fetch(self) -> Secret:
        """Return it, normalised; raises as `WrappingKey.fetch`."""
        found = self._ask() if self.is_asked_for else self._variable()
        if found:
            return normalised(found)
        if not self.is_asked_for:
            why, remedy = f"the variable {self._name} is not set", "set it for this process"
            raise NoKey(self.reference, ("the environment",), why, remedy)
        why = "there is no terminal to ask on" if found is None else "nothing was typed"
        remedy = "for what runs by itself, set `passphrase: env:NAME`"
        raise NoKey(self.reference, ("the terminal",), why, remedy)

    def _variable(self) -> Secret | None:
        value = self._environ.get(self._name)
        # Bytes that are not UTF-8 come as lone surrogates; an encoding error would carry them.
        return Secret(value.encode("utf-8", "surrogateescape")) if value else None


class Given:
    """A wrapping key or passphrase that is at hand already.

    Args:
        secret: 32 bytes, or a passphrase.
        is_passphrase: Which of them.
        reference: What it is called in messages.
    """

    def __init__(
        self, secret: Secret, *, is_passphrase: bool = False, reference: str = "what was given"
    ) -> None:
        self.reference = reference
        self.is_passphrase = is_passphrase
        self._secret = normalised(secret) if is_passphrase else secret

    def fetch(self) -> Secret:
        """Return it."""
        return self._secret


def decoded(text: bytes) -> Secret | None:
    """Read a key from base64, of either alphabet (RFC 4648); `None` if that is not what it is."""
    try:
        key = b64decode(text.strip().translate(_ONE_ALPHABET), validate=True)
    except ValueError:
        return None
    return Secret(key) if len(key) == KEY else None


def normalised(passphrase: Secret) -> Secret:
    """Return a passphrase in one form (NFC), however it was typed; as it is if it is no text."""
    try:
        return Secret(unicodedata.normalize("NFC", passphrase.reveal_text()))
    except InvalidValue:
        return passphrase


def fetched_first(source: WrappingKey) -> Secret:
    """Fetch a wrapping key under which nothing is wrapped yet.

    Raises: as `WrappingKey.fetch`; what it says to do may be to make a key.
    """
    try:
        return source.fetch()
    except NoKey as error:
        failure = error.before_first_use()
    raise failure


def check_strength(passphrase: Secret) -> None:
    """Check that a ring may be put under a passphrase.

    Raises:
        WeakPassphrase: It is too short or too long; says how long it must be.
    """
    length = len(passphrase.reveal())
    characters = len(passphrase.reveal().decode("utf-8", "replace"))
    if characters < MIN_PASSPHRASE:
        raise WeakPassphrase(
            f"a passphrase needs at least {MIN_PASSPHRASE} characters, and this has {characters}",
            "take five random words",
        )
    if length > MAX_PASSPHRASE:
        raise WeakPassphrase(
            f"a passphrase has at most {MAX_PASSPHRASE} bytes, and this has {length}",
            "take a shorter one, or a key: file:PATH",
        )


_ONE_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
