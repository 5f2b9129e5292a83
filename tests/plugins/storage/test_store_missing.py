"""A store that went missing is not taken for one in which nothing was ever stored."""

from __future__ import annotations

import errno
import io
import os
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

import hauberk
from hauberk.cli.main import main
from hauberk.ports import Record
from hauberk.secret import Secret
from hauberk_plugins.storage import sqlite_file
from hauberk_plugins.storage.errors import (
    StoreFull,
    StoreMissing,
    StoreReadOnly,
    StoreUnreachable,
)
from hauberk_plugins.storage.marker import Marker
from hauberk_plugins.storage.postgres import PostgresStores
from hauberk_plugins.storage.sqlite import SQLiteStores


@pytest.fixture
def marker(path: Path) -> Path:
    return path.with_name("store.made")


def lose(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


LOSSES = pytest.mark.parametrize("harm", [lose, empty])


@LOSSES
@pytest.mark.parametrize("who", ["the same process", "another"])
def test_a_store_that_is_gone_or_empty_is_an_error_and_is_not_made_anew(
    sqlite: SQLiteStores,
    other: SQLiteStores,
    path: Path,
    marker: Path,
    harm: Callable[[Path], None],
    who: str,
) -> None:
    sqlite.scoped("one").put("halted", b"1")
    harm(path)
    left = path.read_bytes() if path.exists() else None
    stores = sqlite if who == "the same process" else other
    store = stores.scoped("one")
    for call in (
        lambda: store.get("halted"),
        lambda: store.put("a", b"1"),
        lambda: store.delete("halted"),
        lambda: list(store.scan()),
        stores.namespaces,
        lambda: store.transaction().__enter__(),
    ):
        with pytest.raises(StoreMissing, match=f"put it back from a backup.*remove {marker}"):
            call()
    assert (path.read_bytes() if path.exists() else None) == left
    checks = [check for check in stores.checks() if check.status == "fail"]
    assert "put it back" in checks[0].found


@LOSSES
def test_what_is_put_back_is_used_and_who_removes_the_marker_begins_anew(
    sqlite: SQLiteStores, path: Path, marker: Path, harm: Callable[[Path], None]
) -> None:
    store = sqlite.scoped("one")
    store.put("a", b"1")
    backup = path.read_bytes()
    harm(path)
    with pytest.raises(StoreMissing):
        store.get("a")
    path.touch(0o600)
    path.write_bytes(backup)
    assert store.get("a") == Record(b"1", 1)
    harm(path)
    marker.unlink()
    assert store.get("a") is None
    assert store.put("a", b"2") == 1
    assert marker.exists()


def test_a_store_without_a_marker_gets_one_when_it_is_next_used(
    sqlite: SQLiteStores, other: SQLiteStores, path: Path, marker: Path
) -> None:
    sqlite.scoped("one").put("a", b"1")
    marker.unlink()
    assert other.scoped("one").get("a") == Record(b"1", 1)
    path.unlink()
    with pytest.raises(StoreMissing):
        other.scoped("one").get("a")


def test_who_is_killed_while_making_it_leaves_no_error_behind(
    sqlite: SQLiteStores, other: SQLiteStores, path: Path, marker: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def killed(*given: Any) -> None:
        raise KeyboardInterrupt

    for name in ("_opened", "make_schema", "_journal"):
        with monkeypatch.context() as patched:
            patched.setattr(sqlite_file, name, killed)
            with pytest.raises(KeyboardInterrupt):
                sqlite.scoped("one").put("a", b"1")
        assert not marker.exists()
    assert other.scoped("one").put("a", b"1") == 1


def test_the_marker_stands_before_anything_is_stored(
    sqlite: SQLiteStores, path: Path, marker: Path
) -> None:
    with sqlite.scoped("one").transaction():
        assert marker.exists()


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, StoreFull), (errno.EROFS, StoreReadOnly), (errno.EIO, StoreUnreachable)],
)
def test_a_marker_that_cannot_be_written_stops_a_write_and_no_read(
    sqlite: SQLiteStores,
    other: SQLiteStores,
    marker: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[Exception],
) -> None:
    def fail(*given: Any) -> None:
        raise OSError(number, os.strerror(number))

    sqlite.scoped("one").put("a", b"1")
    marker.unlink()
    monkeypatch.setattr("hauberk_plugins.storage.marker.write_private", fail)
    assert other.scoped("one").get("a") == Record(b"1", 1)
    other._pool.forget_idle()
    with pytest.raises(kind, match=r"store\.made cannot be written"):
        other.scoped("one").put("a", b"2")
    assert other.scoped("one").get("a") == Record(b"1", 1)


@pytest.mark.parametrize("attempt", range(10))
def test_starts_at_once_do_not_take_each_others_store_for_lost(path: Path, attempt: int) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(6) as pool:
        many = [stack.enter_context(closing(SQLiteStores(path))) for _ in range(6)]
        puts = pool.map(lambda stores: stores.scoped("one").put(f"{attempt}", b""), many)
        assert sorted(puts) == list(range(1, 7))


def test_who_looks_while_it_is_being_made_does_not_take_it_for_lost(
    sqlite: SQLiteStores, other: SQLiteStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = sqlite_file.check_ours
    seen = []

    def overtaken(*given: Any) -> bool:
        found = look(*given)
        if not seen:  # after an empty file was seen, others make the store and set the marker
            seen.append(found)
            Marker(sqlite.path.with_name("store.made")).set(sqlite.path, making=True)
        return found

    monkeypatch.setattr(sqlite_file, "check_ours", overtaken)
    assert other.scoped("one").put("a", b"") == 1
    assert seen == [False]


def test_a_store_that_is_copied_into_may_be_made_again(path: Path) -> None:
    with closing(SQLiteStores(path)) as made:
        made.scoped("one").put("a", b"1")
    path.unlink()
    with closing(SQLiteStores(path, is_target=True)) as target:
        assert target.scoped("one").put("a", b"1") == 1
    with closing(SQLiteStores(path)) as made:
        assert made.scoped("one").get("a") == Record(b"1", 1)


def test_it_can_be_made_again_from_what_it_holds() -> None:
    error = StoreMissing("the store", "it is gone", "a marker")
    again = StoreMissing(*error.args)
    assert (str(again), again.args) == (str(error), error.args)


# PostgreSQL.


@pytest.fixture
def reach(postgres: Any, database: str, tmp_path: Path) -> Iterator[Callable[[], PostgresStores]]:
    def make() -> PostgresStores:
        marker = Marker(tmp_path / "state" / "postgres.made")
        return stack.enter_context(closing(PostgresStores(postgres.url(database), 5, marker)))

    with ExitStack() as stack:
        yield make


def test_a_database_in_which_nothing_is_any_more_is_an_error_and_stays_empty(
    reach: Callable[[], PostgresStores], postgres: Any, database: str, tmp_path: Path
) -> None:
    marker = tmp_path / "state" / "postgres.made"
    assert reach().scoped("one").get("a") is None
    assert not marker.parent.exists()
    reach().scoped("one").put("halted", b"1")
    assert marker.exists()
    postgres.execute("DROP SCHEMA hauberk CASCADE", database)
    for call in (lambda s: s.get("halted"), lambda s: s.put("halted", b"")):
        with pytest.raises(StoreMissing, match="nothing of Hauberk's is in that database"):
            call(reach().scoped("one"))
    found = postgres.execute("SELECT to_regnamespace('hauberk')::text", database)
    assert found == [(None,)]
    marker.unlink()
    assert reach().scoped("one").put("a", b"1") == 1


def test_a_machine_that_comes_later_remembers_the_database_too(
    reach: Callable[[], PostgresStores], connect: Callable[..., PostgresStores], tmp_path: Path
) -> None:
    connect().scoped("one").put("a", b"1")
    (tmp_path / "state").mkdir(0o700)
    assert reach().scoped("one").get("a") == Record(b"1", 1)
    assert (tmp_path / "state" / "postgres.made").exists()


# What depends on it.


CONFIG = """\
state: state
plugins: [killswitch, policy, bots, throttle, signing, auth]
encryption: {key: file:wrapping.key}
accounts: {main: {venue: binance, key: env:K, secret: env:S}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir(0o700)
    for name, text in (
        ("hauberk.yml", CONFIG),
        ("wrapping.key", b64encode(bytes(32)).decode()),
    ):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(text)
    return tmp_path / "hauberk.yml"


@LOSSES
def test_a_halt_is_not_lifted_and_no_right_is_won_by_removing_the_store(
    config: Path,
    path: Path,
    harm: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    password = "seven lanterns under the bridge"
    typed = io.TextIOWrapper(io.BytesIO(f"{password}\n{password}\n".encode()), "utf-8")
    monkeypatch.setattr(sys, "stdin", typed)
    where = ["--config", str(config)]
    assert main(["user", "add", "ann", "--role", "admin", *where]) == 0
    with hauberk.open(config) as guard:
        guard.report("worst", hauberk.Severity.CRITICAL)
    harm(path)
    capsys.readouterr()
    # The owner of the folder is no admin again.
    assert main(["user", "list", *where]) in (2, 3)
    assert main(["vault", "list", *where]) in (2, 3)
    told = capsys.readouterr().err
    assert told.count("put it back from a backup") == 2
    with hauberk.open(config) as guard:
        request = hauberk.Request("GET", "https://api.binance.com/api/v3/account", account="main")
        with pytest.raises(hauberk.Denied, match="halted") as caught:
            guard.clear(request)
    assert caught.value.plugin == "killswitch"


def test_a_database_is_named_without_its_password(postgres: Any, tmp_path: Path) -> None:
    marker = Marker(tmp_path / "state" / "postgres.made")
    marker.path.parent.mkdir(0o700)
    marker.set("x", making=True)
    url: Secret = postgres.url(postgres.fresh())
    with closing(PostgresStores(url, 5, marker)) as stores, pytest.raises(StoreMissing) as caught:
        stores.scoped("one").get("a")
    assert "c4nary" not in str(caught.value)
