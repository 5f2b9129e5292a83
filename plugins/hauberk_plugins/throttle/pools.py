"""`Pools`: every meter by its key, the idle ones forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from hauberk_plugins.throttle.limiting import Key
from hauberk_plugins.throttle.meters import Meter

#: So many meters are looked at for each that is made.
_STEP: Final = 8
#: Fewer than this are never looked through.
_FEW: Final = 1_024


class Pools:
    """Meters by key. Not locked: its limiter is.

    What differs from key to key is the sharer, a text; the rest is kept once for all of them.
    """

    def __init__(self, forgotten: Callable[[Meter], object] = lambda _: None) -> None:
        self._pools: dict[Key, dict[str, Meter]] = {}
        self._forgotten = forgotten
        self._count = 0
        # Whether each of these is idle is still to be looked at.
        self._doubtful: Iterator[tuple[Key, str]] = iter(())
        self._full = _FEW

    def __len__(self) -> int:
        return self._count

    def get(self, key: Key) -> Meter | None:
        """Return the meter of a key, or `None`."""
        pool, sharer = _split(key)
        found = self._pools.get(pool)
        return None if found is None else found.get(sharer)

    def add(self, key: Key, meter: Meter, now: int) -> None:
        """Keep a meter, and forget some that are idle."""
        pool, sharer = _split(key)
        self._pools.setdefault(pool, {})[sharer] = meter
        self._count += 1
        self.sweep(now, _STEP)

    def items(self, prefix: Key = ()) -> Iterator[tuple[Key, Meter]]:
        """Yield the meters whose keys begin so."""
        for pool, sharers in list(self._pools.items()):
            for sharer, meter in list(sharers.items()):
                key = _joined(pool, sharer)
                if key[: len(prefix)] == prefix:
                    yield key, meter

    def sweep(self, now: int, most: int) -> None:
        """Forget those that are idle, of so many at most; begin anew when twice as many are there.

        A meter that somebody still holds is marked, and `revive` finds what stands in its place.
        """
        if self._count >= self._full:
            self._full = 2 * self._count
            self._doubtful = (
                (pool, sharer)
                for pool, sharers in list(self._pools.items())
                for sharer in list(sharers)
            )
        for _ in range(most):
            looked_at = next(self._doubtful, None)
            if looked_at is None:
                self._full = min(self._full, max(_FEW, 2 * self._count))
                return
            pool, sharer = looked_at
            meter = self._pools[pool].get(sharer)
            if meter is not None and meter.is_idle(now):
                del self._pools[pool][sharer]
                self._count -= 1
                meter.gone, meter.limit = _joined(pool, sharer), -1
                self._forgotten(meter)

    def revive(self, meter: Meter, now: int) -> Meter:
        """Return what counts for a meter that was forgotten: another by its key, or itself."""
        if meter.gone is None:
            return meter
        found = self.get(meter.gone)
        if found is not None:
            return found
        key, meter.gone = meter.gone, None
        self.add(key, meter, now)
        return meter


def _split(key: Key) -> tuple[Key, str]:
    """Part a key into what many share and the sharer, the last but one."""
    return (*key[:-2], *key[-1:]), key[-2] if len(key) > 1 else ""


def _joined(pool: Key, sharer: str) -> Key:
    return (*pool[:-1], sharer, pool[-1]) if len(pool) > 1 or sharer else pool
