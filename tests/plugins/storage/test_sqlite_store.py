"""Records in one SQLite file: what goes wrong, and what is left then."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from hauberk.errors import StoreError
from hauberk.ports import Record
from hauberk_plugins.storage import sqlite_file
from hauberk_plugins.storage.errors import (
    StoreBusy,
    StoreFull,
    StoreMisused,
    StoreReadOnly,
)
from hauberk_plugins.storage.sqlite import SQLiteStores
from hauberk_plugins.storage.sqlstore import SqlStore

Run = Callable[..., str]


@pytest.fixture
def stores(sqlite: SQLiteStores) -> SQLiteStores:
    return sqlite


def both(store: SqlStore[Any], value: bytes) -> None:
    """Write two records, or none."""
    with store.transaction() as inside:
        inside.put("a", value)
        inside.put("b", value)


def test_a_lock_that_others_keep_is_waited_for_and_then_said(
    stores: SQLiteStores, other: SQLiteStores
) -> None:
    store = stores.scoped("one")
    store.put("a", b"1")
    with other.scoped("two").transaction() as theirs:
        theirs.put("b", b"1")
        with pytest.raises(StoreBusy, match=r"store\.sqlite: others keep it locked; try again"):
            store.put("a", b"2")
        with pytest.raises(StoreBusy), store.transaction():
            pass
        assert store.get("a") == Record(b"1", 1)
    assert store.put("a", b"2") == 2


def test_a_reader_keeps_a_commit_waiting_and_nothing_is_half_written(
    stores: SQLiteStores, path: Path
) -> None:
    store = stores.scoped("one")
    store.put("a", b"1")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM records").fetchall()
        with pytest.raises(StoreBusy):
            store.put("a", b"2")
        with pytest.raises(StoreBusy):
            both(store, b"3")
        reader.execute("COMMIT")
    assert list(store.scan()) == [("a", Record(b"1", 1))]
    assert store.put("a", b"2") == 2


def test_a_full_disk_leaves_what_stood_there(stores: SQLiteStores, path: Path) -> None:
    store = stores.scoped("one")
    store.put("a", b"1")
    loan = stores._pool.take(making=False)
    assert loan.connection is not None
    pages = loan.connection.execute("PRAGMA page_count").fetchone()[0]
    loan.connection.execute(f"PRAGMA max_page_count = {pages}")
    stores._pool.give(loan)
    with pytest.raises(StoreFull, match="the disk is full; free some room"):
        store.put("a", bytes(100_000))
    assert store.get("a") == Record(b"1", 1)


def test_a_disk_that_fills_up_while_writing_leaves_what_stood_there(path: Path, run: Run) -> None:
    """A file may grow no further than a limit, for this process: the kernel says EFBIG."""
    out = run(
        """
        import resource, signal, sys
        from pathlib import Path
        from hauberk.errors import StoreError
        from hauberk_plugins.storage.sqlite import SQLiteStores

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = SQLiteStores(Path(sys.argv[1])).scoped("one")
        store.put("a", b"1")
        limit = Path(sys.argv[1]).stat().st_size + 4096
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        for size in (10_000, 300_000):
            try:
                with store.transaction() as inside:
                    inside.put("b", b"2")
                    inside.put("a", bytes(size))
            except StoreError as error:
                print(type(error).__name__)
        print(list(store.scan()), store.get("a").value)
        """,
        path,
    )
    assert out == "StoreUnreachable\n" * 2 + "[('a', Record(version=1))] b'1'\n"
    with closing(SQLiteStores(path)) as stores:
        assert stores.scoped("one").put("a", bytes(300_000)) == 2


def test_a_disk_that_takes_no_writes_is_said(stores: SQLiteStores) -> None:
    store = stores.scoped("one")
    store.put("a", b"1")
    loan = stores._pool.take(making=False)
    assert loan.connection is not None
    loan.connection.execute("PRAGMA query_only = ON")
    stores._pool.give(loan)
    with pytest.raises(StoreReadOnly, match="it cannot be written; check the mode"):
        store.put("a", b"2")
    assert store.get("a") == Record(b"1", 1)
    assert store.put("a", b"2") == 2, "what failed is not used again"


@pytest.mark.parametrize("call", [lambda s: s.get("a"), lambda s: s.put("a", b"2")])
def test_a_file_that_was_put_back_from_a_backup_is_the_one_that_is_used(
    stores: SQLiteStores, path: Path, call: object
) -> None:
    store = stores.scoped("one")
    store.put("a", b"1")
    backup = path.with_name("backup")
    backup.touch(0o600)
    backup.write_bytes(path.read_bytes())
    store.put("a", b"2")
    backup.rename(path)
    assert store.get("a") == Record(b"1", 1)
    assert store.put("a", b"3") == 2


class Failing(sqlite_file.Connection):
    """Fails once, at a statement that begins with certain words."""

    words = ""

    def execute(self, sql: str, parameters: object = ()) -> sqlite3.Cursor:  # type: ignore[override]
        if Failing.words and sql.startswith(Failing.words):
            Failing.words = ""
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return super().execute(sql, parameters)  # type: ignore[arg-type]


@pytest.fixture
def failing(stores: SQLiteStores, monkeypatch: pytest.MonkeyPatch) -> type[Failing]:
    monkeypatch.setattr(sqlite_file, "Connection", Failing)
    monkeypatch.setattr(Failing, "words", "")
    return Failing


@pytest.mark.parametrize(
    "words", ["BEGIN", "INSERT", "SELECT", "UPDATE", "SAVEPOINT", "RELEASE", "COMMIT"]
)
def test_a_failure_at_any_statement_undoes_the_whole_transaction(
    stores: SQLiteStores, failing: type[Failing], words: str
) -> None:
    store = stores.scoped("one")
    store.put("a", b"1")
    failing.words = words

    def take_no_notice() -> None:
        with store.transaction() as inside:
            with suppress(StoreError), inside.transaction() as inner:
                inner.put("b", b"2")
                inner.get("a")
                inner.put("a", b"2", version=1)
            with suppress(StoreError):
                inside.put("c", b"2")

    with pytest.raises(StoreError):
        take_no_notice()
    assert failing.words == ""
    assert list(store.scan()) == [("a", Record(b"1", 1))]
    assert store.put("a", b"2") == 2


def test_what_has_failed_is_said_again_to_whoever_goes_on(
    stores: SQLiteStores, failing: type[Failing]
) -> None:
    with suppress(StoreError), stores.scoped("one").transaction() as inside:
        failing.words = "INSERT"
        with suppress(StoreError):
            inside.put("a", b"1")
        with pytest.raises(StoreMisused, match=r"failed already \(.*cannot be read or written"):
            inside.put("a", b"2")


def test_nothing_that_sqlite_raised_is_behind_an_error(
    stores: SQLiteStores, failing: type[Failing]
) -> None:
    for words in ("INSERT", "BEGIN"):
        failing.words = words
        with pytest.raises(StoreError) as caught, stores.scoped("one").transaction() as inside:
            inside.put("a", b"1")
        assert caught.value.__context__ is None


def test_a_transaction_keeps_its_thread_from_writing_for_another_plugin(
    stores: SQLiteStores,
) -> None:
    one, two = stores.scoped("one"), stores.scoped("two")
    with one.transaction() as inside:
        inside.put("a", b"1")
        with pytest.raises(StoreMisused, match="in the middle of a transaction of 'one'"):
            two.put("a", b"2")
        with pytest.raises(StoreMisused), two.transaction():
            pass
        assert two.get("a") is None
    assert two.put("a", b"2") == 1


def test_a_transaction_is_not_another_threads(stores: SQLiteStores) -> None:
    caught: list[BaseException] = []

    def use() -> None:
        for call in (lambda: inside.get("a"), lambda: inside.put("a", b"2")):
            try:
                call()
            except StoreMisused as error:
                caught.append(error)

    with stores.scoped("one").transaction() as inside:
        inside.put("a", b"1")
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert [str(error) for error in caught] == [
        f"{stores.path}: the transaction is another thread's; begin one in this thread"
    ] * 2


def test_a_value_is_bytes_and_nothing_else(stores: SQLiteStores) -> None:
    for value in ("text", 5, None, bytearray(b"x")):
        with pytest.raises(TypeError, match="a record's value is bytes, not"):
            stores.scoped("one").put("a", value)  # type: ignore[arg-type]


def test_more_names_than_sqlite_takes_at_once_are_read(stores: SQLiteStores) -> None:
    store = stores.scoped("one")
    store.put("5", b"1")
    store.put("x", b"1")
    assert store.get_many(map(str, range(40_000))) == {"5": Record(b"1", 1)}
    assert store.get_many(map(str, range(10))) == {"5": Record(b"1", 1)}
