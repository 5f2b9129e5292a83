"""A position can be left under any cap, and nothing that only says so passes for leaving one."""

from __future__ import annotations

import json

import pytest
from policydesk import CATALOGUE, Desk, policy

from hauberk import Request
from hauberk_plugins.policy.reading import read_orders

CAPS = "{max_order: 300 USDT, max_day: 300 USDT}"
BYBIT = "https://api.bybit.com/v5/order/create"
ORDER = {
    "category": "linear", "symbol": "BTCUSDT", "side": "Sell", "orderType": "Market", "qty": "9",
}  # fmt: skip
GATE = "https://api.gateio.ws/api/v4"


def bybit(bot: Desk, **said: str | None) -> str:
    given = {name: value for name, value in {**ORDER, **said}.items() if value is not None}
    return bot.ask(Request("POST", BYBIT, given))


def gate(bot: Desk, path: str, **body: object) -> str:
    headers = {"Content-Type": "application/json"}
    return bot.ask(Request("POST", GATE + path, headers=headers, body=json.dumps(body).encode()))


def test_an_order_that_reduces_may_be_as_large_as_the_position(tmp_path):
    bot = Desk(policy(CAPS, tmp_path), "bybit")
    # At no price, with no reference: nobody could say what it is worth.
    assert bybit(bot, reduceOnly="true") == ""
    assert "policy.max_order" in bybit(bot)


@pytest.mark.parametrize(
    "claim",
    [
        {"reduceOnly": "false"},
        {"reduceOnly": "TRUE"},
        {"reduceOnly": "1"},
        {"reduceOnly": "true "},
        {"reduce_only": "true"},
        {"closeOnTrigger": "true"},
        # Bybit ignores it on spot.
        {"reduceOnly": "true", "category": "spot"},
        {"reduceOnly": "true", "category": "Spot"},
        {"reduceOnly": "true", "category": "SPOT "},
        # Which of them counts, nobody says.
        {"reduceOnly": "true", "ReduceOnly": "false"},
        {"reduceOnly": "true", "Category": "spot"},
    ],
    ids=str,
)
def test_an_order_that_claims_to_reduce_without_being_held_to_it_is_capped(tmp_path, claim):
    assert bybit(Desk(policy(CAPS, tmp_path), "bybit"), **claim) != ""


def test_a_query_cannot_make_a_body_reduce(tmp_path):
    bot = Desk(policy(CAPS, tmp_path), "gate")
    url = f"{GATE}/futures/usdt/orders"
    body = json.dumps({"contract": "BTC_USDT", "size": -90, "price": "0"}).encode()
    headers = {"Content-Type": "application/json"}
    asked = Request("POST", url, {"reduce_only": "true"}, headers=headers, body=body)
    assert bot.ask(asked) != ""


def test_what_reduces_needs_no_description_under_caps(tmp_path):
    bot = Desk(policy(CAPS, tmp_path), "gate")
    path = "/delivery/usdt/price_orders"
    assert gate(bot, path, initial={"contract": "BTC_USDT", "reduce_only": True}) == ""
    assert "does not say how an order is read" in gate(bot, path, initial={"contract": "BTC_USDT"})


def test_a_close_of_all_positions_names_no_symbol_and_passes_caps(tmp_path):
    bot = Desk(policy(CAPS, tmp_path), "bingx")
    for path in (
        "/openApi/swap/v2/trade/closeAllPositions",
        "/openApi/swap/v1/trade/closePosition",
    ):
        assert bot.ask(Request("POST", f"https://open-api.bingx.com{path}", {})) == ""


@pytest.mark.parametrize(
    ("limit", "path"),
    [
        ("symbols: [BTC*]", "policy.symbols"),
        ("price_band: 0.1", "policy.price_band"),
        ("rules: [{match: {symbol: ETH*}, deny: true}]", "policy.rules.0.deny"),
    ],
)
def test_what_is_not_about_size_is_not_passed_unread(tmp_path, limit, path):
    # A bot that may trade one symbol may not close what somebody holds of another.
    bot = Desk(policy(f"{{{limit}, max_order: 1 USDT}}", tmp_path), "bingx", {})
    url = "https://open-api.bingx.com/openApi/swap/v1/trade/closePosition"
    why = bot.ask(Request("POST", url, {"positionId": "1"}))
    assert why.startswith(path)
    assert "does not say how an order is read" in why


def test_a_reducing_order_keeps_to_its_price_band(tmp_path):
    # Or whoever holds the other side of a thin book would be sold the position for nothing.
    bot = Desk(policy("{max_order: 1 USDT, price_band: 0.1}", tmp_path), "bybit", {"BTCUSDT": 100})
    limit = {"orderType": "Limit", "reduceOnly": "true"}
    assert bybit(bot, **limit, price="95") == ""
    assert "policy.price_band" in bybit(bot, **limit, price="50")
    assert "policy.price_band" in bybit(bot, reduceOnly="true")


def test_a_loop_of_reducing_orders_keeps_to_the_rate(tmp_path):
    bot = Desk(policy("{max_order: 1 USDT, max_orders: 2/min}", tmp_path), "bybit")
    judge, ask = bot.plugin.judge("main"), bot.plugin.on_request
    for number in range(3):
        given = {**ORDER, "reduceOnly": "true"}
        request = bot.guard.snapshot.bindings["main"].judged(Request("POST", BYBIT, given))
        denied = ask(request.stamped(f"loop-{number}", request.operation))
    assert judge.bench(request).is_one
    assert "policy.max_orders" in denied.reason


def test_a_rule_that_names_what_reduces_holds_it(tmp_path):
    rules = "{rules: [{match: {operation: reduce}, max_order: 300 USDT}]}"
    bot = Desk(policy(rules, tmp_path), "bybit", {"BTCUSDT": "300"})
    said = {"orderType": "Limit", "price": "300", "reduceOnly": "true"}
    assert bybit(bot, **said, qty="1") == ""
    assert "policy.rules.0.max_order" in bybit(bot, **said, qty="2")
    assert bybit(bot, orderType="Limit", price="300", qty="2") == ""


def test_a_rule_for_all_that_trades_does_not_hold_what_reduces(tmp_path):
    rules = "{rules: [{match: {symbol: BTC*}, max_order: 300 USDT}]}"
    bot = Desk(policy(rules, tmp_path), "bybit")
    assert bybit(bot, reduceOnly="true") == ""
    assert "policy.rules.0.max_order" in bybit(bot)


def test_a_rule_that_denies_what_reduces_does(tmp_path):
    bot = Desk(
        policy("{rules: [{match: {operation: reduce}, deny: not by a bot}]}", tmp_path), "bybit"
    )
    assert "not by a bot" in bybit(bot, reduceOnly="true")


def test_an_explanation_says_why_no_cap_is_for_it(tmp_path):
    bot = Desk(policy(CAPS, tmp_path), "bybit")
    binding = bot.guard.snapshot.bindings["main"]
    request = binding.judged(Request("POST", BYBIT, {**ORDER, "reduceOnly": "true"}))
    lines = bot.plugin.explain(request)
    assert not any(line.denies for line in lines)
    assert "no more than a position holds" in lines[-1].said


def test_every_endpoint_that_only_reduces_passes_caps_at_every_venue(tmp_path):
    """No exchange keeps somebody in a position because of a cap."""
    for name in CATALOGUE.names():
        venue = CATALOGUE.venue(name)
        orders = read_orders(venue.section("orders"), venue.problem, venue.endpoint)
        judge = None
        for endpoint in venue.endpoints():
            method, _, path = endpoint.partition(" ")
            if "{" in path or str(venue.operation(method, path, (), b"")) != "reduce":
                continue
            judge = judge or Desk(policy(CAPS, tmp_path), name).plugin.judge("main")
            request = Request(method, venue.bases[0] + path)
            bench = judge.bench(request.stamped("id", venue.operation(method, path, (), b"")))
            assert not bench.denial, (name, endpoint)
            assert bench.reader is None, (name, endpoint)
            assert endpoint not in orders.readers or orders.readers[endpoint], (name, endpoint)
