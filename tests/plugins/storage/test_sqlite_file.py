"""The file of a SQLite store: whose it is, and what may stand there."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from hauberk.errors import StoreConflict
from hauberk.ports import Record
from hauberk_plugins.storage import sqlite_file
from hauberk_plugins.storage.errors import (
    StoreBusy,
    StoreDamaged,
    StoreForeign,
    StoreTooRecent,
    StoreUnreachable,
    StoreUnsafe,
)
from hauberk_plugins.storage.sqlite import SQLiteStores
from hauberk_plugins.storage.sqlite_file import APPLICATION_ID, journal_mode


@pytest.fixture
def stores(sqlite: SQLiteStores) -> SQLiteStores:
    return sqlite


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(0o700)
    path.touch(0o600)
    path.write_bytes(content)


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_file_journal_and_folder_are_private_from_birth(
    stores: SQLiteStores, path: Path, umask: int
) -> None:
    seen = []
    before = os.umask(umask)
    try:
        with stores.scoped("one").transaction() as inside:
            inside.put("a", b"1")
            seen = [(found.name, mode(found)) for found in sorted(path.parent.iterdir())]
    finally:
        os.umask(before)
    names = ("store.made", "store.sqlite", "store.sqlite-journal")
    assert seen == [(name, 0o600) for name in names]
    assert mode(path.parent) == 0o700


def test_sqlite_itself_never_makes_the_file(
    stores: SQLiteStores, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir(0o700)
    monkeypatch.setattr(sqlite_file, "_made", lambda path: path.parent.stat())
    with pytest.raises(StoreUnreachable):
        stores.scoped("one").put("a", b"")
    assert not path.exists()


def test_reading_makes_nothing(stores: SQLiteStores, path: Path) -> None:
    store = stores.scoped("one")
    assert store.get("a") is None
    assert store.get_many(["a"]) == {}
    assert list(store.scan()) == []
    assert stores.namespaces() == ()
    store.delete("a")
    with pytest.raises(StoreConflict):
        store.put("a", b"", version=3)
    assert [check.status for check in stores.checks()] == ["ok", "ok"]
    assert not path.parent.exists()


def test_a_file_that_others_may_use_is_refused_with_the_command_to_run(
    stores: SQLiteStores, other: SQLiteStores, path: Path
) -> None:
    stores.scoped("one").put("a", b"1")
    path.chmod(0o644)
    with pytest.raises(StoreUnsafe, match=f"others may use it .*run: chmod 600 {path}"):
        other.scoped("one").get("a")


def test_a_folder_that_others_may_use_is_refused(
    stores: SQLiteStores, other: SQLiteStores, path: Path
) -> None:
    stores.scoped("one").put("a", b"1")
    path.parent.chmod(0o755)
    with pytest.raises(StoreUnsafe, match=f"run: chmod 700 {path.parent}"):
        other.scoped("one").put("a", b"2")


def test_a_file_of_somebody_else_is_refused(
    stores: SQLiteStores, other: SQLiteStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.scoped("one").put("a", b"1")
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    with pytest.raises(StoreUnsafe, match="belongs to user id"):
        other.scoped("one").get("a")


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_what_is_no_file_is_refused(stores: SQLiteStores, path: Path, kind: str) -> None:
    path.parent.mkdir(0o700)
    if kind == "link":
        path.symlink_to(path.parent / "elsewhere")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path, 0o600)
    for call in (lambda: stores.scoped("one").get("a"), lambda: stores.scoped("one").put("a", b"")):
        with pytest.raises(StoreUnsafe, match="it is no regular file; move it away"):
            call()
    assert [found.name for found in path.parent.iterdir()] == ["store.sqlite"]


def test_an_empty_file_becomes_a_store(stores: SQLiteStores, path: Path) -> None:
    write(path, b"")
    assert stores.scoped("one").get("a") is None
    assert stores.scoped("one").put("a", b"1") == 1


def test_what_is_no_database_is_left_as_it_is(stores: SQLiteStores, path: Path) -> None:
    content = b"not a database, and longer than a header of a hundred bytes: " * 20
    write(path, content)
    for call in (lambda: stores.scoped("one").get("a"), lambda: stores.scoped("one").put("a", b"")):
        with pytest.raises(StoreDamaged, match="it is no database; put it back from a backup"):
            call()
    assert path.read_bytes() == content
    assert "it is no database" in stores.checks()[1].found


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE orders (id INTEGER)"],
        ["PRAGMA user_version = 1"],
        ["PRAGMA application_id = 7"],
        [f"PRAGMA application_id = {APPLICATION_ID}"],
        [f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = 1",
         "CREATE TABLE records (name TEXT)"],
    ],
)  # fmt: skip
def test_somebody_elses_database_is_left_as_it_is(
    stores: SQLiteStores, path: Path, statements: list[str]
) -> None:
    write(path, b"")
    change(path, *statements)
    before = path.read_bytes()
    for call in (lambda: stores.scoped("one").get("a"), lambda: stores.scoped("one").put("a", b"")):
        with pytest.raises(StoreForeign, match="not one of Hauberk's; move it away"):
            call()
    assert path.read_bytes() == before


def test_a_later_versions_store_is_left_as_it_is(
    stores: SQLiteStores, other: SQLiteStores, path: Path
) -> None:
    stores.scoped("one").put("a", b"1")
    stores.close()
    change(path, "PRAGMA user_version = 2", "ALTER TABLE records ADD COLUMN more")
    before = path.read_bytes()
    with pytest.raises(StoreTooRecent, match="the format 2, and this version of Hauberk reads 1"):
        other.scoped("one").put("a", b"2")
    assert path.read_bytes() == before


def test_a_damaged_page_is_said_and_not_written_over(
    stores: SQLiteStores, other: SQLiteStores, path: Path
) -> None:
    with stores.scoped("one").transaction() as inside:
        for number in range(200):
            inside.put(f"{number}", bytes(500))
    stores.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    before = path.read_bytes()
    with pytest.raises(StoreDamaged, match="it is damaged"):
        list(other.scoped("one").scan())
    with pytest.raises(StoreDamaged, match="it is damaged"):
        other.scoped("one").put("5", b"2")
    assert path.read_bytes() == before
    assert other.checks()[1].status == "fail"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET value = 'text'",
        "UPDATE records SET value = 5",
        "UPDATE records SET version = 1.5",
    ],
)
def test_what_was_never_put_there_through_us_is_no_record(
    stores: SQLiteStores, path: Path, statement: str
) -> None:
    store = stores.scoped("one")
    store.put("a", b"1")
    change(path, statement)
    for call in (
        lambda: store.get("a"),
        lambda: store.get_many(["a"]),
        lambda: list(store.scan()),
    ):
        with pytest.raises(StoreDamaged, match="is not what Hauberk writes"):
            call()


def test_names_that_are_no_text_are_no_names(stores: SQLiteStores, path: Path) -> None:
    stores.scoped("one").put("a", b"1")
    change(path, "UPDATE records SET name = x'ff'")
    with pytest.raises(StoreDamaged):
        list(stores.scoped("one").scan())


def test_wal_mode_is_used_only_where_it_is_sound() -> None:
    assert journal_mode((3, 40, 1)) == (
        "truncate",
        "before 3.51.3, WAL mode can damage a file that two processes use",
    )
    assert journal_mode((3, 51, 2))[0] == "truncate"
    assert journal_mode((3, 51, 3))[0] == "wal"
    assert journal_mode((4, 0, 0))[0] == "wal"


def test_doctor_says_which_journal_mode_and_why(stores: SQLiteStores) -> None:
    stores.scoped("one").put("a", b"1")
    journal, store = stores.checks()
    assert journal.found.startswith(f"SQLite {sqlite3.sqlite_version}, journal mode ")
    assert store.found == f"{stores.path}: sound"


def pragma(stores: SQLiteStores, name: str) -> object:
    return stores.read(f"PRAGMA {name}", ())[0][0]


def test_every_commit_is_forced_to_the_disk(stores: SQLiteStores) -> None:
    stores.scoped("one").put("a", b"1")
    assert pragma(stores, "synchronous") == 2  # FULL
    assert pragma(stores, "journal_mode") == journal_mode()[0]


def test_a_later_sqlite_uses_wal_mode_and_its_files_are_private(
    stores: SQLiteStores, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores._mode = "wal"
    before = os.umask(0)
    try:
        stores.scoped("one").put("a", b"1")
        assert pragma(stores, "journal_mode") == "wal"
        assert {mode(found) for found in path.parent.iterdir()} == {0o600}
        assert len(list(path.parent.iterdir())) == 4
    finally:
        os.umask(before)


def test_a_file_in_wal_mode_is_taken_out_of_it_by_an_old_sqlite(
    stores: SQLiteStores, other: SQLiteStores
) -> None:
    stores._mode, other._mode = "wal", "truncate"
    stores.scoped("one").put("a", b"1")
    with pytest.raises(StoreBusy):  # not while the other has it open
        other.scoped("one").get("a")
    stores.close()
    assert other.scoped("one").get("a") == Record(b"1", 1)
    assert pragma(other, "journal_mode") == "truncate"


def test_a_file_that_others_have_open_without_wal_mode_stays_so(
    stores: SQLiteStores, other: SQLiteStores
) -> None:
    stores._mode, other._mode = "truncate", "wal"
    stores.scoped("one").put("a", b"1")
    with stores.scoped("one").transaction() as inside:
        inside.put("a", b"2")
        assert other.scoped("one").get("a") == Record(b"1", 1)
        assert pragma(other, "journal_mode") == "truncate"
