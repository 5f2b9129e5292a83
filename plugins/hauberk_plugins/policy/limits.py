"""What each order is held against: one class a kind of limit, each with its path in the file."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Final, Protocol

from hauberk_plugins.policy.amounts import EXACT, Amount, cut, plain
from hauberk_plugins.policy.errors import NoReference, Unreadable
from hauberk_plugins.policy.forms import Order
from hauberk_plugins.policy.symbols import Symbols, SymbolSet
from hauberk_plugins.policy.worth import Prices, converted, worth

_ONE: Final = Decimal(1)
_HUNDRED: Final = Decimal(100)


#: More than any order is worth.
_ANYTHING: Final = Decimal("Infinity")


class CloserLook(Exception):
    """What an order is held against depends on more than its symbol and its notional."""


class Limit(Protocol):
    """Something that an order must keep to.

    Attributes:
        path: Where it stands in `hauberk.yml`.
        bound: What it asks for.
    """

    path: str
    bound: str

    def objection(self, order: Order, prices: Prices) -> str:
        """Say what stands against an order; nothing if it keeps to it."""

    def told(self, order: Order, prices: Prices) -> str:
        """Say how an order keeps to it."""

    def most(self, symbol: str, symbols: Symbols) -> Decimal:
        """Return what an order that counts may be worth at most, in the quote currency.

        Args:
            symbol: The order's, of which base and quote can be told.
            symbols: How symbols are made.

        Raises:
            CloserLook: That is not all that matters, or it may not be at all.
        """


class Listed:
    """The symbol must be in a list."""

    def __init__(self, path: str, symbols: SymbolSet) -> None:
        self.path = path
        self.bound = f"one of {symbols}"
        self._symbols = symbols

    def objection(self, order: Order, prices: Prices) -> str:  # noqa: ARG002 - of every limit
        """Object to a symbol that is not in it."""
        if self._symbols.lists(order.symbol, order.form.symbols):
            return ""
        return f"{order} is for {cut(order.symbol)}, which is none of {self._symbols}"

    def told(self, order: Order, prices: Prices) -> str:  # noqa: ARG002
        """Name the symbol."""
        return f"{order.symbol} is in the list"

    def most(self, symbol: str, symbols: Symbols) -> Decimal:
        """Bound nothing that is in it."""
        if self._symbols.lists(symbol, symbols):
            return _ANYTHING
        raise CloserLook


class Denial:
    """Some symbols are denied."""

    def __init__(self, path: str, symbols: SymbolSet, why: str) -> None:
        self.path = path
        self.bound = f"none of {symbols}"
        self._symbols = symbols
        self._why = why

    def objection(self, order: Order, prices: Prices) -> str:  # noqa: ARG002
        """Object to a symbol that is in it."""
        try:
            if not self._symbols.holds(order.symbol, order.form.symbols):
                return ""
        except Unreadable as error:
            return f"{order} may be one that is denied{self._why}: {error}"
        return f"{order} is for {cut(order.symbol)}, which is denied{self._why}"

    def told(self, order: Order, prices: Prices) -> str:  # noqa: ARG002
        """Name the symbol."""
        return f"{order.symbol} is not denied"

    def most(self, symbol: str, symbols: Symbols) -> Decimal:
        """Bound nothing that is not in it."""
        if not self._symbols.holds(symbol, symbols):
            return _ANYTHING
        raise CloserLook


class MaxOrder:
    """One order may be worth so much at most.

    Args:
        path: Where it stands.
        cap: How much.
        only: The symbols that it is for; `None` for all.
    """

    def __init__(self, path: str, cap: Amount, only: SymbolSet | None = None) -> None:
        self.path = path
        self.bound = f"at most {cap} an order"
        self._cap = cap
        self._only = only

    def objection(self, order: Order, prices: Prices) -> str:
        """Object to an order that is worth more, or nobody knows how much."""
        if _is_exempt(order, self._only):
            return ""
        try:
            value = worth_in(order, self._cap.currency, prices)
        except (Unreadable, NoReference) as error:
            return f"{order} cannot be held against {self._cap}: {error}"
        if value <= self._cap.value:
            return ""
        return f"{order} is worth {plain(value)} {self._cap.currency}, above {self._cap}"

    def told(self, order: Order, prices: Prices) -> str:
        """Say what it is worth."""
        if _is_exempt(order, self._only):
            return _exemption(order)
        value = worth_in(order, self._cap.currency, prices)
        return f"{plain(value)} {self._cap.currency}"

    def most(self, symbol: str, symbols: Symbols) -> Decimal:
        """Return the cap, if it is in the quote currency."""
        if self._only is not None and not self._only.holds(symbol, symbols):
            return _ANYTHING
        if symbols.split(symbol)[1] != self._cap.currency:
            raise CloserLook
        return self._cap.value


class PriceBand:
    """A limit must lie near the reference price.

    Args:
        path: Where it stands.
        share: How far at most.
        only: The symbols that it is for; `None` for all.
    """

    def __init__(self, path: str, share: Decimal, only: SymbolSet | None = None) -> None:
        self.path = path
        self.bound = f"within {plain(share * _HUNDRED)} % of the reference price"
        self._low = EXACT.subtract(_ONE, share)
        self._high = EXACT.add(_ONE, share)
        self._only = only

    def objection(self, order: Order, prices: Prices) -> str:
        """Object to a price outside, to an order without one, and where there is no reference."""
        if _is_exempt(order, self._only):
            return ""
        if order.price is None:
            return f"{order} sets no limit for its price, so that it may fill at any"
        try:
            reference = prices.needed(order.symbol, "a price band")
        except NoReference as error:
            return f"{order} cannot be judged: {error}"
        low, high = EXACT.multiply(reference, self._low), EXACT.multiply(reference, self._high)
        if low <= order.price <= high:
            if order.attached:
                return (
                    f"{order} has {cut(order.attached)}, which closes again what it opens, at a "
                    "price that nobody holds to the band"
                )
            return ""
        return (
            f"{order} is at {plain(order.price)}, not {self.bound} {plain(reference)}: "
            f"{plain(low)} to {plain(high)}"
        )

    def told(self, order: Order, prices: Prices) -> str:
        """Say where the price lies."""
        if _is_exempt(order, self._only) or order.price is None:
            return _exemption(order)
        reference = prices.needed(order.symbol, "a price band")
        return f"{plain(order.price)}, reference {plain(reference)}"

    def most(self, symbol: str, symbols: Symbols) -> Decimal:
        """Bound nothing but what it is for."""
        if self._only is not None and not self._only.holds(symbol, symbols):
            return _ANYTHING
        raise CloserLook


def worth_in(order: Order, currency: str, prices: Prices) -> Decimal:
    """Return an order's notional in a currency.

    Raises:
        Unreadable, NoReference: As `worth` and `converted`.
    """
    value, quote = worth(order, prices)
    if quote == currency:
        return value
    return converted(value, quote, currency, order.form.symbols, prices)


def _is_exempt(order: Order, only: SymbolSet | None) -> bool:
    if only is not None:
        with suppress(Unreadable):  # then it may be one of those
            if not only.holds(order.symbol, order.form.symbols):
                return True
    return order.form.exits or order.form.shrinks


def _exemption(order: Order) -> str:
    if order.form.exits:
        return "at most closes a position"
    return "only makes an order smaller" if order.form.shrinks else "is for other symbols"
