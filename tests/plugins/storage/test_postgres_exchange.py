"""A sealed write to PostgreSQL in one statement, beside all that may happen meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from hauberk.ports import Record
from hauberk.testing import MemoryVault
from hauberk_plugins.storage.buckets import place
from hauberk_plugins.storage.errors import RecordReplayed, StoreBusy
from hauberk_plugins.storage.exchange import Exchange, Exchanging
from hauberk_plugins.storage.postgres import PostgresStores
from hauberk_plugins.storage.postgres_exchange import PostgresStore
from hauberk_plugins.storage.sealed import SealedStore
from hauberk_plugins.storage.secure_storage import SecureStorage

if TYPE_CHECKING:
    from tests.plugins.storage.conftest import PostgresServer

_NAMES = [str(number) for number in range(1_000)]
A = "a"
BESIDE = next(name for name in _NAMES if place(name).bucket == place(A).bucket)
_WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name != ''"


@pytest.fixture
def stores(connect: Callable[..., PostgresStores]) -> PostgresStores:
    return connect()


@pytest.fixture
def store(stores: PostgresStores) -> SealedStore:
    return process(stores)


def process(stores: PostgresStores) -> SealedStore:
    return SecureStorage(stores, MemoryVault()).scoped("one")


@pytest.fixture
def bare(stores: PostgresStores) -> PostgresStore:
    """Has a record and a sum."""
    made = stores.scoped("bare")
    made.put("r", b"record")
    made.put("s", b"sum 1")
    assert made.put("s", b"sum") == 2
    return made


#: What is right of what `bare` has.
RIGHT = Exchange("r", b"record 2", sha256(b"record").digest(), "s", b"sum 3", Record(b"sum", 2))


@contextmanager
def meanwhile(call: Callable[[], object], came: list[object]) -> Iterator[threading.Thread]:
    """Have a thread do something; wait for its end."""

    def run() -> None:
        try:
            came.append(call())
        except Exception as error:
            came.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield thread
    thread.join()


def waiting(postgres: PostgresServer, database: str, thread: threading.Thread) -> None:
    """Return when a session waits for a lock."""
    while not postgres.execute(_WAITS, database):
        assert thread.is_alive(), "nothing was waited for"


@contextmanager
def rows(postgres: PostgresServer, database: str, how: str) -> Iterator[Callable[[], None]]:
    """Write rows behind the back of the store, in a transaction that ends when it is told to."""
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(postgres.url(database).reveal_text()) as connection:
        connection.execute(how)
        yield connection.commit


# What is sent.


def test_a_sealed_write_is_one_statement_by_itself(
    store: SealedStore, stores: PostgresStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    psycopg = pytest.importorskip("psycopg")
    assert isinstance(stores.scoped("one"), Exchanging)
    store.put(A, b"1")
    sent: list[str] = []
    execute = psycopg.Cursor.execute

    def noted(cursor: Any, sql: str, *given: Any, **named: Any) -> Any:
        sent.append(sql)
        return execute(cursor, sql, *given, **named)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    assert store.put(A, b"2") == 2
    assert store.put(BESIDE, b"1", version=0) == 1
    assert store.put(BESIDE, b"2", version=1) == 2
    assert [sql.count("hauberk.records SET value") for sql in sent] == [2, 1, 2]
    monkeypatch.undo()
    assert dict(process(stores).scan()) == {A: Record(b"2", 2), BESIDE: Record(b"2", 2)}


# What the statement compares.


def test_both_are_written_or_neither(bare: PostgresStore) -> None:
    fresh = evolve(RIGHT, key="n", stored=b"fresh", stood=None)
    wrong = [
        evolve(RIGHT, stood=sha256(b"another").digest()),
        evolve(RIGHT, stood=None),
        evolve(RIGHT, key="n"),
        *(
            evolve(right, **changed)
            for right in (RIGHT, fresh)
            for changed in (
                {"sum_stood": Record(b"sum", 1)},
                {"sum_stood": Record(b"sum", 3)},
                {"sum_stood": Record(b"another", 2)},
                {"sum_key": "t"},
            )
        ),
    ]
    before = dict(bare.scan())
    for wanted in wrong:
        assert bare.exchange(wanted) is False
        assert dict(bare.scan()) == before
    assert bare.exchange(RIGHT)
    assert dict(bare.scan()) == {"r": Record(b"record 2", 2), "s": Record(b"sum 3", 3)}
    assert bare.exchange(RIGHT) is False
    assert bare.exchange(evolve(fresh, sum_stood=Record(b"sum 3", 3)))
    assert bare.get("n") == Record(b"fresh", 1)
    assert bare.get("s") == Record(b"sum 3", 4)


def test_another_plugins_records_do_not_count(stores: PostgresStores, bare: PostgresStore) -> None:
    assert stores.scoped("other").exchange(RIGHT) is False


def test_where_there_is_no_store_none_is_made(
    stores: PostgresStores, postgres: PostgresServer, database: str
) -> None:
    assert stores.scoped("one").exchange(RIGHT) is False
    assert postgres.execute("SELECT to_regnamespace('hauberk')", database) == [(None,)]


def test_a_transaction_of_the_thread_is_not_written_around(
    stores: PostgresStores, bare: PostgresStore
) -> None:
    with bare.transaction() as inside:
        assert inside.get("r") == Record(b"record", 1)
        assert bare.exchange(RIGHT) is False
        assert inside.put("r", b"mine", version=1) == 2
    assert bare.get("s") == Record(b"sum", 2)


# What happens meanwhile.


def test_it_waits_for_a_transaction_and_finds_what_that_wrote(
    store: SealedStore, stores: PostgresStores, postgres: PostgresServer, database: str
) -> None:
    store.put(A, b"1")
    came: list[object] = []
    with process(stores).transaction() as inside:
        inside.put(A, b"2")
        inside.put(BESIDE, b"2")
        writes = meanwhile(lambda: store.put(A, b"3"), came)
        waiting(postgres, database, writes.__enter__())
    writes.__exit__(None, None, None)
    assert came == [3]
    assert dict(process(stores).scan()) == {A: Record(b"3", 3), BESIDE: Record(b"2", 1)}


def test_a_transaction_that_lasts_is_said(
    store: SealedStore, connect: Callable[..., PostgresStores]
) -> None:
    store.put(A, b"1")
    other = process(connect(busy_s=0.1))
    other.get(A)
    with store.transaction() as inside:
        inside.put(A, b"2")
        with pytest.raises(StoreBusy, match="others keep it locked"):
            other.put(A, b"3")
    assert other.get(A) == Record(b"2", 2)


def test_those_who_write_to_one_bucket_take_turns(
    stores: PostgresStores, bare: PostgresStore, postgres: PostgresServer, database: str
) -> None:
    """The other has been sent, and has not ended yet."""
    came: list[object] = []
    fresh = evolve(RIGHT, key="n", stored=b"fresh", stood=None)
    for other, key in ((RIGHT, "r"), (fresh, "n")):
        stood = bare.get("s")
        assert stood is not None
        mine = evolve(other, sum=b"mine", sum_stood=stood)
        theirs = (
            "UPDATE hauberk.records SET value = 'theirs', version = version + 1 WHERE name = 's'"
        )
        with (
            rows(postgres, database, theirs) as commit,
            meanwhile(partial(bare.exchange, mine), came) as thread,
        ):
            waiting(postgres, database, thread)
            commit()
        assert came.pop() is False
        assert bare.get(key) == (Record(b"record", 1) if key == "r" else None)


@pytest.mark.parametrize(
    "how",
    [
        "UPDATE hauberk.records SET value = 'theirs' WHERE name = 'r'",
        "DELETE FROM hauberk.records WHERE name = 'r'",
        "INSERT INTO hauberk.records (namespace, name, version, value) "
        "VALUES ('bare', 'n', 1, 'theirs')",
    ],
    ids=["changed", "removed", "added"],
)
def test_who_writes_to_the_record_alone_at_the_last_moment_is_not_written_over(
    bare: PostgresStore, postgres: PostgresServer, database: str, how: str
) -> None:
    """Somebody who keeps to no rule: the look at the record was before."""
    fresh = evolve(RIGHT, key="n", stored=b"fresh", stood=None)
    came: list[object] = []
    wanted = fresh if how.startswith("INSERT") else RIGHT
    with (
        rows(postgres, database, how) as commit,
        meanwhile(partial(bare.exchange, wanted), came) as thread,
    ):
        waiting(postgres, database, thread)
        commit()
    assert isinstance(came[0], StoreBusy)
    assert "others wrote at the same moment" in str(came[0])
    assert bare.get("s") == Record(b"sum", 2)
    assert b"record 2" not in [record.value for _, record in bare.scan()]
    assert b"fresh" not in [record.value for _, record in bare.scan()]


def test_a_record_put_back_is_not_written_over(store: SealedStore, stores: PostgresStores) -> None:
    store.put(A, b"1")
    bare = stores.scoped("sealed/one")
    kept = bare.get(place(A).key)
    assert kept is not None
    store.put(A, b"2")
    bare.put(place(A).key, kept.value)
    before = dict(bare.scan())
    for version in (None, 2):
        with pytest.raises(RecordReplayed):
            store.put(A, b"3", version=version)
    assert dict(bare.scan()) == before
