"""What `killswitch` says of emergencies, and what is to be asked for because of it."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final

from attrs import field, frozen, validators

from hauberk.keypath import KeyPath
from hauberk.recipes import CANCEL_ALL, DEAD_MAN, Recipe
from hauberk.spelling import nearest
from hauberk_plugins.killswitch.lane import Errand

#: Symbols that are remembered of an account, beside those that are listed.
MAX_SEEN: Final = 100
_SYMBOL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_./-]{0,63}\Z")


class From(StrEnum):
    """From which severity on everything is cancelled."""

    HIGH = "high"
    CRITICAL = "critical"


@frozen
class CancelsOf:
    """An entry of `killswitch.cancel_all.accounts`.

    Attributes:
        markets: Which of the venue's; all of them unless given.
        symbols: Cancelled in every market that is cancelled by symbol, beside those of orders that
            left since the start.
    """

    markets: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()


@frozen
class CancelAll:
    """`killswitch.cancel_all`: which accounts' orders are cancelled in an emergency.

    Attributes:
        severity: From which severity on: `critical`, or `high` for both.
        accounts: By name.
        deadline_s: After so many seconds it is given up.
    """

    severity: From = From.CRITICAL
    accounts: dict[str, CancelsOf] = field(factory=dict)
    deadline_s: float = field(default=30.0, validator=[validators.ge(1), validators.le(600)])


@frozen
class TimerOf:
    """An entry of `killswitch.dead_man`: an exchange's timer that is kept armed.

    Attributes:
        countdown_s: How long after the last renewal the exchange cancels everything.
        markets: As for `cancel_all`.
        symbols: As for `cancel_all`.
    """

    countdown_s: int = field(validator=[validators.ge(1), validators.le(86_400)])
    markets: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()


@frozen
class KillSwitchConfig:
    """The section `killswitch` of `hauberk.yml`.

    Attributes:
        cancel_all: Cancelling everything in an emergency.
        dead_man: Timers of exchanges that do when this process or its network dies, by account.
    """

    cancel_all: CancelAll = field(factory=CancelAll)
    dead_man: dict[str, TimerOf] = field(factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is ever sent."""
        return not self.cancel_all.accounts and not self.dead_man

    def entries(self) -> Iterator[tuple[str, str, CancelsOf | TimerOf, KeyPath]]:
        """Yield action, account, entry and its path."""
        for account, entry in self.cancel_all.accounts.items():
            yield CANCEL_ALL, account, entry, ("cancel_all", "accounts", account)
        for account, timer in self.dead_man.items():
            yield DEAD_MAN, account, timer, ("dead_man", account)


def misnamed(config: KillSwitchConfig, accounts: Iterable[str]) -> Iterator[tuple[KeyPath, str]]:
    """Say what is wrong by itself: accounts that are not there, and symbols that are none."""
    known = tuple(accounts)
    for _, account, entry, path in config.entries():
        if account not in known:
            yield path, f"there is no account {account!r}{nearest(account, known)}"
        for index, symbol in enumerate(entry.symbols):
            if not _SYMBOL.match(symbol):
                yield (*path, "symbols", index), "is no symbol, as the exchange writes it"


def unusable(
    action: str, entry: CancelsOf | TimerOf, recipes: Mapping[str, Recipe], venue: str
) -> Iterator[tuple[KeyPath, str]]:
    """Say what an account's venue cannot do."""
    what = "request that cancels everything" if action == CANCEL_ALL else "dead-man timer"
    if not recipes:
        yield (), f"venue {venue!r} has no {what} (`emergency.{action}` in its file): take this out"
        return
    for index, market in enumerate(entry.markets):
        if market not in recipes:
            listed = f"it has {', '.join(recipes)}"
            near = nearest(market, recipes)
            yield (
                ("markets", index),
                f"venue {venue!r} has no {what} for {market!r}: {listed}{near}",
            )
    chosen = [recipes[market] for market in entry.markets or recipes if market in recipes]
    by_symbol = [recipe.market for recipe in chosen if recipe.by_symbol]
    if len(by_symbol) > 1 and not entry.markets:
        why = f"venue {venue!r} cancels by symbol in {', '.join(by_symbol)}, and symbols of one"
        yield (), f"{why} are none of another: say which, for example `markets: [{by_symbol[0]}]`"
    if entry.symbols and not by_symbol:
        yield ("symbols",), f"venue {venue!r} cancels for the whole account here: take them out"
    if isinstance(entry, TimerOf):
        for recipe in chosen:
            least, most = recipe.seconds
            if not least <= entry.countdown_s <= most:
                why = f"{recipe.market} of venue {venue!r} counts {least} to {most} s"
                yield ("countdown_s",), why


def errands(
    account: str,
    entry: CancelsOf | TimerOf,
    recipes: Mapping[str, Recipe],
    seen: Callable[[str], Iterable[str]],
) -> list[Errand]:
    """Return what there is to ask for, symbols that were seen included."""
    found: list[Errand] = []
    for market in entry.markets or recipes:
        if not recipes[market].by_symbol:
            found.append(Errand(account, market))
            continue
        symbols = dict.fromkeys((*entry.symbols, *seen(account)))
        found += [Errand(account, market, symbol) for symbol in symbols]
    return found


class Seen:
    """Symbols of orders that left, by account: the latest, a bounded number of them.

    Args:
        names: By account, under which names parameters of orders hold a symbol.
    """

    def __init__(self, names: Mapping[str, frozenset[str]]) -> None:
        self.names = dict(names)
        self._symbols: dict[str, OrderedDict[str, None]] = {name: OrderedDict() for name in names}
        self._lock = threading.Lock()

    def note(self, account: str, params: Iterable[tuple[str, str]]) -> None:
        """Remember the symbols among some parameters. May be called from any thread."""
        names, symbols = self.names.get(account, ()), self._symbols.get(account)
        if symbols is None:
            return
        for name, value in params:
            if name in names and _SYMBOL.match(value):
                with self._lock:
                    symbols[value] = None
                    symbols.move_to_end(value)
                    while len(symbols) > MAX_SEEN:
                        symbols.popitem(last=False)

    def of(self, account: str) -> tuple[str, ...]:
        """Return them, the latest first."""
        with self._lock:
            return tuple(reversed(tuple(self._symbols.get(account, ()))))

    def take_over(self, before: Seen) -> None:
        """Remember what the one before remembered."""
        for account in self._symbols:
            self._symbols[account].update(dict.fromkeys(reversed(before.of(account))))
