"""Backups: every record of one moment in a file of its own, in the form of a SQLite store.

Whatever database the records are in, their backup is such a file: it opens without a server, and
may be put back into either.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import quote

from hauberk.errors import StoreError
from hauberk_plugins.storage.errors import StoreDamaged, StoreTrouble
from hauberk_plugins.storage.sqlite_file import check_ours, make_schema, new_file, sync

_PAGES: Final = 1_024
_PAUSE_S: Final = 0.001
_INSERT: Final = "INSERT INTO records VALUES (?, ?, ?, ?)"
#: What belongs to a file of SQLite, and must go with it: a journal left beside another file would
#: be played into that one.
_BESIDE: Final = ("-journal", "-wal", "-shm")
_STAYING: Final = "SELECT DISTINCT namespace FROM main.records WHERE namespace IN ({})"
_OTHERS: Final = "namespace NOT IN (SELECT namespace FROM temp.staying)"


def copy_file(
    source: sqlite3.Connection, path: Path, told: Callable[[int], object], busy_s: float
) -> None:
    """Copy a store as it stands at one moment, while others write; raises `sqlite3.Error`.

    The copy is taken page by page, all within one read of the source, so that nobody who writes
    makes it begin again.
    """
    with _held(source, busy_s), _written(path) as target:
        source.backup(target, pages=_PAGES, progress=lambda _, left, __: told(left))
        # A copy of a file in WAL mode would want files of its own beside it.
        target.execute("PRAGMA journal_mode = DELETE")


def write_rows(
    path: Path, rows: Iterable[tuple[bytes, bytes, int, bytes]], told: Callable[[int], object]
) -> None:
    """Write records into a file of their own.

    Args:
        path: Where nothing stands.
        rows: Namespace, name, version and value of each.
        told: Told how many were written so far.
    """
    with _written(path) as target:
        make_schema(target, path)
        target.execute("BEGIN")
        for number, row in enumerate(rows):
            target.execute(_INSERT, row)
            told(number + 1)
        target.execute("COMMIT")


def read_rows(path: Path) -> Iterator[tuple[bytes, bytes, int, bytes]]:
    """Yield namespace, name, version and value of each record of a backup.

    Raises:
        StoreError: It is none, or is damaged.
    """
    with _backup(path) as connection:
        yield from connection.execute("SELECT namespace, name, version, value FROM records")


def replace_rows(target: sqlite3.Connection, path: Path, staying: Collection[str]) -> None:
    """Replace all records by those of a backup, in one transaction; raises `sqlite3.Error`.

    Args:
        target: The store.
        path: The backup.
        staying: Namespaces whose records, where there are any, stay.
    """
    with _backup(path):  # whether it is one
        pass
    names = [name.encode() for name in staying]
    # What is compared and kept meanwhile goes into no file that others could read.
    target.execute("PRAGMA temp_store = MEMORY")
    target.execute("ATTACH DATABASE ? AS backup", (_uri(path, "ro"),))
    target.execute("BEGIN IMMEDIATE")
    try:
        target.execute(
            "CREATE TEMP TABLE staying AS " + _STAYING.format(", ".join("?" * len(names))), names
        )
        target.execute(f"DELETE FROM main.records WHERE {_OTHERS}")  # noqa: S608 - ours
        target.execute(
            "INSERT INTO main.records "  # noqa: S608 - ours
            f"SELECT namespace, name, version, value FROM backup.records WHERE {_OTHERS}"
        )
        target.execute("COMMIT")
    except BaseException:
        if target.in_transaction:
            target.execute("ROLLBACK")
        raise


def move_aside(path: Path) -> Path:
    """Move a damaged file, and what belongs to it, out of the way; return where it is.

    The file goes first: from then on a store that was made is missing, which nobody takes for one
    in which nothing was ever stored.
    """
    names = (path.with_name(f"{path.name}.damaged-{number}") for number in count())
    aside = next(name for name in names if not os.path.lexists(name))
    for suffix in ("", *_BESIDE):
        beside = path.with_name(path.name + suffix)
        if os.path.lexists(beside):
            beside.rename(aside.with_name(aside.name + suffix))
    sync(path.parent)
    return aside


@contextmanager
def _held(source: sqlite3.Connection, busy_s: float) -> Iterator[None]:
    """Hold a store still for reading: what others write meanwhile is not seen."""
    end = time.monotonic() + busy_s
    while True:
        try:
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            break
        except sqlite3.OperationalError as error:
            if source.in_transaction:
                source.execute("ROLLBACK")
            is_locked = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_locked or time.monotonic() >= end:
                raise
            time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        if source.in_transaction:
            source.execute("ROLLBACK")


@contextmanager
def _written(path: Path) -> Iterator[sqlite3.Connection]:
    """Make a file, write into it, and look it over; it is gone again if that fails."""
    new_file(path)
    try:
        with closing(sqlite3.connect(_uri(path, "rw"), isolation_level=None, uri=True)) as target:
            target.execute("PRAGMA synchronous = FULL")
            yield target
            _look_over(target, path)
        sync(path.parent)
    except BaseException:
        for suffix in ("", *_BESIDE):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        raise


@contextmanager
def _backup(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(_uri(path, "ro"), isolation_level=None, uri=True)) as found:
            found.execute("PRAGMA trusted_schema = OFF")
            if not check_ours(found, path):
                raise StoreDamaged(path, "there is nothing in it", "take another backup")
            _look_over(found, path)
            yield found
            return
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        failure: StoreError = StoreTrouble(
            path, f"it cannot be read (SQLite says {name})", "take another backup"
        )
    raise failure


def _look_over(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise StoreDamaged(path, "it is damaged", "take another backup")


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote(os.fsencode(path.absolute()))}?mode={mode}"
