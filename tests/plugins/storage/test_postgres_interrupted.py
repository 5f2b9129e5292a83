"""Sealed writes to PostgreSQL that signals, lost answers and other processes come between."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from hauberk.errors import StoreConflict
from hauberk.ports import Record
from hauberk.testing import MemoryVault
from hauberk_plugins.storage.buckets import place
from hauberk_plugins.storage.errors import StoreUnreachable
from hauberk_plugins.storage.exchange import Exchange
from hauberk_plugins.storage.postgres import PostgresStores
from hauberk_plugins.storage.postgres_exchange import PostgresStore
from hauberk_plugins.storage.sealed import SealedStore
from hauberk_plugins.storage.secure_storage import SecureStorage

if TYPE_CHECKING:
    from tests.plugins.storage.conftest import PostgresServer

_NAMES = [str(number) for number in range(1_000)]
A = "a"
BESIDE = next(name for name in _NAMES if place(name).bucket == place(A).bucket)


@pytest.fixture
def stores(connect: Callable[..., PostgresStores]) -> PostgresStores:
    return connect()


@pytest.fixture
def store(stores: PostgresStores) -> SealedStore:
    return process(stores)


def process(stores: PostgresStores) -> SealedStore:
    return SecureStorage(stores, MemoryVault()).scoped("one")


class Interrupted:
    """A store whose `exchange` is interrupted."""

    def __init__(
        self, store: SealedStore, exchange: Callable[[PostgresStore, Exchange], bool]
    ) -> None:
        bare = store._namespace.ledger.bare
        assert isinstance(bare, PostgresStore)
        self._bare, self._exchange = bare, exchange

    def exchange(self, wanted: Exchange) -> bool:
        return self._exchange(self._bare, wanted)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["get", "put", "beside", "delete", "scan", "transaction"])
def test_a_signals_handler_may_come_at_any_moment(
    store: SealedStore, monkeypatch: pytest.MonkeyPatch, when: str, what: str
) -> None:
    """Before the server is asked, or when it has answered and nothing was learned of it yet."""
    store.put(A, b"1")

    def handler() -> None:
        if what == "transaction":
            with store.transaction() as inside:
                inside.put(A, b"theirs")
        calls: dict[str, Callable[[], object]] = {
            "get": lambda: store.get(A),
            "put": lambda: store.put(A, b"theirs"),
            "beside": lambda: store.put(BESIDE, b"theirs"),
            "delete": lambda: store.delete(A),
            "scan": lambda: list(store.scan()),
        }
        calls.get(what, list)()

    whole = PostgresStore.exchange

    def interrupted(bare: PostgresStore, wanted: Exchange) -> bool:
        monkeypatch.undo()
        if when == "before":
            handler()
            return whole(bare, wanted)
        done = whole(bare, wanted)
        handler()
        return done

    monkeypatch.setattr(store._namespace, "_exchanging", Interrupted(store, interrupted))
    store.put(A, b"2")
    stands = {"delete": None, "put": b"theirs", "transaction": b"theirs"}.get(what, b"2")
    found = store.get(A)
    assert (found and found.value) == (b"2" if when == "before" else stands)
    assert store.put(A, b"3") == (found.version if found else 0) + 1
    assert store.put(BESIDE, b"3") == (2 if what == "beside" else 1)


def test_a_write_whose_answer_was_lost_is_seen_at_the_next_call(
    store: SealedStore, stores: PostgresStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has written, and died before it said so."""
    store.put(A, b"1")
    run = stores._run

    def unanswered(*arguments: Any) -> Any:
        run(*arguments)
        raise stores.driver_error

    monkeypatch.setattr(stores, "_run", unanswered)
    with pytest.raises(StoreUnreachable):
        store.put(A, b"2")
    monkeypatch.undo()
    assert store.get(A) == Record(b"2", 2)
    assert store.put(A, b"3", version=2) == 3


def test_processes_lose_nothing_to_each_other(
    postgres: PostgresServer, database: str, stores: PostgresStores
) -> None:
    """In one bucket, with compare-and-set, in transactions, and without either."""
    code = f"""
        import os
        from hauberk import Secret
        from hauberk.errors import StoreConflict
        from hauberk.testing import MemoryVault
        from hauberk_plugins.storage.postgres import PostgresStores
        from hauberk_plugins.storage.secure_storage import SecureStorage

        stores = PostgresStores(Secret(os.environ["TEST_URL"]), 30)
        store = SecureStorage(stores, MemoryVault()).scoped("one")
        for _ in range(30):
            with store.transaction() as inside:
                record = inside.get({BESIDE!r})
                inside.put({BESIDE!r}, str(int(record.value if record else 0) + 1).encode())
            while True:
                record = store.get({A!r})
                try:
                    store.put({A!r}, str(int(record.value if record else 0) + 1).encode(),
                              version=record.version if record else 0)
                    break
                except StoreConflict:
                    pass
            store.put("own/" + str(os.getpid()), b"")
        """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    environ = {**os.environ, "TEST_URL": postgres.url(database).reveal_text()}
    children = [subprocess.Popen(command, env=environ) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    found = dict(process(stores).scan())
    assert found.pop(A) == found.pop(BESIDE) == Record(b"90", 90)
    assert list(found.values()) == [Record(b"", 30)] * 3
    with pytest.raises(StoreConflict):
        process(stores).put(A, b"!", version=89)
