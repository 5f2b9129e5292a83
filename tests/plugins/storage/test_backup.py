"""Backups: whole and of one moment while others write, and put back all or nothing."""

from __future__ import annotations

import os
import select
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hauberk.errors import StoreError
from hauberk.ports import Record
from hauberk.secret import Secret
from hauberk_plugins.storage.backup import move_aside
from hauberk_plugins.storage.errors import StoreForeign, StoreTooRecent, StoreUnreachable
from hauberk_plugins.storage.marker import Marker
from hauberk_plugins.storage.postgres import PostgresStores
from hauberk_plugins.storage.sql import SqlStores
from hauberk_plugins.storage.sqlite import SQLiteStores

FULL = os.environ.get("HAUBERK_SWEEP") == "full"
Make = Callable[[], SqlStores[Any]]


@pytest.fixture(params=["sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Make a provider over the same place each time, in which nothing is stored yet."""
    url = Secret("")
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        url = server.url(server.fresh())

    def make() -> SqlStores[Any]:
        if request.param == "postgres":
            return stack.enter_context(closing(PostgresStores(url, busy_s=30)))
        path = tmp_path / "state" / "store.sqlite"
        return stack.enter_context(closing(SQLiteStores(path, busy_s=30)))

    with ExitStack() as stack:
        yield make


@pytest.fixture
def to(tmp_path: Path) -> Path:
    """Where a backup is to be."""
    folder = tmp_path / "backup"
    folder.mkdir(0o700)
    return folder / "store.sqlite"


def all_of(stores: SqlStores[Any]) -> dict[str, dict[str, Record]]:
    return {name: dict(stores.scoped(name).scan()) for name in stores.namespaces()}


def quiet(_: int) -> None:
    pass


def fill(stores: SqlStores[Any]) -> None:
    for plugin in ("keys", "sealed/keys", "ключ"):
        store = stores.scoped(plugin)
        for name in ("", "a", "b/ü", "x" * 5_000):
            store.put(name, name.encode() * 3)
            store.put(name, b"second" + bytes(range(256)))


def test_a_backup_holds_every_record_with_its_version(make: Make, to: Path) -> None:
    stores = make()
    fill(stores)
    left: list[int] = []
    assert stores.back_up(to, left.append)
    assert left[-1] == 0
    assert [path.name for path in to.parent.iterdir()] == [to.name]
    assert to.stat().st_mode & 0o777 == 0o600
    with closing(SQLiteStores(to)) as copied:
        assert all_of(copied) == all_of(stores)


def test_where_there_is_no_store_there_is_no_backup(make: Make, to: Path) -> None:
    assert not make().back_up(to, quiet)
    assert not to.exists()


def test_what_is_put_back_is_all_that_is_there(make: Make, to: Path) -> None:
    stores, other = make(), make()
    fill(stores)
    was = all_of(stores)
    stores.back_up(to, quiet)
    stores.scoped("keys").delete("a")
    stores.scoped("keys").put("b/ü", b"changed")
    stores.scoped("more").put("x", b"added")
    assert all_of(other) != was
    stores.put_back(to)
    assert all_of(stores) == was
    assert all_of(other) == was


def test_it_may_be_put_back_where_nothing_was_ever_stored(make: Make, to: Path) -> None:
    with closing(SQLiteStores(to.parent / "other" / "store.sqlite")) as other:
        fill(other)
        other.back_up(to, quiet)
        stores = make()
        stores.put_back(to)
        assert all_of(stores) == all_of(other)


def test_what_is_to_stay_stays_if_it_is_there(make: Make, to: Path) -> None:
    stores = make()
    stores.scoped("killswitch").put("state", b"then")
    stores.back_up(to, quiet)
    stores.scoped("killswitch").put("state", b"now")
    stores.put_back(to, ["killswitch", "nobody"])
    assert stores.scoped("killswitch").get("state") == Record(b"now", 2)
    stores.scoped("killswitch").delete("state")
    stores.put_back(to, ["killswitch"])
    assert stores.scoped("killswitch").get("state") == Record(b"then", 1)


def test_a_backup_is_of_one_moment_while_four_write(make: Make, to: Path) -> None:
    """Each moves something from one record to another, so that all together stay the same."""
    stores = make()
    for name in ("a", "b"):
        stores.scoped("sums").put(name, b"500")
    ended, wrong, turns = threading.Event(), [], []

    def move(seed: int) -> None:
        mine, chance = make(), Random(seed)
        try:
            while not ended.is_set():
                amount = chance.randrange(-50, 50)
                with mine.scoped("sums").transaction() as block:
                    for name, change in (("a", -amount), ("b", amount)):
                        record = block.get(name)
                        assert record is not None
                        block.put(name, b"%d" % (int(record.value) + change))
                turns.append(seed)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=move, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    try:
        found = set()
        for turn in range(60 if FULL else 15):
            path = to.with_name(f"{turn}.sqlite")
            stores.back_up(path, quiet)
            with closing(SQLiteStores(path)) as copied:
                values = [int(record.value) for _, record in copied.scoped("sums").scan()]
            assert sum(values) == 1_000
            found.add(tuple(values))
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(turns) > 20
    assert len(found) > 3  # or nobody wrote meanwhile


def test_who_reads_while_it_is_put_back_sees_all_of_the_old_or_all_of_the_new(
    make: Make, to: Path
) -> None:
    stores = make()
    for number in range(300):
        stores.scoped("keys").put(str(number), b"old")
    stores.back_up(to, quiet)
    names = [str(number) for number in range(300)]
    with stores.scoped("keys").transaction() as block:
        for name in names:
            block.put(name, b"new")
    ended, seen = threading.Event(), set()

    def read() -> None:
        mine = make()
        while not ended.is_set():
            seen.add(frozenset(r.value for r in mine.scoped("keys").get_many(names).values()))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for _ in range(5):
            stores.put_back(to)
    finally:
        ended.set()
        thread.join()
    assert seen <= {frozenset([b"old"]), frozenset([b"new"])}


def test_whoever_is_killed_while_putting_back_leaves_the_old_or_the_new(
    make: Make, to: Path
) -> None:
    stores = make()
    for number in range(200):
        stores.scoped("keys").put(str(number), b"old" * 500)
    stores.back_up(to, quiet)
    old = all_of(stores)
    moments = Random(11)
    ends = set()
    for turn in range(100 if FULL else 20):
        with stores.scoped("keys").transaction() as block:
            for number in range(200):
                block.put(str(number), b"new%d" % turn)
        new = all_of(stores)
        pid = os.fork()
        if pid == 0:
            try:
                make().put_back(to)
            finally:
                os._exit(0)
        select.select([], [], [], moments.uniform(0, 0.08))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        stands = all_of(make())
        assert stands in (old, new), turn
        ends.add(stands == old)
    assert ends


@pytest.mark.parametrize("content", [b"", b"no database" * 500])
def test_what_is_no_backup_changes_nothing(make: Make, to: Path, content: bytes) -> None:
    stores = make()
    fill(stores)
    was = all_of(stores)
    to.write_bytes(content)
    with pytest.raises(StoreError, match="take another backup"):
        stores.put_back(to)
    with pytest.raises(StoreError):
        stores.put_back(to.with_name("none"))
    assert all_of(stores) == was


def test_a_database_of_somebody_else_or_of_a_later_version_is_no_backup(
    make: Make, to: Path
) -> None:
    stores = make()
    fill(stores)
    was = all_of(stores)
    with closing(sqlite3.connect(to)) as connection:
        connection.execute("CREATE TABLE records (x)")
    with pytest.raises(StoreForeign):
        stores.put_back(to)
    to.unlink()
    stores.back_up(to, quiet)
    with closing(sqlite3.connect(to)) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(StoreTooRecent):
        stores.put_back(to)
    assert all_of(stores) == was


def test_a_backup_is_not_written_over_something(make: Make, to: Path) -> None:
    stores = make()
    fill(stores)
    to.write_bytes(b"mine")
    with pytest.raises(StoreUnreachable, match="File exists"):
        stores.back_up(to, quiet)
    assert to.read_bytes() == b"mine"


def test_a_store_that_is_locked_for_too_long_is_not_backed_up(
    path: Path, to: Path, sqlite: SQLiteStores
) -> None:
    fill(sqlite)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="others keep it locked"):
            sqlite.back_up(to, quiet)
    assert list(to.parent.iterdir()) == []


def test_no_journal_of_a_damaged_store_is_left_for_the_one_put_back(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).write_text(suffix)
    assert move_aside(path) == tmp_path / "store.sqlite.damaged-0"
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        f"store.sqlite.damaged-0{suffix}" for suffix in ("", "-journal", "-shm", "-wal")
    ]


def test_each_damaged_store_is_kept(path: Path, to: Path, sqlite: SQLiteStores) -> None:
    fill(sqlite)
    sqlite.back_up(to, quiet)
    for number in range(3):
        path.write_bytes(b"%d" % number * 999)
        sqlite.put_back(to)
    for number in range(3):
        aside = path.with_name(f"{path.name}.damaged-{number}")
        assert aside.read_bytes() == b"%d" % number * 999


def test_a_store_that_is_gone_is_put_back_where_it_was(
    path: Path, to: Path, sqlite: SQLiteStores
) -> None:
    fill(sqlite)
    was = all_of(sqlite)
    sqlite.back_up(to, quiet)
    path.unlink()
    sqlite.put_back(to)
    assert all_of(sqlite) == was


def test_a_database_that_is_gone_is_put_back(postgres: Any, to: Path, tmp_path: Path) -> None:
    marker = Marker(tmp_path / "private" / "postgres.made")
    url = postgres.url(postgres.fresh())
    with closing(PostgresStores(url, 5, marker)) as stores:
        fill(stores)
        was = all_of(stores)
        stores.back_up(to, quiet)
    postgres.execute("DROP SCHEMA hauberk CASCADE")
    with closing(PostgresStores(url, 5, marker)) as stores:
        stores.put_back(to)
        assert all_of(stores) == was
