"""Writing a file beside its place, and putting it there in one step.

A secret that is not sealed goes where nothing stands, and has no name before it is whole, so
whoever is killed leaves nothing of it. Whatever takes another file's place has a temporary name
first: of a process that was killed, that is an orphan, told by the lock that nobody holds on it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hauberk.secret import Secret

_TEMPORARY: Final = re.compile(r"\.hauberk-[1-9][0-9]*-[0-9a-f]{16}\.tmp\Z")
# O_NONBLOCK: a FIFO in the file's place would hold us for ever.
READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: Linux alone has it.
_UNNAMED: Final = getattr(os, "O_TMPFILE", 0)
_DESCRIPTORS: Final = "/proc/self/fd"
#: What a kernel or a file system says that makes no files without a name.
_NO_UNNAMED: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})
_TRIES: Final = 8


class FileOperations:
    """All that the functions here ask of the operating system, so that a test may fail each."""

    open = staticmethod(os.open)
    close = staticmethod(os.close)
    read = staticmethod(os.read)
    write = staticmethod(os.write)
    fsync = staticmethod(os.fsync)
    fstat = staticmethod(os.fstat)
    stat = staticmethod(os.stat)
    fchmod = staticmethod(os.fchmod)
    chmod = staticmethod(os.chmod)
    flock = staticmethod(fcntl.flock)
    rename = staticmethod(os.rename)
    link = staticmethod(os.link)
    unlink = staticmethod(os.unlink)
    mkdir = staticmethod(os.mkdir)
    urandom = staticmethod(os.urandom)

    def listdir(self, folder: int) -> list[str]:
        """Return the names in a folder, given its descriptor."""
        return os.listdir(folder)


REAL: Final = FileOperations()


@contextmanager
def opened_folder(path: Path, files: FileOperations) -> Iterator[int]:
    """Yield a descriptor of a folder."""
    descriptor = files.open(path, _FOLDER)
    try:
        yield descriptor
    finally:
        close_quietly(descriptor, files)


def close_quietly(descriptor: int, files: FileOperations) -> None:
    """Close a descriptor, whatever closing says."""
    # What matters was forced to the disk before; whatever it says, the descriptor is gone.
    with suppress(OSError):
        files.close(descriptor)


@contextmanager
def written_aside(folder: int, data: bytes | Secret, files: FileOperations) -> Iterator[str]:
    """Yield the name of a file that holds the data, locked; gone afterwards under that name."""
    name, descriptor = _create(folder, files)
    try:
        _fill(descriptor, data, files)
        yield name
    except BaseException:
        with suppress(OSError):
            files.unlink(name, dir_fd=folder)
        raise
    finally:
        close_quietly(descriptor, files)


def _fill(descriptor: int, data: bytes | Secret, files: FileOperations) -> None:
    left = memoryview(data.reveal() if isinstance(data, Secret) else data)
    while left:
        written = files.write(descriptor, left)
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        left = left[written:]
    files.fsync(descriptor)


def _create(folder: int, files: FileOperations) -> tuple[str, int]:
    """Make an empty file of our own; locked, so that nobody takes it for an orphan."""
    for _ in range(_TRIES):
        # The process id is for whoever looks at the folder; the lock decides.
        name = f".hauberk-{os.getpid()}-{files.urandom(8).hex()}.tmp"
        descriptor = files.open(name, _CREATE, 0o600, dir_fd=folder)
        try:
            files.fchmod(descriptor, 0o600)  # whatever the umask took away
            files.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if files.fstat(descriptor).st_nlink:
                return name, descriptor
        except BlockingIOError:
            pass
        except BaseException:
            with suppress(OSError):
                files.unlink(name, dir_fd=folder)
            close_quietly(descriptor, files)
            raise
        # Somebody who cleans came between the two steps.
        with suppress(OSError):
            files.unlink(name, dir_fd=folder)
        close_quietly(descriptor, files)
    raise BlockingIOError(errno.EWOULDBLOCK, "somebody keeps removing the file being written")


def put_in_place(temporary: str, name: str, folder: int, files: FileOperations) -> None:
    """Rename what was written aside, in one folder, over whatever stands there."""
    try:
        files.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except IsADirectoryError:
        raise FileExistsError(errno.EEXIST, "a folder stands there") from None


def place(name: str, data: bytes | Secret, folder: int, files: FileOperations) -> None:
    """Put a file where nothing stands: a link, unlike a rename, replaces nothing."""
    if _place_unnamed(name, data, folder, files):
        return
    with written_aside(folder, data, files) as temporary:
        files.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        files.unlink(temporary, dir_fd=folder)


def _place_unnamed(name: str, data: bytes | Secret, folder: int, files: FileOperations) -> bool:
    """Do that with a file that has no name before; return whether that can be done here."""
    if not _UNNAMED:
        return False
    try:
        descriptor = files.open(".", os.O_WRONLY | os.O_CLOEXEC | _UNNAMED, 0o600, dir_fd=folder)
    except OSError as error:
        if error.errno in _NO_UNNAMED:
            return False
        raise
    try:
        files.fchmod(descriptor, 0o600)  # whatever the umask took away
        _fill(descriptor, data, files)
        files.link(f"{_DESCRIPTORS}/{descriptor}", name, dst_dir_fd=folder, follow_symlinks=True)
    except FileNotFoundError:  # no /proc
        return False
    finally:
        close_quietly(descriptor, files)
    return True


def clean(folder: int, files: FileOperations) -> int:
    """Remove orphans, given the folder's descriptor; return how many there were."""
    names = [name for name in files.listdir(folder) if _TEMPORARY.match(name)]
    return sum(_remove_orphan(name, folder, files) for name in names)


def _remove_orphan(name: str, folder: int, files: FileOperations) -> bool:
    try:
        found = files.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            return False
        if found.st_mode & 0o600 == 0o600:
            descriptor = files.open(name, READ, dir_fd=folder)
            try:
                files.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                files.unlink(name, dir_fd=folder)
            finally:
                close_quietly(descriptor, files)
        else:
            # Not yet locked, and empty: who is still at it notices, and begins again.
            files.unlink(name, dir_fd=folder)
    except (FileNotFoundError, BlockingIOError):
        return False
    return True
