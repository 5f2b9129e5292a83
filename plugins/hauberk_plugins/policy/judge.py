"""`Judge`: everything that policy has to say of one account's requests."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from hauberk.accounts import Account
from hauberk.ports import Venue
from hauberk.request import Operation, Request, path_of
from hauberk_plugins.policy import rules
from hauberk_plugins.policy.amounts import Amount, to_units
from hauberk_plugins.policy.capabilities import objection
from hauberk_plugins.policy.config import PolicyConfig
from hauberk_plugins.policy.errors import NoReference, Unreadable
from hauberk_plugins.policy.forms import Order
from hauberk_plugins.policy.glance import Glance, glance_of
from hauberk_plugins.policy.limits import Limit, worth_in
from hauberk_plugins.policy.ordermap import OrderMap, Reader
from hauberk_plugins.policy.rate import Rate
from hauberk_plugins.policy.symbols import SymbolSet
from hauberk_plugins.policy.worth import Lookup, Prices

#: URLs of which is remembered what holds for them; then it begins anew.
_REMEMBERED: Final = 1_024
#: What places orders.
_ORDERS: Final = frozenset({Operation.TRADE, Operation.REDUCE})


@frozen(eq=False)
class DayCap:
    """What an account may order on a day, in one currency: the strictest of what is said.

    Attributes:
        path: Where the strictest stands in `hauberk.yml`.
        amount: How much.
        units: The same in units of 10**-8.
    """

    path: str
    amount: Amount
    units: int


@frozen(eq=False)
class RateCap:
    """How many orders an account may place in a time.

    Attributes:
        path: Where it stands in `hauberk.yml`.
        rate: How many.
        only: The symbols that count; `None` for all.
    """

    path: str
    rate: Rate
    only: SymbolSet | None


@frozen(eq=False)
class Bench:
    """What holds for one method, URL and operation of an account.

    Attributes:
        asked: The request, but for what it says.
        denial: Why it is denied whatever it says; else empty.
        reader: Reads its orders; `None` where it has none, or none need to be read.
        limits: What each order must keep to.
        days: What they may be worth on a day together.
        rates: How many there may be.
        is_one: Whether it counts as one order, unread.
        glance: Says what the usual order is worth, where nothing stands against it; `None` where
            each takes a closer look.
    """

    asked: rules.Asked
    denial: str = ""
    reader: Reader | None = None
    limits: tuple[Limit, ...] = ()
    days: tuple[DayCap, ...] = ()
    rates: tuple[RateCap, ...] = ()
    is_one: bool = False
    glance: Glance | None = None

    @property
    def first(self) -> str:
        """Where the first of what its orders are held against stands."""
        return next(one.path for some in (self.limits, self.days, self.rates) for one in some)


class Judge:
    """Judges the requests of one account; counts nothing.

    Args:
        name: The account's name.
        account: The account.
        venue: Its venue; `None` where no orders are judged.
        orders: How orders are read there.
        config: The section `policy`.
        lookup: Gives a reference price of a symbol at the venue; `None` without a provider.
    """

    def __init__(
        self,
        name: str,
        account: Account,
        venue: Venue | None,
        orders: OrderMap,
        config: PolicyConfig,
        lookup: Lookup | None,
    ) -> None:
        self.name = name
        self.account = account
        self.venue = venue
        self.orders = orders
        self.prices = Prices(lookup, sales_at_limit=config.sales_at_limit)
        self._config = config
        self._benches: dict[tuple[str, str, Operation], Bench] = {}

    def bench(self, request: Request) -> Bench:
        """Return what holds for a request, but for what it says."""
        key = (request.method, request.url, request.operation)
        found = self._benches.get(key)
        if found is None:
            found = self._made(request)
            if len(self._benches) >= _REMEMBERED:
                self._benches.clear()
            self._benches[key] = found
        return found

    def read(self, bench: Bench, request: Request) -> list[Order]:
        """Read the orders of a request that has a reader.

        Raises:
            Unreadable: One cannot be read.
        """
        if bench.reader is None or self.venue is None:
            return []
        return bench.reader.read(request, self.venue.body_params)

    def objection(self, bench: Bench, orders: list[Order]) -> str:
        """Say what stands against the orders, each by itself: where it stands, and why."""
        prices = self.prices
        for limit in bench.limits:
            for order in orders:
                if why := limit.objection(order, prices):
                    return f"{limit.path}: {why}"
        return ""

    def units(self, cap: DayCap, orders: list[Order]) -> int:
        """Return what orders count for on a day, in units of 10**-8, each rounded up.

        Raises:
            Unreadable, NoReference: As `worth_in`.
        """
        total = 0
        for order in orders:
            if order.form.counts:
                try:
                    total += to_units(worth_in(order, cap.amount.currency, self.prices))
                except (Unreadable, NoReference) as error:
                    raise type(error)(f"{order} cannot be counted: {error}") from None
        return total

    def _made(self, request: Request) -> Bench:
        path = path_of(request.url)
        operation = request.operation
        asked = rules.Asked(self.name, self.account, request.method, path, operation)
        if why := self._refused(asked):
            return Bench(asked, why)
        for where, why in rules.denials(self._config, asked):
            return Bench(asked, f"{where}: {request.method} {path} is denied{why and ': ' + why}")
        if operation not in _ORDERS:
            return Bench(asked)
        limits = tuple(rules.limits(self._config, asked))
        rates = tuple(RateCap(*one) for one in rules.rates(self._config, asked))
        # What reduces a position must go on when the day is spent.
        days = () if asked.reduces else self.days
        if not (limits or rates or days):
            return Bench(asked)
        name = "" if self.venue is None else self.venue.endpoint(request.method, path)
        reader = self.orders.readers.get(name)
        if reader is None and name in self.orders.readers:
            return Bench(asked)
        if asked.reduces and not limits and (reader is None or reader.items is None):
            # Nothing that it could say matters: a position can be left where nobody says how.
            return Bench(asked, rates=rates, is_one=True)
        if reader is not None:
            glance = self._glance(reader, limits, days, rates)
            return Bench(asked, "", reader, limits, days, rates, glance=glance)
        first = Bench(asked, "", None, limits, days, rates).first
        return Bench(
            asked,
            f"{first}: the file of venue {self.account.venue!r} does not say how an order is read "
            f"out of {name or request.method + ' ' + path}, so nobody can judge it: describe it "
            "in `orders.endpoints` there, or write `none` if it places no order",
        )

    def _glance(
        self,
        reader: Reader,
        limits: tuple[Limit, ...],
        days: tuple[DayCap, ...],
        rates: tuple[RateCap, ...],
    ) -> Glance | None:
        if rates or len(days) > 1:
            return None
        currencies = tuple(cap.amount.currency for cap in days)
        return glance_of(reader, limits, currencies, self.prices)

    @property
    def days(self) -> tuple[DayCap, ...]:
        """The strictest cap of a day in each currency."""
        found: dict[str, DayCap] = {}
        for path, caps in rules.sections(self._config, self.name):
            cap = caps.max_day
            if cap is None:
                continue
            units = int(cap.value.scaleb(8))
            known = found.get(cap.currency)
            if known is None or units < known.units:
                found[cap.currency] = DayCap(f"{path}.max_day", cap, units)
        return tuple(found.values())

    def _refused(self, asked: rules.Asked) -> str:
        """Say what stands against it by account and operation alone."""
        account, operation = self.account, asked.operation
        if account.disabled:
            return f"account {self.name!r} is disabled in hauberk.yml"
        if operation is Operation.UNKNOWN:
            return (
                f"the map of venue {account.venue!r} does not know {asked.method} {asked.path}, so "
                "nobody can say what it does; if it is safe, add it to `operations` in the "
                "venue's file"
            )
        return objection(self.name, account.allow, operation)


def counted(bench: Bench, orders: list[Order]) -> list[tuple[RateCap, int]]:
    """Return how many orders count for each rate."""
    if bench.is_one:
        return [(cap, 1) for cap in bench.rates]
    return [
        (cap, len(orders) if cap.only is None else sum(_may_be(cap.only, one) for one in orders))
        for cap in bench.rates
    ]


def _may_be(only: SymbolSet, order: Order) -> bool:
    """Whether an order is, or may be, for one of these: then it counts."""
    try:
        return only.holds(order.symbol, order.form.symbols)
    except Unreadable:
        return True
