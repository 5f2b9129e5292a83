"""Countdowns after which the exchange cancels by itself."""

from __future__ import annotations

from typing import Final

#: What is longer is refused.
MAX_COUNTDOWN_MS: Final = 86_400_000


class Timers:
    """One countdown for each account and symbol."""

    def __init__(self) -> None:
        self._ends_ms: dict[tuple[str, str], int] = {}

    def arm(self, account: str, symbol: str, at_ms: int) -> None:
        """Have a countdown end at a time, whatever stood there before."""
        self._ends_ms[account, symbol] = at_ms

    def disarm(self, account: str, symbol: str) -> None:
        """Stop a countdown, if there is one."""
        self._ends_ms.pop((account, symbol), None)

    def of(self, account: str) -> dict[str, int]:
        """Return when the countdowns of an account end, by symbol."""
        return {symbol: at for (name, symbol), at in self._ends_ms.items() if name == account}

    def take_ended(self, now_ms: int) -> list[tuple[str, str]]:
        """Return the account and symbol of every countdown that has ended; once."""
        ended = [key for key, at_ms in self._ends_ms.items() if at_ms <= now_ms]
        for key in ended:
            del self._ends_ms[key]
        return ended
