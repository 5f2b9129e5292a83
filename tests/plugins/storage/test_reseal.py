"""Sealing everything anew under a fresh key: at any moment all is readable."""

from __future__ import annotations

import threading
from itertools import islice, pairwise

import pytest

from hauberk.ports import Record
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.storage.buckets import BUCKETS
from hauberk_plugins.storage.sealed import SealedStore
from hauberk_plugins.storage.secure_storage import SecureStorage, Stores

RECORDS = 150
PLUGINS = ("one", "two")


@pytest.fixture
def storage(stores: Stores, encryption: DataEncryption) -> SecureStorage:
    """Records of two plugins, sealed under the first key."""
    made = process(stores, encryption)
    for plugin in PLUGINS:
        with made.scoped(plugin).transaction() as inside:
            for number in range(RECORDS):
                inside.put(f"{number}", value(plugin, number))
    with made.scoped("one").transaction() as inside:
        inside.put("0", value("one", 0))
        inside.put("gone", b"")
        inside.delete("gone")
    return made


def process(stores: Stores, encryption: DataEncryption) -> SecureStorage:
    return SecureStorage(stores, encryption.scoped("storage"), lambda: 5)


def value(plugin: str, number: int) -> bytes:
    return f"{plugin} {number}".encode()


def check_all(storage: SecureStorage) -> None:
    """Everything reads as it was written, with its version and time."""
    for plugin in PLUGINS:
        store = storage.scoped(plugin)
        for number in range(RECORDS):
            version = 2 if (plugin, number) == ("one", 0) else 1
            assert store.get(f"{number}") == Record(value(plugin, number), version)
        assert len(list(store.scan())) == RECORDS
        assert {written_ns for _, _, written_ns in store.written()} == {5}


def test_everything_is_sealed_under_the_fresh_key_and_reads_as_before(
    storage: SecureStorage, stores: Stores, encryption: DataEncryption
) -> None:
    assert storage.outdated() == 0
    encryption.rotate()
    assert storage.outdated() == 2 * RECORDS
    left = list(storage.reseal())
    assert left == sorted(left, reverse=True)
    assert left[0] < 2 * RECORDS
    assert left[-1] == 0
    assert storage.outdated() == 0
    check_all(storage)
    assert encryption.retire() == 1
    check_all(storage)
    check_all(process(stores, encryption))


def test_whoever_stops_goes_on_where_it_was(
    storage: SecureStorage, stores: Stores, encryption: DataEncryption
) -> None:
    encryption.rotate()
    seen = []
    for stopped_after in (1, 40, 90, None):
        again = process(stores, encryption)  # as after a kill
        list(islice(again.reseal(), stopped_after))
        check_all(again)
        check_all(storage)
        seen.append(again.outdated())
    assert seen == sorted(set(seen), reverse=True)
    assert seen[-1] == 0


def test_what_is_sealed_under_the_present_key_is_not_written_again(
    storage: SecureStorage, stores: Stores
) -> None:
    before = {plugin: dict(stores.scoped(f"sealed/{plugin}").scan()) for plugin in PLUGINS}
    list(storage.reseal())
    for plugin in PLUGINS:
        assert dict(stores.scoped(f"sealed/{plugin}").scan()) == before[plugin]


def test_sums_are_sealed_anew_too_also_of_empty_buckets(
    storage: SecureStorage, encryption: DataEncryption, stores: Stores
) -> None:
    store = storage.scoped("one")
    for number in range(1, RECORDS, 2):
        store.delete(f"{number}")
    encryption.rotate()
    list(storage.reseal())
    encryption.retire()
    fresh = process(stores, encryption).scoped("one")
    assert len(list(fresh.scan())) == RECORDS // 2
    for number in range(BUCKETS):
        assert fresh.get(f"x{number}") is None


@pytest.mark.parametrize("stores", ["memory"], indirect=True)
def test_a_bucket_of_many_records_is_sealed_in_several_steps(
    stores: Stores, encryption: DataEncryption
) -> None:
    storage = process(stores, encryption)
    with storage.scoped("one").transaction() as inside:
        for number in range(6_000):
            inside.put(f"{number}", b"")
    encryption.rotate()
    steps = list(storage.reseal())
    assert len(steps) > BUCKETS
    assert max(a - b for a, b in pairwise(steps)) <= 64
    assert steps[-1] == storage.outdated() == 0


def test_writers_go_on_meanwhile_and_lose_nothing(
    storage: SecureStorage, stores: Stores, encryption: DataEncryption
) -> None:
    failures: list[BaseException] = []
    counts = [0, 0]
    stop = threading.Event()

    def write(mine: SealedStore, which: int) -> None:
        try:
            while not stop.is_set():
                record = mine.get(f"count{which}")
                mine.put(
                    f"count{which}",
                    str(counts[which] + 1).encode(),
                    version=0 if record is None else record.version,
                )
                counts[which] += 1
        except BaseException as error:
            failures.append(error)

    writers = (storage.scoped("one"), process(stores, encryption).scoped("one"))
    threads = [threading.Thread(target=write, args=(s, n)) for n, s in enumerate(writers)]
    for thread in threads:
        thread.start()
    encryption.rotate()
    list(process(stores, encryption).reseal())
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert min(counts) > 0
    for number, total in enumerate(counts):
        assert storage.scoped("one").get(f"count{number}") == Record(str(total).encode(), total)
    assert storage.outdated() == 0
