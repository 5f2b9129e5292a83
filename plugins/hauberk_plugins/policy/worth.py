"""What an order is worth: its notional, in the quote currency or in another."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias

from hauberk_plugins.policy.amounts import EXACT, cut
from hauberk_plugins.policy.errors import NoReference, Unreadable
from hauberk_plugins.policy.forms import Order, Unit
from hauberk_plugins.policy.symbols import Symbols

#: From a symbol to its reference price, or nothing.
Lookup: TypeAlias = Callable[[str], Decimal | None]
_ONE: Final = Decimal(1)
#: What a price may lie between: beyond, it is damage.
_LEAST, _MOST = Decimal("1e-30"), Decimal("1e30")


class Prices:
    """The reference prices of a venue.

    Args:
        lookup: Gives a price in quote units; `None` where nobody provides any.
        sales_at_limit: Whether a sale may count at its own limit where there is none.

    Attributes:
        exist: Whether anybody provides any.
        sales_at_limit: As given.
    """

    __slots__ = ("_lookup", "exist", "sales_at_limit")

    def __init__(self, lookup: Lookup | None, *, sales_at_limit: bool = False) -> None:
        self._lookup = lookup
        self.exist = lookup is not None
        self.sales_at_limit = sales_at_limit

    def of(self, symbol: str) -> Decimal | None:
        """Return a price that can be used, or nothing: whatever else was given counts as none."""
        if self._lookup is None:
            return None
        price = self._lookup(symbol)
        if type(price) is not Decimal or not price.is_finite():
            return None
        return price if _LEAST <= price <= _MOST else None

    def of_sale(self, symbol: str, limit: Decimal) -> Decimal:
        """Return at which price a sale counts at least.

        Raises:
            NoReference: There is no reference price, and its own limit is not to do.
        """
        price = self.of(symbol)
        if price is not None:
            return price
        if self.sales_at_limit:
            return limit
        try:
            return self.needed(symbol, "a sale, which may fill above its limit,")
        except NoReference as error:
            raise NoReference(
                f"{error}; provide one or, knowing that a sale at 1 then counts for 1, set "
                "`policy.sales_at_limit: true`"
            ) from None

    def needed(self, symbol: str, what: str) -> Decimal:
        """Return a price.

        Raises:
            NoReference: There is none; says what it was needed for.
        """
        price = self.of(symbol)
        if price is None:
            who = "no plugin provides any" if self._lookup is None else "there is none"
            raise NoReference(f"{what} needs a reference price of {cut(symbol)}, and {who}")
        return price


def worth(order: Order, prices: Prices) -> tuple[Decimal, str]:
    """Return an order's notional and the currency that it is quoted in.

    What buys and sets a limit for itself counts at that limit; a sale at the reference price if
    that is higher, since it may fill there. What sets none counts at the reference price.

    Raises:
        Unreadable: The request or the venue's file says too little.
        NoReference: A reference price is needed, and there is none.
    """
    if order.worth is None:  # else every limit goes by the same one
        order.worth = _worth(order, prices)
    return order.worth


def _worth(order: Order, prices: Prices) -> tuple[Decimal, str]:
    base, quoted = order.quantity, order.quoted
    _, quote = order.form.symbols.split(order.symbol)
    if base is not None and order.unit is not Unit.BASE:
        base, more = _counted(order, base)
        quoted = more if quoted is None or (more is not None and more > quoted) else quoted
    if base is None:
        if quoted is None:
            raise Unreadable("it says no quantity: name it, also when an order is changed")
        return quoted, quote
    price = order.price
    if price is None:
        price = prices.needed(order.symbol, "an order without a limit of its own")
    elif order.form.lax_price:
        price = max(price, prices.needed(order.symbol, "a change of an order"))
    elif order.is_sell:
        price = max(price, prices.of_sale(order.symbol, price))
    value = EXACT.multiply(base, price)
    return (value if quoted is None else max(value, quoted)), quote


def _counted(order: Order, quantity: Decimal) -> tuple[Decimal | None, Decimal | None]:
    """Return a quantity in base currency, or else in quote currency."""
    if order.unit is Unit.QUOTE:
        return None, quantity
    if order.unit is None:
        raise Unreadable("the venue's file does not say what its quantity counts (`unit`)")
    contract = order.form.contracts.get(order.symbol.upper())
    if contract is None:
        raise Unreadable(
            f"its quantity is in contracts, and nobody says what one of {cut(order.symbol)} is: "
            "write it into `policy.contracts`"
        )
    amount = EXACT.multiply(quantity, contract.value)
    base, quote = order.form.symbols.split(order.symbol)
    if contract.currency == quote:
        return None, amount
    if contract.currency == base:
        return amount, None
    raise Unreadable(f"a contract of {cut(order.symbol)} is in {contract.currency}, which is "
                     "neither its base nor its quote")  # fmt: skip


def converted(
    value: Decimal, quote: str, currency: str, symbols: Symbols, prices: Prices
) -> Decimal:
    """Return an amount in another currency, rounded up.

    Raises:
        NoReference: There is no reference price between the two.
    """
    if quote == currency:
        return value
    direct = prices.of(symbols.joined(quote, currency))
    if direct is not None:
        return EXACT.multiply(value, direct)
    inverse = prices.of(symbols.joined(currency, quote))
    if inverse is not None:
        return EXACT.divide(value, inverse)
    raise NoReference(
        f"it is in {quote} and the cap in {currency}: that needs a reference price of "
        f"{cut(symbols.joined(quote, currency))}, and there is none"
    )
