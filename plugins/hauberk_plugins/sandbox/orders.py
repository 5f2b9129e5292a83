"""The endpoints about orders: reading a ticket, and writing an order as Binance does."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from hauberk_plugins.sandbox import wire
from hauberk_plugins.sandbox.market import money
from hauberk_plugins.sandbox.matching import Order, Ticket, Trade
from hauberk_plugins.sandbox.parameters import Parameters
from hauberk_plugins.sandbox.state import Asked, ExchangeState
from hauberk_plugins.sandbox.wire import Json, bad_request

_CLIENT_ORDER_ID: Final = r"^[a-zA-Z0-9-_]{1,36}$"


def place(state: ExchangeState, asked: Asked) -> Json:
    """Take an order."""
    ticket, detail = _ticket(state, asked), _detail(asked.parameters)
    order = state.engine.submit(asked.account, ticket, asked.now_ms)
    shown: dict[str, Json] = {
        "symbol": order.ticket.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "transactTime": asked.now_ms,
    }
    if detail != "ACK":
        shown |= _standing(order)
    if detail == "FULL":
        trades = state.engine.blotter(asked.account).trades
        shown["fills"] = [
            {**_execution(state, trade), "tradeId": trade.trade_id}
            for trade in tuple(trades)[-1:]
            if trade.order is order
        ]
    return shown


def rehearse(state: ExchangeState, asked: Asked) -> Json:
    """Check an order without taking it."""
    _detail(asked.parameters)
    state.engine.check(_ticket(state, asked), asked.now_ms)
    return {}


def order(state: ExchangeState, asked: Asked) -> Json:
    """Show one order, open or not."""
    return _shown(_find(state, asked, open_only=False))


def open_orders(state: ExchangeState, asked: Asked) -> Json:
    """Show the open orders of a symbol, or all."""
    symbol = asked.parameters.get("symbol")
    if symbol:
        state.market.rules(symbol)
    return [_shown(found) for found in state.engine.blotter(asked.account).open_in(symbol)]


def my_trades(state: ExchangeState, asked: Asked) -> Json:
    """Show the latest trades of a symbol, oldest first."""
    symbol = state.market.rules(asked.parameters.text("symbol")).symbol
    order_id = asked.parameters.integer("orderId", 0)
    limit = min(max(asked.parameters.integer("limit", 500), 1), 1_000)
    chosen = [
        trade
        for trade in state.engine.blotter(asked.account).trades
        if trade.order.ticket.symbol == symbol and order_id in (0, trade.order.order_id)
    ]
    return [_trade(state, trade) for trade in chosen[-limit:]]


def cancel(state: ExchangeState, asked: Asked) -> Json:
    """Cancel one order."""
    found = _find(state, asked, open_only=True)
    state.engine.cancel(asked.account, found, asked.now_ms)
    return _cancelled(found, asked)


def cancel_all(state: ExchangeState, asked: Asked) -> Json:
    """Cancel every open order of a symbol."""
    symbol = state.market.rules(asked.parameters.text("symbol")).symbol
    found = state.engine.blotter(asked.account).open_in(symbol)
    if not found:
        raise bad_request(wire.CANCEL_REJECTED, "Unknown order sent.")
    for each in found:
        state.engine.cancel(asked.account, each, asked.now_ms)
    return [_cancelled(each, asked) for each in found]


def _ticket(state: ExchangeState, asked: Asked) -> Ticket:
    sent = asked.parameters
    symbol = state.market.rules(sent.text("symbol")).symbol
    side = sent.one_of("side", ("BUY", "SELL"), wire.INVALID_SIDE, "Invalid side.")
    kind = sent.one_of("type", ("LIMIT", "MARKET"), wire.INVALID_ORDER_TYPE, "Invalid orderType.")
    name = ""
    if "newClientOrderId" in sent:
        name = sent.matching("newClientOrderId", _CLIENT_ORDER_ID)
    if kind == "MARKET":
        _forbid(sent, "price", "timeInForce")
        return Ticket(symbol, side, kind, "GTC", _market_quantity(state, asked), Decimal(0), name)
    _forbid(sent, "quoteOrderQty")
    force = sent.one_of(
        "timeInForce", ("GTC", "IOC", "FOK"), wire.INVALID_TIME_IN_FORCE, "Invalid timeInForce."
    )
    return Ticket(symbol, side, kind, force, sent.decimal("quantity"), sent.decimal("price"), name)


def _market_quantity(state: ExchangeState, asked: Asked) -> Decimal:
    sent = asked.parameters
    if "quoteOrderQty" not in sent:
        return sent.decimal("quantity")
    _forbid(sent, "quantity")
    rules = state.market.rules(sent.text("symbol"))
    price = state.market.price(rules.symbol, asked.now_ms)
    # The filter LOT_SIZE refuses what is too large; the bound keeps the arithmetic exact.
    wanted = min(sent.decimal("quoteOrderQty") / price, rules.max_quantity + 1)
    return wanted // rules.step * rules.step


def _forbid(sent: Parameters, *names: str) -> None:
    for name in names:
        if name in sent:
            raise bad_request(
                wire.PARAMETER_NOT_REQUIRED, f"Parameter '{name}' sent when not required."
            )


def _detail(sent: Parameters) -> str:
    if "newOrderRespType" not in sent:
        return "FULL"
    return sent.one_of(
        "newOrderRespType",
        ("ACK", "RESULT", "FULL"),
        wire.INVALID_PARAMETER,
        "Data sent for parameter 'newOrderRespType' is not valid.",
    )


def _find(state: ExchangeState, asked: Asked, *, open_only: bool) -> Order:
    sent = asked.parameters
    symbol = state.market.rules(sent.text("symbol")).symbol
    if "orderId" not in sent and "origClientOrderId" not in sent:
        raise bad_request(
            wire.MANDATORY_PARAMETER,
            "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
        )
    order_id, name = sent.integer("orderId", 0), sent.get("origClientOrderId")
    blotter = state.engine.blotter(asked.account)
    for found in blotter.open.values() if open_only else reversed(tuple(blotter)):
        same_id = order_id in (0, found.order_id) and name in ("", found.client_order_id)
        if same_id and found.ticket.symbol == symbol:
            return found
    if open_only:
        raise bad_request(wire.CANCEL_REJECTED, "Unknown order sent.")
    raise bad_request(wire.NO_SUCH_ORDER, "Order does not exist.")


def _standing(order: Order) -> dict[str, Json]:
    ticket = order.ticket
    return {
        "price": money(ticket.price),
        "origQty": money(ticket.quantity),
        "executedQty": money(order.executed),
        "cummulativeQuoteQty": money(order.spent),  # sic
        "status": order.status,
        "timeInForce": ticket.time_in_force,
        "type": ticket.type,
        "side": ticket.side,
        "workingTime": order.created_ms,
        "selfTradePreventionMode": "NONE",
    }


def _shown(order: Order) -> Json:
    return {
        "symbol": order.ticket.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        **_standing(order),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
    }


def _cancelled(order: Order, asked: Asked) -> Json:
    return {
        "symbol": order.ticket.symbol,
        "origClientOrderId": order.client_order_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": asked.parameters.get("newClientOrderId", order.client_order_id),
        "transactTime": asked.now_ms,
        **_standing(order),
    }


def _execution(state: ExchangeState, trade: Trade) -> dict[str, Json]:
    rules = state.market.rules(trade.order.ticket.symbol)
    return {
        "price": money(trade.price),
        "qty": money(trade.quantity),
        "commission": money(Decimal(0)),
        "commissionAsset": rules.base if trade.order.is_buy else rules.quote,  # what is received
    }


def _trade(state: ExchangeState, trade: Trade) -> Json:
    return {
        "symbol": trade.order.ticket.symbol,
        "id": trade.trade_id,
        "orderId": trade.order.order_id,
        "orderListId": -1,
        **_execution(state, trade),
        "quoteQty": money(trade.price * trade.quantity),
        "time": trade.at_ms,
        "isBuyer": trade.order.is_buy,
        "isMaker": trade.is_maker,
        "isBestMatch": True,
    }
