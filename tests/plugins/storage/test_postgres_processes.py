"""PostgreSQL with lost connections, other processes, and forks."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from hauberk.errors import StoreError
from hauberk.ports import Record
from hauberk_plugins.storage import postgres as module
from hauberk_plugins.storage.errors import (
    StoreBusy,
    StoreUnreachable,
)
from hauberk_plugins.storage.postgres import PostgresStores

if TYPE_CHECKING:
    from tests.plugins.storage.conftest import PostgresServer


@pytest.fixture
def stores(connect: Callable[..., PostgresStores]) -> PostgresStores:
    return connect()


@pytest.fixture
def own_server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The server, which the test may end; it runs again afterwards."""
    yield postgres
    with suppress(AssertionError):
        postgres.stop("immediate")
    postgres.start()


def test_a_server_that_dies_in_a_transaction_leaves_nothing_of_it(
    stores: PostgresStores, own_server: PostgresServer
) -> None:
    store = stores.scoped("one")
    store.put("a", b"1")

    def write() -> None:
        with store.transaction() as inside:
            inside.put("a", b"2")
            inside.put("b", b"2")
            own_server.stop("immediate")
            with suppress(StoreError):
                inside.put("c", b"2")

    with pytest.raises(StoreError, match=r"failed already .*the connection was lost"):
        write()
    with pytest.raises(StoreUnreachable, match=r"cannot be reached.*check that the server runs"):
        store.get("a")
    with pytest.raises(StoreUnreachable):
        store.put("a", b"3")
    own_server.start()
    assert list(store.scan()) == [("a", Record(b"1", 1))]
    assert store.put("a", b"4") == 2


def test_a_server_that_dies_before_the_commit_is_not_taken_to_have_committed(
    stores: PostgresStores, own_server: PostgresServer
) -> None:
    store = stores.scoped("one")
    store.put("a", b"1")

    def write() -> None:
        with store.transaction() as inside:
            inside.put("a", b"2")
            own_server.stop("immediate")

    with pytest.raises(StoreUnreachable):
        write()
    own_server.start()
    assert store.get("a") == Record(b"1", 1)


def test_connections_that_a_restart_ended_are_not_used_again(
    stores: PostgresStores, own_server: PostgresServer
) -> None:
    store = stores.scoped("one")
    held = [stores._pool.take(making=True) for _ in range(3)]
    for loan in held:
        stores._pool.give(loan)
    own_server.stop()
    own_server.start()
    assert store.put("a", b"1") == 1
    assert store.put("a", b"2") == 2


def test_an_idle_transaction_ends_and_frees_others(
    connect: Callable[..., PostgresStores], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect().scoped("one").put("a", b"1")
    monkeypatch.setattr(module, "_IDLE_MS", 50)
    slow, other = connect().scoped("one"), connect().scoped("one")

    def stand_still() -> None:
        with slow.transaction() as inside:
            inside.put("a", b"2")
            other.put("b", b"2")  # waits until the server has ended the first
            inside.put("a", b"3")

    with pytest.raises(StoreError):
        stand_still()
    assert list(other.scan()) == [("a", Record(b"1", 1)), ("b", Record(b"2", 1))]


def test_a_transaction_of_others_is_waited_for_and_then_said(
    connect: Callable[..., PostgresStores],
) -> None:
    one, other = connect().scoped("one"), connect(busy_s=0.1)
    one.put("a", b"1")
    theirs = other.scoped("one")

    def write_together() -> None:
        with theirs.transaction() as inside:
            inside.put("b", b"1")

    with one.transaction() as inside:
        inside.put("a", b"2")
        for call in (lambda: theirs.put("b", b"1"), write_together):
            with pytest.raises(StoreBusy, match=r"others keep it locked \(55P03\); try again"):
                call()
        assert theirs.get("a") == Record(b"1", 1)
        assert other.scoped("two").put("a", b"1") == 1, "another plugin's waits for nothing"


def test_writes_outside_of_transactions_wait_only_for_those_to_the_same_record(
    connect: Callable[..., PostgresStores],
) -> None:
    one, other = connect(), connect(busy_s=0.1)
    one.scoped("one").put("a", b"1")
    loan = one._pool.take(making=False)
    assert loan.connection is not None
    with loan.connection.transaction():  # a statement of its own that has not ended yet
        one._run(loan.connection, one.sql.put, (b"one", b"a", b"2"))
        assert other.scoped("one").put("b", b"1") == 1
        with pytest.raises(StoreBusy):
            other.scoped("one").put("a", b"3")
    one._pool.give(loan)
    assert other.scoped("one").get("a") == Record(b"2", 2)


def test_processes_lose_nothing_to_each_other(postgres: PostgresServer, database: str) -> None:
    code = """
        import os
        from hauberk import Secret
        from hauberk.errors import StoreConflict
        from hauberk_plugins.storage.postgres import PostgresStores

        store = PostgresStores(Secret(os.environ["TEST_URL"]), 30).scoped("one")
        for _ in range(40):
            with store.transaction() as inside:
                record = inside.get("together")
                inside.put("together", str(int(record.value if record else 0) + 1).encode())
            while True:
                record = store.get("compared")
                try:
                    store.put("compared", str(int(record.value if record else 0) + 1).encode(),
                              version=record.version if record else 0)
                    break
                except StoreConflict:
                    pass
        """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    environ = {**os.environ, "TEST_URL": postgres.url(database).reveal_text()}
    children = [subprocess.Popen(command, env=environ) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    with closing(PostgresStores(postgres.url(database), 5)) as stores:
        found = stores.scoped("one").get_many(["together", "compared"])
    assert found == dict.fromkeys(("together", "compared"), Record(b"120", 120))


def test_a_child_neither_uses_nor_ends_its_parents_connections(
    postgres: PostgresServer, database: str, run: Callable[..., str]
) -> None:
    code = """
        import os, sys
        from hauberk import Secret
        from hauberk.errors import StoreError
        from hauberk_plugins.storage.postgres import PostgresStores

        stores = PostgresStores(Secret(os.environ["TEST_URL"]), 30)
        store = stores.scoped("one")
        store.put("a", b"1")
        pid = None
        try:
            with store.transaction() as inside:
                inside.put("b", b"1")
                pid = os.fork()
                if pid == 0:
                    inside.put("c", b"!")
                os.waitpid(pid, 0)
                inside.put("d", b"1")
        except StoreError as error:
            assert pid == 0 and "forked within a transaction" in str(error)
            stores._local.scope = None
            stores.scoped("child").put("a", b"1")
            stores.close()
            sys.exit(0)
        print([name for name, _ in store.scan()], stores.namespaces())
        stores.close()
        """
    out = run(code, TEST_URL=postgres.url(database).reveal_text())
    assert out == "['a', 'b', 'd'] ('child', 'one')\n"
