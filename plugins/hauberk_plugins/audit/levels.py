"""Hashes kept beside a log: of its leaves, and of every complete subtree of 256, of 65,536 ...

They are the tiles of C2SP tlog-tiles, each level in one file. They can be made again from the
lines; that they were written down before is what names a line that was changed since.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from hauberk_plugins.audit.disk import REAL, Disk
from hauberk_plugins.audit.merkle import HASH_BYTES, node_hash

#: Levels of the tree from one kept level to the next.
STEP: Final = 8
#: Enough for 2^62 leaves.
KEPT: Final = tuple(range(0, 64, STEP))


class MissingHash(LookupError):
    """A hash is not there, or is cut off."""

    def __init__(self, level: int, place: int) -> None:
        super().__init__(level, place)
        self.level = level
        self.place = place

    def __str__(self) -> str:
        return f"hash {self.place} of level {self.level} is not there"


class Levels:
    """The files of the kept levels in one folder.

    Args:
        folder: Where they are.
        disk: The operating system.
        is_writable: Whether hashes are to be written; else nothing here is made or opened for
            writing, so that a copy on a read-only mount, or somebody else's, can be read.
    """

    def __init__(self, folder: Path, disk: Disk = REAL, *, is_writable: bool = False) -> None:
        self._folder = folder
        self._disk = disk
        self._access = os.O_RDWR if is_writable else os.O_RDONLY
        self._open: dict[int, int] = {}
        # Runs of hashes that are still to be written: level, place of the first, hashes.
        self._pending: list[tuple[int, int, bytearray]] = []

    def note(self, level: int, place: int, value: bytes) -> None:
        """Have a hash written, if its level is kept."""
        if level % STEP:
            return
        for of, start, run in reversed(self._pending):
            if of == level and place == start + len(run) // HASH_BYTES:
                run += value
                return
        self._pending.append((level, place, bytearray(value)))

    def flush(self) -> None:
        """Write down what was noted.

        Raises:
            OSError: Not all of it; the rest stays noted.
        """
        while self._pending:
            level, place, run = self._pending[0]
            self._disk.pwrite(self._file(level, create=True), run, place * HASH_BYTES)
            del self._pending[0]

    def sync(self) -> None:
        """Force it to the disk.

        Raises:
            OSError: It is not there.
        """
        self.flush()
        for descriptor in self._open.values():
            self._disk.fdatasync(descriptor)

    def get(self, level: int, place: int) -> bytes:
        """Return the hash of a complete subtree; of a level that is not kept, from below.

        Raises:
            MissingHash: It is not there.
            OSError: It cannot be read.
        """
        below = level % STEP
        base = level - below
        start, count = place << below, 1 << below
        raw = self.row(base, start, count)
        if len(raw) < count * HASH_BYTES:
            raise MissingHash(base, start + len(raw) // HASH_BYTES)
        row = [raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)]
        while len(row) > 1:
            row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
        return row[0]

    def row(self, level: int, start: int, count: int) -> bytes:
        """Return hashes of a kept level, one behind the other; fewer where there are no more.

        Raises:
            OSError: They cannot be read.
        """
        try:
            return self._disk.pread(self._file(level), count * HASH_BYTES, start * HASH_BYTES)
        except FileNotFoundError:
            return b""

    def count(self, level: int = 0) -> int:
        """Return how many hashes of a level are there."""
        try:
            return self._disk.fstat(self._file(level)).st_size // HASH_BYTES
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        """Close the files."""
        opened, self._open = self._open, {}
        for descriptor in opened.values():
            self._disk.close(descriptor)

    def _file(self, level: int, *, create: bool = False) -> int:
        found = self._open.get(level)
        if found is None:
            path = str(self._folder / f"level-{level:02}")
            flags = self._access | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
            found = self._open[level] = self._disk.open(path, flags, 0o600)
        return found
