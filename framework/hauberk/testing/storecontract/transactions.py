"""Rules about transactions and threads."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Final

from hauberk.errors import StoreConflict, StoreError
from hauberk.ports import Record, Scoped, Store
from hauberk.testing.storecontract.failure import raises, same
from hauberk.testing.storecontract.records import store_of, values

_THREADS: Final = 4
_TURNS: Final = 15
#: How long a reader may be kept waiting by a transaction before it is taken to be.
_PATIENCE_S: Final = 0.2


def a_transaction_is_kept_whole(stores: Scoped) -> None:
    """And sees what it has written itself."""
    store = store_of(stores)
    store.put("a", b"1")
    store.put("b", b"1")
    with store.transaction() as inside:
        same(inside.put("a", b"2", version=1), 2, "put")
        same(inside.get("a"), Record(b"2", 2), "get of what it wrote")
        inside.delete("b")
        same(inside.get("b"), None, "get of what it removed")
        same(inside.put("b", b"3"), 1, "put of what it removed")
        same(inside.put("c", b"4"), 1, "put")
        same(values(inside), [("a", b"2"), ("b", b"3"), ("c", b"4")], "scan within")
        same(set(inside.get_many(["a", "c", "d"])), {"a", "c"}, "get_many within")
    same(values(store), [("a", b"2"), ("b", b"3"), ("c", b"4")], "scan afterwards")


def an_exception_undoes_a_transaction(stores: Scoped) -> None:
    """And is the one that the caller sees."""
    store = store_of(stores)
    store.put("a", b"1")
    before = list(store.scan())
    for error in (ValueError("mine"), KeyboardInterrupt()):
        try:
            with store.transaction() as inside:
                inside.put("a", b"2")
                inside.put("b", b"2")
                inside.delete("a")
                raise error
        except BaseException as raised:
            same(raised, error, "what was raised")
    same(list(store.scan()), before, "scan afterwards")
    same(store.put("a", b"2", version=1), 2, "put afterwards")


def a_transaction_within_another_is_part_of_it(stores: Scoped) -> None:
    """It is kept only with the outer one, and undone by itself if it fails."""
    store = store_of(stores)
    with store.transaction() as outer:
        outer.put("a", b"1")
        with suppress(ValueError), outer.transaction() as inner:
            inner.put("a", b"2")
            inner.put("b", b"2")
            raise ValueError
        same(values(outer), [("a", b"1")], "scan after the inner one failed")
        with outer.transaction() as inner:
            inner.put("c", b"3")
    same(values(store), [("a", b"1"), ("c", b"3")], "scan after the outer one was kept")
    with suppress(ValueError), store.transaction() as outer:
        with store.transaction() as inner:
            inner.put("d", b"4")
        same(outer.get("d"), Record(b"4", 1), "get of what the inner one wrote")
        raise ValueError
    same(values(store), [("a", b"1"), ("c", b"3")], "scan after the outer one failed")


def a_conflict_does_not_end_a_transaction(stores: Scoped) -> None:
    """Who catches it goes on."""
    store = store_of(stores)
    store.put("a", b"1")
    with store.transaction() as inside:
        inside.put("b", b"1")
        raises(StoreConflict, inside.put, "a", b"2", version=0)
        raises(StoreConflict, inside.delete, "a", version=7)
        inside.put("c", b"1")
    same(values(store), [("a", b"1"), ("b", b"1"), ("c", b"1")], "scan")


def a_transaction_that_has_ended_is_refused(stores: Scoped) -> None:
    """What would be done through it would be in no transaction at all."""
    store = store_of(stores)
    with store.transaction() as kept:
        with kept.transaction() as inner:
            inner.put("a", b"1")
        raises(StoreError, inner.put, "a", b"2")
    with suppress(ValueError), store.transaction() as undone:
        raise ValueError
    for ended in (kept, undone):
        raises(StoreError, ended.get, "a")
        raises(StoreError, ended.get_many, ["a"])
        raises(StoreError, ended.put, "a", b"2")
        raises(StoreError, ended.delete, "a")
        raises(StoreError, values, ended)
        raises(StoreError, _begin, ended)
    same(values(store), [("a", b"1")], "scan")


def nobody_sees_half_a_transaction(stores: Scoped) -> None:
    """Another thread reads what stood before, or waits until the transaction has ended."""
    store = store_of(stores)
    before = {"a": b"1", "b": b"1"}
    for name, value in before.items():
        store.put(name, value)
    one_by_one: list[dict[str, bytes]] = []
    at_once: list[dict[str, bytes]] = []

    def read() -> None:
        one_by_one.append({name: record.value for name in before if (record := store.get(name))})
        at_once.append({name: record.value for name, record in store.get_many(before).items()})
        at_once.append(dict(values(store)))

    reader = threading.Thread(target=read, daemon=True)
    with store.transaction() as inside:
        inside.put("a", b"2")
        reader.start()
        reader.join(_PATIENCE_S)
        early = one_by_one + at_once
        inside.put("b", b"2")
    reader.join()
    for seen in early:
        same(seen, before, "what another thread read before the end")
    for seen in at_once:
        same(len(set(seen.values())), 1, "how many different values were read at one moment")


def threads_lose_nothing_to_each_other(stores: Scoped) -> None:
    """Counting up by compare-and-set, and in transactions, from several threads."""
    store = store_of(stores)
    failures: list[BaseException] = []

    def count() -> None:
        try:
            for _ in range(_TURNS):
                _count_by_version(store, "compared")
                with store.transaction() as inside:
                    record = inside.get("together")
                    number = 0 if record is None else int(record.value)
                    inside.put("together", str(number + 1).encode())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=count) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    total = _THREADS * _TURNS
    for name in ("compared", "together"):
        same(store.get(name), Record(str(total).encode(), total), f"the count {name!r}")


def _count_by_version(store: Store, name: str) -> None:
    while True:
        record = store.get(name)
        number, version = (0, 0) if record is None else (int(record.value), record.version)
        with suppress(StoreConflict):
            store.put(name, str(number + 1).encode(), version=version)
            return


def _begin(store: Store) -> None:
    with store.transaction():
        pass
