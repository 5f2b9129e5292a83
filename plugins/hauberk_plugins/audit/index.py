"""An index over a log, so that questions take as long as their answers.

SQLite, beside the log, made from its lines and from nothing else: what is wrong with it is mended
by making it again. It says where records are; what they say is always read from the log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from hauberk_plugins.audit.record import Record, nanoseconds, read_line
from hauberk_plugins.audit.segments import segments

NAME: Final = "index.sqlite"
_VERSION: Final = 2
_BATCH: Final = 10_000
#: The latest time that SQLite can hold, in the year 2262; what is later is as late.
_LATEST: Final = (1 << 63) - 1
_MADE: Final = """
    CREATE TABLE record (
        n INTEGER PRIMARY KEY, at INTEGER, file INTEGER, place INTEGER, size INTEGER,
        kind TEXT, user TEXT, account TEXT, request TEXT
    );
    CREATE INDEX by_at ON record (at, n);
    CREATE INDEX by_user ON record (user, n) WHERE user <> '';
    CREATE INDEX by_user_at ON record (user, at) WHERE user <> '';
    CREATE INDEX by_kind ON record (kind, n);
    CREATE INDEX by_account ON record (account, n) WHERE account <> '';
    CREATE INDEX by_request ON record (request, n) WHERE request <> '';
"""


@frozen
class Query:
    """Which records are asked for; what is empty or `None` is no condition.

    Attributes:
        user: Who did it.
        action: What was done: a kind, or the beginning of one with `*` behind it.
        account: Of which account.
        request: Of which request.
        since_ns: From when on.
        until_ns: Before when.
        start: From which record on.
        limit: How many at most, the newest of them.
    """

    user: str = ""
    action: str = ""
    account: str = ""
    request: str = ""
    since_ns: int | None = None
    until_ns: int | None = None
    start: int = 0
    limit: int | None = None


class Index:
    """The index of one log.

    Args:
        folder: The log's.
        path: The index's file; in memory where the folder cannot be written.
    """

    def __init__(self, folder: Path, path: Path | None = None) -> None:
        self._folder = folder
        self._path = folder / NAME if path is None else path
        self._base = self._opened()

    def find(self, query: Query) -> Iterator[tuple[int, Record]]:
        """Yield index and record of what is asked for, oldest first.

        The index is brought up to date first.
        """
        self.catch_up()
        rows = self._base.execute(*self.asked(query)).fetchall()
        for n, first, place, size in rows if query.limit is None else reversed(rows):
            with (self._folder / f"{first:015}.jsonl").open("rb") as file:
                file.seek(place)
                record = read_line(file.read(size))
            if record is not None:
                yield n, record

    def asked(self, query: Query) -> tuple[str, list[object]]:
        """Return a question in SQL, and its values."""
        where, values = _conditions(query)
        order = "ASC" if query.limit is None else f"DESC LIMIT {int(query.limit)}"
        # Found by a range, they are sorted (`+n`): in the order of `n` all records would be read.
        is_range = query.action.endswith("*") or query.since_ns or query.until_ns is not None
        by = "+n" if is_range and not query.start else "n"
        columns = "SELECT n, file, place, size FROM record WHERE "
        return f"{columns}{where} ORDER BY {by} {order}", values

    def catch_up(self) -> int:
        """Take in what was appended; return how many records it knows."""
        try:
            return self._caught_up()
        except sqlite3.DatabaseError:
            self._remake()
            return self._caught_up()

    def close(self) -> None:
        """Close it."""
        self._base.close()

    def _caught_up(self) -> int:
        found = self._base.execute(
            "SELECT n, file, place + size + 1 FROM record ORDER BY n DESC LIMIT 1"
        ).fetchone()
        known, first, offset = found or (-1, 0, 0)
        count = known + 1
        for segment in segments(self._folder):
            if segment.first < first:
                continue
            start = offset if segment.first == first else 0
            count = self._take(segment.first, start, count)
        self._base.commit()
        return count

    def _take(self, first: int, offset: int, count: int) -> int:
        path = self._folder / f"{first:015}.jsonl"
        if path.stat().st_size < offset:
            raise sqlite3.DatabaseError("the log is shorter than the index knows")
        rows = []
        with path.open("rb") as file:
            file.seek(offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    break
                rows.append(_row(count, first, offset, raw[:-1]))
                offset += len(raw)
                count += 1
                if len(rows) == _BATCH:
                    self._insert(rows)
                    rows = []
        self._insert(rows)
        return count

    def _insert(self, rows: list[tuple[object, ...]]) -> None:
        self._base.executemany("INSERT INTO record VALUES (?,?,?,?,?,?,?,?,?)", rows)

    def _opened(self) -> sqlite3.Connection:
        try:
            base = self._connected(str(self._path))
            with suppress(OSError):
                self._path.chmod(0o600)
            return base
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "unable to open" in str(error):
                return self._connected(":memory:")
            return self._again()

    def _connected(self, path: str) -> sqlite3.Connection:
        base = sqlite3.connect(path)
        try:
            (version,) = base.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError("made by another version")
            if version == 0:
                base.executescript(_MADE)
                base.execute(f"PRAGMA user_version = {_VERSION}")
            base.execute("PRAGMA synchronous = OFF")  # it can always be made again
        except BaseException:
            base.close()
            raise
        return base

    def _remake(self) -> None:
        self._base.close()
        self._base = self._again()

    def _again(self) -> sqlite3.Connection:
        for suffix in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        return self._connected(str(self._path))


def _row(n: int, first: int, place: int, raw: bytes) -> tuple[object, ...]:
    record = read_line(raw)
    if record is None:  # it is in the log all the same
        return n, 0, first, place, len(raw), "", "", "", ""
    at = min(nanoseconds(record.at) or 0, _LATEST)
    texts = (record.kind, record.user, record.account, record.request)
    return n, at, first, place, len(raw), *texts


def _conditions(query: Query) -> tuple[str, list[object]]:
    told: list[tuple[str, object]] = [("n >= ?", query.start)] if query.start else []
    for column, value in (
        ("user", query.user),
        ("account", query.account),
        ("request", query.request),
    ):
        if value:
            told.append((f"{column} = ?", value))
            told.append((f"{column} <> ?", ""))  # so that its index is used
    if query.action.endswith("*"):
        beginning = query.action[:-1]
        told += [("kind >= ?", beginning), ("kind < ?", beginning + "\U0010ffff")]
    elif query.action:
        told.append(("kind = ?", query.action))
    if query.since_ns is not None:
        told.append(("at >= ?", min(query.since_ns, _LATEST)))
    if query.until_ns is not None:
        told.append(("at < ?", min(query.until_ns, _LATEST)))
    return " AND ".join(text for text, _ in told) or "TRUE", [value for _, value in told]
