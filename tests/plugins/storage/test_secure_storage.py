"""Sealed records: what whoever can write to the store cannot do unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from hauberk.errors import HauberkError, SealError, StoreError
from hauberk.ports import Record
from hauberk.testing import MemoryVault
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.errors import Swapped, Tampered, Truncated
from hauberk_plugins.storage.buckets import BUCKETS, place
from hauberk_plugins.storage.errors import (
    RecordAdded,
    RecordMissing,
    RecordReplayed,
    StoreTooRecent,
    SumMissing,
    SumReplayed,
)
from hauberk_plugins.storage.sealed import SealedStore
from hauberk_plugins.storage.secure_storage import SecureStorage, Stores

if TYPE_CHECKING:
    from tests.plugins.storage.conftest import Attacker

_NAMES = [str(number) for number in range(1_000)]
A = "a"
#: Two more names in the bucket of `A`, and one in another.
B, C = [name for name in _NAMES if place(name).bucket == place(A).bucket][:2]
ELSEWHERE = next(name for name in _NAMES if place(name).bucket != place(A).bucket)
KEY, SUM = place(A).key, place(A).sum_key
BUCKET = f"bucket {place(A).bucket:02x} of 'one'"


#: Where thousands of changes are tried, and the disk has no part in what comes of them.
IN_MEMORY = pytest.mark.parametrize("stores", ["memory"], indirect=True)


class World:
    """Sealed records of the plugin `one`, and processes that share them."""

    def __init__(self, stores: Stores, encryption: DataEncryption, attacker: Attacker) -> None:
        self.stores = stores
        self.encryption = encryption
        self.attacker = attacker
        self.now_ns = 1_700_000_000_000_000_000
        self.storage = self.process()
        self.store = self.storage.scoped("one")

    def process(self, **options: Any) -> SecureStorage:
        """Another process: it knows nothing of what this one has seen."""
        vault = self.encryption.scoped("storage")
        return SecureStorage(self.stores, vault, lambda: self.now_ns, **options)

    def fresh(self) -> SealedStore:
        return self.process().scoped("one")

    def everybody(self) -> tuple[SealedStore, SealedStore]:
        """One that knows the bucket as it was, and one that has never looked."""
        return self.store, self.fresh()


@pytest.fixture
def world(stores: Stores, encryption: DataEncryption, attacker: Attacker) -> World:
    made = World(stores, encryption, attacker)
    made.store.put(A, b"old")
    made.store.put(B, b"beside")
    return made


def refused(store: SealedStore, name: str = A) -> HauberkError:
    """Have every way of reading and writing refuse a record; return what `get` says."""
    with pytest.raises(HauberkError) as caught:
        store.get(name)
    for call in (
        lambda: store.get_many([name]),
        lambda: list(store.scan()),
        lambda: store.written_ns(name),
        lambda: store.put(name, b"over it"),
        lambda: store.delete(name),
    ):
        with pytest.raises(HauberkError) as again:
            call()
        assert type(again.value) is type(caught.value)
    return caught.value


# What is kept.


def test_the_store_holds_no_value(world: World) -> None:
    world.store.put(A, b"c4nary" * 20)
    held = b"".join(row.value for row in world.attacker.rows().values())
    assert b"c4nary" not in held
    assert world.stores.scoped("one").get(A) is None


def test_what_a_plugin_keeps_unsealed_is_kept_apart(world: World) -> None:
    bare = world.stores.scoped("one")
    for key in (KEY, SUM, A):
        bare.put(key, b"mine")
    assert world.store.get(A) == Record(b"old", 1)
    world.store.delete(A)
    assert [name for name, _ in bare.scan()] == sorted([KEY, SUM, A])


def test_the_time_of_writing_is_kept(world: World) -> None:
    assert world.store.written_ns(A) == 1_700_000_000_000_000_000
    world.now_ns = 1_800_000_000_000_000_000
    world.store.put(A, b"new")
    assert world.store.written_ns(A) == 1_800_000_000_000_000_000
    assert world.store.written_ns(B) == 1_700_000_000_000_000_000
    assert world.store.written_ns("nothing") is None
    assert world.store.written(B) == [(B, 1, 1_700_000_000_000_000_000)]


def test_one_process_sees_what_another_wrote(world: World) -> None:
    other = world.fresh()
    for number in range(5):
        assert other.put(A, b"%d" % number) == 2 * number + 2
        assert world.store.put(A, b"mine") == 2 * number + 3
        assert other.get(A) == Record(b"mine", 2 * number + 3)
    other.delete(A)
    assert world.store.get(A) is None
    assert world.store.get(B) == Record(b"beside", 1)


# What an attacker does.


def test_a_record_put_back_as_it_was_is_refused(world: World) -> None:
    before = world.attacker.rows()
    world.store.put(A, b"new")
    world.attacker.write(KEY, before[KEY])
    known, fresh = world.everybody()
    error = refused(known)
    assert type(error) is RecordReplayed
    assert str(error).startswith(f"record {A!r} of 'one' was put back as it was before")
    error = refused(fresh)
    assert type(error) is RecordReplayed
    assert BUCKET in str(error)


def test_an_older_value_in_the_latest_row_is_refused(world: World) -> None:
    before = world.attacker.rows()
    world.store.put(A, b"new")
    now = world.attacker.rows()
    world.attacker.write(KEY, Record(before[KEY].value, now[KEY].version))
    for store in world.everybody():
        assert type(refused(store)) is RecordReplayed


def test_an_older_value_that_says_to_be_the_latest_version_is_refused(world: World) -> None:
    before = world.attacker.rows()[KEY].value
    world.store.put(A, b"new")
    now = world.attacker.rows()[KEY]
    world.attacker.write(KEY, Record(now.value[:8] + before[8:], now.version))
    for store in world.everybody():
        assert isinstance(refused(store), SealError)


def test_a_record_from_before_it_was_removed_and_written_again_is_refused(world: World) -> None:
    before = world.attacker.rows()
    world.store.delete(A)
    world.store.put(A, b"new")
    assert world.store.get(A) == Record(b"new", 1), "the same version as the old one"
    world.attacker.write(KEY, before[KEY])
    for store in world.everybody():
        assert type(refused(store)) is RecordReplayed


def test_a_record_removed_behind_the_back_is_missed(world: World) -> None:
    world.attacker.write(KEY, None)
    for store in world.everybody():
        assert type(refused(store)) is RecordMissing


def test_a_removed_record_that_is_put_back_is_refused(world: World) -> None:
    before = world.attacker.rows()
    world.store.delete(A)
    world.attacker.write(KEY, before[KEY])
    for store in world.everybody():
        assert type(refused(store)) is RecordAdded


def test_a_record_under_another_name_is_refused(world: World) -> None:
    rows = world.attacker.rows()
    world.attacker.write(KEY, rows[place(B).key])
    world.attacker.write(place(B).key, rows[KEY])
    for store in world.everybody():
        assert type(refused(store)) is Swapped
        assert type(refused(store, B)) is Swapped


def test_a_copy_under_a_name_that_was_never_written_is_refused(world: World) -> None:
    world.attacker.write(place(C).key, world.attacker.rows()[KEY])
    known, fresh = world.everybody()
    assert type(refused(known, C)) is RecordAdded
    assert type(refused(fresh, C)) is Swapped


def test_a_record_of_another_plugin_is_refused(world: World) -> None:
    world.storage.scoped("two").put(A, b"theirs")
    theirs = type(world.attacker)(world.stores, "sealed/two").rows()
    for keys in ([KEY], [KEY, SUM], [SUM]):
        before = world.attacker.rows()
        for key in keys:
            world.attacker.write(key, theirs[key])
        assert isinstance(refused(world.fresh()), SealError)
        world.attacker.put_back(before)


@IN_MEMORY
def test_every_changed_bit_of_a_record_is_noticed(world: World) -> None:
    row = world.attacker.rows()[KEY]
    kinds = set()
    for number in range(8 * len(row.value)):
        changed = bytearray(row.value)
        changed[number // 8] ^= 1 << number % 8
        world.attacker.write(KEY, Record(bytes(changed), row.version))
        for store in world.everybody():
            with pytest.raises(SealError) as caught:
                store.get(A)
            kinds.add(type(caught.value))
    assert Tampered in kinds
    world.attacker.write(KEY, row)
    assert world.store.get(A) == Record(b"old", 1)


@IN_MEMORY
def test_every_shorter_record_is_noticed(world: World) -> None:
    row = world.attacker.rows()[KEY]
    for length in range(len(row.value)):
        world.attacker.write(KEY, Record(row.value[:length], row.version))
        for store in world.everybody():
            with pytest.raises(SealError) as caught:
                store.get(A)
            assert isinstance(caught.value, Truncated), length


# The sum.


def test_a_sum_that_is_gone_is_missed(world: World) -> None:
    world.attacker.write(SUM, None)
    for store in world.everybody():
        assert type(refused(store)) is SumMissing


def test_an_older_sum_is_refused(world: World) -> None:
    before = world.attacker.rows()
    world.store.put(A, b"new")
    world.attacker.write(SUM, before[SUM])
    known, fresh = world.everybody()
    assert type(refused(known)) is SumReplayed
    assert type(refused(fresh)) is RecordReplayed


@pytest.mark.parametrize("change", ["version", "value"])
def test_a_sum_is_bound_to_its_version(world: World, change: str) -> None:
    before = world.attacker.rows()
    world.store.put(A, b"new")
    now = world.attacker.rows()
    row = (
        Record(now[SUM].value, now[SUM].version + 1)
        if change == "version"
        else Record(before[SUM].value, now[SUM].version)
    )
    world.attacker.write(SUM, row)
    for store in world.everybody():
        assert isinstance(refused(store), SealError)


@IN_MEMORY
def test_every_changed_byte_of_a_sum_is_noticed(world: World) -> None:
    row = world.attacker.rows()[SUM]
    for number in range(len(row.value)):
        changed = bytearray(row.value)
        changed[number] ^= 0x10
        world.attacker.write(SUM, Record(bytes(changed), row.version))
        for store in world.everybody():
            with pytest.raises(SealError):
                store.get(A)


def test_the_sum_of_another_bucket_is_refused(world: World) -> None:
    world.store.put(ELSEWHERE, b"")
    world.attacker.write(SUM, world.attacker.rows()[place(ELSEWHERE).sum_key])
    for store in world.everybody():
        assert isinstance(refused(store), SealError)


def test_a_bucket_put_back_whole_is_noticed_by_who_has_seen_it_since(world: World) -> None:
    before = world.attacker.rows()
    world.store.put(A, b"new")
    world.attacker.put_back(before)
    assert type(refused(world.store)) is SumReplayed
    # Whoever has not cannot know: a witness elsewhere would.
    assert world.fresh().get(A) == Record(b"old", 1)


def test_a_bucket_removed_whole_is_noticed_by_who_has_seen_it(world: World) -> None:
    world.attacker.put_back({})
    assert type(refused(world.store)) is SumMissing
    assert world.fresh().get(A) is None


def test_another_history_of_the_same_length_is_noticed(world: World) -> None:
    before = world.attacker.rows()
    world.store.put(A, b"ours")
    world.attacker.put_back(before)
    world.fresh().put(A, b"theirs")
    assert type(refused(world.store)) is SumReplayed


@IN_MEMORY
def test_what_is_no_longer_remembered_is_still_not_put_back(world: World) -> None:
    store = world.process(records=1).scoped("one")
    before = world.attacker.rows()
    store.put(A, b"new")
    for name in _NAMES[:300]:
        if place(name).bucket != place(A).bucket:
            store.put(name, b"")
    world.attacker.put_back({**world.attacker.rows(), KEY: before[KEY], SUM: before[SUM]})
    assert type(refused(store)) is SumReplayed


# What is noticed goes no further than it must, and is not written over.


def test_other_buckets_go_on(world: World) -> None:
    world.attacker.write(KEY, None)
    for store in world.everybody():
        assert store.put(ELSEWHERE, b"1") >= 1
        assert store.get(ELSEWHERE) is not None


def test_a_change_is_not_written_over(world: World) -> None:
    world.attacker.write(KEY, None)
    before = world.attacker.rows()
    fresh = world.fresh()
    for name in (A, B, C):
        with pytest.raises(RecordMissing):
            fresh.put(name, b"!")
    with pytest.raises(RecordMissing):
        list(world.process().reseal())
    assert world.attacker.rows() == before
    # Who knows the bucket may go on beside it; what is missing is missed all the same.
    world.store.put(C, b"1")
    for store in world.everybody():
        assert type(refused(store)) is RecordMissing


def test_what_is_put_right_again_can_be_used(world: World) -> None:
    before = world.attacker.rows()
    world.attacker.write(KEY, None)
    known, fresh = world.everybody()
    refused(known)
    refused(fresh)
    world.attacker.put_back(before)
    for store in (known, fresh):
        assert store.get(A) == Record(b"old", 1)


def test_rows_that_are_nothing_of_ours_are_left_alone(world: World) -> None:
    for key in ("x", "zz/s", "00/x", "00/", f"{SUM}/", "0/r/a"):
        world.attacker.write(key, Record(b"junk", 1))
    for store in world.everybody():
        assert [name for name, _ in store.scan()] == sorted([A, B])
        assert store.put(A, b"new") > 1


def test_an_error_says_who_what_and_what_to_do(world: World) -> None:
    world.attacker.write(KEY, None)
    error = refused(world.store)
    assert isinstance(error, SealError)
    assert isinstance(error, StoreError)
    assert str(error) == (
        f"record {A!r} of 'one' was removed: somebody changed the store behind Hauberk's back; "
        "find out who, and put the whole store back from a backup"
    )


def test_a_later_versions_sum_is_said(world: World) -> None:
    vault = world.encryption.scoped("storage")
    rows = world.attacker.rows()
    sealed = vault.seal(f"3:one/{SUM}", b"\x02" + bytes(72), version=rows[SUM].version)
    world.attacker.write(SUM, Record(sealed, rows[SUM].version))
    with pytest.raises(StoreTooRecent, match="a later version of Hauberk wrote there"):
        world.fresh().get(A)


@IN_MEMORY
def test_no_two_places_are_bound_alike(stores: Stores) -> None:
    seen: dict[str, tuple[str, str]] = {}

    class Noting(MemoryVault):
        def seal(self, name: str, value: bytes, *, version: int = 0) -> bytes:
            place = (plugin, "sum" if len(value) == 73 else record)
            assert seen.setdefault(name, place) == place
            return super().seal(name, value, version=version)

    storage = SecureStorage(stores, Noting())
    plugin = record = "claim"
    storage.claim.hold()
    names = ["", "s", "r/", "a", "a/r/b", "00/s", "1:a/00/r/", "\0", ":"]
    for plugin in ("a", "1:a", "a/", "a/00", "", "1"):
        for record in names:
            storage.scoped(plugin).put(record, b"")
    assert len([place for place in seen.values() if place[1] != "sum"]) == 6 * len(names) + 1


def test_every_bucket_is_used() -> None:
    counts = [0] * BUCKETS
    for number in range(64_000):
        counts[place(f"name/{number}").bucket] += 1
    assert min(counts) > 800
    assert max(counts) < 1_200


def test_whoever_cannot_unseal_reads_nothing(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    class Gone:
        def seal(self, name: str, value: bytes, *, version: int = 0) -> bytes:
            raise SealError("there is no key")

        def open(self, name: str, sealed: bytes, *, version: int = 0) -> Any:
            raise SealError("there is no key")

        def is_current(self, sealed: bytes) -> bool:
            raise SealError("there is no key")

    before = world.attacker.rows()
    store = SecureStorage(world.stores, Gone()).scoped("one")
    calls: list[Callable[[], object]] = [
        lambda: store.get(A),
        lambda: store.put(A, b"!"),
        lambda: store.put(ELSEWHERE, b"!"),
        lambda: list(store.scan()),
    ]
    for call in calls:
        with pytest.raises(SealError, match="there is no key"):
            call()
    assert world.attacker.rows() == before
