"""Have ccxt place and change orders in all its unified ways, without a network.

    PYTHON ask_with_ccxt.py [VENUE …] > ../vectors/orders/ccxt-VERSION.json

PYTHON is one that has ccxt. Each case calls ccxt's own method on a market made up here, and keeps
the parameters that it would sign and send. `tests/plugins/policy/test_orders_of_ccxt.py` holds the
venue files against it.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final
from urllib.parse import urlsplit

import ccxt

#: Venue, ccxt's name, ccxt's symbol, what it is, the id that the exchange has for it.
MARKETS: Final = [
    ("binance", "binance", "BTC/USDT", "spot", "BTCUSDT"),
    ("bingx", "bingx", "BTC/USDT", "spot", "BTC-USDT"),
    ("bingx", "bingx", "BTC/USDT:USDT", "linear", "BTC-USDT"),
    ("bitfinex", "bitfinex", "BTC/USDT", "spot", "tBTCUST"),
    ("bitget", "bitget", "BTC/USDT", "spot", "BTCUSDT"),
    ("bitget", "bitget", "BTC/USDT:USDT", "linear", "BTCUSDT"),
    ("bitmex", "bitmex", "BTC/USDT:USDT", "linear", "XBTUSDT"),
    ("bitstamp", "bitstamp", "BTC/USD", "spot", "btcusd"),
    ("bybit", "bybit", "BTC/USDT", "spot", "BTCUSDT"),
    ("bybit", "bybit", "BTC/USDT:USDT", "linear", "BTCUSDT"),
    ("coinbase", "coinbase", "BTC/USDT", "spot", "BTC-USDT"),
    ("coinbaseexchange", "coinbaseexchange", "BTC/USD", "spot", "BTC-USD"),
    ("cryptocom", "cryptocom", "BTC/USDT", "spot", "BTC_USDT"),
    ("deribit", "deribit", "BTC/USD:BTC", "inverse", "BTC-PERPETUAL"),
    ("gate", "gate", "BTC/USDT", "spot", "BTC_USDT"),
    ("gate", "gate", "BTC/USDT:USDT", "linear", "BTC_USDT"),
    ("gemini", "gemini", "BTC/USD", "spot", "btcusd"),
    ("htx", "htx", "BTC/USDT", "spot", "btcusdt"),
    ("htx", "htx", "BTC/USDT:USDT", "linear", "BTC-USDT"),
    ("hyperliquid", "hyperliquid", "BTC/USDC:USDC", "linear", "BTC"),
    ("kraken", "kraken", "BTC/USD", "spot", "XXBTZUSD"),
    ("krakenfutures", "krakenfutures", "BTC/USD:USD", "linear", "PF_XBTUSD"),
    ("kucoin", "kucoin", "BTC/USDT", "spot", "BTC-USDT"),
    ("kucoin", "kucoin", "BTC/USDT:USDT", "linear", "XBTUSDTM"),
    ("mexc", "mexc", "BTC/USDT", "spot", "BTCUSDT"),
    ("mexccontract", "mexc", "BTC/USDT:USDT", "linear", "BTC_USDT"),
    ("okx", "okx", "BTC/USDT", "spot", "BTC-USDT"),
    ("okx", "okx", "BTC/USDT:USDT", "linear", "BTC-USDT-SWAP"),
    ("phemex", "phemex", "BTC/USDT:USDT", "linear", "BTCUSDT"),
]  # fmt: skip
#: What is asked: a name, the method, and what it is given behind the symbol.
ASKED: Final = [
    ("limit buy", "create_order", ("limit", "buy", 2, 100, {})),
    ("limit sell", "create_order", ("limit", "sell", 2, 100, {})),
    ("market buy", "create_order", ("market", "buy", 2, 100, {})),
    ("market sell", "create_order", ("market", "sell", 2, None, {})),
    ("for an amount", "create_market_buy_order_with_cost", (7,)),
    ("post only", "create_order", ("limit", "buy", 2, 100, {"postOnly": True})),
    ("IOC", "create_order", ("limit", "buy", 2, 100, {"timeInForce": "IOC"})),
    ("FOK", "create_order", ("limit", "buy", 2, 100, {"timeInForce": "FOK"})),
    ("GTC", "create_order", ("limit", "buy", 2, 100, {"timeInForce": "GTC"})),
    ("own id", "create_order", ("limit", "buy", 2, 100, {"clientOrderId": "c1"})),
    ("reduces", "create_order", ("limit", "sell", 2, 100, {"reduceOnly": True})),
    ("reduces at market", "create_order", ("market", "sell", 2, None, {"reduceOnly": True})),
    ("hedged", "create_order", ("limit", "buy", 2, 100, {"hedged": True})),
    ("on margin", "create_order", ("limit", "buy", 2, 100, {"marginMode": "cross"})),
    ("isolated", "create_order", ("limit", "buy", 2, 100, {"marginMode": "isolated"})),
    ("triggered", "create_order", ("limit", "buy", 2, 100, {"triggerPrice": 90})),
    ("stop", "create_order", ("limit", "sell", 2, 100, {"stopLossPrice": 90})),
    ("attached", "create_order",
     ("limit", "buy", 2, 100,
      {"takeProfit": {"triggerPrice": 120}, "stopLoss": {"triggerPrice": 90}})),
    ("attached at a limit", "create_order",
     ("limit", "buy", 2, 100,
      {"takeProfit": {"triggerPrice": 120, "price": 119, "type": "limit"},
       "stopLoss": {"triggerPrice": 90, "price": 89, "type": "limit"}})),
]  # fmt: skip
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
        "baseId": "0" if exchange_id == "BTC" else base, "quoteId": quote,
        "settleId": settle.lower() if settle else None,
        "type": "swap" if is_swap else "spot", "spot": not is_swap, "swap": is_swap,
        "margin": False, "future": False, "option": False, "contract": is_swap, "active": True,
        "linear": kind == "linear", "inverse": kind == "inverse", "contractSize": 1,
        "precision": {"amount": 1e-8, "price": 1e-8}, "limits": {"amount": {}, "price": {}},
        "info": {"orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "STOP_LOSS",
                                "TAKE_PROFIT_LIMIT", "TAKE_PROFIT"]},
        "subType": kind if is_swap else None, "lowercaseId": exchange_id.lower(),
        "wsId": exchange_id,
    }  # fmt: skip


def _exchange(name: str, market: dict[str, Any]) -> Any:
    exchange = getattr(ccxt, name)({
        "apiKey": "account-theKey", "secret": "dGhlU2VjcmV0", "password": "thePassphrase",
        "uid": "1",
        "walletAddress": "0x" + "11" * 20, "privateKey": "0x" + "22" * 32,
        "options": {"adjustForTimeDifference": False, "uta": False, "unified": False,
                    "unifiedAccount": False, "enableUnifiedMargin": False,
                    "enableUnifiedAccount": True, "approvedBuilderFee": True, "builderFee": False},
    })  # fmt: skip
    exchange.milliseconds = exchange.nonce = lambda: AT_MS
    exchange.uuid = exchange.uuid22 = exchange.uuid16 = lambda *_: "u1"
    if name == "gemini":  # which has it from a page that it reads
        exchange.urls["api"]["private"] = "https://api.gemini.com"
    if exchange.precisionMode != ccxt.TICK_SIZE:
        market["precision"] = {"amount": 8, "price": 8}
    exchange.set_markets([market])
    exchange.load_markets = lambda *_, **__: exchange.markets
    exchange.initialize_client = exchange.load_unified_status = lambda *_, **__: None
    exchange.load_accounts = lambda *_, **__: [{"id": "1", "type": "spot"}]
    exchange.fetch_account_id_by_type = lambda *_, **__: "1"
    return exchange


def ask(case: tuple[str, ...], method: str, given: tuple[Any, ...]) -> dict[str, Any] | None:
    """Return what ccxt would sign; nothing where it has no such order there."""
    market = _market(*case[2:])
    exchange = _exchange(case[1], market)
    caught: dict[str, Any] = {}

    def request(
        path: str, api: Any = "public", verb: str = "GET", params: Any = None, *_: Any, **__: Any
    ) -> None:
        params = json.loads(json.dumps(params or {}))
        url = exchange.sign(path, api, verb, json.loads(json.dumps(params)))["url"]
        named = ccxt.Exchange.extract_params(path)
        said = (
            {k: v for k, v in params.items() if k not in named} if type(params) is dict else params
        )
        if type(said) is dict:
            said.pop("signature", None)  # of Hyperliquid, which ccxt makes before
        caught.update(method=verb, path=urlsplit(url).path, params=said)
        raise Caught

    exchange.request = exchange.fetch2 = request
    try:
        getattr(exchange, method)(case[2], *given)
    except Caught:
        return caught
    except Exception:
        return None
    return None


def main() -> None:
    """Print the vectors."""
    made = []
    for case in MARKETS:
        if not hasattr(ccxt, case[1]) or (sys.argv[1:] and case[0] not in sys.argv[1:]):
            continue
        for name, method, given in ASKED:
            if (said := ask(case, method, given)) is not None:
                made.append({"venue": case[0], "symbol": case[2], "asked": name, **said})
    document = {
        "format": "hauberk-order-vectors 1", "peer": f"ccxt {ccxt.__version__}", "orders": made
    }  # fmt: skip
    sys.stdout.write(json.dumps(document, indent=None).replace('{"venue"', '\n{"venue"') + "\n")


if __name__ == "__main__":
    main()
