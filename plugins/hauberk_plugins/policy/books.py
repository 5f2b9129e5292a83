"""`Books`: what requests have been counted for, from the moment they are judged to their answer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from decimal import ROUND_UP, Decimal
from typing import Final

from attrs import define

from hauberk.errors import HauberkError
from hauberk.ports import Store
from hauberk_plugins.policy.amounts import EXACT
from hauberk_plugins.policy.day import Calendar, DayLedger
from hauberk_plugins.policy.rate import OrderRate, Rate

#: Requests whose answer is waited for; what is older stays counted.
_SENT: Final = 4_096


@define(eq=False)
class Charge:
    """What one request counts for in one day's ledger.

    Attributes:
        ledger: Where.
        units: How much, in units of 10**-8.
        day: The day that it was counted on.
    """

    ledger: DayLedger
    units: int
    day: int


@define(eq=False)
class Held:
    """What one request counts for.

    Attributes:
        key: Says the same of a request that counts for the same.
        rates: Where its orders are counted, and how many of them.
        charges: What they are worth, by ledger.
        worth: The notional of its only order, in quote currency; `None` where there are more.
    """

    key: object
    rates: tuple[tuple[OrderRate, int], ...] = ()
    charges: tuple[Charge, ...] = ()
    worth: Decimal | None = None


class Books:
    """Ledgers and rates by account, and what is held for requests by their ids.

    An instance of the plugin hands it on to the next, so that a reload gives nothing back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calendar = Calendar()
        self._ledgers: dict[tuple[str, str], DayLedger] = {}
        self._rates: dict[tuple[str, str, int, int], OrderRate] = {}
        self.held: dict[str, Held] = {}
        self._sent: OrderedDict[str, Held] = OrderedDict()

    def ledger(self, account: str, currency: str) -> DayLedger:
        """Return the ledger of an account and a currency, always the same."""
        key = (account, currency)
        found = self._ledgers.get(key)
        if found is None:
            with self._lock:
                found = self._ledgers.setdefault(key, DayLedger(f"day/{currency}/{account}"))
        return found

    def rate(self, account: str, path: str, rate: Rate) -> OrderRate:
        """Return what counts an account's orders for a rule; the same while the rule stands."""
        key = (account, path, rate.count, rate.seconds)
        found = self._rates.get(key)
        if found is None:
            with self._lock:
                found = self._rates.setdefault(key, OrderRate(rate))
        return found

    def end(self, request_id: str, left: bool, now_ns: int, store: Store | None) -> None:
        """Give back what a request that did not leave was counted for; else wait for its answer.

        Raises:
            DayRecordError: As `DayLedger.give_back`; all else is given back all the same.
        """
        held = self.held.pop(request_id, None)
        if held is None:
            return
        for rate, count in held.rates:
            rate.end(count, left, now_ns)
        if not left:
            give_back(held.charges, store)
        elif held.charges:
            with self._lock:
                if len(self._sent) >= _SENT:
                    self._sent.popitem(last=False)
                self._sent[request_id] = held

    def sent(self, request_id: str) -> Held | None:
        """Return, once, what a request that left was counted for."""
        with self._lock:
            return self._sent.pop(request_id, None)

    def close(self, store: Store) -> None:
        """Give back what is reserved for this process and not spent.

        Raises:
            DayRecordError: As `DayLedger.close`; all others are closed all the same.
        """
        with self._lock:
            ledgers = list(self._ledgers.values())
        failed: HauberkError | None = None
        for ledger in ledgers:
            try:
                ledger.close(store)
            except HauberkError as error:
                failed = error
        if failed is not None:
            raise failed


def give_back(charges: Iterable[Charge], store: Store | None) -> None:
    """Take back what was counted.

    Raises:
        DayRecordError: As `DayLedger.give_back`; the others are taken back all the same.
    """
    failed: HauberkError | None = None
    if store is None:
        return
    for charge in charges:
        try:
            charge.ledger.give_back(charge.units, charge.day, store)
        except HauberkError as error:
            failed = error
    if failed is not None:
        raise failed


def unfilled(units: int, worth: Decimal, filled: Decimal) -> int:
    """Return how much of what was counted was not filled, in units, rounded to the safe side.

    Args:
        units: What was counted.
        worth: What that stood for, in quote currency, above zero.
        filled: How much of it was filled, in quote currency.
    """
    counted = EXACT.divide(EXACT.multiply(Decimal(units), filled), worth)
    return max(units - int(counted.to_integral_value(ROUND_UP)), 0)
