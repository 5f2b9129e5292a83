"""`Shape`: one window for one sharer, as the ledger counts it."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from attrs import field, frozen

from hauberk.errors import InvalidValue

#: By the numbers that the script knows them by.
KINDS: Final = ("rolling", "calendar", "decaying")
#: Sub-windows of a window: what left in the same one stops counting at the same moment. A window
#: that is always asked for more than it holds is used to at least `SUBWINDOWS / (SUBWINDOWS + 1)`.
SUBWINDOWS: Final = 50
#: Lua counts in doubles.
MOST: Final = 2**53
#: With it, what the ledger multiplies stays below `MOST`, ten times over.
LARGEST_SIZE: Final = 30_000_000


@frozen
class Shape:
    """A window of a limit, in the ledger's units: microseconds and whole amounts.

    Attributes:
        name: Of its record: each part of the key, quoted and followed by a slash, so that the parts
            a key begins with are what its name begins with.
        kind: `calendar`, `rolling` or `decaying`.
        length_us: Of the window.
        jitter_us: By how much it is widened.
        size: What it holds.
        grain_us: The length of a sub-window; 0 for a decaying one, which has none.
        record: The name as bytes.
        numbers: The kind's number, and the four that follow it.

    Raises:
        InvalidValue: It is larger than can be counted exactly everywhere.
    """

    name: str
    kind: str
    length_us: int
    jitter_us: int
    size: int
    grain_us: int = field(init=False)
    record: bytes = field(init=False, repr=False, eq=False)
    numbers: tuple[int, int, int, int, int] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if not (0 < self.size <= LARGEST_SIZE and 0 < self.length_us < MOST // SUBWINDOWS // 4):
            raise InvalidValue(
                f"window {self.name!r}: a budget that processes share holds at most "
                f"{LARGEST_SIZE} for a few years"
            )
        grain = 0
        if self.kind != "decaying":
            # It divides the length, so that no sub-window lies across a calendar's boundary.
            wide = self.jitter_us > self.length_us
            grain = self.length_us if wide else self.length_us // SUBWINDOWS
        grain = max(grain, 1) if self.kind != "decaying" else 0
        numbers = (KINDS.index(self.kind), self.length_us, self.jitter_us, self.size, grain)
        object.__setattr__(self, "grain_us", grain)
        object.__setattr__(self, "record", self.name.encode())
        object.__setattr__(self, "numbers", numbers)

    def cost_us(self, amount: int) -> int:
        """How long a decaying window takes to lose an amount, rounded up."""
        whole, rest = divmod(self.length_us, self.size)
        return amount * whole - (-amount * rest // self.size)

    def longest_us(self) -> int:
        """For how long at most what left counts."""
        return self.length_us + 2 * self.jitter_us + self.grain_us


def record_name(key: tuple[str, ...]) -> str:
    """Name the record of a key, or what the records of all keys that begin so are called."""
    return "".join(f"{quote(part, safe='')}/" for part in key)
