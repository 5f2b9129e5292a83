"""Backups of a PostgreSQL store, and putting them back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hauberk_plugins.storage.backup import read_rows, write_rows

if TYPE_CHECKING:
    import psycopg

#: Rows that are fetched, and written, at once.
_AT_ONCE: Final = 500
#: What is read later is of the same moment as what is read first.
_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_DECLARE: Final = (
    "DECLARE backup BINARY NO SCROLL CURSOR FOR "
    "SELECT namespace, name, version, value FROM hauberk.records"
)
#: Readers see what stood before until all of it is another; writers wait.
_LOCK: Final = "LOCK TABLE hauberk.records IN EXCLUSIVE MODE"
_STAYING: Final = "SELECT DISTINCT namespace FROM hauberk.records WHERE namespace = ANY(%s)"
_DELETE: Final = "DELETE FROM hauberk.records WHERE namespace <> ALL(%s)"
_INSERT: Final = (
    "INSERT INTO hauberk.records (namespace, name, version, value) VALUES (%s, %s, %s, %s)"
)


def write(connection: psycopg.Connection[Any], path: Path, told: Callable[[int], object]) -> None:
    """Write all records, as they stand at one moment, into a file; raises `psycopg.Error`."""
    connection.execute(_SNAPSHOT)
    row = connection.execute("SELECT count(*) FROM hauberk.records").fetchone()
    total = 0 if row is None else row[0]
    write_rows(path, _rows(connection), lambda done: told(max(total - done, 0)))
    connection.execute("COMMIT")


def replace(connection: psycopg.Connection[Any], path: Path, staying: Collection[str]) -> None:
    """Replace all records by those of a file, in one transaction; raises `psycopg.Error`."""
    names = [name.encode() for name in staying]
    with connection.transaction():
        # Deleting and writing as much as there is may take longer than one statement may.
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute(_LOCK)
        stay = [row[0] for row in connection.execute(_STAYING, (names,), binary=True)]
        connection.execute(_DELETE, (stay,))
        batch: list[tuple[bytes, bytes, int, bytes]] = []
        with connection.cursor() as cursor:
            for one in read_rows(path):
                if one[0] not in stay:
                    batch.append(one)
                if len(batch) >= _AT_ONCE:
                    cursor.executemany(_INSERT, batch)
                    batch.clear()
            cursor.executemany(_INSERT, batch)


def _rows(connection: psycopg.Connection[Any]) -> Iterator[tuple[bytes, bytes, int, bytes]]:
    connection.execute(_DECLARE)
    while rows := connection.execute(f"FETCH {_AT_ONCE} FROM backup").fetchall():
        yield from rows
