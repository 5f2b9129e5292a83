"""Have ccxt ask exchanges to cancel everything, and to arm their timers, without a network.

    PYTHON ask_with_ccxt.py [VENUE …] > ../vectors/emergency/ccxt-VERSION.json

PYTHON is one that has ccxt. Each case calls ccxt's own `cancelAllOrders` or `cancelAllOrdersAfter`
on a market made up here, and keeps the request that it would send, headers aside: those are the
signature's, which other vectors are about. `tests/plugins/venues/test_emergency_vectors.py` holds
what the venue files say against it.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

import ccxt

SPOT: Final = ("BTC/USDT", "spot")
#: venue, ccxt's name, action, market of the venue file, ccxt's symbol, what it is, the id that
#: the exchange has for it, what is passed on.
_CASES: Final = [
    ("binance", "binance", "cancel_all", "spot", *SPOT, "BTCUSDT", {}),
    ("binance", "binance", "cancel_all", "margin", *SPOT, "BTCUSDT", {"marginMode": "cross"}),
    ("binance", "binance", "cancel_all", "isolated_margin", *SPOT, "BTCUSDT",
     {"marginMode": "isolated"}),
    ("bingx", "bingx", "cancel_all", "spot", "", "spot", "", {"type": "spot"}),
    ("bingx", "bingx", "cancel_all", "swap", "", "swap", "", {"type": "swap"}),
    ("bingx", "bingx", "cancel_all", "coin_swap", "BTC/USD:BTC", "inverse", "BTC-USD", {}),
    ("bingx", "bingx", "dead_man", "spot", "", "", "", {"type": "spot"}),
    ("bingx", "bingx", "dead_man", "swap", "", "", "", {"type": "swap"}),
    ("bitfinex", "bitfinex", "cancel_all", "all", "", "", "", {}),
    ("bitget", "bitget", "cancel_all", "spot", *SPOT, "BTCUSDT", {}),
    ("bitget", "bitget", "cancel_all", "usdt_futures", "BTC/USDT:USDT", "linear", "BTCUSDT", {}),
    ("bitget", "bitget", "cancel_all", "unified_spot", *SPOT, "BTCUSDT", {"uta": True}),
    ("bitget", "bitget", "cancel_all", "unified_usdt_futures", "BTC/USDT:USDT", "linear",
     "BTCUSDT", {"uta": True}),
    ("bitmex", "bitmex", "cancel_all", "all", "", "", "", {}),
    ("bitmex", "bitmex", "dead_man", "all", "", "", "", {}),
    ("bitstamp", "bitstamp", "cancel_all", "all", "", "", "", {}),
    ("bybit", "bybit", "cancel_all", "spot", "", "", "", {"type": "spot"}),
    ("bybit", "bybit", "cancel_all", "linear_usdt", "", "", "", {"type": "swap"}),
    ("bybit", "bybit", "cancel_all", "linear_usdc", "", "", "",
     {"type": "swap", "settleCoin": "USDC"}),
    ("bybit", "bybit", "cancel_all", "inverse", "BTC/USD:BTC", "inverse", "BTCUSD", {}),
    ("bybit", "bybit", "cancel_all", "option", "", "", "", {"type": "option"}),
    ("coinbaseexchange", "coinbaseexchange", "cancel_all", "all", "", "", "", {}),
    ("cryptocom", "cryptocom", "cancel_all", "all", "", "", "", {}),
    ("deribit", "deribit", "cancel_all", "all", "", "", "", {}),
    ("gate", "gate", "cancel_all", "spot", "", "", "", {"type": "spot"}),
    ("gate", "gate", "cancel_all", "usdt_futures", "BTC/USDT:USDT", "linear", "BTC_USDT", {}),
    ("gate", "gate", "cancel_all", "btc_futures", "BTC/USD:BTC", "inverse", "BTC_USD", {}),
    ("htx", "htx", "cancel_all", "spot", "", "", "", {"type": "spot"}),
    ("htx", "htx", "cancel_all", "linear", "BTC/USDT:USDT", "linear", "BTC-USDT", {}),
    ("htx", "htx", "cancel_all", "coin_swap", "BTC/USD:BTC", "inverse", "BTC-USD", {}),
    ("htx", "htx", "dead_man", "spot", "", "", "", {}),
    ("hyperliquid", "hyperliquid", "dead_man", "all", "", "", "", {}),
    ("kraken", "kraken", "cancel_all", "all", "", "", "", {}),
    ("kraken", "kraken", "dead_man", "all", "", "", "", {}),
    ("krakenfutures", "krakenfutures", "cancel_all", "all", "", "", "", {}),
    ("krakenfutures", "krakenfutures", "dead_man", "all", "", "", "", {}),
    ("kucoin", "kucoin", "cancel_all", "spot", "", "", "", {"type": "spot", "hf": True}),
    ("kucoin", "kucoin", "cancel_all", "classic_spot", "", "", "", {"type": "spot", "hf": False}),
    ("kucoin", "kucoin", "cancel_all", "futures", "", "", "", {"type": "swap"}),
    ("mexc", "mexc", "cancel_all", "spot", "", "", "", {"type": "spot"}),
    ("mexccontract", "mexc", "cancel_all", "all", "", "", "", {"type": "swap"}),
    ("okx", "okx", "dead_man", "all", "", "", "", {}),
    ("phemex", "phemex", "cancel_all", "usd_perpetual", "BTC/USDT:USDT", "linear", "BTCUSDT", {}),
    ("phemex", "phemex", "cancel_all", "coin_perpetual", "BTC/USD:BTC", "inverse", "BTCUSD", {}),
    ("phemex", "phemex", "cancel_all", "spot", *SPOT, "sBTCUSDT", {}),
]  # fmt: skip
COUNTDOWN_S: Final = 60
#: The time that ccxt is told, milliseconds since the epoch.
AT_MS: Final = 1_700_000_000_000


class Caught(Exception):
    """What would have been sent."""


def _market(symbol: str, kind: str, exchange_id: str) -> dict[str, Any]:
    base, quote = symbol.partition(":")[0].split("/")
    settle = symbol.partition(":")[2] or None
    is_swap = settle is not None
    return {
        "id": exchange_id, "symbol": symbol, "base": base, "quote": quote, "settle": settle,
        "baseId": base, "quoteId": quote, "settleId": settle.lower() if settle else None,
        "type": "swap" if is_swap else "spot", "spot": not is_swap, "swap": is_swap,
        "margin": False, "future": False, "option": False, "contract": is_swap, "active": True,
        "linear": kind == "linear", "inverse": kind == "inverse", "contractSize": 1,
        "precision": {"amount": 1e-8, "price": 1e-8}, "limits": {}, "info": {},
        "subType": kind if is_swap else None,
    }  # fmt: skip


def ask(case: tuple[Any, ...]) -> dict[str, Any]:
    """Return one request, as ccxt would send it."""
    venue, name, action, market, symbol, kind, exchange_id, params = case
    exchange = getattr(ccxt, name)({
        "apiKey": "theKey", "secret": "dGhlU2VjcmV0", "password": "thePassphrase", "uid": "1",
        "walletAddress": "0x" + "11" * 20, "privateKey": "0x" + "22" * 32,
        "options": {"adjustForTimeDifference": False, "uta": params.get("uta", False),
                    "unified": False, "unifiedAccount": False, "enableUnifiedMargin": False,
                    "enableUnifiedAccount": True},
    })  # fmt: skip
    caught: dict[str, Any] = {}

    def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> None:
        caught.update(method=method, url=url, body=body or "")
        raise Caught

    exchange.fetch = fetch
    exchange.milliseconds = exchange.nonce = lambda: AT_MS
    exchange.seconds = lambda: AT_MS // 1_000
    exchange.set_markets([_market(symbol or "BTC/USDT", kind or "spot", exchange_id or "BTCUSDT")])
    exchange.load_markets = lambda *_, **__: exchange.markets
    exchange.initialize_client = lambda: None
    exchange.load_unified_status = lambda *_, **__: None
    try:
        if action == "cancel_all":
            exchange.cancel_all_orders(symbol or None, params)
        else:
            exchange.cancel_all_orders_after(COUNTDOWN_S * 1_000, params)
    except Caught:
        pass
    return {"venue": venue, "action": action, "market": market, "symbol": exchange_id, **caught}


def main() -> None:
    """Print the vectors of every venue that this ccxt has."""
    made = []
    for case in _CASES:
        if not hasattr(ccxt, case[1]) or (sys.argv[1:] and case[0] not in sys.argv[1:]):
            continue
        try:
            made.append(ask(case))
        except Exception as error:
            raise SystemExit(f"{case[0]} {case[2]} {case[3]}: {error!r}") from error
    document = {
        "format": "hauberk-emergency-vectors 1", "peer": f"ccxt {ccxt.__version__}",
        "countdown_s": COUNTDOWN_S, "at_ms": AT_MS, "requests": made,
    }  # fmt: skip
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
