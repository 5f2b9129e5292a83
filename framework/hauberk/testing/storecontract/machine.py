"""Random lives of a store beside a dict that lives the same, also from two threads at once.

What two threads did must be what some order of their calls would have done: all orders are tried
on the dict.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from attrs import field, frozen

from hauberk.errors import StoreConflict
from hauberk.ports import Scoped, Store
from hauberk.testing.extras import Absent
from hauberk.testing.storecontract.failure import BrokenStore, same

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

try:
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st
    from hypothesis.errors import Flaky
except ModuleNotFoundError:
    HealthCheck = given = settings = st = Absent("hypothesis")  # type: ignore[assignment,misc]
    Flaky = Exception  # type: ignore[assignment,misc]

#: Name to value and version.
Model: TypeAlias = dict[str, tuple[bytes, int]]

_NAMES: Final = ("a", "ab", "a%", "b", "é")
_CONFLICT: Final = "conflict"
#: How many lives the rule of the contract tries.
_EXAMPLES: Final = 25


class _Undo(Exception):
    """Ends a transaction so that it is undone."""


@frozen
class Put:
    """Write, at any version or at a certain one."""

    name: str
    value: bytes
    version: int | None

    def on(self, store: Store) -> object:
        """Do it; a conflict is an answer."""
        try:
            return store.put(self.name, self.value, version=self.version)
        except StoreConflict:
            return _CONFLICT

    def on_model(self, model: Model) -> object:
        """Do the same to a dict."""
        stands = model.get(self.name, (b"", 0))[1]
        if self.version not in (None, stands):
            return _CONFLICT
        model[self.name] = (self.value, stands + 1)
        return stands + 1


@frozen
class Delete:
    """Remove, at any version or at a certain one."""

    name: str
    version: int | None

    def on(self, store: Store) -> object:
        """Do it; a conflict is an answer."""
        try:
            store.delete(self.name, version=self.version)
        except StoreConflict:
            return _CONFLICT
        return None

    def on_model(self, model: Model) -> object:
        """Do the same to a dict."""
        stands = model.get(self.name, (b"", 0))[1]
        if self.version not in (None, stands):
            return _CONFLICT
        model.pop(self.name, None)
        return None


@frozen
class Look:
    """Read one record."""

    name: str

    def on(self, store: Store) -> object:
        """Do it."""
        record = store.get(self.name)
        return None if record is None else (record.value, record.version)

    def on_model(self, model: Model) -> object:
        """Do the same to a dict."""
        return model.get(self.name)


@frozen
class LookAtMany:
    """Read several records."""

    names: tuple[str, ...]

    def on(self, store: Store) -> object:
        """Do it."""
        return _plain(store.get_many(self.names).items())

    def on_model(self, model: Model) -> object:
        """Do the same to a dict."""
        return [(name, model[name]) for name in sorted(set(self.names)) if name in model]


@frozen
class Scan:
    """Read the records of a prefix."""

    prefix: str

    def on(self, store: Store) -> object:
        """Do it."""
        found = list(store.scan(self.prefix))
        same([name for name, _ in found], sorted(name for name, _ in found), "the order of a scan")
        return _plain(found)

    def on_model(self, model: Model) -> object:
        """Do the same to a dict."""
        return sorted(item for item in model.items() if item[0].startswith(self.prefix))


@frozen
class Together:
    """Do several things in a transaction, and keep or undo them."""

    steps: tuple[Any, ...]
    is_kept: bool

    def on(self, store: Store) -> object:
        """Do it."""
        done: list[object] = []
        with suppress(_Undo), store.transaction() as inside:
            done += [step.on(inside) for step in self.steps]
            if not self.is_kept:
                raise _Undo
        return done

    def on_model(self, model: Model) -> object:
        """Do the same to a dict."""
        copy = dict(model)
        done = [step.on_model(copy) for step in self.steps]
        if self.is_kept:
            model.clear()
            model.update(copy)
        return done


@frozen
class Race:
    """Do two series of things in two threads at once."""

    ours: tuple[Any, ...]
    theirs: tuple[Any, ...]


@frozen
class _Seen:
    """What came of a series of calls."""

    done: list[object] = field(factory=list)
    failures: list[BaseException] = field(factory=list)


def steps() -> SearchStrategy[Any]:
    """One thing to do, or several in a transaction, with transactions in it."""
    names = st.sampled_from(_NAMES)
    versions = st.sampled_from([None, None, None, 0, 1, 2, 3])
    values = st.binary(max_size=4)
    simple = st.one_of(
        st.builds(Put, names, values, versions),
        st.builds(Put, names, values, versions),
        st.builds(Delete, names, versions),
        st.builds(Look, names),
        st.builds(LookAtMany, st.lists(names, max_size=3).map(tuple)),
        st.builds(Scan, st.sampled_from(["", "a", "a%", "é", "z"])),
    )
    return st.recursive(
        simple,
        lambda inner: st.builds(
            Together, st.lists(inner, max_size=4).map(tuple), st.sampled_from([True, True, False])
        ),
        max_leaves=6,
    )


def lives() -> SearchStrategy[list[Any]]:
    """A series of steps and races."""
    few = st.lists(steps(), min_size=1, max_size=3).map(tuple)
    return st.lists(st.one_of(steps(), steps(), st.builds(Race, few, few)), max_size=12)


def live(store: Store, life: Sequence[Any]) -> None:
    """Live a life on an empty store and on a dict, and compare them after each step.

    Raises:
        BrokenStore: The store did what the dict did not.
    """
    model: Model = {}
    for step in life:
        if isinstance(step, Race):
            model = _raced(store, model, step)
        else:
            same(step.on(store), step.on_model(model), f"{step}")
        same(_plain(store.scan()), sorted(model.items()), f"what stands after {step}")


def lives_like_a_dict(stores: Scoped) -> None:
    """Whatever is done to it, also from two threads and in transactions within transactions."""
    if isinstance(st, Absent):
        st.refuse()
    fresh, broken = itertools.count(), list[BrokenStore]()

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(lives())
    def search(life: list[Any]) -> None:
        try:
            live(cast(Store, stores.scoped(f"life_{next(fresh)}")), life)
        except BrokenStore as failure:
            broken.append(failure)
            raise

    try:
        search()
    except (BrokenStore, Flaky):
        # The last one is the smallest; one that comes and goes is a failure all the same.
        if not broken:
            raise
        raise broken[-1].with_traceback(None) from None


def _raced(store: Store, model: Model, race: Race) -> Model:
    """Have two threads race; return what a dict holds that saw the same in some order."""
    both = (_Seen(), _Seen())
    start = threading.Barrier(2)

    def run(series: tuple[Any, ...], seen: _Seen) -> None:
        try:
            start.wait()
            seen.done.extend(step.on(store) for step in series)
        except BaseException as error:
            seen.failures.append(error)

    threads = [
        threading.Thread(target=run, args=arguments)
        for arguments in zip((race.ours, race.theirs), both, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in (*both[0].failures, *both[1].failures):
        raise failure
    stands = _plain(store.scan())
    for after, done in _orders(model, race):
        if done == (both[0].done, both[1].done) and sorted(after.items()) == stands:
            return after
    raise BrokenStore(f"{race}", (both[0].done, both[1].done, stands), "what some order would do")


def _orders(model: Model, race: Race) -> Iterator[tuple[Model, tuple[list[object], list[object]]]]:
    """Yield, for each order of the calls of two threads, what a dict would hold and answer."""
    total = len(race.ours) + len(race.theirs)
    for turns in itertools.combinations(range(total), len(race.ours)):
        after = dict(model)
        done: tuple[list[object], list[object]] = ([], [])
        series = (iter(race.ours), iter(race.theirs))
        for turn in range(total):
            whose = 0 if turn in turns else 1
            done[whose].append(next(series[whose]).on_model(after))
        yield after, done


def _plain(found: Any) -> list[tuple[str, tuple[bytes, int]]]:
    return sorted((name, (record.value, record.version)) for name, record in found)
