"""ccxt behind a guard, over real HTTP: run by `make test-ccxt` where ccxt is installed."""

from __future__ import annotations

import asyncio
import http.client
import logging
import pickle
import re
import socket
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path

import aiohttp.web
import ccxt.pro
import pytest

import hauberk
import hauberk.clients.ccxt
from hauberk.clients.ccxtstreams import objection
from hauberk.clients.ccxtunsigned import MARK
from hauberk.clock import SystemClock
from hauberk_plugins.sandbox import SandboxServer

KEY, SECRET = "canarykey" + "k" * 55, "canarysecret" + "s" * 52
MARKS = (KEY, SECRET, "signature", "X-MBX-APIKEY", "hauberk-holds", MARK)
ROOT = Path(__file__).parents[2]


def test_an_order_is_placed_seen_and_cancelled(bot, market, open_guard):
    trader = bot(open_guard(market.url))
    placed = trader.order()
    assert placed["status"] == "open"
    assert trader("fetch_order", placed["id"], "BTC/USDT")["price"] == 30_000
    assert trader("cancel_order", placed["id"], "BTC/USDT")["status"] == "canceled"
    assert trader("fetch_balance")["USDT"]["total"] > 0
    assert trader("fetch_order_book", "BTC/USDT")["bids"]
    assert [code for _, _, code in market.paths()] == [0] * len(market.paths())


def test_a_withdrawal_is_denied_as_ccxts_error_and_as_ours(bot, market, open_guard):
    trader = bot(open_guard(market.url))
    trader.exchange.options["maxRetriesOnFailure"] = 5
    before = market.paths()
    for kind in (hauberk.Denied, ccxt.PermissionDenied, hauberk.clients.ccxt.Denied):
        with pytest.raises(kind, match="withdraw") as caught:
            trader("withdraw", "BTC", 1, "bc1qattacker")
        assert caught.value.plugin == "policy"
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - its own
    assert type(again) is type(caught.value) is hauberk.clients.ccxt.Denied
    assert (str(again), again.reason) == (str(caught.value), caught.value.reason)
    assert market.paths() == before
    assert market.exchange.withdrawals == ()


def test_a_halt_stops_orders_and_lets_cancels_pass(bot, market, open_guard):
    guard = open_guard(market.url)
    trader = bot(guard)
    placed = trader.order()
    guard.report("runaway loop", hauberk.Severity.HIGH)
    with pytest.raises(ccxt.PermissionDenied, match="killswitch"):
        trader.order()
    assert trader("cancel_order", placed["id"], "BTC/USDT")["status"] == "canceled"


def test_the_guard_paces_and_ccxt_does_not(bot, market, open_guard):
    trader = bot(open_guard(market.url, orders=2, seconds=1), rateLimit=10_000)
    market.exchange.clear_arrivals()
    for _ in range(3):
        trader.order()
    first, second, third = (one.at_ns for one in market.exchange.arrivals)
    assert third - first > 0.9e9
    assert second - first < 5e9


class WrongClock(SystemClock):
    off_ns = -3_600 * 10**9

    def wall_ns(self) -> int:
        return super().wall_ns() + self.off_ns


def test_what_was_refused_for_its_time_is_sent_once_more(bot, market, open_guard):
    clock = WrongClock()
    guard = open_guard(market.url, clock)
    trader = bot(guard)
    market.exchange.clear_arrivals()
    with pytest.raises(ccxt.InvalidNonce):
        trader.order()
    assert [code for _, _, code in market.paths()] == [-1021, -1021]

    def set_right(request, response):
        if response.status == 400:
            clock.off_ns = 0

    guard.on_response(set_right)
    market.exchange.clear_arrivals()
    assert trader.order()["status"] == "open"
    assert [code for _, _, code in market.paths()] == [-1021, 0]
    assert len(market.exchange.orders("main")) == 1


def test_an_exchange_that_is_restarted_is_found_again(bot, market, open_guard):
    trader = bot(open_guard(market.url))
    trader.order()
    market.server.stop()
    with pytest.raises(ccxt.NetworkError):
        trader.order()
    with SandboxServer(market.exchange, port=int(market.url.rpartition(":")[2])):
        try:
            placed = trader.order()
        except ccxt.NetworkError:  # what is kept alive may be of before
            placed = trader.order()
        assert placed["status"] == "open"


def test_a_timeout_is_settled_as_one_that_may_have_been_sent(bot, market, open_guard):
    guard = open_guard(market.url)
    trader = bot(guard)
    seen = []
    guard.on_response(lambda request, response: seen.append(response.error))
    market.exchange.hang_next()
    trader.exchange.timeout = 300
    with pytest.raises(ccxt.RequestTimeout):
        trader.order()
    assert seen == ["RequestTimeout"]
    assert len(market.exchange.orders("main")) == 1


@pytest.fixture
def shut_out():
    """The URL of an exchange that bans whoever asks, in an answer that is cut off; who asked."""
    listener, asked = socket.create_server(("127.0.0.1", 0)), []

    def serve():
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    asked.append(connection.recv(1 << 16).split(b"?")[0])
                    connection.sendall(
                        b"HTTP/1.1 418 I'm a teapot\r\nRetry-After: 300\r\n"
                        b"Content-Length: 99\r\n\r\nx"
                    )

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(20)


@pytest.mark.parametrize("kind", ["sync", "async", "pro"])
def test_a_bot_that_is_shut_out_goes_no_further_though_the_answer_was_cut(
    kind, shut_out, open_guard
):
    url, asked = shut_out
    guard = open_guard(url)
    made = {"sync": ccxt.binance, "async": ccxt.async_support.binance, "pro": ccxt.pro.binance}
    exchange = hauberk.clients.ccxt.guarded(made[kind](), guard, timeout_s=0.1)

    async def go():
        try:
            for error in (ccxt.BaseError, hauberk.Denied):
                with pytest.raises(error):
                    await exchange.private_get_account()
        finally:
            await exchange.close()

    if kind == "sync":
        for error in (ccxt.BaseError, hauberk.Denied):
            with pytest.raises(error):
                exchange.private_get_account()
    else:
        asyncio.run(go())
    assert asked == [b"GET /api/v3/account"]


@pytest.fixture
def said(caplog, capfd, monkeypatch):
    caplog.set_level(1)
    for name in list(logging.root.manager.loggerDict):
        monkeypatch.setattr(logging.getLogger(name), "level", 1)
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)

    def text():
        out, err = capfd.readouterr()
        write = logging.Formatter().format
        # The sandbox's server, which knows what it is sent, is no client.
        lines = [write(one) for one in caplog.records if not one.name.startswith("uvicorn")]
        return "\n".join(lines) + out + err

    return text


def test_verbose_logs_and_errors_show_no_secret(bot, market, open_guard, said):
    trader = bot(open_guard(market.url), verbose=True, timeout=300)
    trader.order()
    trader("fetch_balance")
    errors = []
    market.exchange.revoke_key(KEY)
    for _ in range(2):
        try:
            trader("fetch_balance")
        except ccxt.BaseError as error:
            errors.append("".join(traceback.format_exception(error)))
        market.exchange.hang_next()
    market.server.stop()
    try:
        trader.order()
    except ccxt.BaseError as error:
        errors.append("".join(traceback.format_exception(error)))
    assert len(errors) == 3
    kept = [trader.exchange.last_request_url, trader.exchange.last_request_headers,
            trader.exchange.last_request_body]  # fmt: skip
    told = said() + "".join(errors) + repr(kept)
    assert "/api/v3/account" in told
    assert [mark for mark in MARKS if mark in told] == []


def test_an_exchange_that_holds_keys_is_not_taken(open_guard, market):
    guard = open_guard(market.url)
    for name in ("apiKey", "secret"):
        with pytest.raises(hauberk.MisuseError, match="without it"):
            hauberk.clients.ccxt.guarded(ccxt.binance({name: "x" * 20}), guard)
    with pytest.raises(hauberk.MisuseError, match="no account"):
        hauberk.clients.ccxt.guarded(ccxt.binance(), guard, "other")
    once = hauberk.clients.ccxt.guarded(ccxt.binance(), guard)
    with pytest.raises(hauberk.MisuseError):
        hauberk.clients.ccxt.guarded(once, guard)


def test_what_is_guarded_can_sign_nothing(open_guard, market):
    exchange = hauberk.clients.ccxt.guarded(ccxt.binance(), open_guard(market.url))
    for name in ("hmac", "rsa", "eddsa", "jwt", "ecdsa"):
        with pytest.raises(ccxt.PermissionDenied, match="Hauberk signs HTTP requests only"):
            getattr(exchange, name)(b"text", b"secret", "sha256")


class Streams:
    """A WebSocket server that keeps what it is sent, and answers a subscription."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def __aenter__(self) -> Streams:
        application = aiohttp.web.Application()
        application.router.add_get("/{any:.*}", self._serve)
        self._runner = aiohttp.web.AppRunner(application)
        await self._runner.setup()
        site = aiohttp.web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"ws://127.0.0.1:{self._runner.addresses[0][1]}/ws"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            self.sent.append(message.data)
            await socket.send_json(
                {"e": "trade", "E": 1, "s": "BTCUSDT", "t": 1, "p": "30000", "q": "1", "T": 1,
                 "m": True, "M": True}
            )  # fmt: skip
        return socket


@pytest.mark.parametrize("what", ["create_order_ws", "cancel_order_ws", "watch_orders"])
def test_orders_and_logins_by_websocket_never_leave(what, market, open_guard):
    guard = open_guard(market.url)

    async def go():
        async with Streams() as streams:
            made = ccxt.pro.binance({"options": {"fetchMargins": False,
                                                 "fetchMarkets": {"types": ["spot"]}}})  # fmt: skip
            made.has["fetchCurrencies"] = False
            made.timeout_on_exit = 0
            made.urls["api"]["ws"] = dict.fromkeys(made.urls["api"]["ws"], streams.url)
            made.urls["api"]["ws"]["ws-api"] = {"spot": streams.url}
            exchange = hauberk.clients.ccxt.guarded(made, guard)
            args = {"create_order_ws": ("BTC/USDT", "limit", "buy", 0.001, 30_000),
                    "cancel_order_ws": ("1", "BTC/USDT")}.get(what, ("BTC/USDT",))  # fmt: skip
            try:
                with pytest.raises(ccxt.PermissionDenied, match="create_order in place of"):
                    await getattr(exchange, what)(*args)
            finally:
                await exchange.close()
            assert streams.sent == []

    asyncio.run(go())


def test_public_streams_work(market, open_guard):
    guard = open_guard(market.url)

    async def go():
        async with Streams() as streams:
            made = ccxt.pro.binance({"options": {"fetchMargins": False,
                                                 "fetchMarkets": {"types": ["spot"]}}})  # fmt: skip
            made.has["fetchCurrencies"] = False
            made.timeout_on_exit = 0
            made.get_ws_url = lambda *_: streams.url
            exchange = hauberk.clients.ccxt.guarded(made, guard)
            try:
                trades = await asyncio.wait_for(exchange.watch_trades("BTC/USDT"), 20)
                assert trades[0]["symbol"] == "BTC/USDT"
                client = next(iter(exchange.clients.values()))
                with pytest.raises(ccxt.PermissionDenied):
                    await client.send({"method": "order.place", "params": {}})
            finally:
                await exchange.close()
            assert len(streams.sent) == 1
            assert "SUBSCRIBE" in streams.sent[0]

    asyncio.run(go())


@pytest.mark.parametrize(
    "message",
    [
        {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1},
        {"op": "subscribe", "args": [{"channel": "trades"}]},
        {"event": "bts:subscribe", "data": {}},
        {"method": "public/subscribe", "params": {}},
        {"reqType": "sub", "dataType": "x"},
        {"sub": "market.btcusdt.trade.detail", "id": "1"},
        {"channel": "spot.trades", "event": "subscribe", "payload": ["BTC_USDT"]},
        {"method": "trade.subscribe", "params": []},
        {"type": "subscribe", "topic": "/market/ticker:BTC-USDT"},
        {"pong": 1}, "ping", "pong", '{"op":"ping"}',
    ],
)  # fmt: skip
def test_public_subscriptions_pass(message):
    assert objection(message) == ""


@pytest.mark.parametrize(
    "message",
    [
        {"method": "order.place", "params": {"symbol": "BTCUSDT"}},
        {"method": "add_order", "params": {"token": "t"}},
        {"op": "order", "args": []},
        {"op": "order.create", "args": []},
        {"channel": "spot.order_place", "event": "api", "payload": {}},
        {"method": "private/buy", "params": {}},
        {"method": "post", "request": {"type": "action"}},
        {"method": "private/create-order"},
        {"op": ["subscribe"]},
        {"method": "subscribe\n"},
        {"op": "auth", "args": []},
        [0, "on", None, {"symbol": "tBTCUSD"}],
        [{"op": "subscribe"}, {"op": "order"}],
        {"op": "subscribe", "sign": MARK},
        {"method": "ping", "op": "order", "args": [{"instId": "BTC-USDT"}]},
        {"method": "ping", "event": "addOrder", "token": "t"},
        {"op": "order", "event": "subscribe"},
        '{"method": "subscribe", "method": "private/buy"}',
        '{"op": "subscribe", "args": [{"op": "a", "op": "b"}]}',
        {"what": "ever"}, "hello", "1", b"bytes",
    ],
)  # fmt: skip
def test_what_could_be_an_order_does_not(message):
    assert objection(message)


def test_what_is_asked_for_is_what_ccxt_with_keys_would_have_sent():
    script = ROOT / "tests" / "peer_clients" / "golden_with_ccxt.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]
    print(done.stdout)


def test_the_example_runs():
    script = ROOT / "examples" / "mm_ccxt.py"
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "maker: cancelled 2 orders" in done.stdout
    assert "the bot stopped: denied by killswitch" in done.stdout


def test_the_how_to_runs_as_it_stands(market, tmp_path, monkeypatch):
    """ccxt is not where the other pages' examples run."""
    page = (ROOT / "docs/how-to/use-with-ccxt.md").read_text("utf-8")
    page = page.replace("https://api.binance.com", market.url)
    (config,) = re.findall(r"^:caption: hauberk.yml\n(.*?)^```$", page, re.M | re.S)
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BINANCE_KEY", KEY)
    monkeypatch.setenv("BINANCE_SECRET", SECRET)
    (tmp_path / "hauberk.yml").write_text(config)
    exec(compile(example, "use-with-ccxt.md", "exec"), {})  # noqa: S102 - the page's own
    methods = [(method, path) for method, path, _ in market.paths()]
    assert ("POST", "/api/v3/order") in methods
    assert ("DELETE", "/api/v3/order") in methods
