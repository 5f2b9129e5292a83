"""Orders at Binance against symbols, caps, bands, rates and rules."""

from __future__ import annotations

import json

import pytest
from policydesk import BINANCE, Desk, policy, spot

from hauberk import Deny, Request, Wait
from hauberk.errors import StoreError
from hauberk.testing import FakeClock, MemoryStore

DAY_S = 86_400


@pytest.fixture
def desk(tmp_path):
    return lambda text, **options: Desk(policy(text, tmp_path), **options)


def test_an_order_within_everything_passes(desk):
    bot = desk(
        "{symbols: [BTCUSDT], max_order: 5000 USDT, max_day: 9000 USDT, price_band: 0.05, "
        "max_orders: 5/min}",
        prices={"BTCUSDT": "30100"},
    )
    assert bot.order() == ""


def test_a_symbol_that_is_not_listed_is_denied(desk):
    why = desk("{symbols: [BTCUSDT, ETH*]}").order(symbol="DOGEUSDT")
    assert why == "policy.symbols: order is for 'DOGEUSDT', which is none of BTCUSDT, ETH*"


@pytest.mark.parametrize(
    ("said", "worth"),
    [
        ({"quantity": "0.17", "price": "30000"}, "5100"),
        ({"quantity": "0.1666666666666667", "price": "30000"}, "5000.000000000001"),
        ({"type": "LIMIT_MAKER", "quantity": "1", "price": "5000.01"}, "5000.01"),
        ({"type": "MARKET", "quantity": None, "price": None, "quoteOrderQty": "5001"}, "5001"),
        ({"quantity": "0.001", "quoteOrderQty": "6000"}, "6000"),
        ({"type": "STOP_LOSS_LIMIT", "quantity": "1", "stopPrice": "1"}, "30000"),
        ({"symbol": "BTCUSDT", "type": "limit", "quantity": "1"}, "30000"),
    ],
)
def test_an_order_above_its_cap_is_denied_whatever_it_is_called(desk, said, worth):
    why = desk("{max_order: 5000 USDT}").order(**said)
    assert why == f"policy.max_order: order is worth {worth} USDT, above 5000 USDT"


@pytest.mark.parametrize(
    "said",
    [
        {"type": "MARKET"},  # a price beside a market order binds nobody
        {"type": "MARKET", "price": "0.01"},
        {"type": "STOP_LOSS", "stopPrice": "1", "price": "1"},
        {"type": "LIMIT ", "price": "1"},
        {"type": "LIMIT", "pegPriceType": "MARKET_PEG", "price": "1"},
        {"type": None, "price": "1"},
        {"price": None},
        {"price": "0"},
    ],
)
def test_what_sets_no_limit_that_holds_needs_a_reference_price(desk, said):
    cap = "{max_order: 5000 USDT}"
    assert "needs a reference price of 'BTCUSDT', and no plugin provides any" in desk(cap).order(
        **said
    )
    assert "and there is none" in desk(cap, prices={}).order(**said)
    assert "is worth 6000 USDT" in desk(cap, prices={"BTCUSDT": "60000"}).order(**said)
    assert desk(cap, prices={"BTCUSDT": "40000"}).order(**said) == ""


def test_a_sale_below_the_market_counts_at_the_market(desk):
    bot = desk("{max_order: 5000 USDT}", prices={"BTCUSDT": "60000"})
    assert "is worth 6000 USDT" in bot.order(side="SELL", price="1")
    assert bot.order(side="BUY", price="1") == ""
    # What says no side, or one that nobody knows, may sell.
    assert "is worth 6000 USDT" in bot.order(side="Verkauf", price="1")


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", "1e31"])
def test_a_reference_price_that_is_none_counts_as_none(desk, price):
    bot = desk("{max_order: 5000 USDT}", prices={"BTCUSDT": price})
    assert "there is none" in bot.order(type="MARKET")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"quantity": "1e-9"}, "`quantity` is '1e-9', no plain decimal"),
        ({"quantity": "+1"}, "`quantity` is '+1'"),
        ({"price": "-1"}, "`price` is '-1'"),
        ({"price": "\u0661"}, r"`price` is '\\u0661'"),
        ({"quoteOrderQty": "NaN"}, "`quoteOrderQty` is 'NaN'"),
        ({"Quantity": "9"}, "given twice, if only in another case"),
        ({"QUOTEORDERQTY": "9"}, "'QUOTEORDERQTY' is written 'quoteOrderQty'"),
        ({"symbol": "BTC USDT"}, "no symbol"),
        ({"symbol": None}, "`symbol` is missing"),
        ({"quantity[]": "9"}, "could be read in more than one way"),
        ({"quantity ": "9"}, "could be read in more than one way"),
        ({"quantit\u00fd": "9"}, "could be read in more than one way"),
    ],
)
def test_what_can_be_read_in_two_ways_is_denied(desk, said, why):
    found = desk("{symbols: [BTCUSDT]}").order(**said)
    assert "policy.symbols: an order cannot be read: " in found
    assert why.replace("\\\\", "\\") in found


def test_a_parameter_that_stands_twice_is_denied_wherever_it_stands(desk):
    bot = desk("{max_order: 5000 USDT}")
    twice = [*spot().items(), ("quantity", "9")]
    assert "given twice" in bot.ask(Request("POST", BINANCE, twice))
    assert "in both query and body" in bot.ask(Request("POST", BINANCE, spot(), body="quantity=9"))
    assert "given twice" in bot.ask(Request("POST", BINANCE, spot(), body="QUANTITY=9"))
    rest = {name: value for name, value in spot().items() if name != "quantity"}
    why = bot.ask(Request("POST", BINANCE, rest, body="quantity=9"))
    assert "is worth 270000 USDT" in why


def test_a_cap_in_another_currency_is_converted_or_denied(desk):
    cap = "{max_order: 5000 USDT}"
    buys = {"symbol": "ETHBTC", "quantity": "3", "price": "0.06"}
    assert "needs a reference price of 'BTCUSDT'" in desk(cap).order(**buys)
    assert "worth 5400 USDT" in desk(cap, prices={"BTCUSDT": "30000"}).order(**buys)
    assert desk(cap, prices={"BTCUSDT": "20000"}).order(**buys) == ""
    # The other way round, rounded up.
    why = desk("{max_order: 0.1 BTC}", prices={"BTCUSDT": "29999"}).order()
    assert why.startswith("policy.max_order: order is worth 0.1000033334")


def test_a_quote_that_cannot_be_told_is_denied(desk):
    why = desk("{max_order: 5000 USDT}").order(symbol="BTCXYZ")
    assert "what 'BTCXYZ' is quoted in cannot be told" in why


def test_a_price_far_from_the_reference_is_denied(desk):
    bot = desk("{price_band: 0.05}", prices={"BTCUSDT": "30000"})
    assert bot.order(price="28500") == bot.order(price="31500") == ""
    why = bot.order(price="31500.01")
    assert why == (
        "policy.price_band: order is at 31500.01, not within 5 % of the reference price 30000: "
        "28500 to 31500"
    )
    assert "order is at 28499.99" in bot.order(price="28499.99")
    assert "sets no limit for its price" in bot.order(type="MARKET")
    assert "a price band needs a reference price" in desk("{price_band: 0.05}", prices={}).order()


def test_a_price_is_only_fair_for_its_own_symbol(desk):
    bot = desk("{price_band: 0.05}", prices={"BTCUSDT": "30000"})
    assert "needs a reference price of 'ETHUSDT'" in bot.order(symbol="ETHUSDT")


def test_a_day_is_spent_and_the_next_one_is_fresh(desk):
    clock = FakeClock()
    bot = desk("{max_day: 10000 USDT}", clock=clock)
    assert [bot.order() for _ in range(3)] == [""] * 3
    why = bot.order()
    assert why.startswith("policy.max_day: 3000 USDT is more than is left of 10000 USDT on 20")
    assert why.endswith("(UTC): 1000")
    assert bot.order(account="other") == ""  # by account
    clock.advance(DAY_S)
    assert bot.order() == ""


def test_a_day_survives_a_restart_and_a_clock_that_is_set_back(desk):
    store, clock = MemoryStore(), FakeClock()
    bot = desk("{max_day: 6000 USDT}", store=store, clock=clock)
    assert [bot.order(), bot.order()] == ["", ""]
    bot.guard.close()
    clock.step_wall(-3 * DAY_S)
    again = desk("{max_day: 6000 USDT}", store=store, clock=clock)
    why = again.order(quantity="0.001")
    assert "is more than is left of 6000 USDT" in why
    assert "it was set back, or was ahead before" in why
    assert "hauberk policy reset ACCOUNT" in why


def test_what_does_not_leave_and_what_the_exchange_refuses_is_given_back(desk):
    bot = desk("{max_day: 3000 USDT, sales_at_limit: true}")

    @bot.guard.on_request
    def no(request):
        return Deny("no") if dict(request.params)["side"] == "SELL" else None

    assert bot.order(side="SELL") == "no"
    assert bot.order() == ""
    assert "is left" in bot.order()
    bot.answer(400, b'{"code": -2010, "msg": "insufficient balance"}')
    assert bot.order() == ""
    bot.answer(503)  # it may have been placed
    assert "is left" in bot.order()


@pytest.mark.parametrize("status", [0, 200, 408, 409, 500, 502, 504])
def test_what_may_have_been_placed_stays_counted(desk, status):
    bot = desk("{max_day: 3000 USDT}")
    assert bot.order() == ""
    bot.answer(status, b'{"code": -1}')
    assert "is left" in bot.order()


def test_what_is_over_and_was_not_filled_is_given_back(desk):
    bot = desk("{max_day: 3000 USDT}")
    assert bot.order(timeInForce="IOC") == ""
    told = {"status": "EXPIRED", "cummulativeQuoteQty": "1200.00000000"}
    bot.answer(200, json.dumps(told).encode())
    assert bot.order(quantity="0.06") == ""
    assert "is left" in bot.order(quantity="0.0001")


@pytest.mark.parametrize(
    "told",
    [{"status": "NEW", "cummulativeQuoteQty": "0"}, {"status": "EXPIRED"},
     {"status": "EXPIRED", "cummulativeQuoteQty": "-1"}, ["EXPIRED"],
     {"status": "EXPIRED", "cummulativeQuoteQty": "1e-3"}],
)  # fmt: skip
def test_an_answer_that_does_not_say_so_gives_nothing_back(desk, told):
    bot = desk("{max_day: 3000 USDT}")
    assert bot.order() == ""
    bot.answer(200, json.dumps(told).encode())
    assert "is left" in bot.order(quantity="0.0001")


def test_a_store_that_fails_denies(desk):
    store = MemoryStore()
    bot = desk("{max_day: 3000 USDT}", store=store)
    store.error = StoreError("the disk is gone")
    assert "policy.max_day: the day's notional cannot be read: the disk is gone" in bot.order()


def test_a_test_of_an_order_uses_nothing_up(desk):
    bot = desk("{max_order: 3000 USDT, max_day: 3000 USDT}")
    assert bot.ask(Request("POST", f"{BINANCE}/test", spot())) == ""
    assert "above" in bot.ask(Request("POST", f"{BINANCE}/test", spot(quantity="1")))
    assert bot.order() == ""


def test_too_many_orders_are_denied_until_there_is_room(desk):
    clock = FakeClock()
    bot = desk("{max_orders: 2/10s}", clock=clock)
    assert bot.order() == bot.order() == ""
    assert bot.order() == "policy.max_orders: 1 more would be above 2/10s of account 'main'"
    assert bot.denied.retry_after == 10
    assert bot.order(account="other") == ""
    clock.advance(10)
    assert bot.order() == ""


def test_an_account_has_limits_of_its_own_beside_those_for_all(desk):
    bot = desk("{max_order: 5000 USDT, accounts: {other: {max_order: 1000 USDT}}}")
    assert bot.order() == ""
    why = bot.order(account="other")
    assert why.startswith("policy.accounts.other.max_order: order is worth 3000 USDT")
    assert bot.order(account="other", quantity="1").startswith("policy.max_order")


def test_the_strictest_of_two_caps_of_a_day_counts(desk):
    bot = desk("{max_day: 9000 USDT, accounts: {main: {max_day: 3000 USDT}}}")
    assert bot.order() == ""
    assert bot.order().startswith("policy.accounts.main.max_day")


def test_what_reads_or_cancels_is_not_held_against_caps(desk):
    bot = desk("{symbols: [ETHUSDT], max_order: 1 USDT, max_day: 1 USDT, max_orders: 1/day}")
    for method in ("GET", "DELETE"):
        assert bot.ask(Request(method, BINANCE, {"symbol": "BTCUSDT", "orderId": "1"})) == ""


@pytest.mark.parametrize(
    "text", ["{symbols: [B*]}", "{max_order: 1 USDT}", "{max_day: 1 USDT}", "{price_band: 0.1}",
             "{max_orders: 1/s}", "{rules: [{match: {symbol: X*}, deny: true}]}"],
)  # fmt: skip
def test_an_endpoint_of_which_nobody_says_how_it_is_read_is_denied(desk, text):
    url = "https://api.binance.com/sapi/v1/convert/acceptQuote"
    why = desk(text, prices={}).ask(Request("POST", url, {"quoteId": "1"}))
    assert "the file of venue 'binance' does not say how an order is read out of" in why
    assert "POST /sapi/v1/convert/acceptQuote" in why
    assert "describe it in `orders.endpoints` there, or write `none`" in why


def test_an_endpoint_that_places_nothing_needs_no_reading(desk):
    url = "https://api.binance.com/sapi/v1/convert/getQuote"
    assert desk("{max_order: 1 USDT}").ask(Request("POST", url, {"fromAsset": "BTC"})) == ""


def test_each_order_of_a_list_is_judged_by_itself(desk):
    url = "https://api.binance.com/api/v3/orderList/oco"
    oco = {
        "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.1", "aboveType": "LIMIT_MAKER",
        "abovePrice": "49000", "belowType": "STOP_LOSS_LIMIT", "belowPrice": "20000",
        "belowStopPrice": "21000",
    }  # fmt: skip
    caps = "max_order: 5000 USDT, max_day: 100000 USDT, max_orders: 4/min"
    bot = desk(f"{{{caps}, sales_at_limit: true}}")
    assert bot.ask(Request("POST", url, oco)) == ""
    why = bot.ask(Request("POST", url, {**oco, "belowPrice": "51000"}))
    assert why == "policy.max_order: order 2 of 2 is worth 5100 USDT, above 5000 USDT"
    assert "needs a reference" in bot.ask(Request("POST", url, {**oco, "belowType": "STOP_LOSS"}))
    assert bot.ask(Request("POST", url, oco)) == ""
    assert "2 more would be above 4/min" in bot.ask(Request("POST", url, oco))


def test_an_order_that_is_only_made_smaller_needs_no_cap(desk):
    url = f"{BINANCE}/amend/keepPriority"
    bot = desk(
        "{symbols: [BTCUSDT], max_order: 1 USDT, price_band: 0.01, max_day: 1 USDT}", prices={}
    )
    made = {"symbol": "BTCUSDT", "orderId": "1", "newQty": "5"}
    assert bot.ask(Request("PUT", url, made)) == ""
    assert "policy.symbols" in bot.ask(Request("PUT", url, {**made, "symbol": "ETHUSDT"}))


def test_asking_again_for_the_same_is_free_and_for_dearer_is_not(desk):
    bot = desk("{max_day: 3000 USDT, max_orders: 1/min}")
    asked = []

    @bot.guard.on_request
    def later(request):
        asked.append(request.id)
        return Wait(0) if len(asked) < 3 else None

    bot.cleared = bot.guard.clear(Request("POST", BINANCE, spot()))
    assert len(asked) == 3
    assert "is left" in bot.order() or "max_orders" in bot.order()


def test_what_waits_over_midnight_counts_on_the_day_that_it_leaves(desk):
    clock = FakeClock()
    bot = desk("{max_day: 3000 USDT}", clock=clock)
    asked = []

    @bot.guard.on_request
    def later(request):
        asked.append(1)
        return Wait(DAY_S) if len(asked) == 1 else None

    bot.guard.clear(Request("POST", BINANCE, spot()), timeout_s=2 * DAY_S)
    assert len(asked) == 2
    assert "is left" in bot.order()
