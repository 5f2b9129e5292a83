"""The table of endpoints, with their weights, and those that are not about orders.

Paths, parameters, weights and the shape of answers follow Binance's Spot REST API; where the
weight is another one on the real exchange, the table says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final

from attrs import frozen

from hauberk_plugins.sandbox import emergency, orders, wire
from hauberk_plugins.sandbox.accounts import Permission, Withdrawal
from hauberk_plugins.sandbox.market import SymbolRules, money
from hauberk_plugins.sandbox.parameters import Parameters
from hauberk_plugins.sandbox.state import Asked, ExchangeState
from hauberk_plugins.sandbox.wire import Json, bad_request

_DEPTH_LEVELS: Final = 10
#: Weight of `depth` by the largest `limit` that it covers.
_DEPTH_WEIGHTS: Final = ((100, 5), (500, 25), (1_000, 50), (5_000, 250))


@frozen
class Endpoint:
    """One endpoint.

    Attributes:
        method: HTTP method.
        path: Path, matched whole.
        weight: What it costs, or a function of the parameters.
        answer: What it does.
        permission: What a key needs for it; `None` if it is public.
        mandatory: Parameters that must be sent, beside those of the signature.
        optional: Parameters that may be.
        places_order: Whether it counts towards the limits of orders.
    """

    method: str
    path: str
    weight: int | Callable[[Parameters], int]
    answer: Callable[[ExchangeState, Asked], Json]
    permission: Permission | None = None
    mandatory: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    places_order: bool = False

    def cost(self, parameters: Parameters) -> int:
        """Return the weight of a call."""
        return self.weight if isinstance(self.weight, int) else self.weight(parameters)


def ping(state: ExchangeState, asked: Asked) -> Json:  # noqa: ARG001 - one signature for all
    """Say that the exchange is there."""
    return {}


def time(state: ExchangeState, asked: Asked) -> Json:  # noqa: ARG001 - one signature for all
    """Tell the exchange's time in milliseconds."""
    return {"serverTime": asked.now_ms}


def exchange_info(state: ExchangeState, asked: Asked) -> Json:
    """List the limits and the symbols."""
    return {
        "timezone": "UTC",
        "serverTime": asked.now_ms,
        "rateLimits": state.gate.describe(),
        "exchangeFilters": [],
        "symbols": [rules.describe() for rules in _chosen(state, asked)],
    }


def ticker_price(state: ExchangeState, asked: Asked) -> Json:
    """Tell the price of one symbol, or of several."""
    prices = [
        {"symbol": rules.symbol, "price": money(state.market.price(rules.symbol, asked.now_ms))}
        for rules in _chosen(state, asked)
    ]
    return prices[0] if "symbol" in asked.parameters else prices


def depth(state: ExchangeState, asked: Asked) -> Json:
    """Show a book of evenly spaced levels on both sides of the price."""
    rules = state.market.rules(asked.parameters.text("symbol"))
    levels = min(asked.parameters.integer("limit", 100), _DEPTH_LEVELS)
    price = state.market.price(rules.symbol, asked.now_ms)
    size = money(rules.step * 1_000)
    return {
        "lastUpdateId": asked.now_ms,
        "bids": [[money(price - n * rules.tick), size] for n in range(1, levels + 1)],
        "asks": [[money(price + n * rules.tick), size] for n in range(1, levels + 1)],
    }


def account(state: ExchangeState, asked: Asked) -> Json:  # noqa: ARG001 - one signature for all
    """Tell balances and rights."""
    hide_zero = asked.parameters.get("omitZeroBalances") == "true"
    return {
        "makerCommission": 0,
        "takerCommission": 0,
        "canTrade": Permission.TRADE in asked.may,
        "canWithdraw": Permission.WITHDRAW in asked.may,
        "canDeposit": True,
        "accountType": "SPOT",
        "updateTime": asked.now_ms,
        "balances": [
            {"asset": asset, "free": money(held.free), "locked": money(held.locked)}
            for asset, held in asked.account.balances.items()
            if held.free or held.locked or not hide_zero
        ],
        "permissions": ["SPOT"],
    }


def withdraw(state: ExchangeState, asked: Asked) -> Json:
    """Let money leave: what Hauberk is there to prevent."""
    coin, address = asked.parameters.text("coin"), asked.parameters.text("address")
    amount = asked.parameters.decimal("amount")
    asked.account.withdraw(coin, amount)
    state.withdrawn += 1
    gone = Withdrawal(str(state.withdrawn), asked.account.name, coin, amount, address, asked.now_ms)
    state.withdrawals.append(gone)
    return {"id": gone.id}


def _chosen(state: ExchangeState, asked: Asked) -> tuple[SymbolRules, ...]:
    if "symbol" in asked.parameters:
        return (state.market.rules(asked.parameters.text("symbol")),)
    if "symbols" in asked.parameters:
        return tuple(map(state.market.rules, _listed(asked.parameters.text("symbols"))))
    return state.market.symbols()


def _listed(text: str) -> Iterator[str]:
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise bad_request(
            wire.ILLEGAL_CHARACTERS, "Illegal characters found in parameter 'symbols'."
        )
    yield from dict.fromkeys(names)


def _depth_weight(parameters: Parameters) -> int:
    limit = parameters.integer("limit", 100)
    return next((weight for most, weight in _DEPTH_WEIGHTS if limit <= most), 250)


def _by_symbol(one: int, every: int) -> Callable[[Parameters], int]:
    return lambda parameters: one if "symbol" in parameters else every


_ORDER_NAMES: Final = ("orderId", "origClientOrderId")
_ORDER: Final = ("symbol", "side", "type")
_ORDER_OPTIONS: Final = (
    "timeInForce",
    "quantity",
    "quoteOrderQty",
    "price",
    "newClientOrderId",
    "newOrderRespType",
)
_READ, _TRADE, _WITHDRAW = Permission.READ, Permission.TRADE, Permission.WITHDRAW

TABLE: Final = (
    Endpoint("GET", "/api/v3/ping", 1, ping),
    Endpoint("GET", "/api/v3/time", 1, time),
    Endpoint("GET", "/api/v3/exchangeInfo", 20, exchange_info, None, (), ("symbol", "symbols")),
    Endpoint(
        "GET", "/api/v3/ticker/price", _by_symbol(2, 4), ticker_price, None, (),
        ("symbol", "symbols"),
    ),
    Endpoint("GET", "/api/v3/depth", _depth_weight, depth, None, ("symbol",), ("limit",)),
    Endpoint("GET", "/api/v3/account", 20, account, _READ, (), ("omitZeroBalances",)),
    Endpoint(
        "GET", "/api/v3/openOrders", _by_symbol(6, 80), orders.open_orders, _READ, (), ("symbol",)
    ),
    Endpoint("GET", "/api/v3/order", 4, orders.order, _READ, ("symbol",), _ORDER_NAMES),
    Endpoint(
        "GET", "/api/v3/myTrades", 20, orders.my_trades, _READ, ("symbol",), ("orderId", "limit")
    ),
    Endpoint(
        "POST", "/api/v3/order", 1, orders.place, _TRADE, _ORDER, _ORDER_OPTIONS, places_order=True
    ),
    Endpoint("POST", "/api/v3/order/test", 1, orders.rehearse, _TRADE, _ORDER, _ORDER_OPTIONS),
    Endpoint(
        "DELETE", "/api/v3/order", 1, orders.cancel, _TRADE, ("symbol",),
        (*_ORDER_NAMES, "newClientOrderId"),
    ),
    Endpoint("DELETE", "/api/v3/openOrders", 1, orders.cancel_all, _TRADE, ("symbol",)),
    # Of Binance's USDⓈ-M futures; here they are for the same orders.
    Endpoint("DELETE", "/fapi/v1/allOpenOrders", 1, emergency.cancel_all, _TRADE, ("symbol",)),
    Endpoint(
        "POST", "/fapi/v1/countdownCancelAll", 10, emergency.count_down, _TRADE,
        ("symbol", "countdownTime"),
    ),
    # 600 of the account's own weight on the real exchange, which counts /sapi apart.
    Endpoint(
        "POST", "/sapi/v1/capital/withdraw/apply", 1, withdraw, _WITHDRAW,
        ("coin", "address", "amount"), ("network", "addressTag", "withdrawOrderId", "name"),
    ),
)  # fmt: skip

BY_ROUTE: Final = {(endpoint.method, endpoint.path): endpoint for endpoint in TABLE}
