"""Saying, in order, what is asked about a request and what was said; nothing is counted."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from hauberk.ports import Store
from hauberk.request import Request
from hauberk_plugins.policy.amounts import from_units
from hauberk_plugins.policy.books import Books
from hauberk_plugins.policy.counter import told_spent
from hauberk_plugins.policy.day import day_of, day_text
from hauberk_plugins.policy.errors import DayRecordError, NoReference, Unreadable
from hauberk_plugins.policy.forms import Order
from hauberk_plugins.policy.judge import Bench, DayCap, Judge, counted


@frozen
class Line:
    """One thing that was asked.

    Attributes:
        rule: Its path in `hauberk.yml`, or `operations` and `orders` for the venue's file.
        asked: What it asks for.
        said: What it said.
        denies: Whether it denies.
    """

    rule: str
    asked: str
    said: str
    denies: bool = False


def explained(
    judge: Judge, request: Request, books: Books, store: Store | None, wall_ns: int
) -> list[Line]:
    """Explain up to the rule that denies, or all of them.

    Args:
        judge: Of the account.
        request: Stamped with its operation.
        books: What was counted, by this process.
        store: Where days are kept.
        wall_ns: The wall clock.
    """
    lines = []
    for line in _lines(judge, request, books, store, wall_ns):
        lines.append(line)
        if line.denies:
            break
    return lines


def _lines(
    judge: Judge, request: Request, books: Books, store: Store | None, wall_ns: int
) -> Iterator[Line]:
    bench = judge.bench(request)
    operation = request.operation.value
    if bench.denial:
        where, colon, why = bench.denial.partition(": ")
        if colon and where.startswith("policy."):
            yield Line(where, "may it pass?", why, denies=True)
            return
        where = f"accounts.{judge.name}"
        yield Line(where, f"may it do what is {operation!r}?", bench.denial, denies=True)
        return
    allow = ", ".join(judge.account.allow) or "none"
    yield Line(f"accounts.{judge.name}.allow", f"may it do what is {operation!r}?", f"has {allow}")
    if bench.reader is None and bench.asked.reduces:
        said = "no more than a position holds: neither `max_order` nor `max_day` is for it"
        yield Line(f"operations, {judge.account.venue}.yml", "what is ordered?", said)
        yield from _rates(judge, bench, [])
        return
    if bench.reader is None:
        return
    where = f"orders.endpoints, {judge.account.venue}.yml"
    try:
        orders = judge.read(bench, request)
    except Unreadable as error:
        yield Line(where, "what is ordered?", str(error), denies=True)
        return
    for order in orders:
        yield Line(where, "what is ordered?", _shown(order))
    for limit in bench.limits:
        for order in orders:
            why = limit.objection(order, judge.prices)
            said = why or limit.told(order, judge.prices)
            yield Line(limit.path, limit.bound, said, denies=bool(why))
    yield from _rates(judge, bench, orders)
    for cap in bench.days:
        yield _day(judge, cap, orders, books, store, day_of(wall_ns))


def _rates(judge: Judge, bench: Bench, orders: list[Order]) -> Iterator[Line]:
    for cap, count in counted(bench, orders):
        asked = f"at most {cap.rate} orders of {judge.name!r}"
        if count > cap.rate.count:
            yield Line(cap.path, asked, f"{count} at once would never fit", denies=True)
        else:
            yield Line(cap.path, asked, f"{count} more; a running process counts")


def _day(
    judge: Judge, cap: DayCap, orders: list[Order], books: Books, store: Store | None, today: int
) -> Line:
    asked = f"at most {cap.amount} a day (UTC)"
    if store is None:
        return Line(cap.path, asked, "nobody keeps the day", denies=True)
    try:
        units = judge.units(cap, orders)
        ledger = books.ledger(judge.name, cap.amount.currency)
        left, day = ledger.left(cap.units, today, store)
    except (Unreadable, NoReference, DayRecordError) as error:
        return Line(cap.path, asked, str(error), denies=True)
    if units > left:
        why = told_spent(cap, units, left, day, today).partition(": ")[2]
        return Line(cap.path, asked, why, denies=True)
    said = f"{from_units(units)} of {from_units(left)} left on {day_text(day)}"
    return Line(cap.path, asked, said)


def _shown(order: Order) -> str:
    parts = [str(order), "sell" if order.is_sell else "buy", order.symbol]
    if order.quantity is not None:
        unit = order.unit.value if order.unit is not None else "an unknown unit"
        parts.append(f"{order.quantity:f} ({unit})")
    if order.quoted is not None:
        parts.append(f"for {order.quoted:f}")
    parts.append("no limit of its own" if order.price is None else f"at {order.price:f}")
    return " ".join(parts)
