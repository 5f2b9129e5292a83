"""Counts that decay, for very many keys in bounded memory.

A key has two numbers: what was counted in the cell of time that goes on, and in the one before,
which counts for the part of it that still lies within the window. So a count is off by what came
unevenly within one cell, and never by more than that cell held.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import define

#: Keys of one rule that are remembered; whoever was quiet for the longest is forgotten.
MAX_KEYS: Final = 50_000


@define
class _Count:
    cell: int
    now: float
    before: float


class Counters:
    """The counts of one rule.

    Args:
        window_ns: For how long an event counts.
        max_keys: How many keys are remembered.
    """

    def __init__(self, window_ns: int, max_keys: int = MAX_KEYS) -> None:
        self._window_ns = window_ns
        self._max_keys = max_keys
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def dump(self) -> dict[str, list[float]]:
        """Return the counts, as JSON has them."""
        return {key: [one.cell, one.now, one.before] for key, one in self._counts.items()}

    def load(self, counts: Mapping[str, Sequence[float]]) -> None:
        """Take counts in place of those there are.

        Raises:
            TypeError, ValueError: They are none.
        """
        self._counts = OrderedDict(
            (key, _Count(int(cell), float(now), float(before)))
            for key, (cell, now, before) in counts.items()
        )

    def add(self, key: str, now_ns: int, amount: float = 1) -> float:
        """Count something; return what counts now.

        Args:
            key: For whom.
            now_ns: Monotonic clock.
            amount: How much; 0 to look.
        """
        cell, into = divmod(now_ns, self._window_ns)
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(cell, 0.0, 0.0)
            if len(self._counts) > self._max_keys:
                self._counts.popitem(last=False)
        else:
            self._counts.move_to_end(key)
            if cell > count.cell:
                count.before = count.now if cell == count.cell + 1 else 0.0
                count.cell, count.now = cell, 0.0
        count.now += amount
        return count.now + count.before * (1 - into / self._window_ns)
