"""The file of a key's nonces, which the processes of a machine share."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from hauberk.errors import SigningError, UnsafeFile
from hauberk.files import check_private, make_private_folder

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NUMBERS: Final = struct.Struct(">QQQ")


class NonceError(SigningError):
    """No nonce can be vouched for, and so nothing is signed."""


class Taken(NamedTuple):
    """What the processes of a machine know of a key.

    Attributes:
        last: The last nonce that one of them handed out.
        end: Where the block that they hand nonces out of ends.
        wary: Up to which time they take nonces one by one, since another machine takes some too.
    """

    last: int
    end: int
    wary: int


_NOTHING: Final = Taken(0, 0, 0)


class Held:
    """The file while its lock is held: what it says, and the way to write it."""

    __slots__ = ("_descriptor", "is_fresh", "taken")

    def __init__(self, descriptor: int, taken: Taken, *, is_fresh: bool) -> None:
        self._descriptor = descriptor
        self.taken = taken
        self.is_fresh = is_fresh

    def keep(self, taken: Taken) -> None:
        """Write it down.

        Raises:
            NonceError: It cannot be written.
        """
        try:
            os.pwrite(self._descriptor, _NUMBERS.pack(*taken), 0)
        except (OSError, struct.error) as error:
            why = getattr(error, "strerror", None) or "the number is out of range"
            raise NonceError(f"the nonce cannot be kept: {why}") from None


class NonceFile:
    """A file of three numbers, locked for the two system calls that a nonce takes.

    Args:
        path: The file; made, with its folder, when it is first used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor, self._process = -1, os.getpid()

    @contextmanager
    def held(self) -> Iterator[Held]:
        """Hold its lock.

        Raises:
            NonceError: It cannot be opened, others may use it, or it is not what was written.
        """
        try:
            descriptor = self._locked()
        except UnsafeFile as error:
            raise NonceError(str(error)) from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise NonceError(f"{self.path} cannot be used: {why}") from None
        try:
            written = os.pread(descriptor, _NUMBERS.size + 1, 0)
            if len(written) not in (0, _NUMBERS.size):
                raise NonceError(
                    f"{self.path} does not hold a nonce: remove it, the mark in the store stands "
                    "in for it"
                )
            taken = Taken(*_NUMBERS.unpack(written)) if written else _NOTHING
            yield Held(descriptor, taken, is_fresh=not written)
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _locked(self) -> int:
        """Return the file's descriptor, locked; opened again after a fork, or once removed."""
        if self._process != os.getpid():  # a lock would be the parent's as well
            self._descriptor, self._process = -1, os.getpid()
        while True:
            if self._descriptor < 0:
                self._descriptor = _opened(self.path)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if os.fstat(self._descriptor).st_nlink:
                return self._descriptor
            self.close()


def _opened(path: Path) -> int:
    try:
        descriptor = os.open(path, _FLAGS, 0o600)
    except FileNotFoundError:
        make_private_folder(path.parent)
        descriptor = os.open(path, _FLAGS, 0o600)
    try:
        if os.fstat(descriptor).st_size == 0:
            os.fchmod(descriptor, 0o600)  # whatever the umask took away
        check_private(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
