"""Putting an edited file in the place of the one that was read, and of no other.

The folder need not be private, as `hauberk.files` wants it for what is secret: whoever may write
into it can replace the file without our help.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from hauberk.aside import (
    READ,
    REAL,
    FileOperations,
    clean,
    close_quietly,
    opened_folder,
    put_in_place,
    written_aside,
)
from hauberk.errors import HauberkError, UnsafeFile

#: What others may do with the file afterwards: what they could before, but never write.
_MODE: Final = 0o644


class FileChanged(HauberkError):
    """Somebody else changed the file, or is about to; what they wrote stands.

    Attributes:
        path: Which.
    """

    def __init__(self, path: object) -> None:
        super().__init__(str(path))
        self.path = str(path)

    def __str__(self) -> str:
        return f"{self.path}: somebody else is changing it too; nothing was written, try again"


def rewrite(path: str | Path, was: bytes, data: bytes, *, files: FileOperations = REAL) -> None:
    """Replace a file's content, whole or not at all, durably; owner and mode stay.

    Of a symbolic link, what it leads to is replaced, and the link stays. A mode that lets others
    write loses that.

    Args:
        path: The file.
        was: What was read from it: anything else by now was written by somebody else.
        data: What is to stand there.
        files: The operating system.

    Raises:
        FileChanged: Its content is another, or another process is at this point too.
        UnsafeFile: It cannot be replaced as what it is; says what to do.
        OSError: It cannot be written, and stands as it was.
    """
    real = _followed(Path(path))
    try:
        with opened_folder(real.parent, files) as folder:
            clean(folder, files)
            descriptor = files.open(real.name, READ, dir_fd=folder)
            try:
                found = _locked(descriptor, real, folder, files)
                if _content(descriptor, len(was), files) != was or _followed(Path(path)) != real:
                    raise FileChanged(path)
                with written_aside(folder, data, files) as temporary:
                    _own(temporary, found, real, folder, files)
                    put_in_place(temporary, real.name, folder, files)
                    files.fsync(folder)
            finally:
                close_quietly(descriptor, files)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def _followed(path: Path) -> Path:
    """Return what a link leads to, unless somebody else may have laid it for us to follow."""
    real = Path(os.path.realpath(path))
    link, target = path.lstat(), real.stat()
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in (0, os.geteuid(), target.st_uid):
        why = f"it is a symbolic link of user id {link.st_uid}, who does not own what it leads to"
        raise UnsafeFile(path, why, f"name that: {real}")
    return real


def _locked(descriptor: int, real: Path, folder: int, files: FileOperations) -> os.stat_result:
    """Lock the file against others who would replace it, and see that it is still the one."""
    try:
        files.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FileChanged(real) from None
    found = files.fstat(descriptor)
    now = files.stat(real.name, dir_fd=folder, follow_symlinks=False)
    if (now.st_dev, now.st_ino) != (found.st_dev, found.st_ino):
        raise FileChanged(real)
    if not found.st_mode & 0o222:
        raise UnsafeFile(real, "it is read-only", "run: chmod u+w, if it is meant to be edited")
    return found


def _content(descriptor: int, length: int, files: FileOperations) -> bytes:
    """Read as much as there was, and one byte more if there is one."""
    content = bytearray()
    while len(content) <= length and (part := files.read(descriptor, length + 1 - len(content))):
        content += part
    return bytes(content)


def _own(
    temporary: str, found: os.stat_result, real: Path, folder: int, files: FileOperations
) -> None:
    """Give the file that is to stand there the owner and the mode of the one that stands there."""
    made = files.stat(temporary, dir_fd=folder, follow_symlinks=False)
    if (made.st_uid, made.st_gid) != (found.st_uid, found.st_gid):
        try:
            os.chown(temporary, found.st_uid, found.st_gid, dir_fd=folder, follow_symlinks=False)
        except PermissionError:
            whose = f"it belongs to user id {found.st_uid}, group id {found.st_gid}"
            raise UnsafeFile(real, whose, "run this as that user, in that group") from None
    files.chmod(temporary, stat.S_IMODE(found.st_mode) & _MODE, dir_fd=folder)
