"""The emergency lane: what may leave past every guard, who may have it sent, and nothing more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from hauberk import Denied, Deny, Event, Incident, Outcome, Request, Response, Severity, hookimpl
from hauberk.accounts import Account
from hauberk.config import parse_config
from hauberk.context import Context
from hauberk.emergency import Emergency, is_emergency
from hauberk.errors import NotGranted, PluginRefused, SigningError, StartFailed
from hauberk.guard import Guard
from hauberk.hooks import Plugin
from hauberk.settings import KernelLimits, Mode
from hauberk.testing import FakeClock, OpenVenue, PlainSigner, Providers, make_guard

SECTION: dict[str, Any] = {
    "cancel_all": {
        "spot": {"endpoint": "DELETE /cancel/all", "params": {"symbol": "{symbol}"}},
        "all": {"endpoint": "DELETE /cancel/all", "params": {"every": "1"}},
        "orders": {"endpoint": "POST /trade/order", "params": {"side": "BUY"}},
        "money": {"endpoint": "POST /withdraw/all", "params": {"to": "me"}},
        "elsewhere": {"endpoint": "DELETE /cancel/all", "base": "https://evil.test"},
    },
    "dead_man": {
        "spot": {
            "endpoint": "POST /cancel/after", "params": {"in": "{countdown_s}"},
            "seconds": (5, 60), "disarm": {"params": {"in": "0"}},
        },
        "fixed": {"endpoint": "POST /cancel/after", "body": "in={countdown_s}", "seconds": (5, 60)},
    },
}  # fmt: skip
VENUE = OpenVenue(sections={"emergency": SECTION})
ALL = ("main", "all")


class Wire(Providers):
    """Every port, and a way out that keeps what was sent."""

    provides = {**Providers.provides, "transport": "transport"}

    def __init__(self, *venues: OpenVenue) -> None:
        super().__init__(*(venues or (VENUE,)))
        self.transport = self
        self.sent: list[Request] = []
        self.answer: Callable[[Request], Response] = lambda _: Response(200, (), b"[]")

    def send(self, request: Request, *, timeout_s: float) -> Response:
        assert timeout_s > 0
        self.sent.append(request)
        return self.answer(request)


class Switch(Plugin):
    """Stands in for the kill switch: keeps its context, and halts."""

    interface = (1, 1)

    def __init__(self) -> None:
        self.work: Callable[[], Outcome] | None = None

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        return Deny("halted")

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome | None:
        if self.work is not None:
            self.context.emergency.begin(incident.id, self.work)
        return Outcome("halted")


class Recorder(Plugin):
    """Keeps events, and lets a test wait for them."""

    interface = (1, 1)

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._arrived = threading.Condition()

    @hookimpl
    def on_event(self, event: Event) -> None:
        with self._arrived:
            self.events.append(event)
            self._arrived.notify_all()

    def one(self, kind: str) -> Event:
        with self._arrived:
            found: list[Event] = []

            def came() -> bool:
                found[:] = [event for event in self.events if event.kind == kind]
                return bool(found)

            assert self._arrived.wait_for(came, 30)
            return found[0]


class Stage:
    def __init__(self, **options: Any) -> None:
        self.switch = options.pop("switch", None) or Switch()
        self.wire = options.pop("wire", None) or Wire()
        self.recorder = Recorder()
        signer = options.pop("signer", None) or PlainSigner()
        granted = {"killswitch": ["emergency", "venues"], "recorder": ["record"]}
        options["grants"] = {**granted, "signing": ["sign"], **options.get("grants", {})}
        options.setdefault("accounts", {"main": Account("open")})
        self.guard: Guard = make_guard(
            ("killswitch", self.switch), ("recorder", options.pop("recorder", self.recorder)),
            ("signing", signer), providers=self.wire, clock=FakeClock(), **options,
        )  # fmt: skip

    @property
    def door(self) -> Emergency:
        return self.switch.context.emergency


@pytest.fixture
def staged() -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(**options: Any) -> Stage:
        made.append(Stage(**options))
        return made[-1]

    yield make
    for stage in made:
        stage.guard.close()


def test_it_leaves_past_guards_that_deny_everything(staged: Callable[..., Stage]) -> None:
    stage = staged()
    with pytest.raises(Denied, match="halted"):
        stage.guard.clear(Request("DELETE", "https://api.open.test/cancel/all"))
    answer = stage.door.cancel_all(*ALL, timeout_s=5)
    assert answer.status == 200
    [sent] = stage.wire.sent
    assert sent.method == "DELETE"
    assert sent.url == "https://api.open.test/cancel/all?every=1&timestamp=0&signature=none"


def test_a_timer_is_armed_and_taken_back(staged: Callable[..., Stage]) -> None:
    stage = staged()
    stage.door.beat("main", "spot", countdown_s=60, timeout_s=5, still=lambda: True)
    stage.door.disarm("main", "spot", timeout_s=5)
    assert [sent.url.partition("?")[2][:5] for sent in stage.wire.sent] == ["in=60", "in=0&"]
    with pytest.raises(Denied, match="cannot be taken back"):
        stage.door.disarm("main", "fixed", timeout_s=5)


@pytest.mark.parametrize(
    ("market", "symbol", "why"),
    [
        ("orders", "", "is trade and no cancel"),
        ("money", "", "is withdraw and no cancel"),
        ("elsewhere", "", "is none of its venue's base URLs"),
        ("none", "", "has no emergency.cancel_all.none"),
        ("spot", "", "it is for one symbol"),
        ("spot", "B&every=1", "is no symbol"),
        ("all", "BTC", "it takes no symbol"),
    ],
)
def test_nothing_leaves_but_what_cancels_at_the_venue(
    staged: Callable[..., Stage], market: str, symbol: str, why: str
) -> None:
    stage = staged()
    with pytest.raises(Denied, match=why):
        stage.door.cancel_all("main", market, symbol, timeout_s=5)
    assert stage.wire.sent == []


def test_nothing_leaves_for_an_account_that_is_not_there_or_is_disabled(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(accounts={"off": Account("open", disabled=True)})
    with pytest.raises(Denied, match="it is disabled in"):
        stage.door.cancel_all("off", "all", timeout_s=5)
    with pytest.raises(Denied, match="there is no such account"):
        stage.door.cancel_all("main", "all", timeout_s=5)
    assert stage.wire.sent == []


def test_an_account_s_own_base_url_is_where_it_goes(staged: Callable[..., Stage]) -> None:
    stage = staged(accounts={"main": Account("open", base_url="http://127.0.0.1:8080/")})
    stage.door.cancel_all(*ALL, timeout_s=5)
    assert stage.wire.sent[0].url.startswith("http://127.0.0.1:8080/cancel/all?")


def test_shadow_mode_sends_nothing(staged: Callable[..., Stage]) -> None:
    stage = staged(mode=Mode.SHADOW)
    with pytest.raises(Denied, match="mode is shadow"):
        stage.door.cancel_all(*ALL, timeout_s=5)
    assert stage.wire.sent == []


def test_without_a_way_out_it_says_so(staged: Callable[..., Stage]) -> None:
    stage = staged(wire=Providers(VENUE))
    assert not stage.door.can_send
    with pytest.raises(Denied, match="no plugin provides `transport`"):
        stage.door.cancel_all(*ALL, timeout_s=5)


# Who signs.


class Signer(PlainSigner):
    def __init__(self, change: Callable[[Request], Request]) -> None:
        self.change = change

    @hookimpl
    def sign_request(self, request: Request) -> Request:
        return self.change(super().sign_request(request))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda r: r.amend(url=r.url.replace("/cancel/", "/trade/")), "changed method, host or"),
        (lambda r: r.amend(url=r.url.replace("api.open", "evil")), "changed method, host or path"),
        (lambda r: r.amend(method="POST"), "changed method, host or path"),
        (lambda r: r.amend(url=r.url + "&side=BUY"), "added parameter 'side'"),
        (lambda r: r.amend(url=r.url.replace("every=1", "every=2")), "changed a judged parameter"),
        (lambda r: r.amend(headers={"host": "evil.test"}), "the venue file does not declare"),
        (lambda r: None, "returned NoneType instead of a Request"),
    ],
)
def test_what_was_signed_is_checked_like_any_request(
    staged: Callable[..., Stage], change: Callable[[Request], Any], why: str
) -> None:
    stage = staged(signer=Signer(change))
    with pytest.raises(Denied, match=why):
        stage.door.cancel_all(*ALL, timeout_s=5)
    assert stage.wire.sent == []


@pytest.mark.parametrize("error", [RuntimeError("secret=hunter2"), SystemExit(3)])
def test_a_signer_that_raises_is_told_without_its_secret(
    staged: Callable[..., Stage], error: BaseException
) -> None:
    def fail(_request: Request) -> Request:
        raise error

    stage = staged(signer=Signer(fail))
    with pytest.raises(Denied) as caught:
        stage.door.cancel_all(*ALL, timeout_s=5)
    assert "hunter2" not in str(caught.value)
    assert type(error).__name__ in str(caught.value)


def test_a_missing_key_is_told_with_what_to_do(staged: Callable[..., Stage]) -> None:
    def fail(_request: Request) -> Request:
        raise SigningError("env:KEY is not set")

    with pytest.raises(Denied, match="env:KEY is not set"):
        staged(signer=Signer(fail)).door.cancel_all(*ALL, timeout_s=5)


def test_keys_can_tell_that_it_is_the_lane_that_signs(staged: Callable[..., Stage]) -> None:
    seen: list[bool] = []

    def note(request: Request) -> Request:
        seen.append(is_emergency())
        return request

    stage = staged(signer=Signer(note))
    stage.wire.answer = lambda _: Response(200 + 100 * is_emergency(), (), b"[]")
    assert stage.door.cancel_all(*ALL, timeout_s=5).status == 200
    assert (seen, is_emergency()) == ([True], False)


# Who may have it sent.


def test_only_the_kill_switch_may_be_granted_it() -> None:
    with pytest.raises(StartFailed, match="'emergency' is for killswitch alone"):
        make_guard(
            ("quiet", Recorder()), grants={"quiet": ["record", "emergency"]}, required=["quiet"]
        )


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("grants: {policy: [venues, emergency]}", "grants.policy"),
        ("third_party: {x-y: {plugins: [quiet], grants: [emergency]}}", "third_party.x-y.grants"),
    ],
)
def test_a_configuration_that_grants_it_to_another_is_refused_with_the_line(
    text: str, at: str
) -> None:
    file = f"plugins: [killswitch, policy, quiet, bots]\n{text}\n"
    problems = [str(one) for one in parse_config(file.encode(), "hauberk.yml").problems]
    found = [one for one in problems if "'emergency'" in one]
    assert len(found) == 1
    assert found[0].startswith(
        f"hauberk.yml:2: {at}: the grant 'emergency' is for killswitch alone"
    )


def test_without_the_grant_there_is_no_door(staged: Callable[..., Stage]) -> None:
    stage = staged(grants={"killswitch": ["venues"]})
    with pytest.raises(NotGranted, match="emergency"):
        _ = stage.door


def test_hooks_of_bots_get_no_door(staged: Callable[..., Stage]) -> None:
    class Bot(Plugin):
        @hookimpl
        def on_start(self, context: Context) -> None:
            """Would be given a context."""

    with pytest.raises(PluginRefused, match="hooks registered at run time may not on_start"):
        staged().guard.register(Bot(), name="mine")


# What a halt stops.


def test_a_beat_that_a_halt_overtakes_is_not_sent(staged: Callable[..., Stage]) -> None:
    halted: list[str] = []

    def sign(request: Request) -> Request:
        halted.append("while it was signed")
        return request

    stage = staged(signer=Signer(sign))
    with pytest.raises(Denied, match="what it was for has ended meanwhile"):
        stage.door.beat("main", "spot", countdown_s=60, timeout_s=5, still=lambda: not halted)
    assert stage.wire.sent == []


def test_it_is_well_until_it_is_closed(staged: Callable[..., Stage]) -> None:
    stage = staged()
    door = stage.door
    assert door.is_well()
    stage.guard.close()
    assert not door.is_well()


# What is recorded.


def test_what_was_sent_is_recorded_without_a_signature(staged: Callable[..., Stage]) -> None:
    stage = staged()
    stage.door.cancel_all("main", "spot", "BTC-USDT", timeout_s=5)
    event = stage.recorder.one("emergency.sent")
    assert event.source == "kernel"
    assert event.account == "main"
    told = {
        "action": "cancel_all", "market": "spot", "symbol": "BTC-USDT", "status": 200,
        "error": "", "operation": "cancel", "params": [["symbol", "BTC-USDT"]],
    }  # fmt: skip
    assert told.items() <= event.fields.items()
    assert "signature" not in event.fields_json


class Hangs(Plugin):
    interface = (1, 1)

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.came_back = 0

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.go_on.wait(10)
        self.came_back += 1


def test_a_recorder_that_hangs_holds_nothing_up(staged: Callable[..., Stage]) -> None:
    hangs = Hangs()
    stage = staged(recorder=hangs, required=["recorder"])
    try:
        for _ in range(3):
            assert stage.door.cancel_all(*ALL, timeout_s=5).status == 200
        assert hangs.came_back == 0
    finally:
        hangs.go_on.set()


def test_a_required_recorder_that_fails_forbids_nothing(staged: Callable[..., Stage]) -> None:
    class Full(Plugin):
        interface = (1, 1)

        @hookimpl
        def on_event(self, event: Event) -> None:
            raise OSError(28, "No space left on device")

    stage = staged(recorder=Full(), required=["recorder"])
    assert stage.door.cancel_all(*ALL, timeout_s=5).status == 200


def test_the_signer_hears_the_answer_and_can_measure_its_clock_again(
    staged: Callable[..., Stage],
) -> None:
    heard = threading.Event()

    class Listens(PlainSigner):
        @hookimpl
        def on_response(self, request: Request, response: Response) -> None:
            assert (request.url, response.status) == ("https://api.open.test/cancel/all", 400)
            heard.set()

    stage = staged(signer=Listens())
    stage.wire.answer = lambda _: Response(400, (), b"{}")
    stage.door.cancel_all(*ALL, timeout_s=5)
    assert heard.wait(30)


# What came of it.


def outcomes(incident: Incident) -> Mapping[str, bool]:
    return {outcome.did: outcome.ok for outcome in incident.outcomes}


def test_what_came_of_it_is_in_the_incident(staged: Callable[..., Stage]) -> None:
    stage = staged()
    stage.switch.work = lambda: Outcome("all orders cancelled")
    incident = stage.guard.report("worst", Severity.CRITICAL)
    assert outcomes(incident) == {"halted": True, "all orders cancelled": True}
    assert {outcome.plugin for outcome in incident.outcomes} == {"killswitch"}
    done = stage.recorder.one("emergency.done")
    assert done.fields == {"incident": incident.id, "did": "all orders cancelled", "ok": True}


def test_what_takes_longer_than_responders_may_is_known_when_it_comes(
    staged: Callable[..., Stage],
) -> None:
    stage, go_on = staged(limits=KernelLimits(responders_s=0.05)), threading.Event()

    def work() -> Outcome:
        assert go_on.wait(30)
        return Outcome("all orders cancelled")

    stage.switch.work = work
    incident = stage.guard.report("worst", Severity.CRITICAL)
    assert outcomes(incident) == {"halted": True, "not back by the deadline: abandoned": False}
    go_on.set()
    stage.recorder.one("emergency.done")
    for thread in threading.enumerate():
        if thread.name == "hauberk-emergency":
            thread.join(30)
    [known] = [one for one in stage.guard.kernel.responses.all() if one.id == incident.id]
    assert outcomes(known) == {"halted": True, "all orders cancelled": True}


def test_closing_lets_what_is_under_way_come_to_its_end(staged: Callable[..., Stage]) -> None:
    stage, closing = staged(limits=KernelLimits(responders_s=0.05)), threading.Event()

    def work() -> Outcome:
        assert closing.wait(30)
        stage.door.cancel_all(*ALL, timeout_s=5)
        return Outcome("all orders cancelled")

    stage.switch.work = work
    stage.guard.report("worst", Severity.CRITICAL)
    threading.Timer(0.05, closing.set).start()
    stage.guard.close()
    assert len(stage.wire.sent) == 1
    assert [event.kind for event in stage.recorder.events][-2:] == [
        "emergency.sent", "emergency.done"
    ]  # fmt: skip


def test_what_is_begun_while_plugins_start_waits_until_all_are_in_place(
    staged: Callable[..., Stage],
) -> None:
    class Eager(Switch):
        @hookimpl
        def on_start(self, context: Context) -> None:
            self.context = context
            context.emergency.begin("stored", self._cancelled)

        def _cancelled(self) -> Outcome:
            self.context.emergency.cancel_all(*ALL, timeout_s=5)
            return Outcome("all orders cancelled")

    stage = staged(switch=Eager())
    assert stage.recorder.one("emergency.done").fields["ok"]
    assert len(stage.wire.sent) == 1


def test_what_raises_is_an_outcome(staged: Callable[..., Stage]) -> None:
    stage = staged()

    def work() -> Outcome:
        raise SystemExit(3)

    stage.switch.work = work
    incident = stage.guard.report("worst", Severity.CRITICAL)
    assert outcomes(incident) == {"halted": True, "the emergency lane raised SystemExit: 3": False}


def test_a_halt_stands_where_no_thread_is_to_be_had(
    staged: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = staged()
    stage.switch.work = lambda: Outcome("never")

    def none_left(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    incident = stage.guard.report("worst", Severity.CRITICAL)
    assert outcomes(incident) == {
        "halted": True, "not begun: RuntimeError: can't start new thread": False
    }  # fmt: skip
