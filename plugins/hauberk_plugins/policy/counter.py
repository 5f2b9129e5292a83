"""Counting a request's orders: in the day's ledger and in rates, and taking that back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import TypeAlias

from hauberk.ports import Store
from hauberk.request import Request, Response
from hauberk_plugins.policy.amounts import from_units, to_units
from hauberk_plugins.policy.books import Books, Charge, Held, give_back, unfilled
from hauberk_plugins.policy.day import day_of, day_text
from hauberk_plugins.policy.errors import DayRecordError, DaySpent, NoReference, Unreadable
from hauberk_plugins.policy.forms import Order
from hauberk_plugins.policy.judge import Bench, DayCap, Judge, RateCap, counted

Stores: TypeAlias = Callable[[], Store]


class Refused(Exception):
    """What cannot be counted.

    Attributes:
        why: Which rule, the value and the bound.
        retry_after: Seconds after which there is room; `None` where nobody can say.
    """

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after = retry_after


class Counter:
    """Counts what may pass, by request id: asking again for the same is free.

    Args:
        books: What is counted.
        store: Gives the store where days are kept.
    """

    def __init__(self, books: Books, store: Stores) -> None:
        self._books = books
        self._store = store

    def count(
        self, judge: Judge, bench: Bench, request_id: str, orders: list[Order], now_ns: int,
        wall_ns: int,
    ) -> None:  # fmt: skip
        """Count orders, all or nothing.

        Raises:
            Refused: There is no room; nothing more is counted than before.
        """
        today = self._books.calendar.today(wall_ns, now_ns)
        amounts = self._amounts(judge, bench, orders)
        many = counted(bench, orders) if bench.rates else []
        # Caps are told apart by identity, so that a reload has it counted afresh too.
        key = (today, amounts, many)
        before = self._books.held.get(request_id)
        if before is not None:
            if before.key == key:
                return
            self._books.end(
                request_id, left=False, now_ns=now_ns, store=self._store() if amounts else None
            )
        held = Held(key)
        try:
            if many:
                self._take_rates(judge, held, many, now_ns)
            if amounts:
                self._charge(judge, held, amounts, today, day_of(wall_ns))
        except BaseException:
            self._give_up(held, now_ns)
            raise
        if held.charges and len(orders) == 1:
            known = orders[0].worth
            held.worth = None if known is None else known[0]
        self._books.held[request_id] = held

    def spend(
        self, judge: Judge, bench: Bench, request_id: str, value: Decimal, today: int
    ) -> bool:
        """Count one order as `count` does, where what is reserved of its day is enough.

        Args:
            judge: The account's.
            bench: With one cap of a day, and nothing else to count in.
            request_id: The request's id.
            value: The order's notional, in that cap's currency and in quote currency.
            today: The day.

        Returns:
            Whether it was; `False` says that nothing was counted.
        """
        held = self._books.held
        if request_id in held:
            return False
        cap = bench.days[0]
        units = to_units(value)
        ledger = self._books.ledger(judge.name, cap.amount.currency)
        day = ledger.spend(units, cap.units, today)
        if day is None or not units:
            return False
        charge = Charge(ledger, units, day)
        held[request_id] = Held((today, [(cap, units)], []), (), (charge,), value)
        return True

    def holds(self, request_id: str) -> bool:
        """Whether anything is counted for a request."""
        return request_id in self._books.held

    def end(self, request: Request, left: bool, now_ns: int) -> None:
        """Give back what did not leave.

        Raises:
            DayRecordError: The store cannot be written.
        """
        held = self._books.held.get(request.id)
        if held is not None:
            store = self._store() if held.charges and not left else None
            self._books.end(request.id, left, now_ns, store)

    def answered(self, judge: Judge, bench: Bench, request: Request, response: Response) -> None:
        """Give back what the exchange refused, or is over without being filled.

        Raises:
            DayRecordError: The store cannot be written.
        """
        held = self._books.sent(request.id)
        reader = bench.reader
        if held is None or reader is None or response.error:
            return
        if judge.orders.refusals.say(response, is_single=reader.is_single):
            give_back(held.charges, self._store())
            return
        fills = reader.all_forms[0].fills if reader.is_single else None
        if fills is None or not held.worth:
            return
        filled = fills.filled(response)
        if filled is None:
            return
        rest = [
            Charge(one.ledger, unfilled(one.units, held.worth, filled), one.day)
            for one in held.charges
        ]
        give_back([one for one in rest if one.units], self._store())

    def _amounts(self, judge: Judge, bench: Bench, orders: list[Order]) -> list[tuple[DayCap, int]]:
        if not bench.days:
            return []
        try:
            return [(cap, judge.units(cap, orders)) for cap in bench.days]
        except (Unreadable, NoReference) as error:
            raise Refused(f"{bench.days[0].path}: {error}") from None

    def _take_rates(
        self, judge: Judge, held: Held, many: list[tuple[RateCap, int]], now_ns: int
    ) -> None:
        for cap, count in many:
            if not count:
                continue
            rate = self._books.rate(judge.name, cap.path, cap.rate)
            if not rate.take(count, now_ns):
                wait_ns = rate.wait_ns(count, now_ns)
                raise Refused(
                    f"{cap.path}: {count} more would be above {cap.rate} of account {judge.name!r}",
                    None if wait_ns is None else wait_ns / 1e9,
                )
            held.rates = (*held.rates, (rate, count))

    def _charge(
        self, judge: Judge, held: Held, amounts: list[tuple[DayCap, int]], today: int, clock: int
    ) -> None:
        for cap, units in amounts:
            if not units:
                continue
            ledger = self._books.ledger(judge.name, cap.amount.currency)
            try:
                day = ledger.charge(units, cap.units, today, self._store())
            except DaySpent as spent:
                raise Refused(told_spent(cap, units, spent.left, spent.day, clock)) from None
            except DayRecordError as error:
                raise Refused(f"{cap.path}: {error}") from None
            held.charges = (*held.charges, Charge(ledger, units, day))

    def _give_up(self, held: Held, now_ns: int) -> None:
        for rate, count in held.rates:
            rate.end(count, left=False, now_ns=now_ns)
        if held.charges:
            with suppress(DayRecordError):  # it stays counted
                give_back(held.charges, self._store())


def told_spent(cap: DayCap, units: int, left: int, day: int, today: int) -> str:
    """Say that a day's cap does not hold an order."""
    ahead = ""
    if day > today:
        ahead = (
            f". The clock says {day_text(today)}: it was set back, or was ahead before. Set it, "
            "else begin the day anew: hauberk policy reset ACCOUNT"
        )
    elif day < today:
        ahead = (
            f". The clock says {day_text(today)}, but a day began less than 23 hours ago: it was "
            "set ahead. Set it, else begin the day anew: hauberk policy reset ACCOUNT"
        )
    return (
        f"{cap.path}: {from_units(units)} {cap.amount.currency} is more than is left of "
        f"{cap.amount} on {day_text(day)} (UTC): {from_units(left)}{ahead}"
    )
