"""Whose turn it is to write the key ring, and whether one was ever made."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hauberk.files import check_private

_ID: Final = 16
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Turn:
    """A file beside the key ring that one writer at a time holds locked.

    Once a ring was made, its id stands in it: a ring that goes missing is then not taken for one
    that was never there. The lock ends with the process that holds it, however it ends.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the lock; waits for whoever has it, a process or a thread.

        Raises:
            UnsafeFile: The file is not ours alone.
            OSError: It cannot be made or locked.
        """
        descriptor = os.open(self.path, _FLAGS, 0o600)
        try:
            check_private(self.path)
            os.fchmod(descriptor, 0o600)  # whatever the umask took away
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def noted(self) -> bytes:
        """Return the id of the ring that was made here; empty where none was."""
        with suppress(OSError):
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                return os.read(descriptor, _ID)
            finally:
                os.close(descriptor)
        return b""

    def note(self, ring_id: bytes) -> None:
        """Write down, durably, that a ring was made; only while the lock is held.

        Raises:
            OSError: It cannot be written.
        """
        if self.noted() == ring_id:
            return
        descriptor = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            os.pwrite(descriptor, ring_id, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
