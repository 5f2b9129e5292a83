from __future__ import annotations

import secrets
import threading

import pytest

from hauberk import StoreError
from hauberk.ports import Record
from hauberk.testing import MemoryStore
from hauberk_plugins.auth.errors import BadRecord, PepperMissing
from hauberk_plugins.auth.once import made_once
from hauberk_plugins.auth.peppers import RECORD, Peppers


def peppers(store: MemoryStore) -> Peppers:
    return Peppers(lambda: store, secrets.token_bytes)


def test_it_is_made_once_and_found_again() -> None:
    store = MemoryStore()
    first = peppers(store).current()
    assert len(first.value.reveal()) == 32
    assert peppers(store).current() == first
    assert peppers(store).get(first.id) == first


def test_two_processes_that_start_at_once_make_one() -> None:
    store, barrier = MemoryStore(), threading.Barrier(8)
    found = []

    def start() -> None:
        mine = peppers(store)
        barrier.wait()
        found.append(mine.current().id)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_whoever_is_slower_takes_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    mine = peppers(store)
    real = store.get

    def get(name: str) -> Record | None:
        monkeypatch.setattr(store, "get", real)
        peppers(store).rotate()
        return None

    monkeypatch.setattr(store, "get", get)
    assert mine.current() == peppers(store).current()


def test_a_rotation_keeps_the_older_ones_and_others_see_it() -> None:
    store = MemoryStore()
    mine, theirs = peppers(store), peppers(store)
    old = mine.current()
    fresh = theirs.rotate()
    assert mine.current() == fresh != old
    assert mine.get(old.id) == theirs.get(old.id) == old


def test_a_lost_record_is_noticed_and_not_taken_for_another_pepper() -> None:
    store = MemoryStore()
    lost = peppers(store).current()
    store.delete(RECORD)
    mine = peppers(store)
    assert mine.current().id != lost.id
    with pytest.raises(PepperMissing):
        mine.get(lost.id)


@pytest.mark.parametrize(
    "value",
    [b"", b"[]", b"{}", b'{"current": "a", "peppers": {}}', b'{"current": 1, "peppers": {"a": 5}}',
     b'{"current": "a", "peppers": {"a": "not base64"}}', b"[" * 100_000],
)  # fmt: skip
def test_a_record_that_is_none_is_an_error_and_stays(value: bytes) -> None:
    store = MemoryStore()
    store.put(RECORD, value)
    with pytest.raises(BadRecord, match="restore it from a backup"):
        peppers(store).current()
    record = store.get(RECORD)
    assert record is not None
    assert record.value == value


def test_a_store_that_fails_is_told() -> None:
    store = MemoryStore()
    store.error = StoreError("disk full")
    with pytest.raises(StoreError, match="disk full"):
        peppers(store).current()


def test_a_secret_is_drawn_once() -> None:
    store = MemoryStore()
    first = made_once(store, "key", secrets.token_bytes)
    assert made_once(store, "key", secrets.token_bytes) == first
    assert made_once(store, "other", secrets.token_bytes) != first


def test_a_secret_that_another_process_draws_meanwhile_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    real = store.get

    def get(name: str) -> Record | None:
        monkeypatch.setattr(store, "get", real)
        store.put("key", b"theirs")
        return None

    monkeypatch.setattr(store, "get", get)
    assert made_once(store, "key", secrets.token_bytes).reveal() == b"theirs"
