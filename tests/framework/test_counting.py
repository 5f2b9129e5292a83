"""Counting and timing (DESIGN 2, rule 9): every call counted, one in so many timed, none hangs."""

import asyncio
import logging
import threading
from typing import Any

import pytest

from hauberk.accounts import Account
from hauberk.context import Context
from hauberk.counts import counts
from hauberk.dispatch import SAMPLE_EVERY, ask, end
from hauberk.errors import Denied
from hauberk.frames import Frame
from hauberk.guard import Guard
from hauberk.hooks import Plugin, blocking, hookimpl
from hauberk.records import Event, Incident, Login, Severity
from hauberk.registry import Impl, Part, implementations
from hauberk.request import Request, Response
from hauberk.settings import KernelLimits
from hauberk.testing import DEFAULT_URL, FakeClock, PlainSigner, make_guard, make_plan
from hauberk.verdicts import Deny, Wait
from hauberk.watch import Watch

ORDER = Request("POST", DEFAULT_URL)
PATIENCE_S = 30
SECOND = 1_000_000_000


class Takes(Plugin):
    """A guard that takes so long by the injected clock, then answers."""

    def __init__(self, clock: FakeClock, *seconds: float, answer: Any = None) -> None:
        self.clock, self.seconds, self.answer = clock, list(seconds), answer

    @hookimpl
    def on_request(self, request: Request) -> Any:
        if self.seconds:
            self.clock.advance(self.seconds.pop(0))
        return self.answer


def hook(guard: Guard, name: str, hook_: str = "on_request") -> Impl:
    return guard.snapshot.hooks(name)[hook_]


def be_wary(guard: Guard, wary: bool) -> None:
    """Have every pass timed from now on, or only one in so many."""
    guard.kernel.watch.is_wary = wary
    if not wary:
        next(guard.kernel.watch.passes)


# Counts.


def test_every_call_and_every_failure_of_every_hook_is_counted() -> None:
    class Everything(Plugin):
        @hookimpl
        def on_start(self, context: Context) -> None:
            """Starts."""

        @hookimpl
        def on_request(self, request: Request) -> None:
            raise ValueError

        @hookimpl
        def on_end(self, request: Request, left: bool, why: str) -> None:
            raise ValueError

        @hookimpl
        def on_login(self, login: Login) -> Any:
            return "welcome"

        @hookimpl
        def on_incident(self, incident: Incident) -> Any:
            return 1

        @hookimpl
        def on_event(self, event: Event) -> None:
            raise ValueError

    with make_guard(("all", Everything()), grants={"all": ["record"]}) as guard:
        for _ in range(3):
            with pytest.raises(Denied):
                guard.clear(ORDER)
        with pytest.raises(Denied):
            guard.login(Login("eve"))
        guard.report("x", Severity.LOW)
        hooks = guard.snapshot.hooks("all")
    told = {name: (impl.calls, impl.failures) for name, impl in hooks.items()}
    assert told == {
        "on_start": (1, 0),
        "on_request": (3, 3),
        "on_end": (3, 3),
        "on_login": (1, 1),
        "on_incident": (1, 1),
        "on_event": (3 + 1 + 2, 3 + 1 + 2),
    }


def test_an_observer_is_counted_too() -> None:
    class Observer(Plugin):
        @hookimpl
        def on_response(self, request: Request, response: Response) -> None:
            raise ValueError

    with make_guard(Observer()) as guard:
        guard.settle(guard.clear(ORDER), Response(200))
        impl = hook(guard, "observer", "on_response")
        assert (impl.calls, impl.failures) == (1, 1)


def test_a_guard_that_was_not_reached_is_not_counted() -> None:
    clock = FakeClock()
    plugins = ("first", Takes(clock, answer=Deny("no"))), ("later", Takes(clock))
    with make_guard(*plugins, clock=clock) as guard:
        with pytest.raises(Denied):
            guard.clear(ORDER)
        assert (hook(guard, "first").calls, hook(guard, "later").calls) == (1, 0)


def test_a_denial_and_a_wait_are_answers_and_no_failures() -> None:
    clock = FakeClock()
    with make_guard(("takes", Takes(clock, answer=Deny("no"))), clock=clock) as guard:
        with pytest.raises(Denied):
            guard.clear(ORDER)
        assert hook(guard, "takes").failures == 0


# Timing by sampling.


def test_one_pass_in_so_many_is_timed_and_every_guard_of_it() -> None:
    clock = FakeClock()
    plugins = ("a", Takes(clock)), ("b", Takes(clock))
    with make_guard(*plugins, clock=clock) as guard:
        for _ in range(3 * SAMPLE_EVERY):
            guard.clear(ORDER)
        for name in ("killswitch", "a", "b"):
            impl = hook(guard, name)
            assert (impl.calls, impl.samples) == (3 * SAMPLE_EVERY, 3)


class Busy(PlainSigner):
    """Has every hook of a request's way, and takes so long in each by the injected clock."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.fails = False

    def work(self, seconds: float) -> None:
        self.clock.advance(seconds)
        if self.fails:
            raise OSError

    @hookimpl
    def on_request(self, request: Request) -> None:
        """No objection."""

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        self.work(0.001)

    @hookimpl
    def sign_request(self, request: Request) -> Request:
        self.clock.advance(0.002)
        return PlainSigner.sign_request(self, request)

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.work(0.003)

    @hookimpl
    def on_login(self, login: Login) -> Deny:
        self.work(0.004)
        return Deny("no")

    @hookimpl
    def on_response(self, request: Request, response: Response) -> None:
        self.work(0.005)


def busy_guard(clock: FakeClock, busy: Busy) -> Guard:
    account = Account("open", signer="busy")
    grants = {"busy": ["sign", "record"]}
    return make_guard(("busy", busy), grants=grants, accounts={"main": account}, clock=clock)


def mean_us(guard: Guard) -> dict[str, float | None]:
    return {row.hook: row.mean_us for row in counts(guard.snapshot) if row.plugin == "busy"}


def test_one_call_in_so_many_is_timed_of_every_other_hook_too() -> None:
    clock = FakeClock()
    with busy_guard(clock, Busy(clock)) as guard:
        for _ in range(SAMPLE_EVERY):
            guard.clear(ORDER)
            with pytest.raises(Denied):
                guard.login(Login("eve"))
        for name in ("on_end", "sign_request", "on_login"):
            assert hook(guard, "busy", name).samples == 1, "the first"
        guard.clear(ORDER)
        for name in ("on_end", "sign_request"):
            assert hook(guard, "busy", name).samples == 2, "and the seventeenth"
        events = hook(guard, "busy", "on_event")
        assert events.samples == -(-events.calls // SAMPLE_EVERY)
        guard.settle(guard.clear(ORDER), Response(200))
        assert mean_us(guard) == {
            "on_request": 0.0,
            "on_end": 1_000.0,
            "sign_request": 2_000.0,
            "on_event": 3_000.0,
            "on_login": 4_000.0,
            "on_response": 5_000.0,
        }


def test_a_call_that_fails_is_timed_like_any_other() -> None:
    clock = FakeClock()
    busy = Busy(clock)
    busy.fails = True
    with busy_guard(clock, busy) as guard:
        guard.clear(ORDER)
        assert hook(guard, "busy", "on_end").sampled_ns == 1_000_000


def test_an_untimed_call_reads_the_clock_once() -> None:
    reads: list[int] = []

    def now() -> int:
        reads.append(0)
        return 0

    frame = Frame(watch=Watch(now, warn_ns=SECOND, deny_ns=SECOND))
    part = Part("busy", Busy(FakeClock()), frozenset({"sign", "record"}))
    impl, each = implementations(part)["on_end"], []
    for _ in range(SAMPLE_EVERY + 1):
        reads.clear()
        end([impl], ORDER, True, "", frame)
        each.append(len(reads))
    assert each == [2, *[1] * (SAMPLE_EVERY - 1), 2]


def test_observers_and_responders_are_timed_each_time() -> None:
    class Both(Plugin):
        @hookimpl
        def on_response(self, request: Request, response: Response) -> None:
            """Looks on."""

        @hookimpl
        def on_incident(self, incident: Incident) -> None:
            """Looks on."""

    with make_guard(Both()) as guard:
        for number in range(5):
            guard.settle(guard.clear(ORDER), Response(200))
            guard.report(f"x {number}", Severity.LOW)
        for name in ("on_response", "on_incident"):
            impl = hook(guard, "both", name)
            assert (impl.calls, impl.samples) == (5, 5)


def test_hooks_of_starting_and_stopping_are_timed_too() -> None:
    class Starts(Plugin):
        @hookimpl
        def on_start(self, context: Context) -> None:
            """Starts."""

        @hookimpl
        def on_stop(self) -> None:
            """Stops."""

    with make_guard(Starts()) as guard:
        hooks = guard.snapshot.hooks("starts")
    assert [hooks[name].samples for name in ("on_start", "on_stop")] == [1, 1]


def test_so_many_is_the_sixteen_that_the_documentation_names() -> None:
    assert SAMPLE_EVERY == 16


def test_each_guard_is_charged_its_own_time() -> None:
    clock = FakeClock()
    plugins = ("quick", Takes(clock, 0.001)), ("slow", Takes(clock, 0.005, 0.003))
    with make_guard(*plugins, clock=clock) as guard:
        be_wary(guard, True)
        guard.clear(ORDER)
        guard.clear(ORDER)
        quick, slow = hook(guard, "quick"), hook(guard, "slow")
    assert (quick.sampled_ns, quick.worst_ns) == (1_000_000, 1_000_000)
    assert (slow.samples, slow.sampled_ns, slow.worst_ns) == (2, 8_000_000, 5_000_000)


def test_counts_are_not_lost_to_threads() -> None:
    with make_guard(("takes", Takes(FakeClock()))) as guard:
        be_wary(guard, True)
        threads = [
            threading.Thread(target=lambda: [guard.clear(ORDER) for _ in range(50)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        impl = hook(guard, "takes")
        assert (impl.calls, impl.samples) == (200, 200)


# The hard limit.


@pytest.mark.parametrize("wary", [True, False])
@pytest.mark.parametrize("answer", [None, Wait(1)])
def test_a_request_whose_guard_overran_the_hard_limit_is_denied(wary, answer) -> None:
    clock = FakeClock()
    slow = Takes(clock, 2.5, answer=answer)
    with make_guard(("slow", slow), clock=clock) as guard:
        be_wary(guard, wary)
        with pytest.raises(Denied, match=r"took 2\.500 s") as denied:
            guard.clear(ORDER)
        assert denied.value.plugin == "slow"
        assert guard.kernel.watch.is_wary, "from now on each guard is timed"


def test_nobody_is_asked_after_a_guard_that_overran_in_a_timed_pass() -> None:
    clock = FakeClock()
    plugins = ("slow", Takes(clock, 2.5)), ("later", Takes(clock))
    with make_guard(*plugins, clock=clock) as guard:
        be_wary(guard, True)
        with pytest.raises(Denied):
            guard.clear(ORDER)
        assert hook(guard, "later").calls == 0


def test_a_denial_stays_a_denial_for_its_own_reason_however_long_it_took() -> None:
    clock = FakeClock()
    slow = Takes(clock, 2.5, answer=Deny("too dear"))
    with make_guard(slow, clock=clock) as guard, pytest.raises(Denied, match="too dear"):
        guard.clear(ORDER)


def test_an_untimed_pass_that_overran_says_that_it_was_the_guards_together() -> None:
    clock = FakeClock()
    plugins = ("a", Takes(clock, 1.5, 1.5)), ("b", Takes(clock, 1.0, 1.0))
    with make_guard(*plugins, clock=clock) as guard:
        be_wary(guard, False)
        with pytest.raises(Denied, match="together with the guards before it"):
            guard.clear(ORDER)
        # The next pass times each: neither alone is over the hard limit, together they are.
        with pytest.raises(Denied):
            guard.clear(ORDER)
        assert hook(guard, "a").overruns == hook(guard, "b").overruns == 1


def test_what_overruns_the_soft_limit_is_named_and_not_denied(caplog) -> None:
    clock = FakeClock()
    with make_guard(("slow", Takes(clock, 0.5, 0.5)), clock=clock) as guard:
        be_wary(guard, True)
        guard.clear(ORDER)
        assert "slow.on_request has been running for 0.500 s" in caplog.text
        assert hook(guard, "slow").overruns == 1
        guard.clear(ORDER)
        assert hook(guard, "slow").overruns == 2


def test_limits_are_those_of_the_configuration() -> None:
    clock = FakeClock()
    limits = KernelLimits(warn_after_s=10, deny_after_s=20)
    with make_guard(("slow", Takes(clock, 15, 25)), clock=clock, limits=limits) as guard:
        be_wary(guard, True)
        guard.clear(ORDER)
        with pytest.raises(Denied):
            guard.clear(ORDER)


def test_limits_that_a_reload_changes_hold_from_then_on() -> None:
    clock = FakeClock()
    slow = Takes(clock, 15, 15)
    loose = make_plan(("slow", slow), limits=KernelLimits(warn_after_s=10, deny_after_s=20))
    with Guard(loose, clock=clock, replan=lambda: make_plan(("slow", slow))) as guard:
        guard.clear(ORDER)
        guard.reload()
        with pytest.raises(Denied, match=r"took 15\.000 s"):
            guard.clear(ORDER)


def test_a_blocking_guard_is_held_to_the_same_limit() -> None:
    clock = FakeClock()

    class Blocks(Takes):
        @blocking
        @hookimpl
        def on_request(self, request: Request) -> Any:
            return Takes.on_request(self, request)

    plugins = ("quick", Takes(clock)), ("slow", Blocks(clock, 2.5))
    with make_guard(*plugins, clock=clock) as guard:
        with pytest.raises(Denied) as denied:
            asyncio.run(guard.aclear(ORDER))
        assert denied.value.plugin == "slow"


# The watchdog.


class Hangs(Plugin):
    """Judges until it is let go."""

    def __init__(self) -> None:
        self.entered, self.let_go = threading.Event(), threading.Event()

    @hookimpl
    def on_request(self, request: Request) -> None:
        self.entered.set()
        assert self.let_go.wait(PATIENCE_S)


def impl_of(name: str, plugin: Plugin) -> Impl:
    return implementations(Part(name, plugin))["on_request"]


def test_the_watchdog_names_who_hangs_once_a_pass_and_nobody_else() -> None:
    now = [0]
    watch = Watch(lambda: now[0], warn_ns=SECOND, deny_ns=100 * SECOND)
    hangs = Hangs()
    guards = [impl_of("before", Takes(FakeClock())), impl_of("hangs", hangs)]
    frame = Frame()
    next(watch.passes)
    thread = threading.Thread(target=ask, args=(guards, ORDER, frame, watch))
    thread.start()
    assert hangs.entered.wait(PATIENCE_S)
    assert watch.look() == []
    now[0] = 2 * SECOND
    assert watch.look() == ["hangs"]
    assert watch.look() == [], "once"
    hangs.let_go.set()
    thread.join()
    assert watch.look() == [], "it has returned"
    assert [impl.overruns for impl in guards] == [0, 1]
    assert watch.active == set()


class Checks(Plugin):
    """Says who it is, or asks, on `on_login`; checking takes as long as the test says."""

    def __init__(self) -> None:
        self.entered, self.let_go = threading.Event(), threading.Event()

    @hookimpl
    def on_login(self, login: Login) -> Deny:
        self.entered.set()
        assert self.let_go.wait(PATIENCE_S)
        return Deny("wrong password")


@pytest.mark.parametrize("authenticates", [True, False])
def test_an_authenticator_may_take_its_time_and_is_named_only_when_it_hangs(authenticates) -> None:
    clock, checks = FakeClock(), Checks()
    grants = {"checks": ["authenticate"] if authenticates else []}

    def login() -> None:
        with pytest.raises(Denied, match="wrong password"):
            guard.login(Login("ann"))

    with make_guard(checks, grants=grants, clock=clock) as guard:
        guard.kernel.watchdog.stop()  # the test looks itself
        watch = guard.kernel.watch
        thread = threading.Thread(target=login)
        thread.start()
        assert checks.entered.wait(PATIENCE_S)
        clock.advance(0.3)  # what checking a password takes by design
        assert watch.look() == ([] if authenticates else ["checks"])
        assert watch.is_wary == (not authenticates), "or every order would be timed ever after"
        clock.advance(2)
        assert watch.look() == (["checks"] if authenticates else [])
        checks.let_go.set()
        thread.join()
        impl = hook(guard, "checks", "on_login")
    assert (impl.calls, impl.overruns, impl.samples) == (1, 1, 1)
    assert impl.worst_ns == 2_300_000_000


def test_what_else_an_authenticator_does_is_held_to_the_limit_of_all() -> None:
    now = [0]
    watch, hangs = Watch(lambda: now[0], warn_ns=SECOND, deny_ns=10 * SECOND), Hangs()
    part = Part("auth", hangs, frozenset({"authenticate"}))
    thread = threading.Thread(
        target=ask, args=([implementations(part)["on_request"]], ORDER, Frame(), watch)
    )
    thread.start()
    assert hangs.entered.wait(PATIENCE_S)
    now[0] = 2 * SECOND
    assert watch.look() == ["auth"]
    hangs.let_go.set()
    thread.join()


def test_an_untimed_pass_is_denied_in_the_name_of_whom_the_watchdog_saw() -> None:
    now = [0]
    watch = Watch(lambda: now[0], warn_ns=SECOND, deny_ns=10 * SECOND)
    hangs, found = Hangs(), []
    guards = [impl_of("hangs", hangs), impl_of("after", Takes(FakeClock()))]
    next(watch.passes)
    thread = threading.Thread(target=lambda: found.append(ask(guards, ORDER, Frame(), watch)))
    thread.start()
    assert hangs.entered.wait(PATIENCE_S)
    now[0] = 20 * SECOND
    watch.look()
    hangs.let_go.set()
    thread.join()
    impl, verdict = found[0]
    assert impl.name == "hangs"
    assert verdict == Deny("took 20.000 s, more than a guard may")


def test_limits_that_are_taken_later_hold_for_every_pass_from_then_on() -> None:
    clock = FakeClock()
    watch = Watch(clock.monotonic_ns, warn_ns=100 * SECOND, deny_ns=100 * SECOND)
    guards = [impl_of("slow", Takes(clock, 5, 5))]
    next(watch.passes)
    assert ask(guards, ORDER, Frame(), watch) is None
    watch.limit(SECOND, 2 * SECOND)
    found = ask(guards, ORDER, Frame(), watch)
    assert found is not None
    assert found[1] == Deny(
        "took 5.000 s together with the guards before it, more than a guard may"
    )


class Named(logging.Handler):
    """Sets an event when the log names a plugin."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.wanted, self.seen = name, threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith(self.wanted):
            self.seen.set()


def test_a_running_guard_names_a_plugin_that_hangs_while_it_hangs() -> None:
    clock, hangs, handler = (
        FakeClock(),
        Hangs(),
        Named("hangs.on_request has been running for 1.000 s"),
    )
    logging.getLogger("hauberk").addHandler(handler)
    limits = KernelLimits(warn_after_s=0.01)
    try:
        with make_guard(hangs, clock=clock, limits=limits) as guard:
            thread = threading.Thread(target=guard.clear, args=(ORDER,))
            thread.start()
            assert hangs.entered.wait(PATIENCE_S)
            clock.advance(1)
            assert handler.seen.wait(PATIENCE_S), "the watchdog's thread says so"
            hangs.let_go.set()
            thread.join()
            assert hook(guard, "hangs").overruns >= 1
    finally:
        logging.getLogger("hauberk").removeHandler(handler)


def test_the_watchdog_ends_with_its_guard() -> None:
    def watching() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "hauberk-watch"}

    before = watching()
    guard = make_guard(limits=KernelLimits(warn_after_s=0.01))
    (mine,) = watching() - before
    assert mine.daemon
    guard.close()
    mine.join(PATIENCE_S)
    assert not mine.is_alive()
