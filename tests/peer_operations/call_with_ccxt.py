"""Call ccxt's unified methods and list the endpoints that they reach first: JSON lines out.

    python call_with_ccxt.py EXCHANGE …

Nothing is sent: the first request of each call ends it. So this finds less than
`list_with_ccxt.py`, which reads the source, and finds it in another way.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

import ccxt
from list_with_ccxt import KEY, asked, exchange_of

CALLS: Final[dict[str, tuple[Any, ...]]] = {
    "create_order": ("{symbol}", "limit", "buy", 1, 100),
    "edit_order": ("1", "{symbol}", "limit", "buy", 1, 100),
    "cancel_order": ("1", "{symbol}"),
    "cancel_orders": (["1"], "{symbol}"),
    "cancel_all_orders": ("{symbol}",),
    "fetch_balance": (),
    "fetch_order": ("1", "{symbol}"),
    "fetch_orders": ("{symbol}",),
    "fetch_open_orders": ("{symbol}",),
    "fetch_closed_orders": ("{symbol}",),
    "fetch_my_trades": ("{symbol}",),
    "fetch_positions": (["{symbol}"],),
    "fetch_ledger": (),
    "fetch_deposits": ("BTC",),
    "fetch_withdrawals": ("BTC",),
    "fetch_deposit_address": ("BTC",),
    "fetch_trading_fees": (),
}


class Reached(Exception):
    """A request would be sent here."""


class Endpoint:
    """What a method asks for, as ccxt's lists of endpoints have it."""

    def __init__(self, path: str, api: Any, method: str) -> None:
        self.path, self.api, self.method = path, api, method


def market(exchange: Any, kind: str) -> dict[str, Any]:
    """Make a market up, spot or perpetual."""
    is_swap = kind == "swap"
    return exchange.safe_market_structure(
        {
            "id": "BTCUSDT",
            "lowercaseId": "btcusdt",
            "symbol": "BTC/USDT:USDT" if is_swap else "BTC/USDT",
            "base": "BTC",
            "quote": "USDT",
            "baseId": "BTC",
            "quoteId": "USDT",
            "settle": "USDT" if is_swap else None,
            "settleId": "USDT" if is_swap else None,
            "type": kind,
            "spot": not is_swap,
            "swap": is_swap,
            "contract": is_swap,
            "linear": is_swap or None,
            "inverse": False if is_swap else None,
            "contractSize": 1,
            "active": True,
            "precision": {"amount": 1e-8, "price": 1e-8},
            "limits": {},
            "info": {},
        }
    )


def reached(name: str, kind: str) -> dict[str, Endpoint]:
    """Return the endpoints that calls reach, by their text."""
    exchange = exchange_of(name)
    exchange.walletAddress, exchange.privateKey = f"0x{'1' * 40}", f"0x{'2' * 64}"
    exchange.uid = KEY
    currencies = {
        code: {"id": code, "code": code, "precision": 1e-8, "networks": {}, "info": {}}
        for code in ("BTC", "USDT")
    }
    made = market(exchange, kind)
    exchange.set_markets([made], currencies)
    exchange.options["defaultType"] = kind
    found: dict[str, Endpoint] = {}

    def stop(path: str, api: Any = "public", method: str = "GET", *_: Any, **__: Any) -> None:
        found[f"{method} {path} {api}"] = Endpoint(path, api, method)
        raise Reached

    exchange.request = exchange.fetch2 = stop
    for call, wanted in CALLS.items():
        given = json.loads(json.dumps(wanted).replace("{symbol}", made["symbol"]))
        try:
            getattr(exchange, call)(*given)
        except Exception:  # noqa: S112 - of any kind: what it lacks is not of interest
            continue
    return found


def main() -> None:
    """Print a line for each endpoint that was reached."""
    for name in sys.argv[1:]:
        if not hasattr(ccxt, name):
            continue
        found = {**reached(name, "spot"), **reached(name, "swap")}
        for endpoint in found.values():
            print(json.dumps({"exchange": name, **asked(exchange_of(name), endpoint)}))


if __name__ == "__main__":
    main()
