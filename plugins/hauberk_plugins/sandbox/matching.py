"""Orders, and a matching engine without a book: the market itself is the other side."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from attrs import define, frozen

from hauberk_plugins.sandbox import wire
from hauberk_plugins.sandbox.accounts import Account
from hauberk_plugins.sandbox.market import MAX_OPEN_ORDERS, Market, SymbolRules
from hauberk_plugins.sandbox.wire import bad_request

#: How many orders that are no longer open, and how many trades, an account remembers.
MAX_HISTORY: Final = 10_000


@frozen
class Ticket:
    """What a client wants, before the engine takes it.

    Attributes:
        symbol: What is traded.
        side: `BUY` or `SELL`.
        type: `LIMIT` or `MARKET`.
        time_in_force: `GTC`, `IOC` or `FOK`.
        quantity: In base units.
        price: The limit, in quote units; 0 for `MARKET`.
        client_order_id: The client's name for it; empty to be given one.
    """

    symbol: str
    side: str
    type: str
    time_in_force: str
    quantity: Decimal
    price: Decimal
    client_order_id: str = ""


@define
class Order:
    """An order and how it stands; it is filled as a whole or not at all."""

    order_id: int
    ticket: Ticket
    client_order_id: str
    created_ms: int
    updated_ms: int
    held: Decimal
    status: str = "NEW"
    executed: Decimal = Decimal(0)
    spent: Decimal = Decimal(0)

    @property
    def is_buy(self) -> bool:
        """Whether the account receives the base asset."""
        return self.ticket.side == "BUY"


@frozen
class Trade:
    """One execution."""

    trade_id: int
    order: Order
    price: Decimal
    quantity: Decimal
    at_ms: int
    is_maker: bool


class Blotter:
    """The orders and trades of one account.

    Args:
        account: Whose they are.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.open: dict[int, Order] = {}
        self.closed: deque[Order] = deque(maxlen=MAX_HISTORY)
        self.trades: deque[Trade] = deque(maxlen=MAX_HISTORY)

    def __iter__(self) -> Iterator[Order]:
        yield from self.closed
        yield from self.open.values()

    def open_in(self, symbol: str) -> tuple[Order, ...]:
        """Return the open orders of a symbol; of all if it is empty."""
        return tuple(o for o in self.open.values() if symbol in ("", o.ticket.symbol))

    def close(self, order: Order, status: str, now_ms: int) -> None:
        """Move an order out of the open ones."""
        order.status, order.updated_ms = status, now_ms
        self.open.pop(order.order_id, None)
        self.closed.append(order)


class MatchingEngine:
    """Takes orders, fills what the market's price reaches, and cancels.

    Args:
        market: Symbols and prices.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._blotters: dict[str, Blotter] = {}
        self._last_order = 0
        self._last_trade = 0

    def blotter(self, account: Account) -> Blotter:
        """Return the orders and trades of an account."""
        return self._blotters.setdefault(account.name, Blotter(account))

    def check(self, ticket: Ticket, now_ms: int) -> None:
        """Apply a symbol's filters.

        Raises:
            Refused: -1013 or -1111.
        """
        rules = self._market.rules(ticket.symbol)
        if not rules.step <= ticket.quantity <= rules.max_quantity:
            raise _filtered("LOT_SIZE")
        _check_step("quantity", ticket.quantity, rules.step)
        price = ticket.price
        if ticket.type == "MARKET":
            price = self._market.price(ticket.symbol, now_ms)
        if not rules.tick <= price <= rules.max_price:
            raise _filtered("PRICE_FILTER")
        _check_step("price", price, rules.tick)
        if price * ticket.quantity < rules.min_notional:
            raise _filtered("NOTIONAL")

    def submit(self, account: Account, ticket: Ticket, now_ms: int) -> Order:
        """Take an order: fill it, let it rest, or let it expire.

        Raises:
            Refused: A filter, a name that is taken, too many open orders, or too little money.
        """
        self.check(ticket, now_ms)
        blotter = self.blotter(account)
        self._check_open(blotter, ticket)
        price = self._market.price(ticket.symbol, now_ms)
        asset, held = _to_hold(self._market.rules(ticket.symbol), ticket, price)
        account.lock(asset, held)
        self._last_order += 1
        name = ticket.client_order_id or f"sandbox-{self._last_order}"
        order = Order(self._last_order, ticket, name, now_ms, now_ms, held)
        if _reached(ticket, price):
            self._fill(blotter, order, price, now_ms, is_maker=False)
        elif ticket.time_in_force == "GTC":
            blotter.open[order.order_id] = order
        else:
            account.unlock(asset, held)
            blotter.close(order, "EXPIRED", now_ms)
        return order

    def match(self, now_ms: int) -> None:
        """Fill every resting order that the price has reached."""
        for blotter in self._blotters.values():
            for order in tuple(blotter.open.values()):
                if _reached(order.ticket, self._market.price(order.ticket.symbol, now_ms)):
                    limit = order.ticket.price
                    self._fill(blotter, order, limit, now_ms, is_maker=True)

    def cancel(self, account: Account, order: Order, now_ms: int) -> None:
        """Cancel an open order and give back what it held."""
        asset = _held_asset(self._market.rules(order.ticket.symbol), order.ticket)
        account.unlock(asset, order.held)
        self.blotter(account).close(order, "CANCELED", now_ms)

    def _check_open(self, blotter: Blotter, ticket: Ticket) -> None:
        if len(blotter.open_in(ticket.symbol)) >= MAX_OPEN_ORDERS:
            raise _filtered("MAX_NUM_ORDERS")
        if any(o.client_order_id == ticket.client_order_id for o in blotter.open.values()):
            raise bad_request(wire.ORDER_REJECTED, "Duplicate order sent.")

    def _fill(
        self, blotter: Blotter, order: Order, price: Decimal, now_ms: int, *, is_maker: bool
    ) -> None:
        rules, quantity = self._market.rules(order.ticket.symbol), order.ticket.quantity
        account, worth = blotter.account, price * quantity
        if order.is_buy:
            account.spend(rules.quote, worth)
            account.unlock(rules.quote, order.held - worth)
            account.receive(rules.base, quantity)
        else:
            account.spend(rules.base, quantity)
            account.receive(rules.quote, worth)
        order.executed, order.spent = quantity, worth
        blotter.close(order, "FILLED", now_ms)
        self._last_trade += 1
        blotter.trades.append(Trade(self._last_trade, order, price, quantity, now_ms, is_maker))


def _reached(ticket: Ticket, price: Decimal) -> bool:
    if ticket.type == "MARKET":
        return True
    return price <= ticket.price if ticket.side == "BUY" else price >= ticket.price


def _held_asset(rules: SymbolRules, ticket: Ticket) -> str:
    return rules.quote if ticket.side == "BUY" else rules.base


def _to_hold(rules: SymbolRules, ticket: Ticket, price: Decimal) -> tuple[str, Decimal]:
    if ticket.side == "SELL":
        return rules.base, ticket.quantity
    limit = price if ticket.type == "MARKET" else ticket.price
    return rules.quote, limit * ticket.quantity


def _check_step(name: str, value: Decimal, step: Decimal) -> None:
    if value % step:
        raise bad_request(wire.TOO_MUCH_PRECISION, f"Parameter '{name}' has too much precision.")


def _filtered(name: str) -> wire.Refused:
    return bad_request(wire.FILTER_FAILURE, f"Filter failure: {name}")
