"""What plugins send by themselves is charged, held and heard, as what bots send is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hauberk import Denied, Outcome, Plugin, Request, Response, hookimpl
from hauberk.accounts import Account
from hauberk.context import Context
from hauberk.guard import Guard
from hauberk.testing import FakeClock, OpenVenue, PlainSigner, Providers, make_guard
from hauberk_plugins.throttle.plugin import ThrottleConfig, ThrottlePlugin

BASE = "https://api.open.test"
TIME = Request("GET", f"{BASE}/public/time")
READ = Request("GET", f"{BASE}/read/balance")
SHUT = Response(418, (("Retry-After", "300"),), error="IncompleteRead")


def section(size: int = 3, reserve: int = 0) -> dict[str, Any]:
    def window(name: str, scope: str, size: int, reserve: int = 0) -> dict[str, Any]:
        return {
            "reserve": reserve,
            "name": name, "kind": "rolling", "scope": scope, "seconds": 10, "size": size,
            "counts": name,
        }  # fmt: skip

    return {
        "windows": (window("weight", "ip", size, reserve), window("orders", "account", 2)),
        "costs": {"default": {"weight": 1, "orders": 1}},
        "freeze": {"banned": {"scope": "account"}},
        "headers": {"x-used": {"used": "weight"}},
    }


EMERGENCY = {"cancel_all": {"all": {"endpoint": "DELETE /cancel/all", "params": {"every": "1"}}}}


class ShutOutVenue(OpenVenue):
    """An open venue that bans with 418."""

    def said(self, response: Response) -> str:
        return "banned" if response.status == 418 else ""


class Wire(Providers):
    """Every port, and a way out that keeps what was sent, and answers as it is told to."""

    provides = {**Providers.provides, "transport": "transport"}

    def __init__(self, size: int, reserve: int) -> None:
        sections = {"limits": section(size, reserve), "emergency": EMERGENCY}
        super().__init__(ShutOutVenue(sections=sections))
        self.transport = self
        self.sent: list[Request] = []
        self.answer: Callable[[Request], Response] = lambda _: Response(200, (), b"[]")

    def send(self, request: Request, *, timeout_s: float) -> Response:
        self.sent.append(request)
        return self.answer(request)


class Sender(Plugin):
    """Sends by itself."""

    interface = (1, 1)

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context

    def send(self, request: Request = TIME, timeout_s: float = 5, **options: Any) -> Response:
        return self.context.transport.send(request, timeout_s=timeout_s, **options)


class Stage:
    def __init__(
        self, size: int = 3, throttle: object = None, reserved: int = 0, **config: Any
    ) -> None:
        self.sender, self.wire, self.clock = Sender(), Wire(size, reserved), FakeClock()
        self.switch = Sender()
        config = {"jitter_ms": 0, "reserve": 0, **config}
        self.throttle = throttle or ThrottlePlugin(ThrottleConfig(**config))
        self.guard: Guard = make_guard(
            ("killswitch", self.switch), ("throttle", self.throttle), ("sender", self.sender),
            ("signing", PlainSigner()), providers=self.wire, clock=self.clock,
            accounts={"main": Account("open"), "other": Account("open")},
            grants={
                "throttle": ["venues", "store"], "sender": ["transport"], "signing": ["sign"],
                "killswitch": ["emergency"],
            },
            order=["killswitch", "bots", "throttle", "sender", "signing"],
        )  # fmt: skip

    def used(self) -> dict[str, int]:
        told = self.guard.snapshot.hooks("throttle")["on_status"].function()["budgets"]
        return {row["window"]: row["used"] for row in told}


@pytest.fixture
def staged() -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(*args: Any, **options: Any) -> Stage:
        made.append(Stage(*args, **options))
        return made[-1]

    yield make
    for stage in made:
        stage.guard.close()


@pytest.mark.parametrize("store", ["memory", "store"])
def test_it_is_charged_where_addresses_are_counted_and_nowhere_else(staged, store):
    stage = staged(store=store)
    stage.guard.clear(READ)
    assert stage.sender.send().status == 200
    assert stage.used() == {"weight": 2, "orders": 1}
    assert len(stage.wire.sent) == 1


@pytest.mark.parametrize("store", ["memory", "store"])
def test_bots_and_plugins_together_never_overrun_a_window(staged, store):
    stage = staged(size=2, store=store)
    stage.guard.clear(READ)
    stage.sender.send()
    with pytest.raises(Denied, match="wait"):
        stage.guard.clear(READ, timeout_s=1)


def test_it_waits_for_its_turn_and_the_wait_is_no_part_of_its_way(staged):
    stage = staged(size=1)
    stage.guard.clear(READ)
    began, left = stage.clock.monotonic_ns(), []
    answer = stage.sender.send(
        timeout_s=20, leaving=lambda: left.append(stage.clock.monotonic_ns())
    )
    assert answer.status == 200
    assert left == [began + 10_000_000_001]


def test_what_has_no_room_in_time_is_not_sent_and_gives_its_place_back(staged):
    stage = staged(size=1)
    stage.guard.clear(READ)
    assert stage.sender.send(timeout_s=5).error == "Held"
    assert stage.wire.sent == []
    stage.clock.advance(10.1)
    assert stage.sender.send(timeout_s=0.1).status == 200


@pytest.mark.parametrize("store", ["memory", "store"])
def test_its_answer_freezes_and_while_frozen_it_is_not_sent(staged, store):
    stage = staged(store=store)
    stage.wire.answer = lambda _: SHUT
    assert stage.sender.send().status == 418
    assert stage.sender.send().error == "Denied"
    with pytest.raises(Denied, match="shut"):
        stage.guard.clear(READ)
    assert len(stage.wire.sent) == 1
    if store == "store":
        stage.throttle._limiter.beat()  # what others are told, they are told in time
    stage.clock.advance(301)
    stage.wire.answer = lambda _: Response(200)
    assert stage.sender.send().status == 200


def test_what_is_refused_to_nobodys_account_is_refused_to_the_address(staged):
    stage = staged()
    stage.wire.answer = lambda _: SHUT
    stage.sender.send()
    for account in ("main", "other"):
        with pytest.raises(Denied, match="shut"):
            stage.guard.clear(Request("GET", READ.url, account=account))


def test_it_may_take_of_what_is_reserved(staged):
    stage = staged(size=2, reserved=1)
    stage.guard.clear(READ)
    with pytest.raises(Denied, match="wait"):
        stage.guard.clear(READ, timeout_s=1)
    assert stage.sender.send(timeout_s=1).status == 200
    assert stage.sender.send(timeout_s=1).error == "Held"


def test_its_answer_tells_what_is_used(staged):
    stage = staged(size=10)
    stage.wire.answer = lambda _: Response(200, (("X-Used", "9"),))
    stage.sender.send()
    assert stage.used()["weight"] == 9


def test_what_goes_elsewhere_is_nobodys_budget(staged):
    stage = staged(size=1)
    for _ in range(3):
        assert stage.sender.send(Request("POST", "https://witness.test/x")).status == 200
    stage.guard.clear(READ)


def test_a_transport_that_fails_leaves_the_charge_standing(staged):
    stage = staged(size=1)

    def fail(_):
        raise OSError("no route")

    stage.wire.answer = fail
    with pytest.raises(OSError, match="no route"):
        stage.sender.send()
    with pytest.raises(Denied, match="wait"):
        stage.guard.clear(READ, timeout_s=1)


def test_what_cannot_be_paced_is_not_sent(staged, monkeypatch):
    stage = staged()

    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(stage.throttle.pacing, "_ask", fail)
    assert stage.sender.send().error == "ZeroDivisionError"
    assert stage.wire.sent == []


def test_a_closed_guard_still_sends_what_there_is_room_for_and_waits_for_nothing(staged):
    stage = staged(size=1)
    stage.guard.close()
    assert stage.sender.send().status == 200
    assert stage.sender.send(timeout_s=60).error == "Held"


@pytest.mark.parametrize("store", ["memory", "store"])
def test_an_emergency_is_never_held_back_and_is_counted(staged, store):
    stage = staged(size=2, store=store)
    for _ in range(2):
        stage.guard.clear(READ)
    heard = threading.Event()
    sent = stage.throttle.pacing.sent
    stage.throttle.pacing.sent = lambda *args: (sent(*args), heard.set())
    answer = stage.switch.context.emergency.cancel_all("main", "all", timeout_s=1)
    assert answer.status == 200
    assert heard.wait(30)
    assert stage.used() == {"weight": 3, "orders": 3}
    stage.clock.advance(9)
    with pytest.raises(Denied, match="wait"):
        stage.guard.clear(READ, timeout_s=0.5)


def test_the_answer_to_an_emergency_freezes(staged):
    stage = staged()
    stage.wire.answer = lambda _: SHUT
    heard = threading.Event()
    sent = stage.throttle.pacing.sent
    stage.throttle.pacing.sent = lambda *args: (sent(*args), heard.set())
    stage.switch.context.emergency.cancel_all("main", "all", timeout_s=1)
    assert heard.wait(30)
    with pytest.raises(Denied, match="shut"):
        stage.guard.clear(READ)
    assert stage.switch.context.emergency.cancel_all("main", "all", timeout_s=1).status == 418
    assert len(stage.wire.sent) == 2


def test_a_throttle_that_cannot_count_keeps_no_emergency_from_being_recorded(staged):
    told = threading.Event()

    class Recorder(Plugin):
        interface = (1, 1)

        @hookimpl
        def on_event(self, event):
            if event.kind == "emergency.sent":
                told.set()

    class Breaking(Plugin):
        interface = (1, 1)

        class pacing:
            @staticmethod
            def sent(*_: Any) -> None:
                raise ZeroDivisionError

        @hookimpl
        def on_incident(self, incident: Any) -> Outcome | None:
            return None

    stage = staged(throttle=Breaking())
    stage.guard.register(Recorder())
    assert stage.switch.context.emergency.cancel_all("main", "all", timeout_s=1).status == 200
    assert told.wait(30)
