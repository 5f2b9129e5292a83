"""What the bots here do: one quote on each side, a tenth of a percent off the middle."""

from __future__ import annotations

from decimal import Decimal

SYMBOL = "BTCUSDT"
QUANTITY = "0.001"
#: How often they quote before they stop.
ROUNDS = 3
_TICK = Decimal("0.01")
_OFF = Decimal("0.001")


def quotes(bid: Decimal, ask: Decimal) -> dict[str, Decimal]:
    """Return the prices to quote at, by side.

    Args:
        bid: The best one in the book.
        ask: Likewise.
    """
    middle = (bid + ask) / 2
    return {
        "BUY": (middle * (1 - _OFF)).quantize(_TICK),
        "SELL": (middle * (1 + _OFF)).quantize(_TICK),
    }
