"""Torn tails: what a process that died while it wrote left behind, kept beside the log.

A tail is kept under a name that says that no record tells of it yet, and bears its own only when
one does: so whatever happens in between, the next who opens the log records it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeAlias

from hauberk_plugins.audit.disk import Disk, sync_folder, write_all

#: Makes the record of a torn tail: of its file, its length and its SHA-256.
Notice: TypeAlias = Callable[[str, int, str], bytes]

_PREFIX: Final = "torn-"
_UNRECORDED: Final = ".unrecorded"
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


class TornTails:
    """Those of one log. Only whoever holds its lock may use it.

    Args:
        folder: The log's.
        notice: Makes a record of one.
        disk: The operating system.
    """

    def __init__(self, folder: Path, notice: Notice, disk: Disk) -> None:
        self._folder = folder
        self._notice = notice
        self._disk = disk
        #: By name, those of which no record tells.
        self._unrecorded: dict[str, bytes] = {}

    def find(self) -> None:
        """Find those of which somebody who died wrote no record.

        Raises:
            OSError: They cannot be read.
        """
        for found in self._disk.listdir(str(self._folder)):
            if found.startswith(_PREFIX) and found.endswith(_UNRECORDED):
                name = found.removesuffix(_UNRECORDED)
                self._note(name, (self._folder / found).read_bytes())

    def keep(self, torn: bytes, size: int) -> None:
        """Keep one, durably.

        Args:
            torn: The bytes.
            size: How many records stand before it.

        Raises:
            OSError: It could not be kept.
        """
        name = f"{_PREFIX}{size:015}-{sha256(torn).hexdigest()[:16]}"
        path = str(self._folder / f"{name}{_UNRECORDED}")
        descriptor = self._disk.open(path, _FLAGS, 0o600)
        try:
            write_all(self._disk, descriptor, torn)
            self._disk.fsync(descriptor)
        finally:
            self._disk.close(descriptor)
        sync_folder(self._disk, self._folder)
        self._note(name, torn)

    def records(self) -> list[bytes]:
        """Return the records that are to be written."""
        return list(self._unrecorded.values())

    def recorded(self) -> None:
        """Note that they were written. Where that fails, they will be written once more."""
        for name in self._unrecorded:
            path = str(self._folder / name)
            with suppress(OSError):
                self._disk.rename(f"{path}{_UNRECORDED}", path)
        self._unrecorded = {}

    def _note(self, name: str, torn: bytes) -> None:
        self._unrecorded[name] = self._notice(name, len(torn), sha256(torn).hexdigest())
