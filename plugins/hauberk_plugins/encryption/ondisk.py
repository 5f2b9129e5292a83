"""The key ring's file among others that use it: read, told apart, written in turn."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from hauberk.files import REAL, FileOperations, make_private_folder, read_private, write_private
from hauberk_plugins.encryption.errors import BadRing, MissingRing, RingBusy, RingNotWritten
from hauberk_plugins.encryption.ringfile import RingFile, read_ring
from hauberk_plugins.encryption.turn import WAIT_S, NotTheirTurn, Turn

#: The key ring's file in the state folder, and the one that its writers take turns by.
FILE: Final = "keyring.json"
TURN: Final = "keyring.lock"
_ROOM: Final = "make room there"
_MAY: Final = f"check whose the folder, {FILE} and {TURN} are, and their modes: ls -la"
_REMEDIES: Final = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EACCES: _MAY,
    errno.EPERM: _MAY,
    errno.EROFS: "mount it so that it can be written",
}
#: Tells one content of the file from another.
Stamp: TypeAlias = tuple[int, int, int]


class RingOnDisk:
    """A key ring's file.

    Args:
        folder: The state folder.
        files: The operating system.
        wait_s: How long to wait for another process that writes it, seconds.
    """

    def __init__(self, folder: Path, files: FileOperations = REAL, wait_s: float = WAIT_S) -> None:
        self.path = folder / FILE
        self._turn = Turn(folder / TURN, wait_s)
        self._files = files

    def stamp(self) -> Stamp | None:
        """Return what is another whenever the file was written; `None` where there is none."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - on the way of every sealing
        except OSError:
            return None
        return found.st_ino, found.st_ctime_ns, found.st_size

    def read(self) -> RingFile:
        """Return what the file says.

        Raises:
            MissingRing: There is none.
            BadRing: It cannot be read.
            UnknownFormat: A later version wrote it.
            UnsafeFile: Others may read it.
        """
        content = b""
        try:
            content = read_private(self.path, files=self._files)
        except FileNotFoundError:
            why = ""
        except OSError as error:
            why = f"it cannot be read: {error.strerror}"
        else:
            return read_ring(self.path, content)
        raise BadRing(self.path, why, "mend what it says") if why else self.missing()

    def write(self, file: RingFile, *, replace: bool = True) -> Stamp:
        """Write the file whole or not at all, and return its stamp; only within `writing`.

        Raises:
            OSError: The operating system refuses.
            UnsafeFile: Others may write into the folder.
        """
        write_private(self.path, file.to_bytes(), replace=replace, files=self._files)
        self._turn.note(file.id)
        stamp = self.stamp()
        if stamp is None:
            raise RingNotWritten(self.path, "somebody removed it at once")
        return stamp

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Take the turn of whoever writes, among all processes and threads.

        Raises:
            RingBusy: Another process has it for too long.
            RingNotWritten: The operating system refuses.
            UnsafeFile: The folder, or the lock in it, is not ours alone.
        """
        try:
            make_private_folder(self.path.parent, files=self._files)
            with self._turn.taken():
                yield
            return
        except NotTheirTurn:
            failure: RingNotWritten = RingBusy(self.path, self._turn.path, self._turn.wait_s)
        except OSError as error:
            failure = self._not_written(error)
        raise failure

    def _not_written(self, error: OSError) -> RingNotWritten:
        why = error.strerror or type(error).__name__
        if error.filename == str(self._turn.path):
            why = f"{why}: {error.filename}"
        remedy = _REMEDIES.get(error.errno or 0, "check the disk and its mount")
        return RingNotWritten(self.path, why, remedy)

    def settle(self) -> None:
        """Make durable what another process may still be making so, before anything rests on it."""
        with suppress(OSError):
            descriptor = self._files.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self._files.fsync(descriptor)
            finally:
                self._files.close(descriptor)

    def was_made(self) -> bool:
        """Whether there is, or was, a ring in this folder."""
        return self.stamp() is not None or bool(self._turn.noted())

    def missing(self) -> MissingRing:
        """Return what to raise where there is no ring, and there must be one."""
        noted = self._turn.noted()
        if not noted:
            return MissingRing(self.path, "there is none", "put back the one that sealed this")
        remedy = (
            "put it back from a backup: nothing that was sealed opens without it. To give all that "
            f"up and begin anew, remove {self._turn.path} too"
        )
        return MissingRing(self.path, f"it is gone, and one was made here ({noted.hex()})", remedy)
