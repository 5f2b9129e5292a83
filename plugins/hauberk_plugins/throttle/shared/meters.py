"""`SharedMeters`: the windows that this process uses, the idle forgotten, and what is frozen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from hauberk_plugins.throttle.limiting import Key
from hauberk_plugins.throttle.shared.meter import SharedAmounts, SharedMeter
from hauberk_plugins.throttle.shared.tally import Tally
from hauberk_plugins.throttle.windows import Window

#: So many are looked at in a beat.
_STEP: Final = 64


class SharedMeters:
    """Meters by key. Not locked: its limiter is. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._meters: dict[Key, SharedMeter] = {}
        self._frozen: dict[Key, int] = {}
        # Whether each of these is idle is still to be looked at.
        self._doubtful: Iterator[Key] = iter(())

    def __iter__(self) -> Iterator[SharedMeter]:
        return iter(list(self._meters.values()))

    def __len__(self) -> int:
        return len(self._meters)

    def get(
        self, key: Key, window: Window, jitter_ns: int, aside: int, now_ns: int, *, reshape: bool
    ) -> SharedMeter:
        """Return the meter of a window for one sharer, made if need be.

        Raises:
            InvalidValue: The window is too large, or nothing of it is left to share.
        """
        meter = self._meters.get(key)
        if meter is None:
            meter = self._meters[key] = SharedMeter(key, window, jitter_ns, aside)
        elif reshape and (meter.window, meter.jitter_ns) != (window, jitter_ns):
            meter.reshape(window, jitter_ns, aside)
        meter.used_ns = now_ns
        return meter

    def present(self, amounts: SharedAmounts, now_ns: int) -> SharedAmounts:
        """Note that meters are used, and replace those that were forgotten."""
        for meter, _ in amounts:
            meter.used_ns = now_ns
            if meter.gone is not None:
                return tuple((self.revive(meter, now_ns), amount) for meter, amount in amounts)
        return amounts

    def revive(self, meter: SharedMeter, now_ns: int) -> SharedMeter:
        """Return what counts for a meter that may have been forgotten: another, or itself."""
        if meter.gone is not None:
            found = self._meters.get(meter.gone)
            if found is None:
                found, self._meters[meter.gone], meter.gone = meter, meter, None
            meter = found
        meter.used_ns = now_ns
        return meter

    def sweep(self, now_ns: int) -> None:
        """Forget some that are idle. What they counted is the ledger's, which forgets by itself."""
        for _ in range(min(_STEP, len(self._meters))):
            key = next(self._doubtful, None)
            if key is None:
                self._doubtful = iter(list(self._meters))
                return
            meter = self._meters.get(key)
            if meter is not None and meter.is_idle(now_ns):
                meter.gone = key
                del self._meters[key]

    def tallies(self) -> Iterator[Tally]:
        """What is told of all of them."""
        for meter in self._meters.values():
            yield from meter.tallies()

    def freeze(self, prefix: Key, until_ns: int) -> int:
        """Freeze the meters whose keys begin so; return until when they are."""
        until = self._frozen[prefix] = max(self._frozen.get(prefix, 0), until_ns)
        return until

    def frozen_ns(self, amounts: SharedAmounts, now_ns: int) -> int:
        """For how much longer one of these is frozen."""
        if not self._frozen:
            return 0
        self._frozen = {prefix: end for prefix, end in self._frozen.items() if end > now_ns}
        return max(self._ends(meter.key for meter, _ in amounts), default=now_ns) - now_ns

    def _ends(self, keys: Iterable[Key]) -> Iterator[int]:
        for key in keys:
            for prefix, end in self._frozen.items():
                if key[: len(prefix)] == prefix:
                    yield end
