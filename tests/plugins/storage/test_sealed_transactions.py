"""Sealed records in transactions, from several processes, and what a process remembers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import pytest

from hauberk.errors import StoreConflict, StoreError
from hauberk.ports import Record
from hauberk.testing import MemoryStore, MemoryStores, MemoryVault
from hauberk_plugins.storage.buckets import Bucket, place
from hauberk_plugins.storage.errors import RecordConflict, StoreBusy, StoreMisused
from hauberk_plugins.storage.knowledge import Knowledge
from hauberk_plugins.storage.sealed import TRIES, SealedStore
from hauberk_plugins.storage.secure_storage import SecureStorage, Stores

_NAMES = [str(number) for number in range(1_000)]
A = "a"
BESIDE = next(name for name in _NAMES if place(name).bucket == place(A).bucket)


@pytest.fixture
def store(stores: Stores) -> SealedStore:
    return SecureStorage(stores, MemoryVault()).scoped("one")


@pytest.fixture
def fresh(stores: Stores) -> Callable[[], SealedStore]:
    """Another process's view."""
    return lambda: SecureStorage(stores, MemoryVault()).scoped("one")


def fails(store: SealedStore, value: bytes) -> None:
    """Write in a transaction that is undone."""
    with suppress(ValueError), store.transaction() as inside:
        inside.put(A, value)
        inside.put(BESIDE, value)
        assert inside.get(A) is not None
        raise ValueError


def test_what_was_undone_is_not_remembered(store: SealedStore) -> None:
    store.put(A, b"1")
    fails(store, b"2")
    assert store.get(A) == Record(b"1", 1)
    assert store.get(BESIDE) is None
    assert store.put(A, b"3") == 2


def test_what_an_inner_transaction_undid_is_not_remembered(store: SealedStore) -> None:
    with store.transaction() as outer:
        outer.put(A, b"1")
        fails(store, b"2")
        assert outer.get(A) == Record(b"1", 1)
        assert outer.get(BESIDE) is None
        with outer.transaction() as inner:
            inner.put(BESIDE, b"1")
    assert [name for name, _ in store.scan()] == sorted([A, BESIDE])


def test_what_a_failed_commit_undid_is_not_remembered(
    store: SealedStore, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(A, b"1")
    bare = store._namespace.ledger.bare
    whole = bare.transaction

    @contextmanager
    def torn() -> Iterator[Any]:
        with whole() as inside:
            yield inside
            raise StoreError("the connection was lost")

    monkeypatch.setattr(bare, "transaction", torn)
    with pytest.raises(StoreError, match="was lost"), store.transaction() as inside:
        inside.put(A, b"2")
    monkeypatch.undo()
    assert store.get(A) == Record(b"1", 1)


def test_a_commit_whose_answer_was_lost_is_seen_at_the_next_call(
    store: SealedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = store._namespace.ledger.bare
    whole = bare.transaction

    @contextmanager
    def unanswered() -> Iterator[Any]:
        with whole() as inside:
            yield inside
        raise StoreError("the connection was lost")

    monkeypatch.setattr(bare, "transaction", unanswered)
    with pytest.raises(StoreError, match="was lost"):
        store.put(A, b"1")
    monkeypatch.undo()
    assert store.get(A) == Record(b"1", 1)
    assert store.put(A, b"2") == 2


def test_a_transaction_sees_what_other_processes_wrote_before_it(
    store: SealedStore, fresh: Callable[[], SealedStore]
) -> None:
    store.put(A, b"1")
    fresh().put(A, b"2")
    with store.transaction() as inside:
        assert inside.get(A) == Record(b"2", 2)
        assert inside.put(A, b"3", version=2) == 3
    assert fresh().get(A) == Record(b"3", 3)


def test_threads_and_processes_lose_nothing_to_each_other(
    store: SealedStore, fresh: Callable[[], SealedStore]
) -> None:
    failures: list[BaseException] = []

    def count_up(mine: SealedStore) -> None:
        try:
            for _ in range(10):
                with mine.transaction() as inside:
                    record = inside.get(A)
                    inside.put(A, str(int(record.value if record else 0) + 1).encode())
                mine.put(BESIDE, b"x")
                for name, _ in mine.scan():
                    assert mine.get(name) is not None
        except BaseException as error:
            failures.append(error)

    other = fresh()
    threads = [threading.Thread(target=count_up, args=(s,)) for s in (store, store, other, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert fresh().get(A) == Record(b"40", 40)
    assert fresh().get(BESIDE) == Record(b"x", 40)


@pytest.mark.parametrize("stores", ["sqlite"], indirect=True)
def test_a_read_beside_writers_that_never_rest_comes_to_an_end(
    store: SealedStore, fresh: Callable[[], SealedStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes between any two looks, unless it has to wait."""
    store.put(A, b"0")
    bare, other, written = store._namespace.ledger.bare, fresh(), count(1)
    many = bare.get_many

    def disturbed(names: Any) -> Any:
        other.put(BESIDE, b"%d" % next(written))
        return many(names)

    monkeypatch.setattr(bare, "get_many", disturbed)
    assert store.get(A) == Record(b"0", 1)
    assert next(written) > 3


class Optimistic(MemoryStore):
    """Refuses at the end of a transaction, as a store without locks does where another wrote."""

    refusals = 0

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        with super().transaction() as inside:
            yield inside
            if self.refusals:
                self.refusals -= 1
                raise StoreConflict("could not serialize access")


@pytest.fixture
def optimistic() -> tuple[Optimistic, SealedStore]:
    stores = MemoryStores()
    bare = stores.stores["sealed/one"] = Optimistic()
    return bare, SecureStorage(stores, MemoryVault()).scoped("one")  # type: ignore[arg-type]


def test_a_write_that_meets_anothers_is_tried_again(
    optimistic: tuple[Optimistic, SealedStore],
) -> None:
    bare, store = optimistic
    bare.refusals = TRIES - 1
    assert store.put(A, b"1", version=0) == 1
    bare.refusals = TRIES - 1
    store.delete(A)
    assert store.get(A) is None


def test_a_write_is_not_tried_for_ever(optimistic: tuple[Optimistic, SealedStore]) -> None:
    bare, store = optimistic
    bare.refusals = 1_000
    with pytest.raises(StoreBusy, match="other processes keep writing there; try again"):
        store.put(A, b"1")
    assert bare.refusals == 1_000 - TRIES


def test_the_callers_own_conflict_is_not_tried_again(
    optimistic: tuple[Optimistic, SealedStore],
) -> None:
    bare, store = optimistic
    store.put(A, b"1")
    bare.refusals = 1_000
    with pytest.raises(RecordConflict, match="record 'a' is at version 1, not 5"):
        store.put(A, b"2", version=5)
    assert bare.refusals == 1_000


def test_a_transaction_of_the_callers_is_the_callers_to_try_again(
    optimistic: tuple[Optimistic, SealedStore],
) -> None:
    bare, store = optimistic
    bare.refusals = 1
    with pytest.raises(StoreConflict, match="could not serialize"), store.transaction() as inside:
        inside.put(A, b"1")
    assert store.get(A) is None


@pytest.mark.parametrize("stores", ["memory", "sqlite"], indirect=True)
@pytest.mark.parametrize("call", ["get", "put", "scan", "transaction"])
def test_a_signals_handler_is_refused_in_the_middle_of_a_write(
    store: SealedStore, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """It would see a record whose sum is not written yet."""
    store.put(A, b"1")
    caught: list[StoreError] = []
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: store.get(A),
        "put": lambda: store.put(BESIDE, b"1"),
        "scan": lambda: list(store.scan()),
        "transaction": lambda: store.transaction().__enter__(),
    }
    seals = store._namespace.ledger.seals
    whole = seals.sum

    def interrupted(*arguments: Any) -> bytes:
        try:
            calls[call]()
        except StoreError as error:
            caught.append(error)
        return whole(*arguments)

    monkeypatch.setattr(seals, "sum", interrupted)
    assert store.put(A, b"2") == 2
    with store.transaction() as inside:
        assert inside.put(A, b"3") == 3
    assert [type(error) for error in caught] == [StoreBusy, StoreBusy]
    assert "do it when the handler has returned" in str(caught[0])
    monkeypatch.undo()
    assert store.get(A) == Record(b"3", 3)
    calls[call]()


def test_a_transaction_is_not_another_threads(store: SealedStore) -> None:
    caught: list[BaseException] = []

    def use() -> None:
        try:
            inside.get(A)
        except StoreMisused as error:
            caught.append(error)

    with store.transaction() as inside:
        inside.put(A, b"1")
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert "the transaction is another thread's" in str(caught[0])


def test_a_value_is_bytes_and_nothing_else(store: SealedStore) -> None:
    with pytest.raises(TypeError, match="a record's value is bytes, not str"):
        store.put(A, "text")  # type: ignore[arg-type]
    assert store.get(A) is None


# What is remembered.


def bucket(version: int, records: int, sealed: bytes = b"") -> Bucket:
    return Bucket(b"", {str(n): b"" for n in range(records)}, 0, version, sealed)


def test_a_process_remembers_no_more_records_than_it_may() -> None:
    knowledge = Knowledge(records=10)
    for number in range(5):
        knowledge.learn(("one", number), bucket(1, 4))
    remembered = [number for number in range(5) if knowledge.get(("one", number))]
    assert remembered == [3, 4]
    assert [knowledge.newest(("one", number))[0] for number in range(6)] == [1, 1, 1, 1, 1, 0]


def test_what_was_used_last_is_forgotten_last() -> None:
    knowledge = Knowledge(records=10)
    knowledge.learn(("one", 0), bucket(1, 4))
    knowledge.learn(("one", 1), bucket(1, 4))
    assert knowledge.get(("one", 0))
    knowledge.learn(("one", 2), bucket(1, 4))
    assert [bool(knowledge.get(("one", number))) for number in range(3)] == [True, False, True]


def test_a_bucket_larger_than_the_limit_is_remembered_alone() -> None:
    knowledge = Knowledge(records=10)
    knowledge.learn(("one", 0), bucket(1, 4))
    knowledge.learn(("one", 1), bucket(1, 40))
    assert [bool(knowledge.get(("one", number))) for number in range(2)] == [False, True]
    knowledge.learn(("one", 1), bucket(2, 4))
    knowledge.learn(("one", 0), bucket(2, 4))
    assert all(knowledge.get(("one", number)) for number in range(2))


def test_what_is_known_never_goes_back() -> None:
    knowledge = Knowledge()
    knowledge.learn(("one", 0), bucket(3, 4, b"three"))
    knowledge.learn(("one", 0), bucket(2, 1, b"two"))
    found = knowledge.get(("one", 0))
    assert found is not None
    assert (found.version, knowledge.newest(("one", 0))) == (3, (3, b"three"))
    assert knowledge.get(("two", 0)) is None


def test_a_forked_child_begins_with_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    knowledge = Knowledge()
    knowledge.learn(("one", 0), bucket(3, 4))
    knowledge._lock.acquire()  # as another thread of the parent might have
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert knowledge.get(("one", 0)) is None
    assert knowledge.newest(("one", 0)) == (0, None)
