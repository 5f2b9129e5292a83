"""A log file: appended, private from its birth, and not reached through a link."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from hauberk.errors import HauberkError


class LogFileRefused(HauberkError):
    """The log file cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"log file {self.path}: {self.reason}"


class LogFile:
    """Opens, or makes with mode 0600, a regular file to append to.

    Args:
        path: Its path; its folder must be there.

    Raises:
        LogFileRefused: It is a link or no regular file, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            # O_NONBLOCK: opening a FIFO that nobody reads must fail, not hang.
            self._fd = os.open(path, flags | os.O_NONBLOCK, 0o600)
        except OSError as error:
            link = "it is a symbolic link: name the file itself" if path.is_symlink() else None
            raise LogFileRefused(path, link or f"{error.strerror}") from None
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.close(self._fd)
            raise LogFileRefused(path, "it is not a regular file")
        self._lock = threading.Lock()
        self._is_torn = False

    def write(self, line: str) -> None:
        """Append a line whole.

        Raises:
            OSError: It could not be written, or only in part; the next begins a line of its own.
        """
        with self._lock:
            if self._fd < 0:
                return  # closed: calls already under way may still arrive
            left = memoryview((f"\n{line}" if self._is_torn else line).encode())
            self._is_torn = True
            while left:
                left = left[os.write(self._fd, left) :]
            self._is_torn = False

    def close(self) -> None:
        """Close it; what comes later is dropped."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
