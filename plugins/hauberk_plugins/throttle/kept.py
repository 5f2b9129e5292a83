"""What was granted, kept so that it survives the process: `Kept`.

A record says how far a window may have been used, in blocks: it is written before the first grant
of a block, and so costs nothing on most. After an unclean end all that the record allows counts as
if it had left just before the start, since nobody knows when it did. At a clean end the departures
themselves are written. What lasts a few seconds at most has no record: after an unclean end it
counts as full.

One process at a time keeps its budget so; several share one through another back-end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import define

from hauberk.errors import StoreError
from hauberk.ports import Clock, Record, Store
from hauberk_plugins.throttle.bounded import TIMEOUT_S, Bounded
from hauberk_plugins.throttle.errors import NotKept
from hauberk_plugins.throttle.limiting import Key
from hauberk_plugins.throttle.meters import Meter
from hauberk_plugins.throttle.windows import SECOND_NS

#: Windows no longer than this have no record of their own.
SHORT_NS: Final = 5 * SECOND_NS
_BUDGET: Final = "budget/"
_RUN: Final = "run"
_FREEZES: Final = "freezes"
#: A block is such a part of a window.
_BLOCKS: Final = 100
#: A record that allows such a part of a window more than is used is written anew.
_SLACK: Final = 4
#: More departures than this are kept as so many, each at the latest of several.
_MOST: Final = 256
#: The text of a key's record; a count beyond it is damage.
_MAX_COUNT: Final = 1 << 53


@define(eq=False)
class _Entry:
    name: str
    key: Key
    level: int = 0


class Kept:
    """Keeps the budgets of one process in a store.

    Args:
        store: Where.
        clock: Monotonic, and the wall clock, which may step.
        say: Told what cannot be read, for a person.
        boot: Names this run of the machine, during which its monotonic clock goes on from process
            to process; empty where that is not known, and the wall clock counts.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        say: Callable[[str], object],
        boot: str = "",
    ) -> None:
        self._boot = boot
        self._store = store
        self._writing = Bounded("hauberk-throttle-store")
        self._clock = clock
        self._say = say
        self._began = clock.monotonic_ns()
        self._began_wall = clock.wall_ns()
        self._entries: dict[Meter, _Entry] = {}
        self._inherited: dict[str, list[tuple[int, int]]] = {}
        self._unreadable: set[str] = set()
        self._is_blind = False
        self._is_marked = False
        self._frozen: dict[Key, tuple[int, int]] = {}
        self._was_clean = True
        self._load(self._began_wall)

    # Windows.

    def opened(self, key: Key, meter: Meter, now_ns: int) -> list[tuple[int, int]]:  # noqa: ARG002
        """Take charge of a meter; return what left before and may count, oldest first."""
        name = _BUDGET + hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
        self._entries[meter] = _Entry(name, key)
        left = self._inherited.pop(name, [])
        is_unknown = self._is_blind or name in self._unreadable
        if is_unknown or (_is_short(meter) and not self._was_clean):
            return [(self._began, meter.size)]
        return left

    def level(self, meter: Meter) -> int:
        """How far a meter may be used without another record."""
        entry = self._entries.get(meter)
        return 0 if entry is None else entry.level

    def cover(self, meter: Meter, used: int) -> int:
        """Make durable that a meter may be used so far; return how far.

        Raises:
            NotKept: The store does not take it.
        """
        entry = self._entries[meter]
        if not self._is_marked:
            self._put(_RUN, {"clean": False})
            self._is_marked = True
        if _is_short(meter):
            entry.level = meter.size
        else:
            self._write(entry, meter, used)
        return entry.level

    def lower(self, meter: Meter, used: int) -> int:
        """Have the record allow less where much less is used; return how far it allows."""
        entry = self._entries.get(meter)
        if entry is None:
            return 0
        slack = max(meter.size // _SLACK, 2)
        if not _is_short(meter) and entry.level > used + slack + meter.size // _BLOCKS:
            self._write(entry, meter, used)
        return entry.level

    def forgotten(self, meter: Meter) -> None:
        """Let go of a meter that is idle."""
        entry = self._entries.pop(meter, None)
        if entry is not None and entry.level and not _is_short(meter):
            try:
                self._store.delete(entry.name)
            except StoreError:
                return  # it counts for a while after the next start: no more than that

    def close(
        self, departures: Iterable[tuple[Key, Meter, list[tuple[int, int]]]], now_ns: int
    ) -> None:
        """Write what left as it did; what is granted afterwards is recorded afresh.

        What is open may leave at any time: of that the end is as good as an unclean one.

        Raises:
            StoreError: The store does not take it; what stands there is on the safe side.
        """
        stamp, is_clean = self._stamp(), True
        with self._store.transaction() as store:
            for key, meter, found in departures:
                entry = self._entries.get(meter)
                if entry is None:
                    continue
                content: dict[str, Any] = {"key": key, "span": meter.shape.span, **stamp}
                if meter.open:
                    is_clean = is_clean and not _is_short(meter)
                    content["level"] = meter.open + sum(amount for _, amount in found)
                else:
                    aged = stamp["wall"] - now_ns
                    content["left"] = [[aged + at, amount] for at, amount in _few(found)]
                if meter.open or found:
                    store.put(entry.name, _bytes(content))
                else:
                    store.delete(entry.name)
            store.put(_RUN, _bytes({"clean": is_clean}))
        self._is_marked = False
        for entry in self._entries.values():
            entry.level = 0

    # Freezes.

    def froze(self, prefix: Key, for_ns: int) -> None:
        """Keep that meters are frozen; a store that does not take it is said."""
        wall = self._stamp()["wall"]
        self._frozen = {key: span for key, span in self._frozen.items() if span[1] > wall}
        self._frozen[prefix] = (wall, wall + for_ns)
        try:
            self._put(
                _FREEZES,
                {"freezes": [[list(key), *span] for key, span in self._frozen.items()]},
            )
        except NotKept as error:
            self._say(str(error))

    def freezes(self, unreadable_ns: int) -> Iterator[tuple[Key, int]]:
        """Yield what was frozen, and for how much longer it is.

        Args:
            unreadable_ns: For how long everything is, where the record cannot be read.
        """
        if self._is_blind or _FREEZES in self._unreadable:
            yield (), unreadable_ns
        yield from _remaining(self._frozen, self._began_wall)

    # Records.

    def _load(self, wall: int) -> None:
        try:
            run, frozen = self._store.get(_RUN), self._store.get(_FREEZES)
            records = list(self._store.scan(_BUDGET))
        except StoreError as error:
            self._is_blind = True
            self._say(
                f"what was used before cannot be read, and every window counts as full: {error}"
            )
            return
        self._was_clean = run is None or self._read(_RUN, run, _clean, otherwise=False)
        if frozen is not None:
            self._frozen = self._read(_FREEZES, frozen, _frozen, otherwise={})
        for name, record in records:
            read = self._read(
                name, record, lambda found: _departures(found, wall, self._since(found)),
                otherwise=None,
            )  # fmt: skip
            if read is not None:
                self._inherit(name, read, wall)

    def _inherit(self, name: str, read: _Read, wall: int) -> None:
        left = [(at, amount) for at, amount in read.left if at + read.span > wall]
        self._inherited[name] = [(self._began - wall + at, amount) for at, amount in left]
        try:
            if not left:
                self._store.delete(name)
            elif read.is_moved:  # from here on it ages, whether or not anybody asks for it
                content = {"key": read.key, "span": read.span, "left": left}
                self._store.put(name, _bytes({**content, **self._stamp()}))
        except StoreError as error:
            self._say(f"what was used before cannot be kept: {error}")

    def _read(
        self, name: str, record: Record, read: Callable[[dict[str, Any]], Any], *, otherwise: Any
    ) -> Any:
        try:
            found = json.loads(record.value)
            if type(found) is not dict:
                raise ValueError
            return read(found)
        except (ValueError, KeyError, TypeError, RecursionError):
            self._unreadable.add(name)
            self._say(
                f"the record {name!r} was changed by other means: what it is of counts as full for "
                "as long as it lasts"
            )
            return otherwise

    def _write(self, entry: _Entry, meter: Meter, used: int) -> None:
        level = min(meter.size, used + max(1, meter.size // _BLOCKS))
        content = {"key": entry.key, "span": meter.shape.span, "level": level}
        self._put(entry.name, {**content, **self._stamp()})
        entry.level = level
        self._unreadable.discard(entry.name)

    def _stamp(self) -> dict[str, Any]:
        """What time it is, late rather than early: a step of the clock makes nothing older."""
        now = self._clock.monotonic_ns()
        wall = max(self._clock.wall_ns(), self._began_wall + now - self._began)
        return {"wall": wall, "boot": self._boot, "mono": now}

    def _since(self, found: dict[str, Any]) -> int | None:
        """How long ago a record was written; `None` where only the wall clocks can tell."""
        elapsed = self._began - _whole(found["mono"])
        return elapsed if self._boot and found["boot"] == self._boot and elapsed >= 0 else None

    def _put(self, name: str, content: Mapping[str, Any]) -> None:
        written = _bytes(content)
        try:
            self._writing.call(lambda: self._store.put(name, written), TIMEOUT_S)
        except StoreError as error:
            raise NotKept(str(error)) from None
        except TimeoutError:  # what it still writes allows too much, if anything
            why = f"the store has not answered within {TIMEOUT_S:g} s: something keeps it locked"
            raise NotKept(why) from None


@define
class _Read:
    key: list[str]
    span: int
    left: list[tuple[int, int]]
    is_moved: bool


def _departures(found: dict[str, Any], wall: int, since: int | None) -> _Read:
    """What left, by the wall clock, and for how long it counts.

    Raises:
        ValueError: The record is not what was written.
    """
    span, written = _whole(found["span"]), _whole(found["wall"])
    if "level" in found:
        left = [(written, _whole(found["level"]))]
    else:
        left = [(_whole(at), _whole(amount)) for at, amount in found["left"]]
    if any(amount > _MAX_COUNT for _, amount in left):
        raise ValueError
    is_moved = "level" in found or since is not None or written > wall
    if "level" in found or (since is None and written > wall):
        # When it left nobody knows, or the clock was set back, and how long ago it was nobody does.
        left = [(wall, sum(amount for _, amount in left))]
    elif since is not None:
        left = [(at + wall - since - written, amount) for at, amount in left]
    left = sorted((min(at, wall), amount) for at, amount in left)
    return _Read([str(part) for part in found["key"]], span, left, is_moved)


def still_frozen(store: Store, wall_ns: int, unreadable_ns: int) -> Iterator[tuple[Key, int]]:
    """Yield what is frozen, and for how much longer, for somebody who only looks.

    Args:
        store: Where it is kept.
        wall_ns: The wall clock.
        unreadable_ns: For how long everything is, where the record cannot be read.
    """
    try:
        record = store.get(_FREEZES)
        frozen = {} if record is None else _frozen(json.loads(record.value))
    except (StoreError, ValueError, KeyError, TypeError, RecursionError):
        yield (), unreadable_ns
        return
    yield from _remaining(frozen, wall_ns)


def _remaining(frozen: Mapping[Key, tuple[int, int]], wall: int) -> Iterator[tuple[Key, int]]:
    for key, (since, until) in frozen.items():
        # A clock that was set back makes nothing longer than it was at first.
        remaining = min(until - wall, until - since)
        if remaining > 0:
            yield key, remaining


def _frozen(found: dict[str, Any]) -> dict[Key, tuple[int, int]]:
    return {
        tuple(str(part) for part in key): (_whole(since), _whole(until))
        for key, since, until in found["freezes"]
    }


def _clean(found: dict[str, Any]) -> bool:
    if type(found["clean"]) is not bool:
        raise ValueError
    return found["clean"]


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _few(left: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Put departures together until they are few, each at the latest of those it stands for."""
    together = -(-len(left) // _MOST)
    if together <= 1:
        return left
    parts = [left[at : at + together] for at in range(0, len(left), together)]
    return [(part[-1][0], sum(amount for _, amount in part)) for part in parts]


def boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """Return what Linux calls this run of the machine; empty where nobody says."""
    try:
        return path.read_text(encoding="ascii").strip()[:64]
    except (OSError, ValueError):
        return ""


def _is_short(meter: Meter) -> bool:
    return meter.shape.length <= SHORT_NS


def _bytes(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
