"""`SQLiteStores`: records in one file, for any number of threads and processes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

from hauberk.command import FAIL, OK, Check
from hauberk.errors import StoreError
from hauberk_plugins.storage.backup import copy_file, move_aside, replace_rows
from hauberk_plugins.storage.errors import (
    StoreBusy,
    StoreDamaged,
    StoreForeign,
    StoreFull,
    StoreReadOnly,
    StoreTrouble,
    StoreUnreachable,
)
from hauberk_plugins.storage.pool import FORK_WAIT_S
from hauberk_plugins.storage.sql import Rows, SqlStores, Statements
from hauberk_plugins.storage.sqlite_file import Connection, connect, journal_mode, leads_to

FILE: Final = "store.sqlite"
#: How long a write waits for others' before it gives up, unless told otherwise.
BUSY_S: Final = 5.0
#: How long to wait before a lock is tried again. SQLite's own waits grow to 0.1 s: beside a few
#: busy writers, whoever waits so long finds it taken again and again, and gives up.
_PAUSE_S: Final = 0.001
#: So few are looked up one by one, within one statement: that is quicker.
_FEW: Final = 4
#: More names than this are not given to SQLite as parameters: all is read instead.
_MANY: Final = 30_000
SQL: Final = Statements(
    get="SELECT version, value FROM records WHERE namespace = ? AND name = ?",
    get_many="SELECT name, version, value FROM records WHERE namespace = ?1 AND name IN ({})",
    put="INSERT INTO records VALUES (?, ?, 1, ?) ON CONFLICT (namespace, name) DO UPDATE "
    "SET value = excluded.value, version = version + 1 RETURNING version",
    create="INSERT INTO records VALUES (?, ?, 1, ?) ON CONFLICT DO NOTHING RETURNING version",
    replace="UPDATE records SET value = ?, version = version + 1 "
    "WHERE namespace = ? AND name = ? AND version = ? RETURNING version",
    delete="DELETE FROM records WHERE namespace = ? AND name = ? RETURNING version",
    delete_at="DELETE FROM records WHERE namespace = ? AND name = ? AND version = ? "
    "RETURNING version",
    scan="SELECT name, version, value FROM records WHERE namespace = ? ORDER BY name",
    scan_from="SELECT name, version, value FROM records "
    "WHERE namespace = ? AND name >= ? AND name < ? ORDER BY name",
    namespaces="SELECT DISTINCT namespace FROM records",
)
_FREE: Final = "free some room; nothing was half-written"
#: What SQLite's primary codes mean, and what to do.
_TROUBLE: Final[dict[int, tuple[type[StoreTrouble], str, str]]] = {
    sqlite3.SQLITE_BUSY: (StoreBusy, "others keep it locked", "try again"),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "others keep it locked", "try again"),
    sqlite3.SQLITE_FULL: (StoreFull, "the disk is full", _FREE),
    sqlite3.SQLITE_TOOBIG: (StoreFull, "the record is too large", "keep it elsewhere"),
    sqlite3.SQLITE_READONLY: (
        StoreReadOnly, "it cannot be written", "check the mode of file and folder, and the disk",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        StoreUnreachable, "it cannot be opened", "check the mode of file and folder, and the disk",
    ),
    sqlite3.SQLITE_IOERR: (
        StoreUnreachable, "the disk cannot be read or written", "check the disk and its room",
    ),
    sqlite3.SQLITE_NOTADB: (
        StoreDamaged, "it is no database", "put it back from a backup; nothing was changed",
    ),
    sqlite3.SQLITE_CORRUPT: (
        StoreDamaged, "it is damaged", "put it back from a backup; nothing was changed",
    ),
}  # fmt: skip


class SQLiteStores(SqlStores[Connection]):
    """The provider of `store` over one SQLite file.

    Every write is forced to the disk before it returns. There is no file until something is
    written; it and its journals are private from birth.

    Args:
        path: The file; its folder is made if it is not there.
        busy_s: How long to wait for other writers, seconds.
        is_target: Whether it is there to be copied into, and need not be where it once was.
        monotonic: A clock that never steps back, seconds.
        pause: Waits that many seconds.
    """

    driver_error = sqlite3.Error

    def __init__(
        self,
        path: Path,
        busy_s: float = BUSY_S,
        *,
        is_target: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        super().__init__(str(path), SQL, FORK_WAIT_S)
        self.path = path
        self._busy_s = busy_s
        self._is_target = is_target
        self._monotonic = monotonic
        self._pause = pause
        self._mode, self._why_mode = journal_mode()

    def checks(self) -> list[Check]:
        """Say what `hauberk doctor` should tell of it."""
        found = f"SQLite {sqlite3.sqlite_version}, journal mode {self._mode}: {self._why_mode}"
        mode = Check("the store's journal", OK, found)
        try:
            rows = self.read("PRAGMA quick_check(1)", ())
        except StoreError as error:
            return [mode, Check("the store", FAIL, str(error))]
        if not rows:
            return [mode, Check("the store", OK, f"{self.path}: nothing was stored yet")]
        if rows[0][0] != "ok":
            return [mode, Check("the store", FAIL, f"{self.path} is damaged", "use a backup")]
        return [mode, Check("the store", OK, f"{self.path}: sound")]

    def time_ns(self) -> int | None:
        """Return when the file was last written."""
        try:
            return self.path.stat(follow_symlinks=False).st_mtime_ns
        except OSError:
            return None

    def back_up(self, path: Path, told: Callable[[int], object]) -> bool:
        """Copy the file as it stands at one moment; see `hauberk.ports.BackedUp`."""
        loan = self._pool.take(making=False)
        connection = loan.connection
        try:
            if connection is not None:
                copy_file(connection, path, told, self._busy_s)
            return connection is not None
        except (sqlite3.Error, OSError) as error:
            failure = self._not_backed_up(path, error)
        finally:
            self._pool.drop(loan)
        raise failure

    def put_back(self, path: Path, staying: Collection[str] = ()) -> None:
        """Replace every record, in one transaction; see `hauberk.ports.BackedUp`."""
        try:
            connection = connect(self.path, True, self._busy_s, self._mode, is_target=True)
        except StoreForeign:
            connection = None
        except sqlite3.Error as error:
            failure = self.translated(error)
            if type(failure) is not StoreDamaged:
                raise failure from None
            connection = None
        if connection is None or not _is_sound(connection):
            if connection is not None:
                connection.close()
            move_aside(self.path)
            connection = connect(self.path, True, self._busy_s, self._mode, is_target=True)
        if connection is None:
            raise StoreUnreachable(self.where, "it could not be made", "try again")
        try:
            with closing(connection):
                connection.execute(f"PRAGMA busy_timeout = {round(self._busy_s * 1_000)}")
                replace_rows(connection, path, staying)
            return
        except sqlite3.Error as error:
            failure = self.translated(error)
        raise failure

    def _not_backed_up(self, path: Path, error: Exception) -> StoreError:
        if isinstance(error, OSError):
            why = error.strerror or type(error).__name__
            return StoreUnreachable(path, f"it cannot be written: {why}", "check that disk")
        return self.translated(error)

    def many(self, namespace: bytes, keys: Sequence[bytes]) -> tuple[str, Sequence[object]]:
        """Return the statement that reads several records at once, and its parameters."""
        if len(keys) > _MANY:
            return self.sql.scan, (namespace,)
        return _get_many(len(keys)), (namespace, *keys)

    def bounds(self, namespace: bytes, first: bytes, end: bytes) -> Sequence[object]:
        """Return the parameters of `scan_from`."""
        return namespace, first, end

    def translated(self, error: Exception) -> StoreError:
        """Return what an error of SQLite is to the caller."""
        code: int = getattr(error, "sqlite_errorcode", 0)
        known = _TROUBLE.get(code & 0xFF)
        if known is None:
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            return StoreTrouble(self.where, f"SQLite says {name}", "nothing was half-written")
        kind, problem, remedy = known
        return kind(self.where, problem, remedy)

    def _connect(self, making: bool) -> Connection | None:
        try:
            return connect(self.path, making, self._busy_s, self._mode, self._is_target)
        except sqlite3.Error as error:
            failure = self.translated(error)
        raise failure

    def _disconnect(self, connection: Connection) -> None:
        connection.close()

    def _is_usable(self, connection: Connection) -> bool:
        # A file that was moved away, or put back from a backup, is not what was opened.
        return connection.file == leads_to(self.path)

    def _run(self, connection: Connection, sql: str, parameters: Sequence[object]) -> Rows:
        try:
            return connection.execute(sql, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if not _may_be_tried_again(connection, sql, error):
                raise
        deadline = self._monotonic() + self._busy_s
        while True:
            self._pause(_PAUSE_S)
            try:
                return connection.execute(sql, parameters).fetchall()
            except sqlite3.OperationalError as error:
                if not _may_be_tried_again(connection, sql, error):
                    raise
                if self._monotonic() >= deadline:
                    raise

    def _begin(self, connection: Connection, namespace: str) -> None:  # noqa: ARG002 - one lock
        # A transaction that only reads at first could not go on to write if another has written.
        self._run(connection, "BEGIN IMMEDIATE", ())


def _may_be_tried_again(connection: Connection, sql: str, error: sqlite3.OperationalError) -> bool:
    """Whether others' locks were in the way of a statement that is whole by itself."""
    is_locked = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
    return is_locked and (not connection.in_transaction or sql == "COMMIT")


def _is_sound(connection: Connection) -> bool:
    try:
        found: tuple[str] = connection.execute("PRAGMA quick_check(1)").fetchone()
        return found == ("ok",)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise
        return False


@cache
def _get_many(count: int) -> str:
    if count > _FEW:
        return SQL.get_many.format(", ".join("?" * count))
    return " UNION ALL ".join(SQL.get_many.format(f"?{number + 2}") for number in range(count))
