"""Private folders and files: 0700 and 0600 from birth, each write whole or not at all.

Nothing here knows what it writes: whoever has a secret to keep seals it first, but for keys and
tokens that only a private file can hold. How one is written: see `hauberk.aside`.
"""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from hauberk.aside import (
    READ,
    clean,
    close_quietly,
    opened_folder,
    place,
    put_in_place,
    written_aside,
)
from hauberk.aside import REAL as REAL
from hauberk.aside import FileOperations as FileOperations
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

    What a writer that was killed left in its folder is removed, as `write_private` does too.

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
    with suppress(OSError):  # what cannot be cleaned stops nothing
        clean_orphans(path.parent, files=files)
    try:
        descriptor = files.open(path, READ)
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

    Written beside its place, forced to the disk, and put in place in one step. Until then it has
    another name or, where nothing is to be replaced and the file system can do it, none at all. A
    link in its place is replaced, never followed.

    Args:
        path: The file.
        data: Its content. A `Secret` where a traceback that shows locals must not show it.
        replace: Whether what stands there is replaced: not by a secret that is not sealed, since
            a process killed before the last step leaves the file under its other name.
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
        with suppress(OSError):
            clean(folder, files)
        try:
            if replace:
                with written_aside(folder, data, files) as temporary:
                    put_in_place(temporary, path.name, folder, files)
            else:
                place(path.name, data, folder, files)
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
            return clean(descriptor, files)
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
