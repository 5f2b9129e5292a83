"""What an order counts for, what of it comes back, and on which day."""

from __future__ import annotations

import json

import pytest
from policydesk import CATALOGUE, Desk, policy

from hauberk import Request, Response
from hauberk.testing import FakeClock

DAY_S = 86_400


@pytest.fixture
def desk(tmp_path):
    return lambda text, **options: Desk(policy(text, tmp_path), **options)


HTX = {"account-id": "1", "symbol": "btcusdt", "type": "buy-limit", "amount": "0.1",
       "price": "60000"}  # fmt: skip
BITGET = {"symbol": "BTCUSDT", "side": "buy", "orderType": "limit", "force": "gtc", "size": "0.1",
          "price": "60000"}  # fmt: skip
OKX = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.1",
       "px": "60000"}  # fmt: skip
BINGX = {"symbol": "BTC-USDT", "side": "BUY", "type": "LIMIT", "quantity": "0.1",
         "price": "60000"}  # fmt: skip


def test_a_sale_counts_at_what_it_may_fill_at_or_not_at_all(desk):
    caps = "max_order: 5000 USDT, max_day: 20000 USDT"
    drain = {"side": "SELL", "quantity": "1000", "price": "1"}
    why = desk(f"{{{caps}}}").order(**drain)
    assert why == (
        "policy.max_order: order cannot be held against 5000 USDT: a sale, which may fill above "
        "its limit, needs a reference price of 'BTCUSDT', and no plugin provides any; provide one "
        "or, knowing that a sale at 1 then counts for 1, set `policy.sales_at_limit: true`"
    )
    assert "there is none; provide one" in desk(f"{{{caps}}}", prices={}).order(**drain)
    known = desk(f"{{{caps}}}", prices={"BTCUSDT": "60000"})
    assert "is worth 60000000 USDT" in known.order(**drain)
    assert known.order(side="SELL", quantity="0.05", price="1") == ""
    assert "is worth 6000 USDT" in known.order(side="SELL", quantity="0.05", price="120000")
    # What buys is bound by its own limit.
    assert desk(f"{{{caps}}}").order() == ""
    # Whoever writes it down takes the limit at its word, but no better where a price is known.
    lax = desk(f"{{{caps}, sales_at_limit: true}}")
    assert lax.order(**drain) == ""
    lax = desk(f"{{{caps}, sales_at_limit: true}}", prices={"BTCUSDT": "60000"})
    assert "is worth 60000000 USDT" in lax.order(**drain)


def test_a_day_cap_alone_denies_a_sale_that_nobody_can_count(desk):
    assert "order cannot be counted: a sale" in desk("{max_day: 20000 USDT}").order(side="SELL")


@pytest.mark.parametrize(
    ("venue", "path", "order", "status", "told", "comes_back"),
    [
        ("htx", "/v1/order/orders/place", HTX, 200, {"err-code": "timeout"}, False),
        ("htx", "/v1/order/orders/place", HTX, 200, {"err-code": "tomorrow"}, False),
        ("htx", "/v1/order/orders/place", HTX, 200,
         {"err-code": "account-frozen-balance-insufficient-error"}, True),
        ("bitget", "/api/v2/spot/trade/place-order", BITGET, 200, {"code": "40015"}, False),
        ("bitget", "/api/v2/spot/trade/place-order", BITGET, 400, {"code": "40015"}, False),
        ("bitget", "/api/v2/spot/trade/place-order", BITGET, 400, {"code": "43012"}, True),
        ("bitget", "/api/v2/spot/trade/place-order", BITGET, 200, {"code": "43012"}, True),
        ("bitget", "/api/v2/spot/trade/place-order", BITGET, 200, {"code": "00000"}, False),
        ("bingx", "/openApi/swap/v2/trade/order", BINGX, 200, {"code": 100500}, False),
        ("bingx", "/openApi/swap/v2/trade/order", BINGX, 200, {"code": 0}, False),
        ("bingx", "/openApi/swap/v2/trade/order", BINGX, 200, {"code": 101204}, True),
        ("okx", "/api/v5/trade/order", OKX, 200, {"code": "50004"}, False),
        ("okx", "/api/v5/trade/order", OKX, 400, {"code": "50004"}, False),
        ("okx", "/api/v5/trade/order", OKX, 200,
         {"code": "1", "data": [{"sCode": "51008"}]}, True),
        ("okx", "/api/v5/trade/order", OKX, 200,
         {"code": "1", "data": [{"sCode": "59999"}]}, False),
    ],
)  # fmt: skip
def test_the_day_comes_back_only_where_the_answer_says_that_nothing_was_placed(
    tmp_path, venue, path, order, status, told, comes_back
):
    bot = Desk(policy("{max_day: 10000 USDT}", tmp_path), venue)
    url = CATALOGUE.venue(venue).bases[0] + path
    is_json = CATALOGUE.venue(venue).body == "json"
    asked = Request("POST", url, body=json.dumps(order)) if is_json else Request("POST", url, order)
    judged = bot.guard.snapshot.bindings["main"].judged(asked)
    for number in range(3):
        request = judged.stamped(f"id-{number}", judged.operation)
        denied = bot.plugin.on_request(request)
        bot.plugin.on_end(request, denied is None, "")
        if denied is None:
            bot.plugin.on_response(request, Response(status, body=json.dumps(told).encode()))
    assert (denied is None) == comes_back


def test_an_answer_of_which_binance_does_not_know_itself_gives_nothing_back(desk):
    bot = desk("{max_day: 3000 USDT}")
    assert bot.order() == ""
    bot.answer(400, b'{"code": -1007, "msg": "Timeout waiting for response from backend server."}')
    assert "is left" in bot.order()


def test_a_clock_set_ahead_again_and_again_gives_the_cap_but_once(desk):
    clock = FakeClock()
    bot = desk("{max_day: 3000 USDT}", clock=clock)
    passed = []
    for _ in range(6):
        passed.append(bot.order() == "")
        bot.order()
        clock.step_wall(DAY_S)
    assert passed == [True, True, False, False, False, False]
    assert "it was set ahead" in bot.order()


def test_days_that_pass_are_fresh_each(desk):
    clock = FakeClock()
    bot = desk("{max_day: 3000 USDT}", clock=clock)
    for _ in range(4):
        assert bot.order() == ""
        assert "is left" in bot.order()
        clock.advance(DAY_S)
