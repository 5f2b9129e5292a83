"""Cancelling everything at once, and after a countdown."""

from __future__ import annotations

import pytest

ORDER = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
    "quantity": "0.01", "price": "1000.00",
}  # fmt: skip
TIMER = "/fapi/v1/countdownCancelAll"


@pytest.fixture
def bench(desk):
    return desk()


@pytest.fixture
def resting(bench):
    bench.exchange.set_price("BTCUSDT", "60000")
    assert bench.signed("POST", "/api/v3/order", **ORDER).status == 200

    def count():
        return sum(order.status == "NEW" for order in bench.exchange.orders())

    return count


def arm(bench, countdown_ms, symbol="BTCUSDT"):
    return bench.signed("POST", TIMER, symbol=symbol, countdownTime=countdown_ms)


def wait(bench, ms):
    bench.now_ns += ms * 1_000_000


def test_everything_of_a_symbol_is_cancelled_and_nothing_is_as_good(bench, resting):
    reply = bench.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert (reply.status, reply.payload["code"]) == (200, 200)
    assert resting() == 0
    assert bench.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT").status == 200


def test_a_countdown_that_nobody_renews_cancels(bench, resting):
    assert arm(bench, 5_000).payload == {"symbol": "BTCUSDT", "countdownTime": "5000"}
    wait(bench, 4_999)
    assert resting() == 1
    wait(bench, 1)
    assert resting() == 0
    assert bench.exchange.timers() == {}


def test_it_goes_off_once(bench, resting):
    arm(bench, 5_000)
    wait(bench, 6_000)
    assert resting() == 0
    bench.signed("POST", "/api/v3/order", **ORDER)
    wait(bench, 60_000)
    assert resting() == 1


def test_a_countdown_that_is_renewed_does_not_cancel(bench, resting):
    for _ in range(5):
        arm(bench, 5_000)
        wait(bench, 4_000)
    assert resting() == 1


def test_zero_stops_it(bench, resting):
    arm(bench, 5_000)
    arm(bench, 0)
    wait(bench, 60_000)
    assert resting() == 1


def test_it_is_of_one_symbol(bench, resting):
    arm(bench, 5_000, "ETHUSDT")
    wait(bench, 60_000)
    assert resting() == 1


def test_it_is_dated_at_the_next_request_before_that_is_answered(bench, resting):
    arm(bench, 5_000)
    wait(bench, 6_000)
    assert bench.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT").payload == []


@pytest.mark.parametrize("countdown", ["-1", "x", "1.5", "86400001", ""])
def test_a_countdown_that_is_none_is_refused(bench, resting, countdown):
    assert arm(bench, countdown).status == 400
    wait(bench, 600_000_000)
    assert resting() == 1


def test_it_needs_a_signature_and_a_key_that_may_trade(bench, resting):
    assert bench.send("POST", TIMER, b"symbol=BTCUSDT&countdownTime=1").status == 401
    bench.exchange.add_key(bench.KEY, bench.SECRET, may=("read",))
    assert arm(bench, 5_000).status == 401
