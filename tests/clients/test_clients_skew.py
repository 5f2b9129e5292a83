"""Refused for its time: one request more, cleared and signed anew; never two."""

from __future__ import annotations

import asyncio

import pytest

import hauberk
from hauberk.clock import SystemClock
from hauberk_plugins.sandbox import SandboxExchange, SandboxServer

KEY, SECRET = "canarykey" + "k" * 55, "canarysecret" + "s" * 52

SKEW = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 27\r\nConnection: close\r\n\r\n"
    b'{"code":-1021,"msg":"time"}'
)


class WrongClock(SystemClock):
    off_ns = -3_600 * 10**9

    def wall_ns(self) -> int:
        return super().wall_ns() + self.off_ns


def codes(market):
    return [(one.status, one.code) for one in market.exchange.arrivals]


def test_what_was_refused_for_its_time_is_sent_once_more(call, market, open_guard):
    clock = WrongClock()
    guard = open_guard(market.url, clock)

    def set_right(request, response):
        if response.status == 400:
            clock.off_ns = 0

    guard.on_response(set_right)
    answer = call(guard, market.url).order()
    assert answer.status == 200
    assert codes(market) == [(400, -1021), (200, 0)]
    assert len(market.exchange.orders("main")) == 1


def test_a_clock_that_stays_wrong_is_told_after_two(call, market, open_guard):
    guard = open_guard(market.url, WrongClock())
    seen = []
    guard.on_response(lambda request, response: seen.append(response.status))
    answer = call(guard, market.url).order()
    assert (answer.status, answer.document["code"]) == (400, -1021)
    assert codes(market) == [(400, -1021)] * 2
    assert seen == [400, 400]


def test_a_halt_in_between_stops_the_second(call, market, open_guard):
    guard = open_guard(market.url, WrongClock())
    guard.on_response(
        lambda request, response: guard.report("x", hauberk.Severity.CRITICAL) and None
    )
    with pytest.raises(hauberk.Denied):
        call(guard, market.url).order()
    assert codes(market) == [(400, -1021)]


def test_one_cancelled_before_the_second_leaves_settles_what_was_cleared(
    acall, wire, open_guard, monkeypatch
):
    socket = wire(SKEW, SKEW)
    guard = open_guard(socket.url)
    seen = []
    guard.on_response(lambda request, response: seen.append(response.error))
    caller = acall(guard, socket.url)
    cleared, held = hauberk.Guard.aclear, []

    async def go():
        loop = asyncio.get_running_loop()
        entered, released = asyncio.Event(), __import__("threading").Event()

        async def slowly(self, request, **options):
            held.append(await cleared(self, request, **options))
            if len(held) == 2:
                loop.call_soon_threadsafe(entered.set)
                released.wait(20)
            return held[-1]

        monkeypatch.setattr(hauberk.Guard, "aclear", slowly)
        sent = asyncio.ensure_future(caller.asend("GET", "/api/v3/account"))
        await entered.wait()
        sent.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sent
        released.set()
        while len(seen) < 2:
            await asyncio.sleep(0)

    caller.runner.run(go())
    assert seen == ["", "CancelledError"]
    assert len(socket.arrived) == 1


def test_one_cancelled_while_the_second_waits_in_line_gives_its_place_back(acall, wire, open_guard):
    socket = wire(SKEW, SKEW)
    guard = open_guard(socket.url, orders=1)
    ended = []

    class Watching(hauberk.Plugin):
        @hauberk.hookimpl
        def on_request(self, request):
            return None

        @hauberk.hookimpl
        def on_end(self, request, left, why):
            ended.append(left)

    guard.register(Watching())
    throttle = guard.kernel.crew.view.parts["throttle"][0].plugin
    caller = acall(guard, socket.url)

    def waiting():
        return sum(row["waiting"] for row in throttle.on_status()["budgets"])

    async def go():
        sent = asyncio.ensure_future(
            caller.asend("POST", "/api/v3/order", {"symbol": "A", "side": "BUY"})
        )
        while not waiting():
            await asyncio.sleep(0)
        sent.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sent
        while len(ended) < 2:
            await asyncio.sleep(0)

    caller.runner.run(go())
    assert ended == [True, False]
    assert waiting() == 0
    assert {row["window"]: row["used"] for row in throttle.on_status()["budgets"]}["orders"] == 1
    assert len(socket.arrived) == 1


class LaterClock(SystemClock):
    later_ns = 0

    def wall_ns(self) -> int:
        return super().wall_ns() + self.later_ns

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.later_ns


def test_signing_asks_the_exchange_for_its_time_and_one_request_more_is_enough(call, open_guard):
    clock, ahead_ns = LaterClock(), 0
    exchange = SandboxExchange(lambda: clock.wall_ns() + ahead_ns)
    exchange.add_key(KEY, SECRET)
    with SandboxServer(exchange) as server:
        caller = call(open_guard(server.url, clock, samples="true"), server.url)
        assert caller.order().status == 200
        clock.later_ns, ahead_ns = 60 * 10**9, 30 * 10**9  # a minute on, its clock was set
        exchange.clear_arrivals()
        assert caller.order().status == 200
        said = [(one.path, one.code) for one in exchange.arrivals]
    assert said == [("/api/v3/order", -1021), ("/api/v3/time", 0), ("/api/v3/order", 0)]
