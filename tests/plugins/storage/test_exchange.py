"""A sealed write without a look: it notices what a write after a look does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import HauberkError, StoreConflict
from hauberk.ports import Record
from hauberk.testing import MemoryStore, MemoryStores, MemoryVault
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.storage.buckets import place
from hauberk_plugins.storage.errors import RecordConflict, RecordMissing
from hauberk_plugins.storage.exchange import Exchange
from hauberk_plugins.storage.sealed import SealedStore
from hauberk_plugins.storage.secure_storage import SecureStorage

_NAMES = [str(number) for number in range(1_000)]
A = "a"
#: Two more names in the bucket of `A`.
B, C = [name for name in _NAMES if place(name).bucket == place(A).bucket][:2]
KEYS = [place(name).key for name in (A, B, C)] + [place(A).sum_key]


class ExchangingStore(MemoryStore):
    """Compares and sets in one step, as a database does that can."""

    def __init__(self) -> None:
        super().__init__()
        self.exchanged = 0
        self.before: Callable[[], object] = lambda: None

    def exchange(self, wanted: Exchange) -> bool:
        self.before()
        with self.transaction() as inside:
            record, sum_ = map(self._records.get, (wanted.key, wanted.sum_key))
            stood = None if record is None else sha256(record.value).digest()
            if stood != wanted.stood or sum_ != wanted.sum_stood:
                return False
            inside.put(wanted.key, wanted.stored)
            inside.put(wanted.sum_key, wanted.sum)
        self.exchanged += 1
        return True


class Listed(MemoryStores):
    """Stores in memory that say which there are."""

    def namespaces(self) -> tuple[str, ...]:
        return tuple(sorted(self.stores))


def exchanging() -> tuple[Listed, ExchangingStore]:
    stores, bare = Listed(), ExchangingStore()
    stores.stores["sealed/one"] = bare
    return stores, bare


def process(stores: Listed, vault: Any = None) -> SealedStore:
    return SecureStorage(stores, vault or MemoryVault()).scoped("one")


def test_a_write_to_what_is_known_is_made_without_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    stores, bare = exchanging()
    store = process(stores)
    store.put(A, b"1")
    assert bare.exchanged == 0, "nothing was known of the bucket"
    for read in ("get_many", "scan"):
        monkeypatch.setattr(bare, read, None)
    assert store.put(A, b"2", version=1) == 2
    assert store.put(A, b"3") == 3
    assert store.put(B, b"1", version=0) == 1
    assert bare.exchanged == 3
    monkeypatch.undo()
    for reader in (store, process(stores)):
        assert reader.get_many([A, B]) == {A: Record(b"3", 3), B: Record(b"1", 1)}


def test_a_write_to_a_bucket_that_is_not_known_looks() -> None:
    stores, bare = exchanging()
    process(stores).put(A, b"1")
    other = process(stores)
    assert other.put(A, b"2") == 2
    assert bare.exchanged == 0
    assert other.put(A, b"3") == 3
    assert bare.exchanged == 1


def test_what_others_wrote_is_seen_and_not_written_over() -> None:
    stores, _ = exchanging()
    store, other = process(stores), process(stores)
    for mine in (store, other):
        mine.put(A, b"1")
    with pytest.raises(RecordConflict, match=r"at version 2, not 1"):
        store.put(A, b"!", version=1)
    assert store.get(A) == Record(b"1", 2)
    assert other.put(A, b"3", version=2) == 3
    assert store.put(B, b"1") == 1
    assert other.put(B, b"2") == 2
    assert process(stores).get_many([A, B]) == {A: Record(b"3", 3), B: Record(b"2", 2)}


def test_what_others_write_at_the_last_moment_is_not_written_over() -> None:
    stores, bare = exchanging()
    store, other = process(stores), process(stores)
    store.put(A, b"1")

    def meanwhile() -> None:
        bare.before = lambda: None
        other.put(A, b"2")

    bare.before = meanwhile
    assert store.put(A, b"3") == 3
    bare.before = meanwhile
    with pytest.raises(StoreConflict):
        store.put(A, b"!", version=3)
    assert process(stores).get(A) == Record(b"2", 4)


def test_a_transaction_does_not_write_around_itself() -> None:
    stores, bare = exchanging()
    store = process(stores)
    store.put(A, b"1")
    with store.transaction():
        store.put(A, b"2")
        store.put(B, b"1")
    assert bare.exchanged == 0
    assert store.get_many([A, B]) == {A: Record(b"2", 2), B: Record(b"1", 1)}


def test_what_is_missing_is_not_written_over_and_the_rest_goes_on() -> None:
    stores, bare = exchanging()
    store = process(stores)
    store.put(A, b"1")
    store.put(B, b"1")
    bare.delete(place(A).key)
    with pytest.raises(RecordMissing):
        store.put(A, b"2")
    assert bare.get(place(A).key) is None
    assert store.put(B, b"2") == 2


class Slow:
    """Seals, and has something happen before what it has sealed is put to use."""

    def __init__(self, vault: Any, then: Callable[[], object]) -> None:
        self._vault, self._then = vault, then
        self.open, self.is_current = vault.open, vault.is_current

    def seal(self, name: str, value: bytes, *, version: int = 0) -> Any:
        sealed = self._vault.seal(name, value, version=version)
        self._then()
        return sealed


@pytest.mark.parametrize("name", [A, B])
@pytest.mark.parametrize("resealed_by", ["the same process", "another process"])
@pytest.mark.parametrize("sealed", [1, 2], ids=["record", "sum"])
def test_a_rotation_is_not_joined_by_a_record_under_the_key_before(
    encryption: DataEncryption, name: str, resealed_by: str, sealed: int
) -> None:
    """A writer seals, and stands still until a rotation is through and the old key retired."""
    stores, bare = exchanging()
    vault = encryption.scoped("storage")
    turns: list[int] = []

    def rotated() -> None:
        if not turns or turns.pop() != 1:
            return
        by = storage if resealed_by == "the same process" else SecureStorage(stores, vault)
        encryption.rotate()
        list(by.reseal())
        assert by.is_settled()
        encryption.retire()

    storage = SecureStorage(stores, Slow(vault, rotated))
    store = storage.scoped("one")
    store.put(A, b"1")
    turns += range(1, sealed + 1)
    store.put(name, b"2")
    assert turns == []
    assert SecureStorage(stores, vault).is_settled()
    found = process(stores, vault).get(name)
    assert found is not None
    assert found.value == b"2"
    assert store.put(name, b"3") == found.version + 1
    assert bare.exchanged == 1


def test_threads_lose_nothing_to_each_other() -> None:
    stores, bare = exchanging()
    one, other = process(stores), process(stores)
    one.put(A, b"0")

    def count_up(mine: SealedStore) -> None:
        for _ in range(30):
            while True:
                record = mine.get(A)
                assert record is not None
                try:
                    mine.put(A, str(int(record.value) + 1).encode(), version=record.version)
                    break
                except StoreConflict:
                    pass

    threads = [threading.Thread(target=count_up, args=(s,)) for s in (one, one, other, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert process(stores).get(A) == Record(b"120", 121)
    assert bare.exchanged > 0


# The same, with a look and without, whatever is done to the store.


class Side:
    """Two processes over one store, and an attacker who has copies of what stood there."""

    def __init__(self, bare: MemoryStore) -> None:
        self.stores, self.bare = Listed(), bare
        self.stores.stores["sealed/one"] = bare
        self.processes = [process(self.stores), process(self.stores)]
        self.seen: list[dict[str, Record]] = []

    def do(self, step: tuple[Any, ...]) -> object:
        """Do one thing; return what came of it."""
        self.seen.append(dict(self.bare.scan()))
        kind, *rest = step
        try:
            if kind == "put":
                who, name, version = rest
                return self.processes[who].put(name, b"%d" % len(self.seen), version=version)
            if kind == "delete":
                who, name = rest
                return self.processes[who].delete(name)
            if kind == "get":
                who, name = rest
                return self.processes[who].get(name)
            self.attack(*rest)
        except HauberkError as error:
            return type(error)
        return None

    def attack(self, key: str, earlier: int, place_at: str) -> None:
        """Put back a row as it stood once, under its name or another's; or have none there."""
        row = self.seen[-1 - earlier % len(self.seen)].get(key)
        self.bare._records.pop(place_at, None)
        if row is not None:
            self.bare._records[place_at] = row

    def stand(self) -> dict[str, object]:
        return {key: record.version for key, record in self.bare.scan()}


whos = st.integers(0, 1)
names = st.sampled_from([A, B, C])
writes = st.tuples(st.just("put"), whos, names, st.sampled_from([None, None, 0, 1, 2]))
attacks = st.sampled_from(KEYS).flatmap(
    lambda key: st.tuples(
        st.just("attack"),
        st.just(key),
        st.integers(0, 4),
        st.one_of(st.just(key), st.sampled_from(KEYS)),
    )
)
steps = st.one_of(
    writes,
    writes,
    st.tuples(st.just("delete"), whos, names),
    st.tuples(st.just("get"), whos, names),
    attacks,
)


@given(todo=st.lists(steps, max_size=30))
def test_a_write_without_a_look_notices_what_one_with_a_look_does(
    todo: list[tuple[Any, ...]],
) -> None:
    looking, exchanging = Side(MemoryStore()), Side(ExchangingStore())
    for step in todo:
        assert looking.do(step) == exchanging.do(step), step
        assert looking.stand() == exchanging.stand()
