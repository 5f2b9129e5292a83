"""Waiting and leaving (DESIGN 2): no wake is lost, nothing leaves after what must stop it."""

import asyncio
import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hauberk.context import Context
from hauberk.drivers import Drivers
from hauberk.errors import ClosedError, Denied
from hauberk.frames import Frame
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.plan import Plan, Planned
from hauberk.protocol import (
    Ask,
    Begin,
    Cleared,
    End,
    Leave,
    Now,
    Pause,
    Sign,
    Step,
    Tell,
    clearing,
)
from hauberk.records import Event, Severity
from hauberk.request import Operation, Request
from hauberk.testing import DEFAULT_URL, FakeClock, PlainSigner, make_guard, make_plan
from hauberk.verdicts import Deny, Wait

ORDER = Request("POST", DEFAULT_URL, {"symbol": "BTCUSDT"})
SECOND = 1_000_000_000


class Passer(Plugin):
    """Answers what it is told to, in turn, then nothing; remembers what it was asked and told."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.ends: list[tuple[str, bool, str]] = []

    @hookimpl
    def on_request(self, request: Request) -> Any:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else None
        return answer(request) if callable(answer) else answer

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        self.ends.append((request.id, left, why))


class Asked(Passer):
    """The same with a context, as a plugin that a configuration loads."""

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context


class Recorder(Plugin):
    """Remembers the kinds of events; does what it is told to on one kind."""

    def __init__(self, seen: list[str] | None = None) -> None:
        self.kinds: list[str] = [] if seen is None else seen
        self.events: list[Event] = []
        self.on: dict[str, Callable[[], object]] = {}

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.kinds.append(event.kind)
        self.events.append(event)
        if event.kind in self.on:
            self.on[event.kind]()


class Signer(PlainSigner):
    """Says that it signs, and signs differently each time."""

    def __init__(self, seen: list[str] | None = None) -> None:
        self.seen: list[str] = [] if seen is None else seen
        self.first: Callable[[], object] | None = None

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context

    @hookimpl
    def sign_request(self, request: Request) -> Request:
        self.seen.append("sign")
        if self.first is not None:
            action, self.first = self.first, None
            action()
        number = self.seen.count("sign")
        return request.amend(url=f"{request.url}?symbol=BTCUSDT&signature={number}", params=())


class ByHand:
    """Drives one request a step at a time, doing for each step what the real driver does."""

    def __init__(self, guard: Guard, timeout_ns: int = 60 * SECOND) -> None:
        self._do = Drivers(guard.kernel)._do
        request = ORDER.stamped("by-hand", Operation.UNKNOWN)
        self._steps = clearing(request, timeout_ns, frame=Frame())
        self.step: Step = next(self._steps)

    def go(self) -> None:
        """Carry out the step and go to the next."""
        self.step = self._steps.send(self._do[type(self.step)](self.step))

    def until(self, kind: type[Step]) -> None:
        """Go on to a step of this kind, without carrying it out."""
        while type(self.step) is not kind:
            self.go()

    def finish(self) -> Cleared:
        """Go on to the end."""
        while True:
            try:
                self.go()
            except StopIteration as done:
                return done.value


def interpose(guard: Guard, act: Callable[[Step, str], None]) -> None:
    """Have `act` called before and after each step of `clear`."""
    do = guard._drivers._do
    for kind, carry_out in tuple(do.items()):

        def around(step: Step, carry_out: Callable[[Any], Any] = carry_out) -> Any:
            act(step, "before")
            answer = carry_out(step)
            act(step, "after")
            return answer

        do[kind] = around


def elsewhere(action: Callable[[], object]) -> None:
    """Do it on another thread, and wait until it is done."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


# A pass.


@pytest.mark.parametrize(
    "objection", [Deny("no"), Wait(1), lambda request: request.amend(params={"symbol": "ETHUSDT"})]
)
def test_a_pass_stops_at_the_first_objection_so_that_later_guards_charge_nothing(objection) -> None:
    first, later = Asked(objection), Asked()
    plugins = ("first", first), ("later", later)
    with make_guard(*plugins, grants={"first": ["amend"]}) as guard:
        steps = ByHand(guard)
        steps.until(Ask)
        steps.go()
    assert len(first.requests) == 1
    assert later.requests == []


def test_every_pass_asks_about_the_same_id_so_that_a_guard_charges_once() -> None:
    def amend(request: Request) -> Request:
        return request.amend(params={"symbol": "ETHUSDT"})

    asked = Asked(Wait(1), amend, Wait(2), None)
    with make_guard(asked, grants={"asked": ["amend"]}) as guard:
        cleared = guard.clear(ORDER)
    assert {request.id for request in asked.requests} == {cleared.id}
    assert [dict(request.params)["symbol"] for request in asked.requests] == [
        "BTCUSDT", "BTCUSDT", "ETHUSDT", "ETHUSDT",
    ]  # fmt: skip


def test_two_requests_have_two_ids_so_that_none_rides_on_the_charge_of_another() -> None:
    asked = Asked()
    with make_guard(asked) as guard:
        ids = {guard.clear(ORDER).id for _ in range(10)}
    assert len(ids) == 10


# Waiting.


def test_it_waits_on_the_injected_clock_and_is_then_asked_again() -> None:
    clock, asked = FakeClock(), Asked(Wait(2.5), Wait(3))
    with make_guard(asked, clock=clock) as guard:
        guard.clear(ORDER)
    assert clock.waits == [2_500_000_000, 3_000_000_000]
    assert len(asked.requests) == 3


@pytest.mark.parametrize("seconds", [0, 0.0, 1e-12, 0.0009])
def test_a_wait_takes_a_millisecond_at_least_so_that_no_guard_makes_it_spin(seconds) -> None:
    clock = FakeClock()
    with make_guard(Asked(Wait(seconds)), clock=clock) as guard:
        guard.clear(ORDER)
    assert clock.waits == [1_000_000]


@pytest.mark.parametrize(
    ("seconds", "ns"), [(0.0010000001, 1_000_001), (1 / 3, 333_333_334), (1, SECOND)]
)
def test_waits_are_rounded_up_so_that_nobody_is_asked_before_it_is_due(seconds, ns) -> None:
    clock = FakeClock()
    with make_guard(Asked(Wait(seconds)), clock=clock) as guard:
        guard.clear(ORDER)
    assert clock.waits == [ns]


def test_a_wake_while_the_request_is_being_judged_is_not_lost() -> None:
    def woken_meanwhile(request: Request) -> Wait:
        elsewhere(lambda: asked.context.wake(request.id))
        return Wait(30)

    clock, asked = FakeClock(), Asked(woken_meanwhile)
    with make_guard(asked, clock=clock) as guard:
        guard.clear(ORDER)
    assert clock.waits == []
    assert len(asked.requests) == 2


def test_a_wake_between_the_pass_and_the_wait_is_not_lost() -> None:
    clock, asked = FakeClock(), Asked(Wait(30))
    with make_guard(asked, clock=clock) as guard:
        steps = ByHand(guard)
        steps.until(Pause)
        elsewhere(lambda: asked.context.wake("by-hand"))
        steps.go()
        assert clock.waits == []
        steps.finish()
    assert len(asked.requests) == 2


def test_a_wake_ends_a_wait_that_is_under_way() -> None:
    clock, asked = FakeClock(auto=False), Asked(Wait(30))
    with make_guard(asked, clock=clock) as guard:
        waiting = threading.Thread(target=guard.clear, args=(ORDER,))
        waiting.start()
        clock.await_waiters(1)
        asked.context.wake(asked.requests[0].id)
        waiting.join()
    assert clock.monotonic_ns() == 0
    assert clock.next_due_ns() is None, "nobody waits any more"
    assert asked.ends == [(asked.requests[0].id, True, "")]


def test_a_wake_ends_a_wait_on_an_event_loop_from_another_thread() -> None:
    clock, asked = FakeClock(auto=False), Asked(Wait(30))

    async def bot(guard: Guard) -> None:
        clearing_ = asyncio.ensure_future(guard.aclear(ORDER))
        await asyncio.to_thread(clock.await_waiters, 1)
        await asyncio.to_thread(asked.context.wake, asked.requests[0].id)
        await clearing_

    with make_guard(asked, clock=clock) as guard:
        asyncio.run(bot(guard))
    assert clock.monotonic_ns() == 0
    assert len(asked.ends) == 1


def test_a_wake_from_before_the_pass_does_not_cut_the_next_wait_short() -> None:
    def woken_meanwhile(request: Request) -> Wait:
        asked.context.wake(request.id)
        return Wait(30)

    clock, asked = FakeClock(), Asked(woken_meanwhile, Wait(20))
    with make_guard(asked, clock=clock) as guard:
        guard.clear(ORDER)
    assert clock.waits == [20 * SECOND]


def test_a_wake_of_what_nobody_waits_for_does_nothing() -> None:
    asked = Asked()
    with make_guard(asked) as guard:
        asked.context.wake("nobody")
        cleared = guard.clear(ORDER)
        asked.context.wake(cleared.id)
        assert guard.kernel.waking._armed == {}


def test_a_wait_beyond_the_budget_is_denied_at_once_and_says_when_to_come_back() -> None:
    clock, asked = FakeClock(), Asked(Wait(61))
    with make_guard(asked, clock=clock) as guard, pytest.raises(Denied) as denied:
        guard.clear(ORDER)
    assert (denied.value.plugin, denied.value.retry_after) == ("asked", 61)
    assert clock.waits == []
    assert asked.ends == [(denied.value.request_id, False, f"asked: {denied.value.reason}")]


def test_the_budget_counts_what_was_waited_before() -> None:
    clock, asked = FakeClock(), Asked(Wait(40), Wait(20), Wait(0.001))
    with make_guard(asked, clock=clock) as guard, pytest.raises(Denied) as denied:
        guard.clear(ORDER)
    assert clock.waits == [40 * SECOND, 20 * SECOND]
    assert denied.value.retry_after == 0.001


def test_a_budget_of_nothing_clears_what_need_not_wait() -> None:
    with make_guard(Asked(None, Wait(0))) as guard:
        guard.clear(ORDER, timeout_s=0)
        with pytest.raises(Denied):
            guard.clear(ORDER, timeout_s=0)


def test_time_that_passes_while_it_is_judged_counts_towards_the_budget() -> None:
    clock = FakeClock()

    def slow(request: Request) -> Wait:
        clock.advance(1.5)
        return Wait(1)

    with make_guard(Asked(slow), clock=clock) as guard, pytest.raises(Denied, match="has 0"):
        guard.clear(ORDER, timeout_s=2)


def test_a_request_that_is_woken_again_and_again_ends_with_its_budget() -> None:
    clock = FakeClock()

    def spin(request: Request) -> Wait:
        clock.advance(0.4)
        asked.context.wake(request.id)
        return Wait(0.1)

    asked = Asked(*[spin] * 10)
    with make_guard(asked, clock=clock) as guard, pytest.raises(Denied):
        guard.clear(ORDER, timeout_s=1)
    assert len(asked.requests) == 3


@pytest.mark.parametrize("severity", [Severity.HIGH, Severity.CRITICAL])
def test_a_halt_reaches_those_who_wait_without_time_passing(severity) -> None:
    clock, asked = FakeClock(auto=False), Asked(*[Wait(30)] * 3)
    denied: list[Denied] = []

    def bot() -> None:
        with pytest.raises(Denied) as caught:
            guard.clear(ORDER)
        denied.append(caught.value)

    with make_guard(asked, clock=clock) as guard:
        waiting = [threading.Thread(target=bot) for _ in range(3)]
        for thread in waiting:
            thread.start()
        clock.await_waiters(3)
        guard.report("runaway loop", severity)
        for thread in waiting:
            thread.join()
    assert [error.plugin for error in denied] == ["killswitch"] * 3
    assert len(asked.requests) == len(asked.ends) == 3


def test_closing_ends_the_waits_and_nothing_leaves_afterwards() -> None:
    clock, asked = FakeClock(auto=False), Asked(Wait(30))
    closed: list[BaseException] = []

    def bot() -> None:
        with pytest.raises(ClosedError) as caught:
            guard.clear(ORDER)
        closed.append(caught.value)

    guard = make_guard(asked, clock=clock)
    waiting = threading.Thread(target=bot)
    waiting.start()
    clock.await_waiters(1)
    guard.close()
    waiting.join()
    assert len(closed) == 1
    assert [left for _, left, _ in asked.ends] == [False]


# The intent.


def test_the_intent_is_recorded_before_the_request_is_signed() -> None:
    seen: list[str] = []
    plugins = ("audit", Recorder(seen)), ("signing", Signer(seen))
    with make_guard(*plugins, grants={"audit": ["record"]}, required=["audit"]) as guard:
        guard.clear(ORDER)
    assert seen == ["request.intent", "sign", "request.left"]


def test_without_the_record_of_its_intent_a_request_is_denied_and_nothing_was_signed() -> None:
    def full() -> None:
        raise OSError("disk full")

    audit, signer, asked = Recorder(), Signer(), Asked()
    audit.on["request.intent"] = full
    plugins = asked, ("audit", audit), ("signing", signer)
    guard = make_guard(*plugins, grants={"audit": ["record"]}, required=["audit"])
    with guard, pytest.raises(Denied, match=r"request\.intent.*disk full") as denied:
        guard.clear(ORDER)
    assert denied.value.plugin == "audit"
    assert signer.seen == []
    assert [left for _, left, _ in asked.ends] == [False]
    assert audit.kinds == ["request.intent", "request.denied"]


def test_a_recorder_that_is_not_required_stops_no_permission() -> None:
    def full() -> None:
        raise OSError("disk full")

    audit = Recorder()
    audit.on["request.intent"] = full
    with make_guard(("audit", audit), grants={"audit": ["record"]}) as guard:
        guard.clear(ORDER)
    assert audit.kinds == ["request.intent", "request.left"]


@pytest.mark.parametrize("kind", ["request.left", "request.denied"])
def test_a_required_recorder_holds_up_permissions_only(kind) -> None:
    def full() -> None:
        raise OSError("disk full")

    audit, asked = Recorder(), Asked(Deny("no") if kind == "request.denied" else None)
    audit.on[kind] = full
    plugins = asked, ("audit", audit)
    with make_guard(*plugins, grants={"audit": ["record"]}, required=["audit"]) as guard:
        if kind == "request.denied":
            with pytest.raises(Denied, match="no"):
                guard.clear(ORDER)
        else:
            guard.clear(ORDER)
    assert len(asked.ends) == 1


def test_a_recorder_sees_the_judged_request_unsigned_and_without_credentials() -> None:
    audit = Recorder()
    request = Request(
        "POST", DEFAULT_URL, {"symbol": "BTCUSDT"},
        {"X-Key": "k3y", "Authorization": "Bearer t0ken", "X-Note": "n"},
    )  # fmt: skip
    with make_guard(("audit", audit), grants={"audit": ["record"]}) as guard:
        guard.clear(request)
    assert "k3y" not in str(audit.events)
    assert "t0ken" not in str(audit.events)
    assert "signature" not in str(audit.events)
    assert audit.events[0].fields["params"] == [["symbol", "BTCUSDT"]]


# The epoch: whatever raises it, at whatever moment before leaving.


class Bystander(Plugin):
    """Registered or unregistered while a request is under way."""

    @hookimpl
    def on_request(self, request: Request) -> None:
        """No objection."""


class World:
    """A guard with a recorder, and what may happen to it while a request is under way."""

    def __init__(self) -> None:
        self.asked, self.audit, self.signer = Asked(), Recorder(), Signer()
        self.bystander = Bystander()
        self.guard = make_guard(
            self.asked, ("audit", self.audit), ("signing", self.signer),
            grants={"audit": ["record"]}, required=["audit"],
        )  # fmt: skip
        self.guard.register(self.bystander)

    def happen(self, what: str) -> None:
        guard = self.guard
        happenings: dict[str, Callable[[], object]] = {
            "register": lambda: guard.register(Bystander(), name="late"),
            "unregister": lambda: guard.unregister(self.bystander),
            "reload": guard.reload,
            "recheck": self.asked.context.recheck,
            "high": lambda: guard.report("x", Severity.HIGH),
            "critical": lambda: guard.report("x", Severity.CRITICAL),
            "close": guard.close,
        }
        happenings[what]()


#: The steps of a pass without objection, each of which something may follow before it leaves.
PASS = (Begin, Ask, Tell, Sign)
MOMENTS = range(1, len(PASS) + 1)


def test_the_moments_are_all_there_are_before_leaving() -> None:
    world = World()
    with world.guard:
        steps, kinds = ByHand(world.guard), []
        while type(steps.step) is not Leave:
            kinds.append(type(steps.step))
            steps.go()
    assert tuple(kinds) == PASS


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("what", ["register", "unregister", "reload", "recheck"])
def test_after_a_change_at_any_moment_the_guards_are_asked_again(what, moment) -> None:
    world = World()
    with world.guard:
        steps = ByHand(world.guard)
        for _ in range(moment):
            steps.go()
        elsewhere(lambda: world.happen(what))
        cleared = steps.finish()
    assert len(world.asked.requests) == 2, "once in the pass that is stale, once after the change"
    assert world.asked.ends == [(cleared.id, True, "")]
    assert cleared.request.url.endswith(f"signature={len(world.signer.seen)}"), "a stale signature"


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("what", ["high", "critical", "close"])
def test_a_halt_at_any_moment_before_leaving_stops_the_request(what, moment) -> None:
    world = World()
    moments = itertools.count(1)

    def act(step: Step, when: str) -> None:
        if when == "after" and next(moments) == moment:
            elsewhere(lambda: world.happen(what))

    interpose(world.guard, act)
    with world.guard, pytest.raises(ClosedError if what == "close" else Denied):
        world.guard.clear(ORDER)
    assert [left for _, left, _ in world.asked.ends] == [False] * bool(world.asked.requests)


def test_a_halt_after_leaving_comes_too_late_for_this_request_and_stops_the_next() -> None:
    world = World()
    with world.guard:
        steps = ByHand(world.guard)
        steps.until(Leave)
        steps.go()
        elsewhere(lambda: world.happen("critical"))
        steps.finish()
        with pytest.raises(Denied):
            world.guard.clear(ORDER)
    assert [left for _, left, _ in world.asked.ends] == [True]


@pytest.mark.parametrize("severity", [Severity.LOW, Severity.MEDIUM])
def test_what_an_outsider_can_trigger_does_not_raise_the_epoch(severity) -> None:
    world = World()
    with world.guard:
        epoch = world.guard.kernel.epoch
        steps = ByHand(world.guard)
        steps.until(Leave)
        elsewhere(lambda: world.guard.report("failed logins", severity))
        steps.finish()
        assert world.guard.kernel.epoch == epoch
    assert len(world.asked.requests) == 1


PLACES = ["first guard", "last guard", "recorder", "signer"]


def from_inside(place: str, action: Callable[[Context], object]) -> tuple[Guard, Asked, Signer]:
    """A guard in which one hook does something once, with its own context."""
    first, last, audit, signer = Asked(), Asked(), Recorder(), Signer()

    def once_in_recorder() -> None:
        del audit.on["request.intent"]
        action(audit.context)

    if place == "recorder":
        audit.on["request.intent"] = once_in_recorder
    elif place == "signer":
        signer.first = lambda: action(signer.context)
    else:
        guard_ = first if place == "first guard" else last
        guard_.answers.append(lambda request: action(guard_.context) and None)
    guard = make_guard(
        ("first", first), ("last", last), ("audit", audit), ("signing", signer),
        grants={"audit": ["record"]}, required=["audit"],
    )  # fmt: skip
    return guard, last, signer


@pytest.mark.parametrize("place", PLACES)
def test_what_a_hook_reports_while_a_request_is_judged_stops_that_request(place) -> None:
    guard, last, _ = from_inside(place, lambda context: context.report("leak", Severity.HIGH))
    with guard, pytest.raises(Denied, match="halted: leak"):
        guard.clear(ORDER)
    assert [left for _, left, _ in last.ends] == [False]


@pytest.mark.parametrize("place", PLACES)
def test_a_hook_that_asks_for_a_recheck_has_the_guards_asked_again(place) -> None:
    guard, last, signer = from_inside(place, lambda context: context.recheck())
    with guard:
        cleared = guard.clear(ORDER)
    assert len(last.requests) == 2
    assert cleared.request.url.endswith(f"signature={len(signer.seen)}")
    assert [left for _, left, _ in last.ends] == [True]


class Refuses(Plugin):
    @hookimpl
    def on_request(self, request: Request) -> Deny:
        return Deny("closed for the day")


def test_a_change_just_while_a_pass_begins_is_noticed_at_leaving() -> None:
    class Clock(FakeClock):
        """The clock is read in the midst of beginning."""

        action: Callable[[], object] | None = None

        def monotonic_ns(self) -> int:
            action, self.action = self.action, None
            if action is not None:
                elsewhere(action)
            return super().monotonic_ns()

    clock = Clock()
    with make_guard(clock=clock) as guard:
        clock.action = lambda: guard.register(Refuses())
        with pytest.raises(Denied, match="closed for the day"):
            guard.clear(ORDER)
        assert clock.action is None


def test_every_pass_takes_the_newest_guards() -> None:
    world = World()
    with world.guard:
        steps = ByHand(world.guard)
        steps.until(Leave)
        elsewhere(lambda: world.guard.register(Refuses()))
        with pytest.raises(Denied, match="closed for the day"):
            steps.finish()


def test_leaving_takes_the_lock_under_which_the_epoch_is_raised() -> None:
    class Lock:
        taken = 0

        def __enter__(self) -> None:
            self.taken += 1

        def __exit__(self, *error: object) -> None:
            """Let go."""

    with make_guard() as guard:
        kernel = guard.kernel
        kernel.lock = lock = Lock()  # type: ignore[assignment]
        assert kernel.leave(kernel.epoch)
        assert lock.taken == 1
        kernel.recheck()
        assert lock.taken == 2
        assert not kernel.leave(kernel.epoch - 1)


def test_a_bot_whose_world_never_rests_is_denied_in_the_end(monkeypatch) -> None:
    monkeypatch.setattr("hauberk.protocol.MAX_PASSES", 20)
    asked = Asked(*[lambda request: asked.context.recheck()] * 1_000)
    with make_guard(asked) as guard, pytest.raises(Denied, match="20 passes"):
        guard.clear(ORDER)
    assert len(asked.requests) == 20
    assert len(asked.ends) == 1


# The end.


def test_only_those_who_were_asked_are_told_the_end() -> None:
    guards = [Asked(), Asked(Deny("no")), Asked()]
    named = [(f"guard{number}", guard) for number, guard in enumerate(guards)]
    with make_guard(*named) as guard, pytest.raises(Denied):
        guard.clear(ORDER)
    assert [len(guard.ends) for guard in guards] == [1, 1, 0]


def test_who_was_asked_in_any_pass_is_told_the_end() -> None:
    guards = [Asked(None, Deny("no")), Asked(Wait(1))]
    named = [(f"guard{number}", guard) for number, guard in enumerate(guards)]
    with make_guard(*named) as guard, pytest.raises(Denied):
        guard.clear(ORDER)
    assert [[left for _, left, _ in guard.ends] for guard in guards] == [[False], [False]]


def test_who_was_unregistered_meanwhile_is_told_the_end_and_asked_no_more() -> None:
    clock, asked = FakeClock(auto=False), Passer(Wait(30))
    with make_guard(clock=clock) as guard:
        guard.register(asked)
        waiting = threading.Thread(target=guard.clear, args=(ORDER,))
        waiting.start()
        clock.await_waiters(1)
        guard.unregister(asked)
        clock.advance(30)
        waiting.join()
    assert len(asked.requests) == 1
    assert [left for _, left, _ in asked.ends] == [True]


def test_who_was_registered_anew_meanwhile_is_told_the_end_once() -> None:
    clock, asked = FakeClock(auto=False), Passer(Wait(30))
    with make_guard(clock=clock) as guard:
        guard.register(asked)
        waiting = threading.Thread(target=guard.clear, args=(ORDER,))
        waiting.start()
        clock.await_waiters(1)
        guard.unregister(asked)
        guard.register(asked, name="again")
        clock.advance(30)
        waiting.join()
    assert len(asked.requests) == 2
    assert [left for _, left, _ in asked.ends] == [True]


def test_who_was_granted_more_by_a_reload_meanwhile_is_told_the_end_once() -> None:
    clock, asked = FakeClock(auto=False), Asked(Wait(30))
    plans = [make_plan(asked), make_plan(asked, grants={"asked": ["amend"]})]
    guard = Guard(plans[0], clock=clock, replan=lambda: plans[1])
    with guard:
        waiting = threading.Thread(target=guard.clear, args=(ORDER,))
        waiting.start()
        clock.await_waiters(1)
        guard.reload()
        clock.advance(30)
        waiting.join()
    assert len(asked.requests) == 2
    assert [left for _, left, _ in asked.ends] == [True]


def test_a_guard_that_a_reload_replaced_meanwhile_is_told_the_end_beside_its_successor() -> None:
    clock, made = FakeClock(auto=False), []

    def make(config: Any) -> Asked:
        made.append(Asked(*[Wait(30)] * (config == "old")))
        return made[-1]

    def plan(config: str) -> Plan:
        base = make_plan()
        planned = [*base.planned, Planned("replaced", make, config)]
        return Plan(base.settings, ("killswitch", "replaced", "bots", "signing"), planned)

    with Guard(plan("old"), clock=clock, replan=lambda: plan("other")) as guard:
        waiting = threading.Thread(target=guard.clear, args=(ORDER,))
        waiting.start()
        clock.await_waiters(1)
        guard.reload()
        clock.advance(30)
        waiting.join()
    assert [len(asked.requests) for asked in made] == [1, 1]
    assert [[left for _, left, _ in asked.ends] for asked in made] == [[True], [True]]


def test_a_guard_that_fails_to_hear_the_end_keeps_it_from_no_other() -> None:
    class Deaf(Asked):
        @hookimpl
        def on_end(self, request: Request, left: bool, why: str) -> None:
            raise SystemExit("deaf")

    deaf, other = Deaf(), Asked()
    with make_guard(deaf, other) as guard:
        guard.clear(ORDER)
        end = guard.snapshot.hooks("deaf")["on_end"]
    assert (end.calls, end.failures) == (1, 1)
    assert len(other.ends) == 1


def test_an_interrupt_while_the_end_is_told_keeps_it_from_nobody() -> None:
    class Interrupted(Asked):
        @hookimpl
        def on_end(self, request: Request, left: bool, why: str) -> None:
            raise KeyboardInterrupt

    other, audit = Asked(), Recorder()
    plugins = Interrupted(), ("other", other), ("audit", audit)
    guard = make_guard(*plugins, grants={"audit": ["record"]})
    with guard, pytest.raises(KeyboardInterrupt):
        guard.clear(ORDER)
    assert len(other.ends) == 1
    assert audit.kinds == ["request.intent", "request.left"]


class Failure(Exception):
    """Stands for whatever may go wrong inside a step."""


#: The steps of a request that waits once.
WAY = (Begin, Ask, Now, Pause, *PASS, Leave, End, Tell)


def test_the_way_is_what_a_request_that_waits_once_goes() -> None:
    world, kinds = World(), []
    world.asked.answers.append(Wait(1))
    interpose(world.guard, lambda step, when: kinds.append((type(step), when)))
    with world.guard:
        world.guard.clear(ORDER)
    assert kinds == [(kind, when) for kind in WAY for when in ("before", "after")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, Failure])
@pytest.mark.parametrize("moment", range(2 * len(WAY)))
def test_whatever_is_raised_at_whatever_moment_every_guard_is_told_once(moment, error) -> None:
    world, moments = World(), itertools.count()
    world.asked.answers.append(Wait(1))
    left: list[bool] = []
    skipped_end: list[bool] = []

    def act(step: Step, when: str) -> None:
        if type(step) is End and when == "after":
            left.append(step.left)
        if next(moments) == moment:
            skipped_end.append(type(step) is End and when == "before")
            raise error

    interpose(world.guard, act)
    with world.guard:
        with pytest.raises(error):
            world.guard.clear(ORDER)
        assert world.guard.kernel.waking._armed == {} or skipped_end == [True]
    if skipped_end == [True]:  # this test kept the driver from telling it
        return
    assert len(world.asked.ends) == bool(world.asked.requests)
    assert [told for _, told, _ in world.asked.ends] == left[: len(world.asked.ends)]


def test_why_a_request_did_not_leave_is_told_in_words() -> None:
    def fail(request: Request) -> None:
        raise ValueError("boom")

    asked = Asked(Deny("too dear"), fail)
    with make_guard(asked) as guard:
        for _ in range(2):
            with pytest.raises(Denied):
                guard.clear(ORDER)
    assert [why for _, _, why in asked.ends] == [
        "asked: too dear", "asked: on_request raised ValueError: boom",
    ]  # fmt: skip
