"""The file of a SQLite store: made, checked and opened, and told apart from others' files.

It is never opened here but by SQLite: closing another descriptor of it would drop the locks that
SQLite holds on it in this process.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from hauberk.errors import UnsafeFile
from hauberk.files import check_private, make_private_folder
from hauberk_plugins.storage.errors import (
    StoreForeign,
    StoreTooRecent,
    StoreUnreachable,
    StoreUnsafe,
)
from hauberk_plugins.storage.marker import Marker

#: Which SQLite no longer has the defect that damages a file in WAL mode with two connections.
SOUND_WAL: Final = (3, 51, 3)
#: Says, in the file's header, whose it is: "Haub".
APPLICATION_ID: Final = 0x48617562
SCHEMA_VERSION: Final = 1
# Not WITHOUT ROWID: a record of 1 KiB would overflow its page and take four times the room.
_SCHEMA: Final = """\
CREATE TABLE records (
    namespace BLOB NOT NULL, name BLOB NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (namespace, name)
)"""
_COLUMNS: Final = ["namespace", "name", "version", "value"]

# Between making the file and opening it, no other thread may open it: closing the descriptor
# that made it would drop that one's locks.
_making = threading.Lock()


class Connection(sqlite3.Connection):
    """A connection that knows which file it leads to.

    Attributes:
        file: Its device and inode.
    """

    file: tuple[int, int]


def journal_mode(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> tuple[str, str]:
    """Return the journal mode for a version of SQLite, and why."""
    if version < SOUND_WAL:
        least = ".".join(map(str, SOUND_WAL))
        return "truncate", f"before {least}, WAL mode can damage a file that two processes use"
    return "wal", "writers do not wait for readers"


def marker_of(path: Path) -> Marker:
    """Return what remembers that a store was made."""
    return Marker(path.with_suffix(".made"))


def connect(
    path: Path, making: bool, busy_s: float, mode: str, is_target: bool = False
) -> Connection | None:
    """Open the store, or make it.

    Args:
        path: The file.
        making: Whether to make it where it is not there.
        busy_s: How long to wait for others' locks, seconds.
        mode: The journal mode.
        is_target: Whether it need not be there although it was made before.

    Returns:
        A connection in autocommit mode; `None` where there is no file, and none was to be made.

    Raises:
        StoreError: It cannot be opened, or is not ours; nothing was changed.
        sqlite3.Error: SQLite says why not.
    """
    marker = marker_of(path)
    # Before the file is looked at: whoever sets it has made all of the file first.
    must_be_there = marker.is_set() and not is_target
    with _making:
        try:
            found = _checked(path)
        except FileNotFoundError:
            if must_be_there:
                raise marker.missing(path, "it is gone") from None
            if not making:
                return None
            found = _made(path)
        connection = _opened(path, busy_s)
    try:
        connection.file = (found.st_dev, found.st_ino)
        _prepare(connection, path, mode, marker if must_be_there else None)
        if not marker.is_set():
            marker.set(path, making=making)
    except BaseException:
        connection.close()
        raise
    return connection


def leads_to(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of what stands at a path; `None` where that is nothing."""
    try:
        found = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - half the time of Path.stat
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_size else None


def _checked(path: Path) -> os.stat_result:
    """Check that folder and file are ours alone."""
    unsafe: UnsafeFile | None = None
    try:
        found = path.stat(follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeFile(path, "it is no regular file", "move it away")
        check_private(path)
        check_private(path.parent)
        return found
    except UnsafeFile as error:
        unsafe = error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unreachable(path, error) from None
    raise StoreUnsafe(unsafe.path, unsafe.problem, unsafe.remedy)


def _made(path: Path) -> os.stat_result:
    """Make the file, empty and private from birth; SQLite gives its journals the same mode."""
    try:
        make_private_folder(path.parent)
        with suppress(FileExistsError):  # another process was quicker
            new_file(path)
        sync(path.parent)
    except UnsafeFile as error:
        raise StoreUnsafe(error.path, error.problem, error.remedy) from None
    except OSError as error:
        raise _unreachable(path, error) from None
    return _checked(path)


def new_file(path: Path) -> None:
    """Make an empty file where nothing stands, private from birth.

    Raises:
        OSError: Something stands there, or it cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        os.fchmod(descriptor, 0o600)  # whatever the umask took away
    finally:
        os.close(descriptor)


def _opened(path: Path, busy_s: float) -> Connection:
    # `mode=rw`: SQLite itself never makes a file.
    return sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode=rw",
        timeout=busy_s,
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
        uri=True,
    )


def _prepare(connection: Connection, path: Path, mode: str, made: Marker | None) -> None:
    """Look at the file before anything is changed, then set how it is used.

    Args:
        connection: Leads to it.
        path: The file.
        mode: The journal mode.
        made: What says that it was made before, if something does.
    """
    connection.execute("PRAGMA trusted_schema = OFF")
    with closing(_Rollback(connection)):
        connection.execute("BEGIN")  # so that all is looked at as it stands at one moment
        is_ours = check_ours(connection, path)
    if not is_ours and made is not None:
        raise made.missing(path, "it is empty")
    if not is_ours:
        make_schema(connection, path)
    connection.execute("PRAGMA synchronous = FULL")
    if _journal(connection, mode) not in (mode, "truncate"):
        raise StoreUnreachable(
            path,
            "another process, with a later SQLite, keeps it in WAL mode, which is not safe here",
            "end that process, or have both use the same SQLite",
        )
    connection.execute("PRAGMA busy_timeout = 0")  # from here on, the caller waits


def _journal(connection: Connection, mode: str) -> str:
    """Set the journal mode; return the one that it is in afterwards."""
    try:
        answer: str = connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()[0]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or mode == "truncate":
            raise
        return _journal(connection, "truncate")  # others use it so at this moment: it does
    return answer


def check_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether it is a store; `False` if it is empty.

    Raises:
        StoreForeign: It is something else.
        StoreTooRecent: It is a later version's.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application == APPLICATION_ID and version > SCHEMA_VERSION:
        raise StoreTooRecent(
            path,
            f"it has the format {version}, and this version of Hauberk reads {SCHEMA_VERSION}",
            "use the version that made it; nothing was changed",
        )
    if not (application or version or tables):
        return False
    columns = [row[1] for row in connection.execute("PRAGMA table_info(records)")]
    if application != APPLICATION_ID or version != SCHEMA_VERSION or columns != _COLUMNS:
        raise StoreForeign(
            path,
            "it is a database, and not one of Hauberk's",
            "move it away, or name another state folder; nothing was changed",
        )
    return True


def make_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Make an empty file a store, unless another process was quicker; raises as `check_ours`."""
    connection.execute("BEGIN IMMEDIATE")
    with closing(_Rollback(connection)):
        if not check_ours(connection, path):  # another process may have been quicker
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")


class _Rollback:
    """Ends what was not committed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def sync(folder: Path) -> None:
    """Make durable which files stand in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unreachable(path: Path, error: OSError) -> StoreUnreachable:
    return StoreUnreachable(
        path, f"it cannot be opened: {error.strerror}", "check the folder and the disk"
    )
