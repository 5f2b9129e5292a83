"""Files of recovery points: copied and hashed in one reading, durable on return."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from hauberk.aside import READ, opened_folder, put_in_place, written_aside
from hauberk.files import REAL, FileOperations, make_private_folder
from hauberk_plugins.recovery.manifest import Entry

_CHUNK: Final = 1 << 20
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def digest(path: Path, files: FileOperations = REAL) -> tuple[int, str]:
    """Return length and SHA-256 of a regular file; no link is followed.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """
    found, size = sha256(), 0
    for part in _parts(path, None, files):
        found.update(part)
        size += len(part)
    return size, found.hexdigest()


def copy(
    source: Path, target: Path, *, limit: int | None = None, files: FileOperations = REAL
) -> tuple[int, str]:
    """Copy a regular file to where nothing stands, private and durable.

    Args:
        source: The file; no link is followed.
        target: In a private folder.
        limit: How many bytes of it at most.
        files: The operating system.

    Returns:
        Length and SHA-256 of what was copied.

    Raises:
        OSError: It cannot be read or written.
    """
    found, size = sha256(), 0
    descriptor = files.open(target, _CREATE, 0o600)
    try:
        files.fchmod(descriptor, 0o600)  # whatever the umask took away
        for part in _parts(source, limit, files):
            _write_all(descriptor, part, files)
            found.update(part)
            size += len(part)
        files.fsync(descriptor)
    finally:
        files.close(descriptor)
    return size, found.hexdigest()


def make_folders(root: Path, name: str, files: FileOperations = REAL) -> Path:
    """Make the folders above a file of a point; return where the file is to be."""
    path = root.joinpath(*name.split("/"))
    make_private_folder(path.parent, files=files)
    return path


def sync_folder(path: Path, files: FileOperations = REAL) -> None:
    """Make durable which files stand in a folder."""
    with opened_folder(path, files) as descriptor:
        files.fsync(descriptor)


def replace(path: Path, data: bytes, files: FileOperations = REAL) -> None:
    """Put content in the place of a file that others may read: whole or not at all, same mode.

    Raises:
        OSError: It cannot be written, and stands as it was.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        mode = stat.S_IMODE(files.stat(path).st_mode) & 0o644
    except FileNotFoundError:
        mode = 0o600
    with opened_folder(path.parent, files) as folder:
        with written_aside(folder, data, files) as temporary:
            files.chmod(temporary, mode, dir_fd=folder)
            put_in_place(temporary, path.name, folder, files)
        files.fsync(folder)


def walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield name and status of everything below a folder, sorted; no link is followed.

    Of a folder only an empty one is yielded: what else there is tells of it.
    """
    for path in sorted(root.iterdir()):
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            yield path.name, found
            continue
        below = [(f"{path.name}/{name}", status) for name, status in walk(path)]
        yield from below or [(f"{path.name}/", found)]


def entries(root: Path, told: Callable[[int], object], files: FileOperations = REAL) -> list[Entry]:
    """Return every file below a folder as it is read back."""
    found = []
    for name, _ in walk(root):
        size, hashed = digest(root / name, files)
        found.append(Entry(name, size, hashed))
        told(size)
    return sorted(found, key=lambda one: one.name)


def _parts(path: Path, limit: int | None, files: FileOperations) -> Iterator[bytes]:
    descriptor = files.open(path, READ)
    try:
        if not stat.S_ISREG(files.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        left = limit
        while part := files.read(descriptor, _CHUNK if left is None else min(left, _CHUNK)):
            yield part
            left = None if left is None else left - len(part)
    finally:
        files.close(descriptor)


def _write_all(descriptor: int, data: bytes, files: FileOperations) -> None:
    left = memoryview(data)
    while left:
        written = files.write(descriptor, left)
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        left = left[written:]
