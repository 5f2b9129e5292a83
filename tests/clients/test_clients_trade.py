"""Every client against the sandbox over real HTTP."""

from __future__ import annotations

import asyncio
import pickle

import pytest

import hauberk
from hauberk import Severity
from hauberk_plugins.sandbox import SandboxServer

WITHDRAW = {"coin": "BTC", "address": "bc1qattacker", "amount": "2"}


def test_an_order_is_placed_seen_and_cancelled(call, market, open_guard):
    caller = call(open_guard(market.url), market.url)
    placed = caller.order()
    assert (placed.status, placed.document["symbol"]) == (200, "BTCUSDT")
    names = {"symbol": "BTCUSDT", "orderId": str(placed.document["orderId"])}
    seen = caller.send("GET", "/api/v3/order", params=names)
    assert seen.document["status"] == "NEW"
    gone = caller.send("DELETE", "/api/v3/order", params=names)
    assert gone.document["status"] == "CANCELED"
    assert caller.send("GET", "/api/v3/ping").status == 200


def test_a_withdrawal_is_denied_as_the_librarys_error_and_as_ours(call, market, open_guard):
    caller = call(open_guard(market.url), market.url)
    for kind in (hauberk.Denied, caller.error, caller.module.Denied):
        with pytest.raises(kind) as caught:
            caller.send("POST", "/sapi/v1/capital/withdraw/apply", WITHDRAW)
        assert caught.value.plugin == "policy"
        assert "withdraw" in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - its own
    assert (type(again), str(again)) == (type(caught.value), str(caught.value))
    assert market.exchange.withdrawals == ()
    assert market.paths() == []


def test_another_host_is_denied(call, market, open_guard, wire):
    caller = call(open_guard(market.url), wire().url)
    with pytest.raises(hauberk.Denied, match="base URL"):
        caller.send("GET", "/api/v3/account")


def test_a_halt_stops_orders_and_lets_cancels_pass(call, market, open_guard):
    guard = open_guard(market.url)
    caller = call(guard, market.url)
    placed = caller.order()
    guard.report("runaway loop", Severity.HIGH)
    with pytest.raises(hauberk.Denied) as caught:
        caller.order()
    assert caught.value.plugin == "killswitch"
    names = {"symbol": "BTCUSDT", "orderId": str(placed.document["orderId"])}
    assert caller.send("DELETE", "/api/v3/order", params=names).status == 200
    guard.report("key seen in public", Severity.CRITICAL)
    with pytest.raises(caller.module.Denied):
        caller.send("GET", "/api/v3/account")


def test_what_no_window_can_hold_in_time_is_denied_with_when_to_ask_again(call, market, open_guard):
    caller = call(open_guard(market.url, orders=2), market.url, timeout_s=0.5)
    caller.order()
    caller.order()
    with pytest.raises(hauberk.Denied) as caught:
        caller.order()
    assert caught.value.plugin == "throttle"
    assert 50 < caught.value.retry_after <= 60
    assert len(market.exchange.orders("main")) == 2


def test_orders_are_paced_by_the_guard(call, market, open_guard):
    caller = call(open_guard(market.url, orders=2, seconds=1), market.url)
    for _ in range(3):
        assert caller.order().status == 200
    first, _, third = (one.at_ns for one in market.exchange.arrivals)
    assert third - first > 0.9e9


def test_an_exchanges_refusal_comes_through_and_is_not_repeated(call, market, open_guard):
    caller = call(open_guard(market.url), market.url)
    refused = caller.order(price="1")
    assert (refused.status, refused.document["code"]) == (400, -1013)
    assert len(market.paths()) == 1


def test_an_exchange_that_is_restarted_is_found_again(call, market, open_guard):
    guard = open_guard(market.url)
    caller = call(guard, market.url)
    assert caller.order().status == 200
    market.server.stop()
    with pytest.raises(caller.error) as caught:
        caller.order()
    assert not isinstance(caught.value, hauberk.Denied)
    port = int(market.url.rpartition(":")[2])
    with SandboxServer(market.exchange, port=port):
        # What the client keeps alive may be of before: one attempt may find that out.
        try:
            answer = caller.order()
        except caller.error:
            answer = caller.order()
        assert answer.status == 200


def test_a_timeout_is_settled_as_one_that_may_have_been_sent(call, market, open_guard):
    guard = open_guard(market.url)
    seen = []
    guard.on_response(lambda request, response: seen.append((response.status, response.error)))
    caller = call(guard, market.url)
    market.exchange.hang_next()
    with pytest.raises((caller.error, TimeoutError)):
        caller.send("POST", "/api/v3/order", {**ORDER, "newClientOrderId": "once"}, timeout=0.3)
    assert len(market.exchange.orders("main")) == 1
    ((status, error),) = seen
    assert status == 0
    assert "Time" in error


def test_one_who_is_cancelled_in_line_gives_back_the_place(acall, market, open_guard):
    guard = open_guard(market.url, orders=1, seconds=5)
    caller = acall(guard, market.url)

    async def go():
        await caller.asend("POST", "/api/v3/order", ORDER)
        waiting = asyncio.ensure_future(caller.asend("POST", "/api/v3/order", ORDER))
        while not _waiting(guard):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not _waiting(guard)

    caller.runner.run(go())
    assert len(market.exchange.orders("main")) == 1


def test_one_who_is_cancelled_on_the_way_is_settled(acall, market, open_guard):
    guard = open_guard(market.url)
    seen = []
    guard.on_response(lambda request, response: seen.append(response.error))
    caller = acall(guard, market.url)
    market.exchange.hang_next()

    async def go():
        sent = asyncio.ensure_future(caller.asend("POST", "/api/v3/order", ORDER))
        while not market.paths():
            await asyncio.sleep(0)
        sent.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sent

    caller.runner.run(go())
    assert seen == ["CancelledError"]


def _waiting(guard):
    return [wake for wake in guard.kernel.waking._armed.values() if wake is not None]


ORDER = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
    "quantity": "0.001", "price": "30000.00",
}  # fmt: skip
