"""`Advance`: what was granted ahead of the requests that will use it."""

from __future__ import annotations

from typing import Final

from attrs import define

from hauberk_plugins.throttle.shared.meter import SharedAmounts
from hauberk_plugins.throttle.shared.tally import Tally

#: How many at once, at most.
MOST_AHEAD: Final = 31
#: Only what is asked for again so soon is worth asking for in advance.
SOON_NS: Final = 20_000_000


@define
class _Stock:
    asked_ns: int
    wanted: int = 0
    left: int = 0
    is_used: bool = False
    parts: tuple[tuple[Tally, int], ...] = ()


class Advance:
    """Keeps what was granted ahead, by what it is for. Not locked: its limiter is.

    While there is plenty, and for who asks for the same again and again, one call to the ledger
    then grants several requests. What is not used is given back within two beats; at once if
    anybody here has to wait.

    Args:
        most: How many at once, at most.
    """

    def __init__(self, most: int = MOST_AHEAD) -> None:
        self._most = most
        self._stocks: dict[SharedAmounts, _Stock] = {}

    def take(self, amounts: SharedAmounts) -> tuple[tuple[Tally, int], ...] | None:
        """Use one, if there is one: of which records, and how much."""
        stock = self._stocks.get(amounts)
        if stock is None or not stock.left:
            return None
        stock.left -= 1
        stock.is_used = True
        return stock.parts

    def wanted(self, amounts: SharedAmounts, now_ns: int) -> int:
        """How many to ask for beside the one that is needed: more, the more often that happens."""
        stock = self._stocks.get(amounts)
        if stock is None:
            self._stocks[amounts] = _Stock(now_ns)
            return 0
        is_soon = now_ns - stock.asked_ns < SOON_NS
        stock.asked_ns = now_ns
        stock.wanted = min(2 * stock.wanted + 1, self._most) if is_soon else 0
        return stock.wanted

    def put(self, amounts: SharedAmounts, parts: tuple[tuple[Tally, int], ...], times: int) -> None:
        """Keep what was granted ahead; its tallies have it as open."""
        # It may have been forgotten while the ledger was asked.
        stock = self._stocks.setdefault(amounts, _Stock(0))
        stock.parts, stock.left, stock.is_used = parts, stock.left + times, True

    def unused(self) -> list[tuple[Tally, int]]:
        """Take out what was not used since the last time; forget who asks no more."""
        found: list[tuple[Tally, int]] = []
        for amounts, stock in list(self._stocks.items()):
            if not stock.is_used:
                found += [(tally, amount * stock.left) for tally, amount in stock.parts]
                del self._stocks[amounts]
            stock.is_used = False
        return [(tally, amount) for tally, amount in found if amount]

    def all(self) -> list[tuple[Tally, int]]:
        """Take everything out."""
        for stock in self._stocks.values():
            stock.is_used = False
        return self.unused()

    def __bool__(self) -> bool:
        return any(stock.left for stock in self._stocks.values())

    def clear(self) -> None:
        """Forget everything: it is open under another owner's name."""
        self._stocks.clear()
