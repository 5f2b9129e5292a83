"""What is read out of requests by the venue files that come with Hauberk."""

from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import quote

import pytest
from policydesk import CATALOGUE

from hauberk import Request
from hauberk.request import Operation
from hauberk_plugins.policy.errors import HauberkError, Unreadable
from hauberk_plugins.policy.reading import read_orders
from hauberk_plugins.policy.worth import Prices, worth

#: Reference prices wherever one is needed.
REFERENCE = Decimal(50_000)

COINBASE = {"product_id": "BTC-USD", "side": "BUY", "client_order_id": "c1"}
BYBIT = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit",
         "qty": "2", "price": "100"}  # fmt: skip
SPOT = {**BYBIT, "category": "spot"}
OKX = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "2",
       "px": "100"}  # fmt: skip
KRAKEN = {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "volume": "2", "price": "100"}
KUCOIN = {"symbol": "BTC-USDT", "side": "buy", "type": "limit", "size": "2", "price": "100"}
GATE = {"currency_pair": "BTC_USDT", "side": "buy", "type": "limit", "amount": "2", "price": "100"}
FUTURE = {"contract": "BTC_USDT", "size": 20_000, "price": "100"}
BITGET = {"symbol": "BTCUSDT", "side": "buy", "orderType": "limit", "size": "2", "price": "100",
          "force": "gtc"}  # fmt: skip
MIX = {**BITGET, "productType": "USDT-FUTURES", "marginCoin": "USDT"}
UNIFIED = {"category": "SPOT", "symbol": "BTCUSDT", "side": "buy", "orderType": "limit",
           "qty": "2", "price": "100"}  # fmt: skip
SPOTLIKE = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "2", "price": "100"}
HYPER = {"a": 0, "b": True, "p": "100", "s": "2", "r": False, "t": {"limit": {"tif": "Gtc"}}}
BITFINEX = {"type": "EXCHANGE LIMIT", "symbol": "tBTCUSD", "amount": "2", "price": "100"}
KRAKENFUTURES = {"symbol": "PF_XBTUSD", "side": "buy", "orderType": "lmt", "size": "2",
                 "limitPrice": "100"}  # fmt: skip
BITMEX = {"symbol": "XBTUSD", "side": "Buy", "orderQty": 70, "price": 100}


def but(base, **changed):
    return {key: value for key, value in {**base, **changed}.items() if value is not None}


def limit(**said):
    return {**COINBASE, "order_configuration": {"limit_limit_gtc": said}}


# Venue, endpoint, what is said, and what it is worth; where it takes the reference price, at 50000.
GOOD = [
    ("bybit", "POST /v5/order/create", BYBIT, ["200 USDT"]),
    ("bybit", "POST /v5/order/create", but(BYBIT, orderType="Market", price=None), ["100000 USDT"]),
    ("bybit", "POST /v5/order/create", but(BYBIT, orderType="Market"), ["100000 USDT"]),
    ("bybit", "POST /v5/order/create", but(BYBIT, category="inverse", symbol="BTCUSD", qty="7"),
     ["7 USD"]),
    ("bybit", "POST /v5/order/create", but(BYBIT, symbol="BTCPERP"), ["200 USDC"]),
    ("bybit", "POST /v5/order/create", SPOT, ["200 USDT"]),
    ("bybit", "POST /v5/order/create", but(SPOT, orderType="Market"), ["2 USDT"]),
    ("bybit", "POST /v5/order/create", but(SPOT, orderType="Market", marketUnit="baseCoin"),
     ["100000 USDT"]),
    ("bybit", "POST /v5/order/create", but(SPOT, orderType="Market", side="Sell"), ["100000 USDT"]),
    ("bybit", "POST /v5/order/amend",
     {"category": "linear", "symbol": "BTCUSDT", "qty": "2", "price": "100", "orderId": "1"},
     ["100000 USDT"]),
    ("bybit", "POST /v5/order/create-batch",
     {"category": "linear", "request": [BYBIT, but(BYBIT, qty="3")]}, ["200 USDT", "300 USDT"]),
    # What a batch's item says of its category nobody reads: the one above it counts.
    ("bybit", "POST /v5/order/create-batch",
     {"category": "spot", "request": [but(BYBIT, orderType="Market")]}, ["2 USDT"]),
    ("okx", "POST /api/v5/trade/order", OKX, ["200 USDT"]),
    ("okx", "POST /api/v5/trade/order", but(OKX, ordType="market"), ["2 USDT"]),
    ("okx", "POST /api/v5/trade/order", but(OKX, ordType="market", tgtCcy="base_ccy"),
     ["100000 USDT"]),
    ("okx", "POST /api/v5/trade/order", but(OKX, ordType="market", side="sell"), ["100000 USDT"]),
    ("okx", "POST /api/v5/trade/order", but(OKX, instId="BTC-USDT-SWAP", tdMode="cross", sz=200),
     ["200 USDT"]),
    ("okx", "POST /api/v5/trade/order", but(OKX, instId="BTC-USD-SWAP", tdMode="cross"),
     ["200 USD"]),
    ("okx", "POST /api/v5/trade/order", but(OKX, ordType="optimal_limit_ioc", tdMode="cross",
     instId="BTC-USDT-SWAP"), ["1000 USDT"]),
    ("okx", "POST /api/v5/trade/batch-orders", [OKX, but(OKX, sz="3")], ["200 USDT", "300 USDT"]),
    ("okx", "POST /api/v5/trade/amend-order", {"instId": "BTC-USDT", "newSz": "2", "newPx": "1"},
     ["100000 USDT"]),
    ("kraken", "POST /0/private/AddOrder", KRAKEN, ["200 USDT"]),
    ("kraken", "POST /0/private/AddOrder", but(KRAKEN, pair="XXBTZUSD"), ["200 USD"]),
    ("kraken", "POST /0/private/AddOrder", but(KRAKEN, pair="XBT/USD"), ["200 USD"]),
    ("kraken", "POST /0/private/AddOrder", but(KRAKEN, oflags="post,viqc"), ["2 USDT"]),
    ("kraken", "POST /0/private/AddOrder", but(KRAKEN, ordertype="market"), ["100000 USDT"]),
    ("kraken", "POST /0/private/AddOrder", but(KRAKEN, ordertype="stop-loss", price="1"),
     ["100000 USDT"]),
    ("kraken", "POST /0/private/AddOrder",
     but(KRAKEN, ordertype="stop-loss-limit", price="1", price2="90"), ["180 USDT"]),
    ("kraken", "POST /0/private/AddOrderBatch",
     {"pair": "XBTUSDT", **{f"orders[{i}][{k}]": v for i in (0, 1) for k, v in KRAKEN.items()
                            if k != "pair"}}, ["200 USDT", "200 USDT"]),
    ("kucoin", "POST /api/v1/hf/orders", KUCOIN, ["200 USDT"]),
    ("kucoin", "POST /api/v1/orders", but(KUCOIN, type=None), ["200 USDT"]),
    ("kucoin", "POST /api/v1/hf/orders", but(KUCOIN, type="market", size=None, funds="7"),
     ["7 USDT"]),
    ("kucoin", "POST /api/v1/hf/orders", but(KUCOIN, type="market"), ["100000 USDT"]),
    ("kucoin", "POST /api/v1/hf/orders/multi", {"orderList": [KUCOIN, but(KUCOIN, size="3")]},
     ["200 USDT", "300 USDT"]),
    ("kucoin", "POST /api/v3/oco/order", but(KUCOIN, type=None, stopPrice="90", limitPrice="80"),
     ["200 USDT", "160 USDT"]),
    ("gate", "POST /api/v4/spot/orders", GATE, ["200 USDT"]),
    ("gate", "POST /api/v4/spot/orders", but(GATE, type=None), ["200 USDT"]),
    ("gate", "POST /api/v4/spot/orders", but(GATE, type="market"), ["2 USDT"]),
    ("gate", "POST /api/v4/spot/orders", but(GATE, type="market", side="sell"), ["100000 USDT"]),
    ("gate", "POST /api/v4/spot/batch_orders", [GATE, but(GATE, amount=3)],
     ["200 USDT", "300 USDT"]),
    ("gate", "POST /api/v4/spot/price_orders",
     {"market": "BTC_USDT", "trigger": {"price": "9", "rule": ">="},
      "put": but(GATE, currency_pair=None)}, ["200 USDT"]),
    ("gate", "POST /api/v4/futures/usdt/orders", FUTURE, ["200 USDT"]),
    ("gate", "POST /api/v4/futures/usdt/orders", but(FUTURE, price=0, size=-20_000),
     ["100000 USDT"]),
    ("coinbase", "POST /api/v3/brokerage/orders", limit(base_size="2", limit_price="100"),
     ["200 USD"]),
    ("coinbase", "POST /api/v3/brokerage/orders",
     {**COINBASE, "order_configuration": {"market_market_ioc": {"quote_size": "7"}}}, ["7 USD"]),
    ("coinbase", "POST /api/v3/brokerage/orders",
     {**COINBASE, "order_configuration": {"market_market_ioc": {"base_size": "2",
                                                                "limit_price": "1"}}},
     ["100000 USD"]),
    ("bitget", "POST /api/v2/spot/trade/place-order", BITGET, ["200 USDT"]),
    ("bitget", "POST /api/v2/spot/trade/place-order", but(BITGET, orderType="market"), ["2 USDT"]),
    ("bitget", "POST /api/v2/spot/trade/batch-orders",
     {"symbol": "ETHBTC", "orderList": [BITGET]}, ["200 BTC"]),
    ("bitget", "POST /api/v2/spot/trade/batch-orders",
     {"symbol": "ETHBTC", "batchMode": "multiple", "orderList": [BITGET]}, ["200 USDT"]),
    ("bitget", "POST /api/v2/mix/order/place-order", MIX, ["200 USDT"]),
    ("bitget", "POST /api/v3/trade/place-batch", [UNIFIED], ["200 USDT"]),
    ("mexc", "POST /api/v3/batchOrders", {"batchOrders": [SPOTLIKE, but(SPOTLIKE, quantity="3")]},
     ["200 USDT", "300 USDT"]),
    ("mexccontract", "POST /api/v1/private/order/submit",
     {"symbol": "BTC_USDT", "side": 1, "type": 1, "vol": 20_000, "price": 100}, ["200 USDT"]),
    ("mexccontract", "POST /api/v1/private/order/submit",
     {"symbol": "BTC_USDT", "side": 3, "type": 5, "vol": 20_000, "price": 100}, ["100000 USDT"]),
    ("coinbaseexchange", "POST /orders", {"product_id": "BTC-USD", "side": "buy", "size": "2",
                                          "price": "100"}, ["200 USD"]),
    ("coinbaseexchange", "POST /orders", {"product_id": "BTC-USD", "side": "buy", "funds": "7",
                                          "type": "market"}, ["7 USD"]),
    ("bitstamp", "POST /api/v2/buy/btcusd/", {"amount": "2", "price": "100"}, ["200 USD"]),
    ("bitstamp", "POST /api/v2/sell/market/btcusd/", {"amount": "2"}, ["100000 USD"]),
    ("bitstamp", "POST /api/v2/buy/instant/btceur/", {"amount": "7"}, ["7 EUR"]),
    ("gemini", "POST /v1/order/new", {"symbol": "btcusd", "side": "buy", "amount": "2",
                                      "price": "100", "type": "exchange limit"}, ["200 USD"]),
    ("htx", "POST /v1/order/orders/place", {"symbol": "btcusdt", "type": "buy-limit",
                                            "amount": "2", "price": "100"}, ["200 USDT"]),
    ("htx", "POST /v1/order/orders/place", {"symbol": "btcusdt", "type": "buy-market",
                                            "amount": "7"}, ["7 USDT"]),
    ("htx", "POST /v1/order/orders/place", {"symbol": "btcusdt", "type": "sell-limit",
                                            "amount": "2", "price": "1"}, ["100000 USDT"]),
    ("htx", "POST /linear-swap-api/v1/swap_order",
     {"contract_code": "BTC-USDT", "volume": 2000, "price": 100, "direction": "buy",
      "order_price_type": "limit"}, ["200 USDT"]),
    ("hyperliquid", "POST /exchange", {"action": {"type": "order", "orders": [HYPER]}},
     ["200 USDC"]),
    ("hyperliquid", "POST /exchange", {"action": {"type": "order", "orders": [
        but(HYPER, t={"trigger": {"isMarket": True, "triggerPx": "1", "tpsl": "tp"}})]}},
     ["100000 USDC"]),
    ("bitfinex", "POST /v2/auth/w/order/submit", BITFINEX, ["200 USD"]),
    ("bitfinex", "POST /v2/auth/w/order/submit", but(BITFINEX, amount="-2"), ["100000 USD"]),
    ("bitfinex", "POST /v2/auth/w/order/submit", but(BITFINEX, symbol="tBTCF0:USTF0"),
     ["200 USDT"]),
    ("bitfinex", "POST /v2/auth/w/order/multi",
     {"ops": [["on", BITFINEX], ["oc", {"id": 1}]]}, ["200 USD"]),
    ("cryptocom", "POST /exchange/v1/private/create-order",
     {"instrument_name": "BTC_USDT", "side": "BUY", "type": "LIMIT", "quantity": "2",
      "price": "100"}, ["200 USDT"]),
    ("deribit", "GET /api/v2/private/buy",
     {"instrument_name": "BTC-PERPETUAL", "amount": "70", "price": "100"}, ["70 USD"]),
    ("deribit", "GET /api/v2/private/buy",
     {"instrument_name": "BTC_USDC-PERPETUAL", "amount": "2", "price": "100"}, ["200 USDC"]),
    ("deribit", "GET /api/v2/private/sell",
     {"instrument_name": "BTC_USDC", "amount": "2", "price": "1"}, ["100000 USDC"]),
    ("krakenfutures", "POST /derivatives/api/v3/sendorder", KRAKENFUTURES, ["200 USD"]),
    ("krakenfutures", "POST /derivatives/api/v3/sendorder",
     but(KRAKENFUTURES, symbol="PI_XBTUSD", size="70"), ["70 USD"]),
    ("bingx", "POST /openApi/swap/v2/trade/order",
     {"symbol": "BTC-USDT", "side": "BUY", "type": "LIMIT", "quantity": "2", "price": "100"},
     ["200 USDT"]),
    ("bitmex", "POST /api/v1/order", BITMEX, ["70 USD"]),
    ("bitmex", "POST /api/v1/order", but(BITMEX, symbol="XBTUSDT", orderQty=2_000_000),
     ["200 USDT"]),
    ("phemex", "POST /g-orders", {"symbol": "BTCUSDT", "side": "Buy", "ordType": "Limit",
                                  "orderQtyRq": "2", "priceRp": "100"}, ["200 USDT"]),
]  # fmt: skip

# What cannot be judged: nothing of it may pass.
BAD = [
    ("bybit", "POST /v5/order/create", but(BYBIT, category="option")),
    ("bybit", "POST /v5/order/create", but(BYBIT, category=None)),
    ("bybit", "POST /v5/order/create", but(BYBIT, category="linear ")),
    ("bybit", "POST /v5/order/create", but(SPOT, orderType="Market", side=None)),
    ("bybit", "POST /v5/order/create", but(SPOT, marketUnit="coin")),
    ("bybit", "POST /v5/order/create", but(BYBIT, qty=None)),
    ("bybit", "POST /v5/order/create", but(BYBIT, qty=["2"])),
    ("bybit", "POST /v5/order/create", but(BYBIT, Qty="9")),
    ("bybit", "POST /v5/order/create", [BYBIT]),
    ("bybit", "POST /v5/order/create-batch", {"category": "linear", "request": []}),
    ("bybit", "POST /v5/order/create-batch", {"category": "linear", "request": {"0": BYBIT}}),
    ("bybit", "POST /v5/order/create-batch", {"category": "linear", "request": [BYBIT, "x"]}),
    ("bybit", "POST /v5/order/create-batch",
     {"category": "linear", "request": [BYBIT, but(BYBIT, qty="1e9")]}),
    ("bybit", "POST /v5/order/create-batch", BYBIT),
    ("okx", "POST /api/v5/trade/order", [OKX]),
    ("okx", "POST /api/v5/trade/order",
     but(OKX, ordType="market", tdMode="cross", tgtCcy="base_ccy")),
    ("okx", "POST /api/v5/trade/order", but(OKX, instId="BTC-USDT-260626")),
    ("okx", "POST /api/v5/trade/order", but(OKX, tdMode="cash", ordType="trigger")),
    ("okx", "POST /api/v5/trade/batch-orders", OKX),
    ("okx", "POST /api/v5/trade/order-algo", but(OKX, ordType="conditional")),
    ("kraken", "POST /0/private/AddOrder", but(KRAKEN, price="+1")),
    ("kraken", "POST /0/private/AddOrder", but(KRAKEN, oflags="post,new")),
    ("kraken", "POST /0/private/AddOrder", {**KRAKEN, "close[ordertype]": "market"}),
    ("kraken", "POST /0/private/AddOrderBatch",
     {"pair": "XBTUSDT", "orders[1][volume]": "1"}),
    ("kraken", "POST /0/private/AddOrderBatch", {"pair": "XBTUSDT", "orders": "[]"}),
    ("kucoin", "POST /api/v1/orders", but(KUCOIN, symbol="XBTUSDTM")),
    ("gate", "POST /api/v4/futures/usdt/orders", but(FUTURE, contract="PEPE_USDT")),
    ("gate", "POST /api/v4/spot/orders", but(GATE, type="iceberg")),
    ("coinbase", "POST /api/v3/brokerage/orders", {**COINBASE, "order_configuration": {}}),
    ("coinbase", "POST /api/v3/brokerage/orders",
     {**COINBASE, "order_configuration": {"limit_limit_gtc": {"base_size": "1", "limit_price": "1"},
                                          "market_market_ioc": {"quote_size": "9"}}}),
    ("coinbase", "POST /api/v3/brokerage/orders", {**COINBASE, "order_configuration": "x"}),
    ("bitget", "POST /api/v2/mix/order/place-order", but(MIX, productType="COIN-FUTURES")),
    ("bitget", "POST /api/v2/spot/trade/batch-orders",
     {"symbol": "ETHBTC", "batchMode": "both", "orderList": [BITGET]}),
    ("mexc", "POST /api/v3/batchOrders", {"batchOrders": "x"}),
    ("htx", "POST /v1/order/orders/place", {"symbol": "btcusdt", "type": "buy-twice",
                                            "amount": "2", "price": "100"}),
    ("hyperliquid", "POST /exchange", {"action": {"type": "modify", "orders": [HYPER],
                                                  "order": but(HYPER, s="9999")}}),
    ("hyperliquid", "POST /exchange", {"action": {"type": "order", "orders": [
        but(HYPER, t={"limit": {"tif": "Gtc"}, "trigger": {}})]}}),
    ("bitfinex", "POST /v2/auth/w/order/multi", {"ops": [["ou", BITFINEX]]}),
    ("bitfinex", "POST /v2/auth/w/order/multi", {"ops": [BITFINEX]}),
    ("deribit", "GET /api/v2/private/buy",
     {"instrument_name": "BTC-27MAR26-60000-C", "amount": "1", "price": "0.1"}),
    ("deribit", "GET /api/v2/private/buy",
     {"instrument_name": "BTC_USDC", "amount": "1", "price": "1", "otoco_config": "[{}]"}),
    ("krakenfutures", "POST /derivatives/api/v3/sendorder",
     but(KRAKENFUTURES, symbol="FI_XBTUSD_260327")),
    ("bitmex", "POST /api/v1/order", but(BITMEX, simpleOrderQty=9)),
    ("bitmex", "POST /api/v1/order", but(BITMEX, orderQty=-9)),
]  # fmt: skip


def mapped(name):
    venue = CATALOGUE.venue(name)
    return venue, read_orders(venue.section("orders"), venue.problem, venue.endpoint)


def sent(venue, endpoint, said):
    """Make the request: JSON in a body where the venue takes that."""
    method, _, path = endpoint.partition(" ")
    url = venue.bases[0] + path
    if venue.body == "json":
        return Request(method, url, body=json.dumps(said))
    return Request(
        method, url, {k: v if type(v) is str else json.dumps(v) for k, v in said.items()}
    )


def worths(name, endpoint, said):
    venue, orders = mapped(name)
    request = sent(venue, endpoint, said)
    reader = orders.readers[venue.endpoint(request.method, endpoint.partition(" ")[2])]
    found = []
    for order in reader.read(request, venue.body_params):
        value, quote = worth(order, Prices(lambda symbol: REFERENCE))
        found.append(f"{value.normalize():f} {quote}")
    return found


@pytest.mark.parametrize(("venue", "endpoint", "said", "expected"), GOOD)
def test_an_order_is_worth_what_the_exchange_would_read(venue, endpoint, said, expected):
    assert worths(venue, endpoint, said) == expected


@pytest.mark.parametrize(("venue", "endpoint", "said"), BAD)
def test_what_cannot_be_read_in_one_way_is_not_guessed(venue, endpoint, said):
    with pytest.raises(HauberkError):
        worths(venue, endpoint, said)


@pytest.mark.parametrize(
    "body",
    [b'{"symbol": "BTCUSDT", "qty": "1", "qty": "9"}', b'{"qty": "1", "QTY": "9"}', b"", b"{", b"1",
     b'{"qty": NaN}', b"\xff", b"[" * 50_000, b'{"qty": 1e9}', b'{"qty": 1} {}'],
)  # fmt: skip
def test_a_body_with_two_readings_is_not_read(body):
    venue, orders = mapped("bybit")
    request = Request("POST", "https://api.bybit.com/v5/order/create", body=body)
    with pytest.raises(Unreadable):
        orders.readers["POST /v5/order/create"].read(request, venue.body_params)


def test_parameters_beside_a_body_are_not_read():
    venue, orders = mapped("bybit")
    url = "https://api.bybit.com/v5/order/create"
    request = Request("POST", url, {"qty": "9"}, body=json.dumps(BYBIT))
    with pytest.raises(Unreadable, match="parameters beside a body"):
        orders.readers["POST /v5/order/create"].read(request, venue.body_params)


def test_a_body_that_is_called_something_else_is_not_read():
    venue, orders = mapped("bybit")
    url, form = "https://api.bybit.com/v5/order/create", "application/x-www-form-urlencoded"
    request = Request("POST", url, headers={"content-type": form}, body=json.dumps(BYBIT))
    with pytest.raises(Unreadable, match="says that it is no JSON"):
        orders.readers["POST /v5/order/create"].read(request, venue.body_params)


@pytest.mark.parametrize("name", CATALOGUE.names())
def test_every_venue_s_orders_can_be_read_and_only_what_trades_is_described(name):
    venue, orders = mapped(name)
    for endpoint in orders.readers:
        method, _, path = endpoint.partition(" ")
        meant = venue.operation(method, path, (), b"")
        # Where it depends on a parameter, none is given here.
        assert meant in (Operation.TRADE, Operation.REDUCE, Operation.UNKNOWN) or (
            "action.type" in endpoint or name == "hyperliquid"
        )
        assert quote(path, safe="/{}") == path
