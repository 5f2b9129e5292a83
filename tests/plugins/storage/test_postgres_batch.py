"""How often a transaction asks the server, and what it does not ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from hauberk.errors import StoreConflict
from hauberk.ports import Record
from hauberk_plugins.storage.errors import (
    StoreBusy,
)
from hauberk_plugins.storage.postgres import PostgresStores
from hauberk_plugins.storage.postgres_batch import Batch

if TYPE_CHECKING:
    from tests.plugins.storage.conftest import PostgresServer


@pytest.fixture
def stores(connect: Callable[..., PostgresStores]) -> PostgresStores:
    return connect()


@pytest.fixture
def sent(stores: PostgresStores, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is sent to the server, by its first word, and where a turn ends."""
    psycopg = pytest.importorskip("psycopg")
    found: list[str] = []
    execute, pipeline = psycopg.Connection.execute, psycopg.Connection.pipeline
    first = Batch._first

    def noted(connection: Any, sql: str, *given: Any, **named: Any) -> Any:
        words = [word for word in ("INSERT", "DELETE") if word in sql]
        found.append(words[0] if words else sql.split()[0])
        return execute(connection, sql, *given, **named)

    @contextmanager
    def turn(connection: Any) -> Iterator[Any]:
        found.append("(")
        with pipeline(connection) as made:
            yield made
        found.append(")")

    def begun(batch: Batch, *given: Any) -> Any:
        found.append("BEGIN")
        return first(batch, *given)

    stores.scoped("one").put("a", b"1")
    stores.scoped("one").put("b", b"1")
    monkeypatch.setattr(Batch, "_first", begun)
    monkeypatch.setattr(psycopg.Connection, "execute", noted)
    monkeypatch.setattr(psycopg.Connection, "pipeline", turn)
    return found


def test_a_write_to_what_was_read_waits_for_the_commit(
    stores: PostgresStores, sent: list[str]
) -> None:
    with stores.scoped("one").transaction() as inside:
        inside.get_many(["a", "c"])
        assert inside.put("a", b"2", version=1) == 2
        assert inside.put("a", b"3") == 3
        assert inside.put("c", b"1", version=0) == 1
        inside.delete("a", version=3)
    assert " ".join(sent) == "BEGIN ( INSERT INSERT INSERT DELETE COMMIT )"
    assert list(stores.scoped("one").scan()) == [("b", Record(b"1", 1)), ("c", Record(b"1", 1))]


def test_what_cannot_come_about_is_refused_without_asking(stores: PostgresStores) -> None:
    store = stores.scoped("one")
    store.put("a", b"1")
    with store.transaction() as inside:
        inside.get_many(["a", "b"])
        calls = [
            *(partial(inside.put, "a", b"!", version=version) for version in (0, 2)),
            *(partial(inside.put, "b", b"!", version=version) for version in (1, 2)),
            *(partial(inside.delete, "a", version=version) for version in (0, 2)),
            partial(inside.delete, "b", version=1),
        ]
        for call in calls:
            with pytest.raises(StoreConflict):
                call()
        inside.delete("b")
    assert list(store.scan()) == [("a", Record(b"1", 1))]


def test_a_transaction_in_which_nothing_is_done_sends_nothing(
    stores: PostgresStores, sent: list[str]
) -> None:
    with stores.scoped("one").transaction():
        pass
    with suppress(ValueError), stores.scoped("one").transaction():
        raise ValueError
    assert sent == []


def test_what_was_foreseen_is_checked_before_anything_is_kept(
    stores: PostgresStores, postgres: PostgresServer, database: str
) -> None:
    """Somebody who takes no lock writes in between."""
    store = stores.scoped("one")
    for name in ("a", "b"):
        store.put(name, b"1")

    def write(how: str) -> None:
        with store.transaction() as inside:
            inside.get_many(["a", "b"])
            postgres.execute(how, database)
            inside.put("b", b"2")
            if "version" in how:
                inside.put("a", b"2")
            else:
                inside.delete("a")

    for how in ("UPDATE hauberk.records SET version = 9 WHERE name = 'a'",
                "DELETE FROM hauberk.records WHERE name = 'a'"):  # fmt: skip
        with pytest.raises(StoreBusy, match="others wrote at the same moment"):
            write(how)
        assert store.get("b") == Record(b"1", 1)


def test_what_is_known_goes_back_with_a_part_that_is_undone(stores: PostgresStores) -> None:
    store = stores.scoped("one")
    store.put("a", b"1")
    with store.transaction() as outer:
        outer.get_many(["a", "b"])
        with suppress(ValueError), outer.transaction() as inner:
            inner.put("a", b"2")
            inner.put("b", b"2")
            raise ValueError
        assert outer.put("a", b"3", version=1) == 2
        with outer.transaction() as inner:
            assert inner.put("b", b"3", version=0) == 1
        assert outer.put("b", b"4") == 2
    assert store.get_many(["a", "b"]) == {"a": Record(b"3", 2), "b": Record(b"4", 2)}


def test_many_writes_do_not_wait_for_ever(stores: PostgresStores, sent: list[str]) -> None:
    with stores.scoped("one").transaction() as inside:
        inside.get_many([str(number) for number in range(300)])
        for number in range(300):
            inside.put(str(number), b"")
    assert sent.count("INSERT") == 300
    assert 4 <= sent.count("(") < 10
