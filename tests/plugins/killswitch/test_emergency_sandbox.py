"""The emergency lane against an exchange over real HTTP: orders rest, and then they do not."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import hauberk
import hauberk_plugins.sandbox
from hauberk import Denied, Incident, Request, Severity
from hauberk.guard import Guard
from hauberk.testing import FakeClock
from hauberk_plugins.sandbox import SandboxExchange, SandboxServer
from hauberk_plugins.transport.http import HttpTransport

KEY, SECRET = "theKeyOfMain", "c4nary-theSecretOfMain"
VENUES = Path(hauberk_plugins.sandbox.__file__).parent / "venues"
CONFIG = """\
plugins: [killswitch, policy, bots, throttle, signing]
required: [killswitch, policy, throttle, signing]
grants: {{killswitch: [emergency, venues], policy: [venues], throttle: [venues]}}
venues: {{folder: {venues}}}
signing: {{sample_clock: false}}
kernel: {{responders_s: {responders_s}}}
accounts:
  main: {{venue: sandbox, key: env:MAIN_KEY, secret: env:MAIN_SECRET, base_url: "{url}"}}
killswitch:
{section}
"""
SPOT = "  cancel_all: {deadline_s: 90, accounts: {main: {markets: [spot]}}}"
BOTH = """\
  cancel_all: {accounts: {main: {markets: [futures], symbols: [BTCUSDT]}}}
  dead_man: {main: {countdown_s: 60, symbols: [BTCUSDT]}}"""


class Desk:
    """A guard for an exchange, both on one clock."""

    def __init__(self, folder: Path, url: str, clock: FakeClock) -> None:
        self.folder, self.url, self.clock = folder, url, clock
        self.opened: list[Guard] = []

    def config(self, section: str = SPOT, responders_s: float = 30) -> Path:
        path = self.folder / "hauberk.yml"
        path.write_text(
            CONFIG.format(url=self.url, section=section, venues=VENUES, responders_s=responders_s),
            "utf-8",
        )
        path.chmod(0o600)
        return path

    def open(self, section: str = SPOT, responders_s: float = 30) -> Guard:
        self.opened.append(hauberk.open(self.config(section, responders_s), clock=self.clock))
        return self.opened[-1]

    def order(self, guard: Guard, symbol: str) -> None:
        """Place an order that rests."""
        quantity = "0.01" if symbol == "BTCUSDT" else "0.1"
        ticket = {"symbol": symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
                  "quantity": quantity, "price": "1000.00"}  # fmt: skip
        cleared = guard.clear(Request("POST", f"{self.url}/api/v3/order", ticket))
        answer = HttpTransport().send(cleared.request, timeout_s=30)
        assert answer.status == 200, answer.body
        guard.settle(cleared, answer)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def exchange(clock: FakeClock) -> SandboxExchange:
    exchange = SandboxExchange(clock.wall_ns)
    exchange.add_key(KEY, SECRET)
    exchange.set_price("BTCUSDT", "60000")
    exchange.set_price("ETHUSDT", "3000")
    return exchange


@pytest.fixture
def desk(
    exchange: SandboxExchange, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    monkeypatch.setenv("MAIN_KEY", KEY)
    monkeypatch.setenv("MAIN_SECRET", SECRET)
    with SandboxServer(exchange) as server:
        made = Desk(tmp_path, server.url, clock)
        yield made
        for guard in made.opened:
            guard.close()


def resting(exchange: SandboxExchange) -> set[str]:
    return {order.ticket.symbol for order in exchange.orders() if order.status == "NEW"}


def last(incident: Incident) -> tuple[bool, str]:
    return incident.outcomes[-1].ok, incident.outcomes[-1].did


def eventually(condition: Callable[[], object], says: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, says
        threading.Event().wait(0.01)


def test_every_resting_order_is_cancelled(desk: Desk, exchange: SandboxExchange) -> None:
    guard = desk.open()
    desk.order(guard, "BTCUSDT")
    desk.order(guard, "BTCUSDT")
    desk.order(guard, "ETHUSDT")
    assert resting(exchange) == {"BTCUSDT", "ETHUSDT"}
    incident = guard.report("worst", Severity.CRITICAL)
    assert resting(exchange) == set()
    assert last(incident) == (
        True, "all orders cancelled (main spot ETHUSDT, main spot BTCUSDT)"
    )  # fmt: skip
    with pytest.raises(Denied, match="halted since 'worst'"):
        desk.order(guard, "BTCUSDT")


def test_a_symbol_without_orders_is_no_failure(desk: Desk, exchange: SandboxExchange) -> None:
    guard = desk.open(SPOT.replace("[spot]}", "[spot], symbols: [BTCUSDT]}"))
    assert last(guard.report("worst", Severity.CRITICAL))[0]
    assert exchange.arrivals[-1].code == -2011


def test_an_exchange_that_hangs_is_asked_again(
    desk: Desk, exchange: SandboxExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hauberk_plugins.killswitch.desk.ATTEMPT_S", 0.5)
    guard = desk.open(responders_s=0.05)
    desk.order(guard, "BTCUSDT")
    desk.order(guard, "ETHUSDT")
    exchange.clear_arrivals()
    exchange.hang_next()
    began = time.monotonic()
    incident = guard.report("worst", Severity.CRITICAL)
    assert time.monotonic() - began < 0.5  # nobody waits for the exchange
    assert last(incident) == (False, "not back by the deadline: abandoned")
    # What came of it is in the incident when it comes.
    eventually(lambda: last(guard.kernel.responses.all()[-1])[0], "it was not asked again")
    assert resting(exchange) == set()
    assert [arrival.path for arrival in exchange.arrivals] == ["/api/v3/openOrders"] * 3


def test_a_limit_is_waited_for_and_then_it_is_done(
    desk: Desk, exchange: SandboxExchange, clock: FakeClock
) -> None:
    guard = desk.open()
    desk.order(guard, "BTCUSDT")
    exchange.set_weight_limit(1)  # which the order took
    began = clock.monotonic_ns()
    assert last(guard.report("worst", Severity.CRITICAL))[0]
    assert resting(exchange) == set()
    assert clock.monotonic_ns() - began >= 40_000_000_000  # until the window's end
    assert (exchange.answered(429), exchange.answered(418)) == (1, 0)


def test_a_revoked_key_is_told_and_not_tried_again(desk: Desk, exchange: SandboxExchange) -> None:
    guard = desk.open()
    desk.order(guard, "BTCUSDT")
    exchange.clear_arrivals()
    exchange.revoke_key(KEY)
    incident = guard.report("worst", Severity.CRITICAL)
    assert last(incident)[1].endswith("main spot BTCUSDT: the exchange does not take the key")
    assert len(exchange.arrivals) == 1


def test_missing_keys_are_told_and_everything_is_halted_all_the_same(
    desk: Desk, exchange: SandboxExchange, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    guard = desk.open()
    desk.order(guard, "BTCUSDT")
    monkeypatch.delenv("MAIN_SECRET")
    clock.advance(2)
    incident = guard.report("worst", Severity.CRITICAL)
    assert incident.outcomes[0].did == "halted"
    ok, did = last(incident)
    assert not ok
    assert "env:MAIN_SECRET is not set" in did
    assert SECRET not in str(incident)


class _Broken(BaseHTTPRequestHandler):
    """Answers 500, then half an answer, then garbage, then well."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_DELETE(self) -> None:
        self.asked.append(self.path.partition("&timestamp")[0])
        turn = len(self.asked)
        body = {1: b"<html>Internal", 3: b"\xff\xfe<html>"}.get(turn, b"[]")
        self.send_response(500 if turn == 1 else 200)
        self.send_header("Content-Length", str(len(body) + (10 if turn == 2 else 0)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_an_exchange_that_fails_in_every_way_is_asked_until_it_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    monkeypatch.setenv("MAIN_KEY", KEY)
    monkeypatch.setenv("MAIN_SECRET", SECRET)
    handler = type("Handler", (_Broken,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        desk = Desk(tmp_path, f"http://127.0.0.1:{server.server_address[1]}", clock)
        section = SPOT.replace("[spot]}", "[spot], symbols: [BTCUSDT]}")
        with desk.open(section) as guard:
            incident = guard.report("worst", Severity.CRITICAL)
        server.shutdown()
        thread.join()
    assert last(incident)[0], incident
    assert handler.asked == ["/api/v3/openOrders?symbol=BTCUSDT&recvWindow=5000"] * 4  # type: ignore[attr-defined]


def test_an_exchange_that_is_not_there_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    monkeypatch.setenv("MAIN_KEY", KEY)
    monkeypatch.setenv("MAIN_SECRET", SECRET)
    desk = Desk(tmp_path, "http://127.0.0.1:1", clock)
    with desk.open(SPOT.replace("[spot]}", "[spot], symbols: [BTCUSDT]}")) as guard:
        incident = guard.report("worst", Severity.CRITICAL)
    assert last(incident)[1].endswith("main spot BTCUSDT: no answer: ConnectionRefusedError")


# The exchange's timer.


BOT = """\
import sys
import hauberk
from hauberk import Request
from hauberk_plugins.transport.http import HttpTransport

config, url = sys.argv[1:]
with hauberk.open(config) as guard:
    ticket = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
              "quantity": "0.01", "price": "1000.00"}
    cleared = guard.clear(Request("POST", url + "/api/v3/order", ticket))
    answer = HttpTransport().send(cleared.request, timeout_s=30)
    guard.settle(cleared, answer)
    print(answer.status, flush=True)
    sys.stdin.read()
"""


def test_the_exchange_cancels_by_itself_when_the_process_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIN_KEY", KEY)
    monkeypatch.setenv("MAIN_SECRET", SECRET)
    later_ns = [0]
    exchange = SandboxExchange(lambda: time.time_ns() + later_ns[0])
    exchange.add_key(KEY, SECRET)
    exchange.set_price("BTCUSDT", "60000")
    with SandboxServer(exchange) as server:
        config = Desk(tmp_path, server.url, FakeClock()).config(BOTH)
        bot = subprocess.Popen(
            [sys.executable, "-c", BOT, str(config), server.url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with bot:
            assert bot.stdout is not None
            assert bot.stdout.readline() == "200\n"
            eventually(lambda: exchange.timers(), "the timer was never armed")
            bot.send_signal(signal.SIGKILL)
        later_ns[0] = 55_000_000_000
        assert resting(exchange) == {"BTCUSDT"}
        later_ns[0] = 61_000_000_000
        assert resting(exchange) == set()
    assert {arrival.path for arrival in exchange.arrivals} == {
        "/api/v3/order", "/fapi/v1/countdownCancelAll"
    }  # fmt: skip


def test_a_well_process_keeps_its_orders_and_a_halted_one_loses_them_even_if_nothing_gets_through(
    desk: Desk, exchange: SandboxExchange, clock: FakeClock
) -> None:
    clock.auto = False
    guard = desk.open(BOTH, responders_s=0.05)
    eventually(lambda: exchange.timers(), "the timer was never armed")
    desk.order(guard, "BTCUSDT")
    for beats in range(2, 8):  # two minutes, and the countdown is one
        clock.await_waiters(1)
        clock.advance(20)
        eventually(
            lambda beats=beats: len([a for a in exchange.arrivals if "fapi" in a.path]) >= beats,  # type: ignore[misc]
            "it was not renewed",
        )
    assert resting(exchange) == {"BTCUSDT"}
    # From here on, nothing of this process gets through but what was armed before.
    exchange.revoke_key(KEY)
    guard.report("worst", Severity.CRITICAL)
    clock.advance(59)
    assert resting(exchange) == {"BTCUSDT"}
    clock.advance(2)
    assert resting(exchange) == set()
