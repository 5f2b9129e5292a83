"""`Marker`: remembers, beside a store, that it was made."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from hauberk.errors import StoreError, UnsafeFile
from hauberk.files import make_private_folder, write_private
from hauberk_plugins.storage.errors import (
    StoreFull,
    StoreMissing,
    StoreReadOnly,
    StoreTrouble,
    StoreUnreachable,
    StoreUnsafe,
)

_TEXT: Final = b"""\
A store was made here. While this file stands, a store that is gone, or empty, is an error: it is
not taken for one in which nothing was ever stored, neither a halt nor a user.
"""
_KINDS: Final[dict[int, type[StoreTrouble]]] = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EROFS: StoreReadOnly,
    errno.EACCES: StoreReadOnly,
    errno.EPERM: StoreReadOnly,
}


class Marker:
    """A file beside a store, there as soon as the store is, and before anything is in it.

    It tells a store that went missing from one that was never there. Whoever may remove the store
    may remove it as well: that is how to begin anew.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def is_set(self) -> bool:
        """Whether a store was made; to be asked before the store is looked at."""
        return os.path.lexists(self.path)

    def set(self, where: object, *, making: bool) -> None:
        """Note, durably, that a store stands.

        Args:
            where: The store, for errors.
            making: Whether something is about to be written there; if it is only read, all that
                is lost is the note.

        Raises:
            StoreError: The note cannot be written.
        """
        try:
            self._write(where, making)
        except StoreError:
            if making:
                raise

    def missing(self, where: object, problem: str) -> StoreMissing:
        """Return what to raise where a store was made, and there is none."""
        return StoreMissing(where, problem, self.path)

    def _write(self, where: object, making: bool) -> None:
        try:
            if making:
                make_private_folder(self.path.parent)
            write_private(self.path, _TEXT)
            return
        except UnsafeFile as error:
            failure: StoreError = StoreUnsafe(error.path, error.problem, error.remedy)
        except OSError as error:
            kind = _KINDS.get(error.errno or 0, StoreUnreachable)
            problem = f"{self.path} cannot be written: {error.strerror}"
            failure = kind(where, problem, "check the folder and the disk; nothing was stored")
        raise failure
