from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.sandbox import SymbolRules
from hauberk_plugins.sandbox.endpoints import TABLE
from hauberk_plugins.sandbox.market import Market

ASSETS = ("USDT", "BTC", "ETH", "LTC")


def sums(d):
    held = d.signed("GET", "/api/v3/account").payload["balances"]
    return {b["asset"]: (Decimal(b["free"]), Decimal(b["locked"])) for b in held}


def test_a_market_order_is_filled_at_the_price_of_the_moment(desk):
    d = desk()
    d.exchange.set_price("BTCUSDT", "50000")
    reply = d.order(
        symbol="BTCUSDT", type="MARKET", timeInForce=None, price=None, quantity="0.5"
    ).payload
    assert (reply["status"], reply["cummulativeQuoteQty"]) == ("FILLED", "25000.00000000")
    assert [(fill["price"], fill["qty"]) for fill in reply["fills"]] == [
        ("50000.00000000", "0.50000000")
    ]
    assert sums(d)["BTC"] == (Decimal("2.5"), 0)
    assert sums(d)["USDT"] == (Decimal(75_000), 0)


@pytest.mark.parametrize(("side", "received"), [("BUY", "LTC"), ("SELL", "BTC")])
def test_the_commission_is_in_the_asset_that_is_received(desk, side, received):
    d = desk()
    d.exchange.set_price("LTCBTC", "0.02")
    (fill,) = d.order(side=side, price="0.02").payload["fills"]
    (trade,) = d.signed("GET", "/api/v3/myTrades", symbol="LTCBTC").payload
    assert fill["commissionAsset"] == trade["commissionAsset"] == received


def test_a_market_order_can_name_what_it_spends(desk):
    d = desk()
    d.exchange.set_price("BTCUSDT", "30000")
    change = {"symbol": "BTCUSDT", "type": "MARKET", "timeInForce": None, "price": None}
    reply = d.order(**change, quantity=None, quoteOrderQty="100").payload
    assert reply["executedQty"] == "0.00333000"
    assert d.order(**change, quantity=None, quoteOrderQty="9" * 20).code == -1013
    assert d.order(**change, quantity="1", quoteOrderQty="100").code == -1106


def test_a_limit_order_rests_until_the_price_reaches_it(desk):
    d = desk()
    d.exchange.set_price("LTCBTC", "0.02")
    placed = d.order(price="0.01", quantity="3", newClientOrderId="mine").payload
    assert placed["status"] == "NEW"
    assert sums(d)["BTC"] == (Decimal("1.97"), Decimal("0.03"))
    shown = d.signed("GET", "/api/v3/openOrders", symbol="LTCBTC").payload
    assert [order["clientOrderId"] for order in shown] == ["mine"]
    d.exchange.set_price("LTCBTC", "0.009")
    assert d.signed("GET", "/api/v3/openOrders").payload == []
    found = d.signed("GET", "/api/v3/order", symbol="LTCBTC", origClientOrderId="mine").payload
    assert (found["status"], found["executedQty"]) == ("FILLED", "3.00000000")
    trades = d.signed("GET", "/api/v3/myTrades", symbol="LTCBTC").payload
    assert [(t["price"], t["isMaker"]) for t in trades] == [("0.01000000", True)]
    assert sums(d)["BTC"] == (Decimal("1.97"), 0)
    assert sums(d)["LTC"] == (Decimal(103), 0)


def test_a_sell_order_locks_what_it_sells_and_cancelling_gives_it_back(desk):
    d = desk()
    d.exchange.set_price("LTCBTC", "0.02")
    placed = d.order(side="SELL", price="0.03", quantity="5").payload
    assert sums(d)["LTC"] == (Decimal(95), Decimal(5))
    gone = d.signed("DELETE", "/api/v3/order", symbol="LTCBTC", orderId=placed["orderId"])
    assert gone.payload["status"] == "CANCELED"
    assert sums(d)["LTC"] == (Decimal(100), 0)
    again = d.signed("DELETE", "/api/v3/order", symbol="LTCBTC", orderId=placed["orderId"])
    assert (again.status, again.code) == (400, -2011)
    shown = d.signed("GET", "/api/v3/order", symbol="LTCBTC", orderId=placed["orderId"])
    assert shown.payload["status"] == "CANCELED"


def test_cancelling_all_cancels_one_symbol(desk):
    d = desk()
    d.exchange.set_price("LTCBTC", "0.02")
    for _ in range(3):
        d.order(price="0.01")
    d.order(symbol="BTCUSDT", price="10000", quantity="0.1")
    gone = d.signed("DELETE", "/api/v3/openOrders", symbol="LTCBTC")
    assert [order["status"] for order in gone.payload] == ["CANCELED"] * 3
    assert [order.status for order in d.exchange.orders()] == ["CANCELED"] * 3 + ["NEW"]
    assert d.signed("DELETE", "/api/v3/openOrders", symbol="LTCBTC").code == -2011


@pytest.mark.parametrize("force", ["IOC", "FOK"])
def test_an_order_that_may_not_rest_expires(desk, force):
    d = desk()
    before = sums(d)
    assert d.order(price="0.001", timeInForce=force).payload["status"] == "EXPIRED"
    assert sums(d) == before


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOSUCH"}, -1121),
        ({"symbol": None}, -1102),
        ({"side": "HOLD"}, -1117),
        ({"type": "STOP"}, -1116),
        ({"timeInForce": "DAY"}, -1115),
        ({"timeInForce": None}, -1102),
        ({"quantity": None}, -1102),
        ({"quantity": "-1"}, -1100),
        ({"quantity": "1e3"}, -1100),
        ({"quantity": "NaN"}, -1100),
        ({"quantity": "\u0661"}, -1100),
        ({"quantity": "0"}, -1013),
        ({"quantity": "9" * 20}, -1013),
        ({"quantity": "1.0001"}, -1111),
        ({"price": "0.0000001"}, -1013),
        ({"price": "0.1000001"}, -1111),
        ({"price": "9" * 20}, -1013),
        ({"price": "0.00001", "quantity": "0.001"}, -1013),
        ({"quantity": "9000"}, -2010),
        ({"quoteOrderQty": "1"}, -1106),
        ({"type": "MARKET"}, -1106),
        ({"newOrderRespType": "ALL"}, -1130),
        ({"newClientOrderId": "käfer"}, -1100),
        ({"newClientOrderId": "x" * 37}, -1100),
        ({"newClientOrderId": "a\r\nX-Evil: 1"}, -1100),
        ({"icebergQty": "1"}, -1104),
    ],
)
def test_a_faulty_order_is_refused_by_name_and_leaves_no_trace(desk, changes, code):
    d = desk()
    before = sums(d)
    reply = d.order(**changes)
    assert (reply.status, reply.code) == (400, code)
    assert d.exchange.orders() == ()
    assert sums(d) == before


def test_a_name_is_taken_while_its_order_is_open(desk):
    d = desk()
    assert d.order(price="0.001", newClientOrderId="one").status == 200
    assert d.order(price="0.001", newClientOrderId="one").code == -2010
    d.signed("DELETE", "/api/v3/order", symbol="LTCBTC", origClientOrderId="one")
    assert d.order(price="0.001", newClientOrderId="one").status == 200


def test_open_orders_of_a_symbol_are_bounded(desk):
    d = desk(order_limits=[])
    for _ in range(200):
        assert d.order(price="0.001", newOrderRespType="ACK").status == 200
    assert d.order(price="0.001").code == -1013


def test_an_order_of_another_account_is_not_to_be_seen_or_cancelled(desk):
    d = desk()
    placed = d.order(price="0.001").payload["orderId"]
    key, secret = d.exchange.add_key(account="other")
    for method, code in (("GET", -2013), ("DELETE", -2011)):
        reply = d.signed(
            method, "/api/v3/order", key=key, secret=secret, symbol="LTCBTC", orderId=placed
        )
        assert reply.code == code
    assert d.signed("GET", "/api/v3/order", symbol="LTCBTC").code == -1102


def test_an_account_is_opened_once_with_what_it_owns(desk):
    d = desk()
    d.exchange.add_account("poor", {"USDT": Decimal(7)})
    key, secret = d.exchange.add_key(account="poor")
    reply = d.signed("GET", "/api/v3/account", key=key, secret=secret)
    assert [(b["asset"], b["free"]) for b in reply.payload["balances"]] == [("USDT", "7.00000000")]
    with pytest.raises(ValueError, match="main"):
        d.exchange.add_account("main")


def test_a_withdrawal_that_gets_there_takes_the_money(desk):
    d = desk(may=["withdraw"])
    path = "/sapi/v1/capital/withdraw/apply"
    done = d.signed("POST", path, coin="BTC", address="bc1q", amount="1.5", network="BTC")
    assert (done.status, done.payload) == (200, {"id": "1"})
    assert d.signed("POST", path, coin="BTC", address="bc1q", amount="1.5").code == -4026
    assert d.signed("POST", path, coin="BTC", amount="1.5").code == -1102
    gone = d.exchange.withdrawals
    assert [(w.account, w.coin, w.amount, w.address) for w in gone] == [
        ("main", "BTC", Decimal("1.5"), "bc1q")
    ]
    assert d.exchange.free("BTC") == Decimal("0.5")
    assert sum(arrival.path == path for arrival in d.exchange.arrivals) == 3


orders = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["BUY", "SELL"]),
        "quantity": st.integers(1, 60_000).map(lambda n: str(Decimal(n) / 1000)),
        "price": st.integers(1, 4_000).map(lambda n: f"{Decimal(n) / 100_000:f}"),
        "timeInForce": st.sampled_from(["GTC", "IOC", "FOK"]),
    }
)


@given(steps=st.lists(st.one_of(orders, st.integers(1, 4_000), st.none()), max_size=25))
def test_trading_creates_and_loses_no_money(desk, steps):
    d = desk(order_limits=[])
    for step in steps:
        if step is None:
            d.signed("DELETE", "/api/v3/openOrders", symbol="LTCBTC")
        elif isinstance(step, int):
            d.exchange.set_price("LTCBTC", Decimal(step) / 100_000)
        else:
            assert d.order(**step).code in (0, -2010, -1013)
    owned = {asset: Decimal(n) for asset, n in zip(ASSETS, (100_000, 2, 20, 100), strict=True)}
    balances = sums(d)
    for trade in d.signed("GET", "/api/v3/myTrades", symbol="LTCBTC").payload:
        sign = 1 if trade["isBuyer"] else -1
        owned["LTC"] += sign * Decimal(trade["qty"])
        owned["BTC"] -= sign * Decimal(trade["quoteQty"])
    assert {asset: free + locked for asset, (free, locked) in balances.items()} == owned
    assert all(free >= 0 and locked >= 0 for free, locked in balances.values())
    d.signed("DELETE", "/api/v3/openOrders", symbol="LTCBTC")
    assert all(locked == 0 for _, locked in sums(d).values())


values = st.one_of(
    st.text(min_size=1, max_size=30),
    st.sampled_from(["BTCUSDT", "LTCBTC", "BUY", "SELL", "LIMIT", "MARKET", "GTC", '["LTCBTC"]']),
    st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,20})?", fullmatch=True),
    st.sampled_from(["[" * 30, '{"a":1}', "[1]", "0", "1", "true", "0.01"]),
)


@given(data=st.data(), endpoint=st.sampled_from(TABLE))
def test_whatever_parameters_arrive_the_exchange_answers_and_lives_on(desk, data, endpoint):
    d = desk(may=["read", "trade", "withdraw"])
    names = st.sampled_from([*endpoint.mandatory, *endpoint.optional, "recvWindow"])
    sent = data.draw(st.dictionaries(names, values, max_size=8))
    if endpoint.permission is None:
        sent.pop("recvWindow", None)
    reply = d.signed(endpoint.method, endpoint.path, **sent)
    assert reply.status in (200, 400)
    assert d.signed("GET", "/api/v3/account").status == 200
    assert all(free >= 0 and locked >= 0 for free, locked in sums(d).values())


@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD"]),
    path=st.sampled_from([endpoint.path for endpoint in TABLE]),
    query=st.binary(max_size=60),
    body=st.binary(max_size=60),
)
def test_whatever_bytes_arrive_the_answer_is_a_refusal_or_public(desk, method, path, query, body):
    d = desk()
    reply = d.send(method, path, query, body, keys=(d.KEY,))
    assert reply.status in (200, 400, 401, 404)
    assert reply.status != 200 or path.endswith(("ping", "time", "exchangeInfo", "price"))


@given(second=st.integers(0, 4 * 10**9), seed=st.integers(0, 3))
def test_the_price_is_the_same_for_the_same_moment_and_stays_near(second, seed):
    for rules in Market(seed=seed).symbols():
        price = Market(seed=seed).price(rules.symbol, second * 1_000)
        assert price == Market(seed=seed).price(rules.symbol, second * 1_000 + 999)
        assert abs(price / rules.price - 1) <= Decimal("0.01")
        assert price % rules.tick == 0


def test_the_price_walks():
    market = Market()
    walk = [market.price("BTCUSDT", second * 1_000) for second in range(600)]
    assert len(set(walk)) > 300
    assert max(abs(b / a - 1) for a, b in pairwise(walk)) < Decimal("0.001")


def test_public_endpoints_tell_time_limits_prices_and_depth(desk):
    d = desk()
    assert d.send("GET", "/api/v3/time").payload == {"serverTime": d.now_ms}
    d.exchange.set_price("LTCBTC", "0.02")
    one = d.send("GET", "/api/v3/ticker/price", b"symbol=LTCBTC").payload
    assert one == {"symbol": "LTCBTC", "price": "0.02000000"}
    some = d.send("GET", "/api/v3/ticker/price", b"symbols=%5B%22LTCBTC%22%5D").payload
    assert some == [one]
    info = d.send("GET", "/api/v3/exchangeInfo").payload
    assert [s["symbol"] for s in info["symbols"]] == ["BTCUSDT", "ETHUSDT", "LTCBTC"]
    assert [limit["limit"] for limit in info["rateLimits"]] == [6_000, 100, 200_000]
    book = d.send("GET", "/api/v3/depth", b"symbol=LTCBTC&limit=3").payload
    assert (len(book["bids"]), len(book["asks"])) == (3, 3)
    assert book["bids"][0][0] < one["price"] < book["asks"][0][0]


def test_an_unknown_path_or_method_is_404(desk):
    d = desk()
    for method, path in (("GET", "/"), ("PUT", "/api/v3/order"), ("GET", "/api/v3/ping/")):
        reply = d.send(method, path)
        assert (reply.status, reply.code) == (404, -5000)


def test_symbols_are_whatever_the_caller_lists(desk):
    d = desk(symbols=[SymbolRules("ABCUSDT", "ABC", "USDT", "1")])
    assert d.exchange.price("ABCUSDT") > 0
    assert d.order(symbol="ABCUSDT", price="1", quantity="10").status == 200
    assert d.order().code == -1121


def test_a_symbol_whose_amounts_do_not_fit_eight_places_is_refused():
    with pytest.raises(ValueError, match="ABCUSDT"):
        SymbolRules("ABCUSDT", "ABC", "USDT", "1", tick="0.00001", step="0.0001")
