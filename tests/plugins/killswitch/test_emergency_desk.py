"""What the kill switch has the emergency lane do, as its section of `hauberk.yml` says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hauberk
from hauberk import Denied, Incident, Request, Response, Severity
from hauberk.accounts import Account
from hauberk.context import Context
from hauberk.errors import ConfigError, StartFailed
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.plan import Plan
from hauberk.settings import KernelLimits
from hauberk.testing import FakeClock, OpenVenue, Providers, make_plan
from hauberk_plugins.killswitch.emergencies import (
    MAX_SEEN,
    CancelAll,
    CancelsOf,
    From,
    KillSwitchConfig,
    Seen,
    TimerOf,
)
from hauberk_plugins.killswitch.plugin import KillSwitchPlugin

SECTION: dict[str, Any] = {
    "cancel_all": {
        "spot": {"endpoint": "DELETE /cancel/all", "params": {"symbol": "{symbol}"}},
        "swap": {"endpoint": "DELETE /cancel/swap"},
    },
    "dead_man": {
        "spot": {
            "endpoint": "POST /cancel/after", "seconds": (5, 60), "disarm": {"params": {"in": "0"}},
            "params": {"in": "{countdown_s}"},
        },
    },
}  # fmt: skip
VENUES = (OpenVenue(sections={"emergency": SECTION}), OpenVenue(name="bare"))
GRANTS = {"killswitch": ["emergency", "venues"]}
ORDER = "https://api.open.test/trade/order"
SPOT = CancelAll(accounts={"main": CancelsOf(markets=("spot",), symbols=("BTC-USDT",))})
TIMER = {"main": TimerOf(countdown_s=30)}


class Wire(Providers):
    """Every port, and a way out that keeps what was sent, and may answer otherwise or hang."""

    provides = {**Providers.provides, "transport": "transport"}

    def __init__(self) -> None:
        super().__init__(*VENUES)
        self.transport = self
        self.answer: Callable[[Request], Response] = lambda _: Response(200, (), b"[]")
        self._sent: list[str] = []
        self._arrived = threading.Condition()

    def send(self, request: Request, *, timeout_s: float) -> Response:
        with self._arrived:
            path = request.url.partition("/cancel/")[2]
            self._sent.append(path.partition("&timestamp")[0].partition("?timestamp")[0])
            self._arrived.notify_all()
        return self.answer(request)

    @property
    def sent(self) -> list[str]:
        with self._arrived:
            return list(self._sent)

    def await_sent(self, count: int) -> list[str]:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self._sent) >= count, 30), self._sent
            return list(self._sent)


class Stage:
    def __init__(self, config: KillSwitchConfig, **options: Any) -> None:
        self.wire = options.pop("wire", None) or Wire()
        self.clock = FakeClock(auto=False)
        resident = options.pop("resident", True)
        self.plans = [self.plan(config, **options)]
        self.guard = Guard(
            self.plans[0], clock=self.clock, replan=lambda: self.plans[-1], resident=resident
        )

    def plan(self, config: KillSwitchConfig, **options: Any) -> Plan:
        options.setdefault("grants", GRANTS)
        also = options.pop("also", ())
        options["required"] = [name for name, _ in also]
        switch = ("killswitch", KillSwitchPlugin(config))
        return make_plan(switch, *also, providers=self.wire, **options)

    def reload(self, config: KillSwitchConfig) -> None:
        self.plans.append(self.plan(config))
        self.guard.reload()


@pytest.fixture
def staged() -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(*args: Any, **options: Any) -> Stage:
        made.append(Stage(*args, **options))
        return made[-1]

    yield make
    for stage in made:
        stage.guard.close()


def did(incident: Incident) -> list[str]:
    return [outcome.did for outcome in incident.outcomes]


def lane_threads_end() -> None:
    for thread in threading.enumerate():
        if thread.name == "hauberk-dead-man":
            thread.join(30)


# Cancelling.


def test_critical_cancels_what_is_listed_and_tells_the_incident(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(KillSwitchConfig(SPOT))
    incident = stage.guard.report("worst", Severity.CRITICAL)
    assert stage.wire.sent == ["all?symbol=BTC-USDT"]
    assert did(incident) == ["halted", "all orders cancelled (main spot BTC-USDT)"]


def test_high_cancels_only_where_that_is_said(staged: Callable[..., Stage]) -> None:
    stage = staged(KillSwitchConfig(SPOT))
    assert did(stage.guard.report("bad", Severity.HIGH)) == ["restricted"]
    assert stage.wire.sent == []
    high = CancelAll(severity=From.HIGH, accounts=SPOT.accounts)
    stage = staged(KillSwitchConfig(high))
    stage.guard.report("bad", Severity.HIGH)
    # What reduced a position in between rests, too.
    stage.guard.report("worst", Severity.CRITICAL)
    assert stage.wire.sent == ["all?symbol=BTC-USDT"] * 2


@pytest.mark.parametrize("severity", [Severity.LOW, Severity.MEDIUM])
def test_what_an_outsider_can_trigger_cancels_nothing(
    staged: Callable[..., Stage], severity: Severity
) -> None:
    high = CancelAll(severity=From.HIGH, accounts=SPOT.accounts)
    stage = staged(KillSwitchConfig(high))
    stage.guard.report("failed logins", severity)
    assert stage.wire.sent == []


def test_without_a_section_nothing_is_sent(staged: Callable[..., Stage]) -> None:
    stage = staged(KillSwitchConfig(), grants={})
    assert did(stage.guard.report("worst", Severity.CRITICAL)) == ["halted"]
    assert stage.wire.sent == []


def test_a_second_alarm_cancels_again_only_if_the_first_run_failed(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(KillSwitchConfig(SPOT))
    stage.wire.answer = lambda _: Response(400, (), b'{"code": -1}')
    incident = stage.guard.report("worst", Severity.CRITICAL)
    assert not incident.outcomes[1].ok
    assert "main spot BTC-USDT: refused: HTTP status 400" in incident.outcomes[1].did
    stage.wire.answer = lambda _: Response(200, (), b"[]")
    stage.guard.report("worse", Severity.CRITICAL)
    stage.guard.report("worse still", Severity.CRITICAL)
    assert len(stage.wire.sent) == 2


def test_an_exchange_that_hangs_keeps_nobody_from_being_halted(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(KillSwitchConfig(SPOT), limits=KernelLimits(responders_s=0.05))
    go_on, asked = threading.Event(), threading.Event()

    def hang(_request: Request) -> Response:
        asked.set()
        assert go_on.wait(30)
        return Response(200, (), b"[]")

    stage.wire.answer = hang
    try:
        incident = stage.guard.report("worst", Severity.CRITICAL)
        assert asked.wait(30)
        assert did(incident) == ["halted", "not back by the deadline: abandoned"]
        with pytest.raises(Denied, match="halted since 'worst'"):
            stage.guard.clear(Request("POST", ORDER))
    finally:
        go_on.set()


def test_a_halt_of_another_process_cancels_here_too_since_that_one_may_have_died(
    staged: Callable[..., Stage],
) -> None:
    shared = {"killswitch": ["emergency", "venues", "store"]}
    here = staged(KillSwitchConfig(SPOT), grants=shared)
    there = staged(KillSwitchConfig(), grants=shared, wire=here.wire)
    there.guard.report("worst", Severity.CRITICAL)
    assert here.wire.await_sent(1) == ["all?symbol=BTC-USDT"]


def test_a_process_that_starts_halted_cancels_what_an_earlier_one_left(
    staged: Callable[..., Stage],
) -> None:
    shared = {"killswitch": ["emergency", "venues", "store"]}
    before = staged(KillSwitchConfig(), grants=shared)
    before.guard.report("worst", Severity.CRITICAL)
    before.guard.close()
    again = staged(KillSwitchConfig(SPOT), grants=shared, wire=before.wire)
    assert again.wire.await_sent(1) == ["all?symbol=BTC-USDT"]
    with pytest.raises(Denied, match="halted since 'worst'"):
        again.guard.clear(Request("POST", ORDER))


# Symbols.


def test_symbols_of_orders_that_left_are_cancelled_too(staged: Callable[..., Stage]) -> None:
    stage = staged(KillSwitchConfig(SPOT))
    stage.guard.clear(Request("POST", ORDER, {"symbol": "ETH-USDT"}))
    stage.guard.clear(Request("POST", ORDER, body="symbol=SOL-USDT&side=BUY"))
    stage.guard.clear(Request("GET", "https://api.open.test/read/order", {"symbol": "XRP-USDT"}))
    stage.guard.report("worst", Severity.CRITICAL)
    assert [path.partition("=")[2] for path in stage.wire.sent] == [
        "BTC-USDT", "SOL-USDT", "ETH-USDT"
    ]  # fmt: skip


def test_symbols_of_orders_that_were_denied_push_none_out(staged: Callable[..., Stage]) -> None:
    stage = staged(KillSwitchConfig(SPOT))

    @stage.guard.on_request
    def deny(request: Request) -> hauberk.Deny | None:
        return hauberk.Deny("no") if "JUNK" in dict(request.params)["symbol"] else None

    stage.guard.clear(Request("POST", ORDER, {"symbol": "ETH-USDT"}))
    for number in range(MAX_SEEN + 1):
        with pytest.raises(Denied):
            stage.guard.clear(Request("POST", ORDER, {"symbol": f"JUNK{number}"}))
    stage.guard.report("worst", Severity.CRITICAL)
    assert stage.wire.sent == ["all?symbol=BTC-USDT", "all?symbol=ETH-USDT"]


def test_symbols_are_remembered_within_bounds_the_latest_first() -> None:
    seen = Seen({"main": frozenset({"symbol"})})
    for number in range(MAX_SEEN + 10):
        seen.note("main", [("symbol", f"S{number}"), ("price", "1"), ("symbol", 'x","y":"')])
        seen.note("main", [("symbol", "S0")])
        seen.note("other", [("symbol", "T")])
    assert len(seen.of("main")) == MAX_SEEN
    assert seen.of("main")[:2] == ("S0", f"S{MAX_SEEN + 9}")
    assert seen.of("other") == ()


def test_an_account_without_an_order_since_the_start_is_told(staged: Callable[..., Stage]) -> None:
    stage = staged(KillSwitchConfig(CancelAll(accounts={"main": CancelsOf(markets=("spot",))})))
    incident = stage.guard.report("worst", Severity.CRITICAL)
    assert did(incident)[1] == "no order cancelled; of main, no order has left since the start"


def test_a_reload_forgets_no_symbol(staged: Callable[..., Stage]) -> None:
    stage = staged(KillSwitchConfig(SPOT))
    stage.guard.clear(Request("POST", ORDER, {"symbol": "ETH-USDT"}))
    stage.reload(KillSwitchConfig(CancelAll(accounts={"main": CancelsOf(markets=("spot",))})))
    stage.guard.report("worst", Severity.CRITICAL)
    assert stage.wire.sent == ["all?symbol=ETH-USDT"]


def test_a_reload_forgets_no_symbol_of_an_order_that_leaves_meanwhile(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(KillSwitchConfig(SPOT))

    class Meanwhile(Plugin):
        interface = (1, 1)

        @hookimpl
        def on_start(self, context: Context) -> None:
            order = Request("POST", ORDER, {"symbol": "ETH-USDT"})
            thread = threading.Thread(target=stage.guard.clear, args=(order,))
            thread.start()
            thread.join(30)

    only = CancelAll(accounts={"main": CancelsOf(markets=("spot",))})
    stage.plans.append(stage.plan(KillSwitchConfig(only), also=[("meanwhile", Meanwhile())]))
    stage.guard.reload()
    stage.guard.report("worst", Severity.CRITICAL)
    assert stage.wire.sent == ["all?symbol=ETH-USDT"]


# Timers.


def test_a_timer_is_armed_at_the_start_and_every_third_of_its_countdown(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(KillSwitchConfig(dead_man=TIMER))
    for count in range(1, 5):
        assert stage.wire.await_sent(count) == ["after?in=30"] * count
        stage.clock.await_waiters(1)
        assert stage.clock.next_due_ns() == count * 10_000_000_000
        stage.clock.advance(10)


def test_a_halt_stops_the_beats_at_once(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(KillSwitchConfig(dead_man=TIMER))
    stage.wire.await_sent(1)
    stage.clock.await_waiters(1)
    stage.guard.report("worst", Severity.CRITICAL)
    for _ in range(20):
        stage.clock.advance(10)
        stage.clock.await_waiters(1)
    assert stage.wire.sent == ["after?in=30"]


def test_a_restriction_does_not_stop_the_beats(staged: Callable[..., Stage]) -> None:
    stage = staged(KillSwitchConfig(dead_man=TIMER))
    stage.wire.await_sent(1)
    stage.clock.await_waiters(1)
    stage.guard.report("bad", Severity.HIGH)
    stage.clock.advance(10)
    assert stage.wire.await_sent(2) == ["after?in=30"] * 2


def test_a_guard_that_is_closed_beats_no_more(staged: Callable[..., Stage]) -> None:
    stage = staged(KillSwitchConfig(dead_man=TIMER))
    stage.wire.await_sent(1)
    stage.clock.await_waiters(1)
    stage.guard.close()
    lane_threads_end()
    stage.clock.advance(3_600)
    assert stage.wire.sent == ["after?in=30"]


def test_a_command_s_guard_arms_nothing_and_cancels_all_the_same(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(KillSwitchConfig(SPOT, TIMER), resident=False)
    stage.guard.report("halted by hand", Severity.CRITICAL)
    assert stage.wire.sent == ["all?symbol=BTC-USDT"]


def test_a_timer_that_is_taken_out_of_the_file_is_taken_back(staged: Callable[..., Stage]) -> None:
    stage = staged(KillSwitchConfig(SPOT, TIMER))
    stage.wire.await_sent(1)
    stage.reload(KillSwitchConfig(SPOT))
    assert stage.wire.await_sent(2) == ["after?in=30", "after?in=0"]


def test_a_reload_that_fails_leaves_every_timer_as_it_was(staged: Callable[..., Stage]) -> None:
    stage = staged(KillSwitchConfig(SPOT, TIMER))
    stage.wire.await_sent(1)

    class Fails(Plugin):
        interface = (1, 1)

        @hookimpl
        def on_start(self, context: Context) -> None:
            raise RuntimeError("no")

    stage.plans.append(stage.plan(KillSwitchConfig(SPOT), also=[("fails", Fails())]))
    with pytest.raises(StartFailed):
        stage.guard.reload()
    for count in range(2, 5):
        stage.clock.await_waiters(1)
        stage.clock.advance(10)
        assert stage.wire.await_sent(count) == ["after?in=30"] * count
    stage.guard.close()
    lane_threads_end()
    assert "after?in=0" not in stage.wire.sent


def test_a_lapsed_timer_is_an_incident_that_halts_nothing(staged: Callable[..., Stage]) -> None:
    told = threading.Event()
    stage = staged(KillSwitchConfig(dead_man=TIMER))

    @stage.guard.on_incident
    def listen(incident: Incident) -> None:
        assert incident.severity is Severity.MEDIUM
        assert "the dead-man timer of main spot was not renewed" in incident.title
        told.set()

    stage.wire.await_sent(1)
    stage.wire.answer = lambda _: Response(error="TimeoutError")
    for _ in range(40):
        stage.clock.await_waiters(1)
        stage.clock.advance(1)
    assert told.wait(30)
    stage.guard.clear(Request("POST", ORDER))


# What cannot be.


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            KillSwitchConfig(CancelAll(accounts={"bare": CancelsOf()})),
            "killswitch.cancel_all.accounts.bare: venue 'bare' has no request that cancels",
        ),
        (
            KillSwitchConfig(dead_man={"bare": TimerOf(30)}),
            "killswitch.dead_man.bare: venue 'bare' has no dead-man timer",
        ),
        (
            KillSwitchConfig(CancelAll(accounts={"main": CancelsOf(markets=("spto",))})),
            "markets.0: venue 'open' has no request that cancels everything for 'spto': it has "
            "spot, swap; did you mean 'spot'?",
        ),
        (
            KillSwitchConfig(dead_man={"main": TimerOf(90)}),
            "killswitch.dead_man.main.countdown_s: spot of venue 'open' counts 5 to 60 s",
        ),
        (
            KillSwitchConfig(dead_man={"main": TimerOf(30, symbols=("BTC",))}),
            "killswitch.dead_man.main.symbols: venue 'open' cancels for the whole account here",
        ),
    ],
)
def test_what_a_venue_has_not_stops_the_start_with_what_to_do(
    staged: Callable[..., Stage], config: KillSwitchConfig, said: str
) -> None:
    accounts = {"main": Account("open"), "bare": Account("bare")}
    with pytest.raises(ConfigError) as caught:
        staged(config, accounts=accounts)
    assert said in str(caught.value)


CONFIG = """\
plugins: [killswitch, policy, bots, signing]
grants: {{killswitch: [emergency, venues]}}
venues: {{folder: {folder}}}
accounts:
  main: {{venue: sandbox, key: env:KEY, secret: env:SECRET}}
  spot: {{venue: binance, key: env:KEY, secret: env:SECRET}}
killswitch:
{section}
"""


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (
            "  cancel_all: {accounts: {mian: {}}}",
            "there is no account 'mian'; did you mean 'main'?",
        ),
        ("  cancel_all: {severty: high}", "did you mean 'severity'?"),
        ("  cancel_all: {severity: low}", "killswitch.cancel_all.severity: 'low' is not one of"),
        ("  cancel_all: {accounts: {spot: {}}}", "say which, for example `markets: [spot]`"),
        ("  cancel_all: {accounts: {spot: {markets: [spot], symbols: [B C]}}}", "is no symbol"),
        ("  dead_man: {spot: {countdown_s: 60}}", "venue 'binance' has no dead-man timer"),
        ("  dead_man: {main: {countdown_s: 0}}", "killswitch.dead_man.main.countdown_s"),
        ("  dead_man: {main: 60}", "killswitch.dead_man.main: expected a mapping, not 60"),
        ("  dead_man: {main: {}}", "countdown_s"),
    ],
)
def test_each_mistake_is_told_with_its_line(tmp_path: Path, section: str, said: str) -> None:
    import hauberk_plugins.sandbox

    folder = Path(hauberk_plugins.sandbox.__file__).parent / "venues"
    path = tmp_path / "hauberk.yml"
    path.write_text(CONFIG.format(folder=folder, section=section), "utf-8")
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        hauberk.open(path, transient=True)
    problems = [str(problem) for problem in caught.value.problems]
    assert len(problems) == 1, problems
    assert said in problems[0]
    assert problems[0].startswith(f"{path}:8: ")


def test_who_cancels_nothing_pays_nothing_for_each_request(staged: Callable[..., Stage]) -> None:
    ends = [
        [impl.name for impl in staged(config, grants=GRANTS).guard.kernel.snapshot.ends]
        for config in (KillSwitchConfig(), KillSwitchConfig(SPOT))
    ]
    assert ends == [[], ["killswitch"]]
