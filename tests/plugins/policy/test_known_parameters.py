"""A parameter that makes price or size another than what is written passes under no cap."""

from __future__ import annotations

import json

import pytest
from policydesk import CATALOGUE, Desk, policy, refused

from hauberk import Request
from hauberk_plugins.policy.errors import Unreadable
from hauberk_plugins.policy.fields import Field
from hauberk_plugins.policy.known import Known

CAPS = "{max_order: 5000 USDT, max_day: 20000 USDT}"
BAND = "{max_order: 5000 USDT, max_day: 20000 USDT, price_band: 0.05}"
PRICES = dict.fromkeys(("BTCUSDT", "BTC-USDT", "tBTCUST", "btcusdt", "BTC_USDT"), "60000")
BYBIT = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit",
         "qty": "0.08", "price": "60000"}  # fmt: skip
OKX = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.08",
       "px": "60000"}  # fmt: skip
BITFINEX = {"type": "EXCHANGE LIMIT", "symbol": "tBTCUST", "amount": "0.08", "price": "60000"}
BITGET = {"symbol": "BTCUSDT", "side": "buy", "orderType": "limit", "force": "gtc",
          "size": "0.08", "price": "60000"}  # fmt: skip
BINGX = {"symbol": "BTC-USDT", "side": "BUY", "type": "LIMIT", "quantity": "0.08",
         "price": "60000"}  # fmt: skip
BITSTAMP = {"amount": "0.08", "price": "60000"}
COINBASE = {"client_order_id": "1", "product_id": "BTC-USDT", "side": "BUY",
            "order_configuration": {"limit_limit_gtc": {"base_size": "0.08",
                                                        "limit_price": "60000"}}}  # fmt: skip
PLACES = {
    "bybit": ("/v5/order/create", BYBIT),
    "okx": ("/api/v5/trade/order", OKX),
    "bitfinex": ("/v2/auth/w/order/submit", BITFINEX),
    "bitget": ("/api/v2/spot/trade/place-order", BITGET),
    "bingx": ("/openApi/swap/v2/trade/order", BINGX),
    "bitstamp": ("/api/v2/buy/btcusdt/", BITSTAMP),
    "coinbase": ("/api/v3/brokerage/orders", COINBASE),
}


def ask(desk: Desk, **more: object) -> str:
    path, order = PLACES[desk.venue]
    url = CATALOGUE.venue(desk.venue).bases[0] + path
    said = {**order, **more}
    if CATALOGUE.venue(desk.venue).body == "json":
        return desk.ask(Request("POST", url, body=json.dumps(said)))
    return desk.ask(Request("POST", url, {name: str(value) for name, value in said.items()}))


@pytest.mark.parametrize("venue", PLACES)
def test_an_order_without_anything_of_the_kind_passes_caps_and_band(tmp_path, venue):
    assert ask(Desk(policy(BAND, tmp_path), venue, PRICES)) == ""


@pytest.mark.parametrize(
    ("venue", "more"),
    [
        # The price is taken from the book, whatever is written.
        ("bybit", {"qty": "100", "price": "1", "bboSideType": "Counterparty", "bboLevel": "5"}),
        ("okx", {"sz": "100", "px": "1", "pxUsd": "9"}),
        # A second order, at any price.
        ("bitfinex", {"flags": 16384, "price_oco_stop": "6000000"}),
        ("bitfinex", {"price_oco_stop": "6000000"}),
        ("bitfinex", {"flags": 16384 + 4096}),
        ("bitstamp", {"limit_price": "1"}),
        # Something that an exchange adds tomorrow.
        ("bybit", {"priceFrom": "book"}),
        ("okx", {"new": {"deep": {"px": "9"}}}),
        ("okx", {"new": [{"px": "9"}]}),
        ("coinbase", {"sor": "x"}),
        ("coinbase", {"order_configuration": {"limit_limit_gtc": {
            "base_size": "0.08", "limit_price": "60000", "peg": "x"}}}),
    ],
)  # fmt: skip
def test_what_may_change_price_or_size_is_denied_under_caps(tmp_path, venue, more):
    assert ask(Desk(policy(CAPS, tmp_path), venue, PRICES), **more) != ""


@pytest.mark.parametrize(
    ("venue", "more"),
    [
        ("bybit", {"category": "spot", "takeProfit": "60001", "tpLimitPrice": "1",
                   "tpOrderType": "Limit"}),
        ("okx", {"attachAlgoOrds": [{"tpTriggerPx": "60001", "tpOrdPx": "0.01"}]}),
        ("bitget", {"presetTakeProfitPrice": "60001", "executeTakeProfitPrice": "1"}),
        ("bingx", {"stopLoss": '{"type": "STOP", "price": 1, "stopPrice": 1}'}),
        ("coinbase", {"attached_order_configuration": {
            "trigger_bracket_gtc": {"limit_price": "1", "stop_trigger_price": "0.5"}}}),
    ],
)  # fmt: skip
def test_what_closes_again_at_a_price_of_its_own_passes_caps_and_no_band(tmp_path, venue, more):
    assert ask(Desk(policy(CAPS, tmp_path), venue, PRICES), **more) == ""
    why = ask(Desk(policy(BAND, tmp_path), venue, PRICES), **more)
    assert why.startswith("policy.price_band: order ")
    assert ", which closes again what it opens, at a price that nobody holds to the band" in why


def test_a_price_from_the_book_is_no_price_within_a_band(tmp_path):
    desk = Desk(policy(BAND, tmp_path), "bybit", PRICES)
    assert "sets no limit" in ask(desk, bboSideType="Queue", bboLevel="1")


def test_the_denial_says_which_parameter_and_hauberk_yml_may_say_that_it_is_harmless(tmp_path):
    why = ask(Desk(policy(CAPS, tmp_path), "bybit", PRICES), brandNew="1")
    assert why.startswith("policy.max_order: an order cannot be read: it has 'brandNew'")
    assert "add it to `policy.harmless`" in why
    text = "{max_order: 5000 USDT, harmless: {bybit: [brandNew]}}"
    desk = Desk(policy(text, tmp_path), "bybit", PRICES)
    assert ask(desk, brandNew="1") == ""
    assert ask(desk, brandnew="1") != ""
    with pytest.raises(Exception, match="is no parameter"):
        policy("{harmless: {bybit: [^x]}}", tmp_path)


def test_a_flat_name_is_looked_at_each_time_and_in_each_item(tmp_path):
    desk = Desk(policy(CAPS, tmp_path), "bybit", PRICES)
    url = "https://api.bybit.com/v5/order/create"
    for _ in range(2):
        assert desk.ask(Request("POST", url, BYBIT)) == ""
        assert "it has 'peg'" in desk.ask(Request("POST", url, {**BYBIT, "peg": "1"}))
    batch = "https://api.bybit.com/v5/order/create-batch"
    for said in (
        {"category": "linear", "request": [BYBIT, {**BYBIT, "peg": "1"}]},
        {"category": "linear", "request": [BYBIT], "peg": "1"},
    ):
        assert "'peg'" in desk.ask(Request("POST", batch, body=json.dumps(said)))


def test_what_at_most_closes_a_position_may_say_anything(tmp_path):
    desk = Desk(policy("{symbols: [BTCUSDT], max_order: 1 USDT}", tmp_path), "bybit", {})
    url = "https://api.bybit.com/v5/position/trading-stop"
    assert desk.ask(Request("POST", url, {"symbol": "BTCUSDT", "brandNew": "1"})) == ""


def test_names_are_known_at_their_place_and_nowhere_else():
    known = Known([Field("a"), Field("b.c"), Field("d.*.e"), Field("^w")], [Field("t.*")])
    assert known.check({"a": "1", "b": {"c": "1"}, "d": {"x": {"e": "1"}}, "t": None}) == ""
    assert known.check({"b": None, "d": [], "z": None}) == ""
    assert known.check({"t": {"p": "1"}}) == "t.p"
    for said in ({"c": "1"}, {"b": "1"}, {"a": {"c": "1"}}, {"a": ["1"]}, {"d": {"e": "1"}},
                 {"d": {"x": {"e": "1", "f": "1"}}}, ["1"], {"b": {"c": {"d": "1"}}}):  # fmt: skip
        with pytest.raises(Unreadable):
            known.check(said)


def test_a_body_of_json_where_parameters_are_due_is_told_so(tmp_path):
    desk = Desk(policy(CAPS, tmp_path))
    order = json.dumps({"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1"})
    url = "https://api.binance.com/api/v3/order"
    why = desk.ask(Request("POST", url, body=order))
    assert "its body is JSON, and the venue reads parameters" in why
    assert "its body cannot be read" in desk.ask(Request("POST", url, body="a%zz=1"))


def test_harmless_parameters_are_of_a_venue_that_some_account_is_at():
    from hauberk_plugins.policy.checks import problems
    from hauberk_plugins.policy.config import PolicyConfig

    config = PolicyConfig(harmless={"binanse": ("x",)})
    assert [at for at, _ in problems(config, {"main": {"venue": "binance"}})] == [
        ("harmless", "binanse")
    ]


def test_a_band_without_anybody_who_knows_prices_is_refused_at_load(tmp_path):
    assert "policy.price_band: lies around" in refused(policy("{price_band: 0.05}", tmp_path))
    rule = "{rules: [{match: {symbol: BTC*}, price_band: 0.05}]}"
    assert "policy.rules.0.price_band: lies around" in refused(policy(rule, tmp_path))
