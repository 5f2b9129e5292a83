"""The lock of a log: a file that orders processes, waited for no longer than a deadline."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hauberk_plugins.audit.disk import Disk
from hauberk_plugins.audit.errors import AuditUnwritable

#: How long whoever has the lock may keep others from it before they go on without a record.
WAIT_S: Final = 2.0
#: How long once somebody has waited so long in vain: else each record would cost as much again.
AGAIN_S: Final = 0.05
_FIRST_PAUSE_S: Final = 0.000_2
_LONGEST_PAUSE_S: Final = 0.005


class Lock:
    """The lock of the log in a folder.

    A process that was stopped, or hangs, keeps it for as long as it lives. Whoever waits for it
    holds up an order, a halt, or a stop: so the wait ends, and the record counts as not written.

    Args:
        folder: The log's.
        disk: The operating system.

    Raises:
        OSError: Its file cannot be made.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._patience_s = WAIT_S
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = disk.open(str(folder / "lock"), flags, 0o600)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it.

        Raises:
            AuditUnwritable: Another process has had it all the while.
            OSError: It cannot be asked for.
        """
        self._take()
        try:
            yield
        finally:
            with suppress(OSError):
                self._disk.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close its file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                self._disk.close(descriptor)

    def _take(self) -> None:
        ends, pause_s = self._disk.monotonic() + self._patience_s, _FIRST_PAUSE_S
        # Asked again and again: a call that waits for the lock cannot be given a deadline.
        while not self._is_taken():
            if self._disk.monotonic() >= ends:
                self._patience_s = AGAIN_S
                why = "another process keeps its lock, and may hang"
                remedy = "see who has its file `lock` open (`fuser -v`), and end or continue it"
                raise AuditUnwritable(self._folder, why, remedy)
            self._disk.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self._patience_s = WAIT_S

    def _is_taken(self) -> bool:
        try:
            self._disk.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
