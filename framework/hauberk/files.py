"""Private folders and files: 0700 and 0600 from birth, each write whole or not at all.

Nothing here knows what it writes: whoever has a secret to keep seals it first, but for keys and
tokens that only a private file can hold.
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

from hauberk.errors import UnsafeFile
from hauberk.ownership import (
    check_alone,
    check_folder,
    check_ours,
    no_such_kind,
    open_to_others,
    unreadable,
)
from hauberk.secret import Secret

#: What `read_private` reads at most, unless told otherwise, bytes.
MAX_BYTES: Final = 1 << 20
_TEMPORARY: Final = re.compile(r"\.hauberk-[1-9][0-9]*-[0-9a-f]{16}\.tmp\Z")
# O_NONBLOCK: a FIFO in the file's place would hold us for ever.
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
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


def make_private_folder(path: str | Path, *, files: FileOperations = REAL) -> None:
    """Make a folder that is ours alone, and those above it that are missing, whatever the umask.

    One that is there already is checked and stays as it is.

    Args:
        path: The folder.
        files: The operating system.

    Raises:
        UnsafeFile: What stands there is a link or no folder, belongs to somebody else, or has
            another mode than 0700; says what to run.
        OSError: It cannot be made.
    """
    path = Path(path)
    try:
        found = files.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        if path.parent != path:
            _make_missing(path.parent, files)
        _make_folder(path, files)
        found = files.stat(path, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        raise no_such_kind(path, found, "folder")
    check_ours(path, found)
    if found.st_mode & 0o777 != 0o700:
        raise open_to_others(path, found)


def check_private(path: str | Path, *, files: FileOperations = REAL) -> None:
    """Check that a regular file or a folder is ours, and that nobody else may use it.

    Args:
        path: Which; not followed if it is a link.
        files: The operating system.

    Raises:
        UnsafeFile: It is not so; says what to run.
        FileNotFoundError: There is none.
    """
    path = Path(path)
    found = files.stat(path, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
        raise no_such_kind(path, found, "file or folder")
    check_alone(path, found)


def read_private(
    path: str | Path, limit: int = MAX_BYTES, *, files: FileOperations = REAL
) -> bytes:
    """Read a private file whole; it is checked through the descriptor that is read.

    Args:
        path: The file; a link in its place is not followed, a FIFO is not waited for.
        limit: How many bytes it may have.
        files: The operating system.

    Raises:
        UnsafeFile: It is a link or no regular file, belongs to somebody else, others may use it,
            or it is larger than the limit; says what to do.
        FileNotFoundError: There is none.
        OSError: It cannot be read.
    """
    path = Path(path)
    try:
        descriptor = files.open(path, _READ)
    except OSError as error:
        raise unreadable(path, error) from None
    try:
        found = files.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise no_such_kind(path, found, "regular file")
        check_alone(path, found)
        content = _content(descriptor, limit, files)
    finally:
        close_quietly(descriptor, files)
    if content is None:
        raise UnsafeFile(path, f"it is larger than {limit} bytes", "move it away")
    return content


def write_private(
    path: str | Path,
    data: bytes | Secret,
    *,
    replace: bool = True,
    shared: bool = False,
    files: FileOperations = REAL,
) -> None:
    """Write a file whole or not at all, private from its first byte, durable on return.

    Written beside its place under another name, forced to the disk, and put in place in one step.
    A link in its place is replaced, never followed.

    Args:
        path: The file.
        data: Its content. A `Secret` where a traceback that shows locals must not show it.
        replace: Whether what stands there is replaced.
        shared: Whether others may write into the folder too: only for what holds no secret and
            is not trusted when it is read.
        files: The operating system.

    Raises:
        UnsafeFile: The folder is not ours, or others may put files into it; says what to do.
        FileExistsError: Something stands there and is not to be replaced; or a folder does.
        OSError: It cannot be written. What stood there still stands, or the whole of what was
            to be written does where only the last step, making it durable, failed.
    """
    path = Path(path)
    with opened_folder(path.parent, files) as folder:
        if not shared:
            check_folder(path.parent, files.fstat(folder))
        try:
            with written_aside(folder, data, files) as temporary:
                put = put_in_place if replace else _place
                put(temporary, path.name, folder, files)
                files.fsync(folder)
        except OSError as error:
            # Of the temporary name nobody knows anything.
            raise OSError(error.errno, error.strerror, str(path)) from error


def clean_orphans(folder: str | Path, *, files: FileOperations = REAL) -> int:
    """Remove what writers that ended in the middle of `write_private` left in a folder.

    Those that still write hold a lock on what they write, in whatever container they run.

    Args:
        folder: Which; it need not exist.
        files: The operating system.

    Returns:
        How many were removed.

    Raises:
        OSError: The folder cannot be read.
    """
    try:
        with opened_folder(Path(folder), files) as descriptor:
            names = [name for name in files.listdir(descriptor) if _TEMPORARY.match(name)]
            return sum(_remove_orphan(name, descriptor, files) for name in names)
    except FileNotFoundError:
        return 0


def name_on_disk(name: str) -> str:
    """Return the name under which something is kept: any name is only a name.

    Args:
        name: Any text at all: `../x`, `CON`, empty, of any length, with lone surrogates.

    Returns:
        64 hexadecimal digits, its SHA-256; no two names are known to have the same.
    """
    # Imported late: it brings OpenSSL, which whoever only writes a file need not wait for.
    from hashlib import sha256

    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _content(descriptor: int, limit: int, files: FileOperations) -> bytes | None:
    """Return all that is left to read, or `None` if that is more than the limit."""
    content, part = bytearray(), b""
    try:
        while part := files.read(descriptor, limit + 1 - len(content)):
            content += part
            if len(content) > limit:
                return None
        return bytes(content)
    finally:
        # A traceback that shows locals would show them.
        content.clear()
        part = b""


@contextmanager
def written_aside(folder: int, data: bytes | Secret, files: FileOperations) -> Iterator[str]:
    """Yield the name of a file that holds the data, locked; gone afterwards under that name."""
    name, descriptor = _create(folder, files)
    try:
        left = memoryview(data.reveal() if isinstance(data, Secret) else data)
        while left:
            written = files.write(descriptor, left)
            if not written:
                raise OSError(errno.EIO, "nothing was written")
            left = left[written:]
        files.fsync(descriptor)
        yield name
    except BaseException:
        with suppress(OSError):
            files.unlink(name, dir_fd=folder)
        raise
    finally:
        close_quietly(descriptor, files)


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


def _place(temporary: str, name: str, folder: int, files: FileOperations) -> None:
    # Unlike a rename, it replaces nothing that came meanwhile.
    files.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    files.unlink(temporary, dir_fd=folder)


def _remove_orphan(name: str, folder: int, files: FileOperations) -> bool:
    try:
        found = files.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            return False
        if found.st_mode & 0o600 == 0o600:
            descriptor = files.open(name, _READ, dir_fd=folder)
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


def _make_missing(path: Path, files: FileOperations) -> None:
    """Make a folder where there is none, after those above it; one that is there is not judged."""
    try:
        files.stat(path)
    except FileNotFoundError:
        if path.parent != path:
            _make_missing(path.parent, files)
        _make_folder(path, files)


def _make_folder(path: Path, files: FileOperations) -> None:
    with opened_folder(path.parent, files) as parent:
        try:
            files.mkdir(path.name, 0o700, dir_fd=parent)
        except FileExistsError:
            return  # another process was quicker; whoever needs it checks it
        if files.stat(path.name, dir_fd=parent, follow_symlinks=False).st_mode & 0o777 != 0o700:
            files.chmod(path.name, 0o700, dir_fd=parent)  # the umask took more than is usual
        files.fsync(parent)
