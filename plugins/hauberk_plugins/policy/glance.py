"""`Glance`: what the usual order is worth, where nothing stands against it.

The usual one sets a limit of its own, in plain parameters of a single order, and is held against
nothing but lists of symbols and caps in the currency that it is quoted in. To any other, and to
each that something stands against, a glance says nothing: it is to be read.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from hauberk.request import Request
from hauberk_plugins.policy.amounts import EXACT, is_number
from hauberk_plugins.policy.errors import Unreadable
from hauberk_plugins.policy.forms import Form, Unit
from hauberk_plugins.policy.limits import CloserLook, Limit
from hauberk_plugins.policy.ordermap import Reader
from hauberk_plugins.policy.symbols import checked_symbol
from hauberk_plugins.policy.worth import Prices

_REMEMBERED: Final = 4_096
_ANYTHING: Final = Decimal("Infinity")
#: Below what nothing is worth.
_NOTHING: Final = Decimal(-1)


class Glance:
    """Looks at the orders of one endpoint.

    Args:
        reader: How they are read.
        form: The only one.
        limits: What each is held against.
        currencies: What orders are counted in.
        prices: The venue's reference prices.
    """

    __slots__ = ("_bounds", "_currencies", "_floats", "_form", "_limits", "_names", "_places",
                 "_prices", "_reader")  # fmt: skip

    def __init__(
        self, reader: Reader, form: Form, limits: tuple[Limit, ...], currencies: tuple[str, ...],
        prices: Prices,
    ) -> None:  # fmt: skip
        self._reader = reader
        self._form = form
        self._limits = limits
        self._currencies = currencies
        self._prices = prices
        names = (form.symbol, form.type, form.quantity, form.quote, form.side)
        self._names = tuple("" if place is None else place.name for place in names)
        #: With any of these, the price that is written is not all that it may come to.
        self._floats = frozenset(place.name for place in (*form.floats, *form.attached))
        self._places = {kind: place.name for kind, place in form.own_price.items()}
        #: What an order may be worth at most, by symbol.
        self._bounds: dict[str, Decimal] = {}

    def worth(self, request: Request) -> Decimal | None:
        """Return an order's notional in quote currency, or `None`, which says nothing."""
        params = request.params
        found = dict(params)
        # What the reader knows changes price and size by nothing but what is looked at here.
        if request.body or not self._reader.knows(tuple(found)) or len(found) != len(params):
            return None
        get = found.get
        symbol, kind, quantity, quoted, side = map(get, self._names)
        place = self._places.get("" if kind is None else kind.lower())
        if place is None or symbol is None or quantity is None or quoted is not None:
            return None
        price = get(place)
        if price is None or not self._floats.isdisjoint(found):
            return None
        # Where the reference is higher, a sale fills there; without one it may not pass at all.
        is_lax = self._prices.sales_at_limit and not self._prices.exist
        if not is_lax and (side is None or side.lower() not in self._form.buys):
            return None
        bound = self._bounds.get(symbol)
        if bound is None:
            bound = self._bound(symbol)
        if not is_number(price) or not is_number(quantity):
            return None
        limit = Decimal(price)
        value = EXACT.multiply(Decimal(quantity), limit)
        # A price of 0 is none at some venues.
        return value if limit and value <= bound else None

    def _bound(self, symbol: str) -> Decimal:
        bound = _ANYTHING
        try:
            checked_symbol(symbol, "")
            symbols = self._form.symbols
            _, quote = symbols.split(symbol)
            if any(currency != quote for currency in self._currencies):
                raise CloserLook
            for limit in self._limits:
                bound = min(bound, limit.most(symbol, symbols))
        except (CloserLook, Unreadable):
            bound = _NOTHING
        if len(self._bounds) >= _REMEMBERED:
            self._bounds.clear()
        self._bounds[symbol] = bound
        return bound


def glance_of(
    reader: Reader, limits: tuple[Limit, ...], currencies: tuple[str, ...], prices: Prices
) -> Glance | None:
    """Make a glance at an endpoint's orders; `None` where each takes a closer look."""
    if not reader.is_single or type(reader.forms) is not tuple:
        return None
    form = reader.forms[0]
    places = (*form.places, *form.attached)
    is_plain = all(place.name for place in places) and not (form.defaults or form.one_of)
    is_base = form.units[0].unit is Unit.BASE and not form.units[0].when
    if not is_plain or not is_base or form.signed or form.lax_price or not form.counts:
        return None
    return Glance(reader, form, limits, currencies, prices)
