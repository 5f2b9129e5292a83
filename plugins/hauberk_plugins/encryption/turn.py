"""Whose turn it is to write the key ring, and whether one was ever made."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hauberk.files import check_private

#: How long to wait for whoever writes: what a write takes is a fraction of a second.
WAIT_S: Final = 10.0
_PAUSE_S: Final = 0.01
_ID: Final = 16
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotTheirTurn(Exception):
    """Another process has the turn, and does not end it."""


class Turn:
    """A file beside the key ring that one writer at a time holds locked.

    Once a ring was made, its id stands in it: a ring that goes missing is then not taken for one
    that was never there. The lock ends with the process that holds it, however it ends.

    Args:
        path: The file.
        wait_s: How long to wait for another, seconds.
        monotonic: A clock that never steps back, in seconds.
        pause: Waits that many seconds.
    """

    def __init__(
        self,
        path: Path,
        wait_s: float = WAIT_S,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self.path = path
        self.wait_s = wait_s
        self._monotonic = monotonic
        self._pause = pause

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the lock; waits for whoever has it, a process or a thread.

        Raises:
            NotTheirTurn: Whoever has it does not end.
            UnsafeFile: The file is not ours alone.
            OSError: It cannot be made or locked.
        """
        descriptor = os.open(self.path, _FLAGS, 0o600)
        try:
            check_private(self.path)
            os.fchmod(descriptor, 0o600)  # whatever the umask took away
            self._lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        end = self._monotonic() + self.wait_s
        while not _locked(descriptor):
            if self._monotonic() >= end:
                raise NotTheirTurn
            self._pause(_PAUSE_S)

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


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
