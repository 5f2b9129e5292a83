"""The contract's rules are worth something: each finds the mistake that it is there for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from typing import Any

import pytest

from hauberk.errors import StoreConflict
from hauberk.ports import Record
from hauberk.testing import MemoryStore, MemoryStores
from hauberk.testing.storecontract import STORE_RULES, BrokenStore, StoreRule, check_store
from hauberk.testing.storecontract.machine import (
    Delete,
    Look,
    LookAtMany,
    Put,
    Race,
    Scan,
    Together,
    live,
)

RULES = {rule.__name__: rule for rule in STORE_RULES}


class SameVersion(MemoryStore):
    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        super().put(name, value, version=version)
        return 1


class KeepsCounting(MemoryStore):
    """Goes on from where a removed record was."""

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[str, int] = {}

    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        super().put(name, value, version=version)
        self.last[name] = self.last.get(name, 0) + 1
        self._records[name] = Record(value, self.last[name])
        return self.last[name]


class IgnoresZero(MemoryStore):
    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        return super().put(name, value, version=version or None)


class DeletesAnyVersion(MemoryStore):
    def delete(self, name: str, *, version: int | None = None) -> None:
        super().delete(name)


class FoldsCase(MemoryStore):
    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        with suppress(StoreConflict):
            return super().put(name.lower(), value, version=version)
        return 1


class CutsAtNul(MemoryStore):
    def get(self, name: str) -> Record | None:
        return super().get(name.partition("\0")[0])


class SortsByCase(MemoryStore):
    def scan(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        yield from sorted(super().scan(prefix), key=lambda item: item[0].casefold())


class SortsByUtf16(MemoryStore):
    def scan(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        yield from sorted(super().scan(prefix), key=lambda item: item[0].encode("utf-16-be"))


class ReadsPatterns(MemoryStore):
    def scan(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        found = list(super().scan())
        yield from (item for item in found if fnmatchcase(item[0], f"{prefix}*"))


class StopsAtNul(MemoryStore):
    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        return super().put(name, value.partition(b"\0")[0], version=version)


class ReadsAsItGoes(MemoryStore):
    def scan(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        for name in sorted(self._records):
            if name.startswith(prefix) and name in self._records:
                yield name, self._records[name]


class NeverUndoes(MemoryStore):
    @contextmanager
    def transaction(self) -> Iterator[Any]:
        yield self


class UndoesAll(MemoryStore):
    """Of one transaction within another, forgets what the outer one did."""

    depth = 0

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        before = dict(self._records) if not self.depth else {}
        self.depth += 1
        try:
            yield self
        except BaseException:
            self._records = before
            raise
        finally:
            self.depth -= 1


class Shared(MemoryStores):
    """Gives all plugins the same."""

    def scoped(self, plugin: str) -> MemoryStore:
        return super().scoped("all")


class Forgets(MemoryStore):
    """Loses a write now and then."""

    writes = 0

    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        self.writes += 1
        before = dict(self._records)
        written = super().put(name, value, version=version)
        if self.writes % 5 == 0:
            self._records = before
        return written


class AllNames(MemoryStore):
    def get_many(self, names: Iterable[str]) -> dict[str, Record]:
        return dict(self._records)


def providing(store: type[MemoryStore]) -> Callable[[], MemoryStores]:
    class Provider(MemoryStores):
        def scoped(self, plugin: str) -> MemoryStore:
            return self.stores.setdefault(plugin, store())

    return Provider


@pytest.mark.parametrize(
    ("store", "rule"),
    [
        (SameVersion, "versions_begin_at_1_and_rise_by_1"),
        (KeepsCounting, "versions_begin_at_1_and_rise_by_1"),
        (IgnoresZero, "a_version_that_is_given_must_stand"),
        (DeletesAnyVersion, "a_version_that_is_given_must_stand"),
        (DeletesAnyVersion, "what_was_never_written_is_not_there"),
        (FoldsCase, "any_text_is_only_a_name"),
        (CutsAtNul, "any_text_is_only_a_name"),
        (SortsByCase, "a_scan_goes_by_code_points"),
        (SortsByUtf16, "a_scan_goes_by_code_points"),
        (ReadsPatterns, "a_prefix_is_no_pattern"),
        (StopsAtNul, "any_bytes_are_a_value"),
        (ReadsAsItGoes, "what_a_scan_shows_is_of_one_moment"),
        (NeverUndoes, "an_exception_undoes_a_transaction"),
        (NeverUndoes, "a_transaction_within_another_is_part_of_it"),
        (NeverUndoes, "a_transaction_that_has_ended_is_refused"),
        (UndoesAll, "a_transaction_within_another_is_part_of_it"),
        (SameVersion, "lives_like_a_dict"),
    ],
)
def test_a_mistake_is_found(store: type[MemoryStore], rule: str) -> None:
    with pytest.raises(BrokenStore) as caught:
        check_store(providing(store), [RULES[rule]])
    assert str(caught.value).startswith(f"the store breaks the rule: {rule.replace('_', ' ')}\n")
    assert "\n  gave:   " in str(caught.value)


PUTS = [Put("a", b"", None)] * 5


@pytest.mark.parametrize(
    ("store", "life"),
    [
        (Forgets, PUTS),
        (Forgets, [Together(tuple(PUTS), is_kept=True)]),
        (AllNames, [Put("a", b"", None), LookAtMany(("b",))]),
        (NeverUndoes, [Together((Put("a", b"", None),), is_kept=False)]),
        (DeletesAnyVersion, [Put("a", b"", None), Delete("a", 3)]),
        (SameVersion, [Race((Put("a", b"", None),), (Put("a", b"", None),))]),
        (SortsByCase, [Put("b", b"", None), Put("C", b"", None), Scan("")]),
    ],
)
def test_a_life_that_a_dict_does_not_live_is_found(
    store: type[MemoryStore], life: list[Any]
) -> None:
    with pytest.raises(BrokenStore):
        live(store(), life)


def test_two_threads_may_come_in_any_order_and_in_no_other() -> None:
    race = Race((Put("a", b"1", 0), Look("a")), (Put("a", b"2", 0), Look("a")))
    for _ in range(20):
        live(MemoryStore(), [race, Look("a")])


def test_plugins_that_share_are_found() -> None:
    with pytest.raises(BrokenStore):
        check_store(Shared, [RULES["plugins_see_nothing_of_each_other"]])


def test_what_was_made_is_closed() -> None:
    closed: list[object] = []

    class Closing(MemoryStores):
        def close(self) -> None:
            closed.append(self)

    rules: list[StoreRule] = [RULES["what_was_never_written_is_not_there"]] * 2
    check_store(Closing, rules)
    assert len(closed) == 2
    with pytest.raises(BrokenStore):
        check_store(
            type("Both", (Closing, Shared), {}), [RULES["plugins_see_nothing_of_each_other"]]
        )
    assert len(closed) == 3


def test_without_hypothesis_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from hauberk.errors import MisuseError
    from hauberk.testing.extras import Absent
    from hauberk.testing.storecontract import machine

    monkeypatch.setattr(machine, "st", Absent("hypothesis"))
    with pytest.raises(MisuseError, match=r"pip install 'hauberk\[testing\]'"):
        check_store(MemoryStores, [RULES["lives_like_a_dict"]])
