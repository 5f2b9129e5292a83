"""Incidents (DESIGN 2, rule 5): contained first and in memory, then told, each one bounded."""

import asyncio
import gc
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from hauberk import incidents
from hauberk.context import Context
from hauberk.errors import Denied, MisuseError
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.plan import Plan, Planned
from hauberk.records import Event, Incident, Login, Outcome, Severity
from hauberk.request import Request, Response
from hauberk.secret import Secret
from hauberk.settings import KernelLimits
from hauberk.testing import DEFAULT_URL, FakeClock, make_guard, make_plan
from hauberk.verdicts import Wait

ORDER = Request("POST", DEFAULT_URL)
PATIENCE_S = 30
SHORT = KernelLimits(responders_s=0.05)


class Responder(Plugin):
    """Does what it is told to, once for each incident; remembers them."""

    def __init__(self, *actions: Callable[[Incident], Any]) -> None:
        self.actions = list(actions)
        self.incidents: list[Incident] = []

    @hookimpl
    def on_incident(self, incident: Incident) -> Any:
        self.incidents.append(incident)
        return self.actions.pop(0)(incident) if self.actions else None


class Named(Responder):
    """The same with a context, as a plugin that a configuration loads."""

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context


class Switch(Named):
    """A kill switch that halts in memory on HIGH, after whatever it is told to do first."""

    def __init__(self, *actions: Callable[[Incident], Any]) -> None:
        super().__init__(*actions)
        self.halted = False

    @hookimpl
    def on_request(self, request: Request) -> Any:
        return None

    @hookimpl
    def on_incident(self, incident: Incident) -> Any:
        self.incidents.append(incident)
        if self.actions:
            self.actions.pop(0)(incident)
        self.halted = incident.severity >= Severity.HIGH
        return Outcome("halted" if self.halted else "looked on")


class Hanging(Responder):
    """Returns when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.let_go = threading.Semaphore(0), threading.Event()

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome:
        self.incidents.append(incident)
        self.entered.release()
        assert self.let_go.wait(PATIENCE_S)
        return Outcome("at last")


class Recorder(Plugin):
    def __init__(self, then: Callable[[Event], object] | None = None) -> None:
        self.events: list[Event] = []
        self.then = then

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.events.append(event)
        if self.then is not None:
            self.then(event)


def fail(_incident: Incident) -> None:
    raise OSError("no route to host")


def leave(_incident: Incident) -> None:
    raise SystemExit(3)


def by_plugin(incident: Incident) -> dict[str, Outcome]:
    return {outcome.plugin: outcome for outcome in incident.outcomes}


# Contained first.


def test_the_kill_switch_acts_before_anything_is_stored_or_told() -> None:
    seen: list[str] = []
    switch = Switch(lambda _: seen.append("halted"))
    audit = Recorder(lambda event: seen.append(event.kind))
    notify = Responder(lambda _: seen.append("told"))
    plugins = ("killswitch", switch), ("notify", notify), ("audit", audit)
    with make_guard(*plugins, grants={"audit": ["record"]}, required=["audit"]) as guard:
        guard.report("leak", Severity.CRITICAL)
    assert seen == ["halted", "incident.reported", "told", "incident.handled"]


def test_required_responders_act_on_the_reporting_thread_in_order() -> None:
    seen: list[tuple[str, int]] = []
    names = "killswitch", "first", "second"
    plugins = [
        (name, Switch(lambda _, name=name: seen.append((name, threading.get_ident()))))
        for name in names
    ]
    with make_guard(*plugins, required=["first", "second"]) as guard:
        incident = guard.report("leak", Severity.HIGH)
    assert seen == [(name, threading.get_ident()) for name in names]
    assert [outcome.plugin for outcome in incident.outcomes] == list(names)


def test_an_audit_that_cannot_be_written_does_not_hold_up_the_halt() -> None:
    def full(event: Event) -> None:
        raise OSError("disk full")

    switch, notify = Switch(), Responder()
    plugins = ("killswitch", switch), ("notify", notify), ("audit", Recorder(full))
    with make_guard(*plugins, grants={"audit": ["record"]}, required=["audit"]) as guard:
        guard.report("leak", Severity.HIGH)
    assert switch.halted
    assert len(notify.incidents) == 1


def test_the_epoch_is_raised_only_when_the_responders_have_acted() -> None:
    # Raised before, a request could be judged anew, by the old state, and leave.
    epochs: list[int] = []
    switch = Switch(lambda _: epochs.append(guard.kernel.epoch))
    with make_guard(("killswitch", switch)) as guard:
        before = guard.kernel.epoch
        guard.report("leak", Severity.HIGH)
        assert epochs == [before]
        assert guard.kernel.epoch > before


def test_an_interrupt_in_a_responder_is_raised_when_everybody_was_told() -> None:
    def interrupt(_: Incident) -> None:
        raise KeyboardInterrupt

    switch, second, notify = Switch(interrupt), Switch(), Responder()
    plugins = ("killswitch", switch), ("second", second), ("notify", notify)
    with make_guard(*plugins, required=["second"]) as guard:
        with pytest.raises(KeyboardInterrupt):
            guard.report("panic", Severity.CRITICAL)
        assert second.halted
        assert len(notify.incidents) == 1
        assert [outcome.ok for outcome in guard.incidents[0].outcomes] == [False, True, True]


# One by one.


@pytest.mark.parametrize("break_", [fail, leave])
@pytest.mark.parametrize("required", [[], ["broken"]])
def test_a_responder_that_breaks_stops_no_other_and_the_incident_says_so(break_, required) -> None:
    broken, later, notify = Responder(break_), Switch(), Responder()
    plugins = ("broken", broken), ("later", later), ("notify", notify)
    with make_guard(*plugins, required=[*required, "later"]) as guard:
        incident = guard.report("leak", Severity.HIGH, {"where": "bot.py"})
        assert guard.snapshot.hooks("broken")["on_incident"].failures == 1
    assert later.halted
    assert len(notify.incidents) == 1
    outcomes = by_plugin(incident)
    assert not outcomes["broken"].ok
    assert outcomes["broken"].did.startswith("raised ")
    assert outcomes["later"].did == "halted"


@pytest.mark.parametrize("answer", [True, "done", object(), [Outcome("x")]])
def test_an_answer_that_is_no_outcome_is_a_failure(answer) -> None:
    with make_guard(("odd", Responder(lambda _: answer))) as guard:
        outcome = by_plugin(guard.report("x", Severity.LOW))["odd"]
    assert not outcome.ok
    assert type(answer).__name__ in outcome.did


def test_a_responder_may_not_change_what_the_next_is_told() -> None:
    def hush(incident: Incident) -> None:
        object.__setattr__(incident, "severity", Severity.LOW)
        object.__setattr__(incident, "title", "nothing")

    later = Switch()
    with make_guard(("hush", Responder(hush)), ("later", later), required=["hush", "later"]) as g:
        incident = g.report("leak", Severity.CRITICAL)
    assert later.halted
    assert later.incidents[0].title == incident.title == "leak"
    assert by_plugin(incident)["hush"].did == "changed what it was given"


def test_a_change_that_claims_to_be_none_is_undone_too() -> None:
    class Same(str):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = str.__hash__

    later = Switch()
    hush = Responder(lambda incident: object.__setattr__(incident, "title", Same("nothing")))
    with make_guard(("hush", hush), ("later", later), required=["hush", "later"]) as guard:
        guard.report("leak", Severity.HIGH)
    assert type(later.incidents[0].title) is str


def test_a_responder_that_takes_a_field_away_stops_no_other() -> None:
    later = Switch()
    plugins = (
        ("hush", Responder(lambda incident: object.__delattr__(incident, "severity"))),
        ("later", later),
    )
    with make_guard(*plugins, required=["hush", "later"]) as guard:
        incident = guard.report("leak", Severity.CRITICAL)
    assert later.halted
    assert not by_plugin(incident)["hush"].ok


def test_what_each_did_and_how_long_it_took_is_stamped_by_the_kernel() -> None:
    claim = Outcome("told everybody", plugin="killswitch", took_ns=-5)
    audit = Recorder()
    plugins = ("notify", Responder(lambda _: claim)), ("audit", audit)
    with make_guard(*plugins, grants={"audit": ["record"]}) as guard:
        outcome = by_plugin(guard.report("leak", Severity.LOW))["notify"]
    assert outcome.did == "told everybody"
    assert outcome.took_ns > 0
    handled = audit.events[-1].fields["outcomes"]
    assert [(told["plugin"], told["did"]) for told in handled] == [
        ("killswitch", "nothing said"), ("notify", "told everybody"),
    ]  # fmt: skip


def test_without_a_thread_to_be_had_the_others_are_still_told(monkeypatch) -> None:
    start, asked = threading.Thread.start, Responder()

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "hauberk-starved":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with make_guard(("starved", Responder()), ("asked", asked)) as guard:
        outcomes = by_plugin(guard.report("leak", Severity.LOW))
        assert not outcomes["starved"].ok
        assert len(asked.incidents) == 1
        guard.report("again", Severity.LOW)
        assert "can't start" in by_plugin(guard.incidents[-1])["starved"].did


# The shared deadline.


def test_who_is_not_back_by_the_deadline_is_abandoned_and_not_called_until_it_returns() -> None:
    hanging, quick = Hanging(), Responder()
    with make_guard(("hanging", hanging), ("quick", quick), limits=SHORT) as guard:
        first = by_plugin(guard.report("first", Severity.LOW))
        assert first["hanging"].did == "not back by the deadline: abandoned"
        assert first["quick"].ok
        second = by_plugin(guard.report("second", Severity.LOW))
        assert second["hanging"].did == "not called: it has not returned yet"
        assert [i.title for i in hanging.incidents] == ["first"]
        assert [i.title for i in quick.incidents] == ["first", "second"]
        hanging.let_go.set()
        returned(guard, "hanging")
        third = by_plugin(guard.report("third", Severity.LOW))
        assert third["hanging"].did == "at last"


def returned(guard: Guard, name: str) -> None:
    """Wait until a responder's thread has ended."""
    for thread in threading.enumerate():
        if thread.name == f"hauberk-{name}":
            thread.join(PATIENCE_S)


def test_a_hanging_responder_does_not_keep_the_process_from_ending() -> None:
    hanging = Hanging()
    with make_guard(("hanging", hanging), limits=SHORT) as guard:
        guard.report("x", Severity.LOW)
        threads = [t for t in threading.enumerate() if t.name == "hauberk-hanging"]
        assert [thread.daemon for thread in threads] == [True]
        hanging.let_go.set()
        returned(guard, "hanging")


def test_the_deadline_is_shared_so_that_many_who_hang_take_no_longer_than_one(monkeypatch) -> None:
    waits: list[tuple[int, float]] = []

    def noted(futures: list[Any], timeout: float) -> Any:
        waits.append((len(futures), timeout))
        return wait(futures, timeout)

    wait = incidents.wait
    monkeypatch.setattr(incidents, "wait", noted)
    everybody = [Hanging() for _ in range(5)]
    plugins = [(f"hanging{number}", one) for number, one in enumerate(everybody)]
    with make_guard(*plugins, limits=SHORT) as guard:
        incident = guard.report("x", Severity.LOW)
        for number, one in enumerate(everybody):
            assert one.entered.acquire(timeout=PATIENCE_S), "each was called, at once"
            one.let_go.set()
            returned(guard, f"hanging{number}")
    assert [outcome.ok for outcome in incident.outcomes] == [True] + [False] * 5
    assert waits == [(5, 0.05)], "one wait for all"


# A required responder that fails.


@pytest.mark.parametrize("severity", [Severity.HIGH, Severity.CRITICAL])
def test_a_required_responder_that_fails_has_everything_denied_until_it_succeeds(severity) -> None:
    clock = FakeClock()
    switch = Switch(fail, fail)
    with make_guard(("killswitch", switch), clock=clock) as guard:
        incident = guard.report("leak", severity)
        for _ in range(3):
            with pytest.raises(Denied, match=incident.id) as denied:
                guard.clear(ORDER)
            assert denied.value.plugin == "killswitch"
        assert len(switch.incidents) == 1, "tried no more than once in retry_s"
        clock.advance(1)
        for _ in range(3):
            with pytest.raises(Denied):
                guard.clear(ORDER)
        assert len(switch.incidents) == 2
        clock.advance(1)
        guard.clear(ORDER)
    assert [told.id for told in switch.incidents] == [incident.id] * 3
    assert switch.halted


def test_a_required_responder_that_fails_on_what_an_outsider_can_trigger_denies_nothing() -> None:
    switch = Switch(fail, fail)
    with make_guard(("killswitch", switch)) as guard:
        guard.report("failed logins", Severity.MEDIUM)
        guard.report("failed logins", Severity.LOW)
        guard.clear(ORDER)
    assert len(switch.incidents) == 2


def test_the_worst_incident_is_what_is_tried_again() -> None:
    clock, switch = FakeClock(), Switch(fail, fail)
    with make_guard(("killswitch", switch), clock=clock) as guard:
        guard.report("worst", Severity.CRITICAL)
        guard.report("bad", Severity.HIGH)
        clock.advance(1)
        guard.clear(ORDER)
    assert [incident.title for incident in switch.incidents] == ["worst", "bad", "worst"]


def test_a_success_on_another_incident_does_not_settle_the_one_that_failed() -> None:
    clock, switch = FakeClock(), Switch(fail)
    with make_guard(("killswitch", switch), clock=clock) as guard:
        guard.report("worst", Severity.CRITICAL)
        guard.report("bad", Severity.HIGH)
        with pytest.raises(Denied):
            guard.clear(ORDER)
        clock.advance(1)
        guard.clear(ORDER)
    assert switch.incidents[-1].title == "worst"


def test_what_waits_while_a_required_responder_fails_is_denied() -> None:
    class Pacer(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> Wait:
            return Wait(30)

    clock, caught = FakeClock(auto=False), []
    with make_guard(("killswitch", Switch(fail)), Pacer(), clock=clock) as guard:

        def bot() -> None:
            with pytest.raises(Denied, match="failed to act") as denied:
                guard.clear(ORDER)
            caught.append(denied.value.plugin)

        waiting = threading.Thread(target=bot)
        waiting.start()
        clock.await_waiters(1)
        guard.report("leak", Severity.HIGH)
        waiting.join()
    assert caught == ["killswitch"]


def test_an_interrupt_while_it_is_tried_again_is_not_swallowed() -> None:
    def interrupt(_: Incident) -> None:
        raise KeyboardInterrupt

    clock, switch = FakeClock(), Switch(fail, interrupt)
    with make_guard(("killswitch", switch), clock=clock) as guard:
        guard.report("leak", Severity.HIGH)
        clock.advance(1)
        with pytest.raises(KeyboardInterrupt):
            guard.clear(ORDER)
        clock.advance(1)
        guard.clear(ORDER)


def test_one_that_always_fails_keeps_no_other_from_being_tried_again() -> None:
    clock = FakeClock()
    always, once = Switch(*[fail] * 9), Switch(fail)
    plugins = ("killswitch", Switch()), ("always", always), ("once", once)
    with make_guard(*plugins, required=["always", "once"], clock=clock) as guard:
        guard.report("leak", Severity.HIGH)
        for asked in (2, 3, 4):
            clock.advance(1)
            for _ in range(3):
                with pytest.raises(Denied) as denied:
                    guard.clear(ORDER)
                assert denied.value.plugin == "always"
            assert len(always.incidents) == asked, "no more than once in retry_s"
        assert once.halted
        assert len(once.incidents) == 2, "settled, and asked no more"


def test_each_is_tried_again_by_a_pause_of_its_own() -> None:
    clock, early, late = FakeClock(), Switch(*[fail] * 9), Switch(lambda _: None, *[fail] * 9)
    plugins = ("killswitch", Switch()), ("early", early), ("late", late)
    counts = []
    with make_guard(*plugins, required=["early", "late"], clock=clock) as guard:
        guard.report("leak", Severity.HIGH)
        clock.advance(0.75)
        early.actions.insert(0, lambda _: None)
        guard.report("again", Severity.HIGH)
        for _ in range(3):
            clock.advance(0.5)
            with pytest.raises(Denied):
                guard.clear(ORDER)
            counts.append((len(early.incidents), len(late.incidents)))
    assert counts == [(3, 2), (3, 3), (4, 3)]


def test_the_first_attempt_to_mend_it_waits_as_long_as_every_later_one() -> None:
    clock, switch = FakeClock(), Switch(fail)
    clock.advance(100)  # whatever the clock shows when it fails
    with make_guard(("killswitch", switch), clock=clock) as guard:
        guard.report("leak", Severity.HIGH)
        clock.advance(0.999)
        with pytest.raises(Denied):
            guard.clear(ORDER)
        assert len(switch.incidents) == 1
        clock.advance(0.001)
        guard.clear(ORDER)


def test_an_interrupt_of_one_that_is_tried_again_keeps_no_other_from_it() -> None:
    def interrupt(_: Incident) -> None:
        raise KeyboardInterrupt

    clock, second = FakeClock(), Switch(fail)
    plugins = ("killswitch", Switch(fail, interrupt)), ("second", second)
    with make_guard(*plugins, required=["second"], clock=clock) as guard:
        guard.report("leak", Severity.HIGH)
        clock.advance(1)
        with pytest.raises(KeyboardInterrupt):
            guard.clear(ORDER)
        assert second.halted


def test_a_worse_incident_that_a_signal_brings_meanwhile_is_still_owed() -> None:
    # The handler runs on the thread that tries again, which holds the lock already.
    def worse(_: Incident) -> None:
        responses._owe(impl, evolve(first, id="inc-worse", severity=Severity.CRITICAL), 0)

    clock, switch = FakeClock(), Switch(fail, worse)
    with make_guard(("killswitch", switch), clock=clock) as guard:
        impl, responses = guard.snapshot.hooks("killswitch")["on_incident"], guard.kernel.responses
        first = guard.report("leak", Severity.HIGH)
        for _ in range(2):
            clock.advance(1)
            guard.clear(ORDER)
    assert [told.id for told in switch.incidents] == [first.id, first.id, "inc-worse"]


def test_what_it_owes_falls_to_its_successor_in_a_reload() -> None:
    made: list[Switch] = []

    def make(config: Any) -> Switch:
        made.append(Switch(*[fail] * (config == "broken")))
        return made[-1]

    def plan(config: str) -> Plan:
        base = make_plan()
        rest = [planned for planned in base.planned if planned.name != "killswitch"]
        return Plan(
            base.settings, base.order, [*rest, Planned("killswitch", make, config, required=True)]
        )

    clock = FakeClock()
    with Guard(plan("broken"), clock=clock, replan=lambda: plan("mended")) as guard:
        guard.report("leak", Severity.HIGH)
        guard.reload()
        with pytest.raises(Denied):
            guard.clear(ORDER)
        clock.advance(1)
        guard.clear(ORDER)
    assert [len(switch.incidents) for switch in made] == [1, 1]
    assert made[1].halted


# Async responders.


class Async(Plugin):
    def __init__(self, *actions: Callable[[], Any]) -> None:
        self.actions = list(actions)
        self.threads: list[int] = []
        self.done = threading.Event()

    @hookimpl
    async def on_incident(self, incident: Incident) -> Outcome:
        self.threads.append(threading.get_ident())
        await asyncio.sleep(0)
        if self.actions:
            answer = self.actions.pop(0)()
            if asyncio.iscoroutine(answer):
                await answer
        self.done.set()
        return Outcome("cancelled the orders")


def test_an_async_responder_runs_on_the_loop_where_it_was_registered() -> None:
    responder = Async()

    async def bot(guard: Guard) -> Incident:
        guard.register(responder)
        return await asyncio.to_thread(guard.report, "leak", Severity.LOW)

    with make_guard() as guard:
        incident = asyncio.run(bot(guard))
    assert responder.threads == [threading.get_ident()]
    assert by_plugin(incident)["async"].did == "cancelled the orders"
    assert by_plugin(incident)["async"].took_ns > 0


def test_areport_waits_for_the_responders_of_its_own_loop() -> None:
    responder = Async()

    async def bot(guard: Guard) -> Incident:
        guard.register(responder)
        return await guard.areport("leak", Severity.LOW)

    with make_guard() as guard:
        incident = asyncio.run(bot(guard))
    assert by_plugin(incident)["async"].did == "cancelled the orders"


def test_areport_contains_at_once_on_the_loop() -> None:
    switch = Switch()

    async def bot(guard: Guard) -> None:
        reporting = asyncio.ensure_future(guard.areport("leak", Severity.HIGH))
        await asyncio.sleep(0)
        assert switch.halted
        await reporting

    with make_guard(("killswitch", switch)) as guard:
        asyncio.run(bot(guard))


def test_report_on_the_responders_own_loop_does_not_wait_for_itself() -> None:
    responder, quick = Async(), Responder()

    async def bot(guard: Guard) -> Incident:
        guard.register(responder)
        guard.register(quick)
        incident = guard.report("leak", Severity.LOW)
        assert not responder.done.is_set(), "the loop was busy in report"
        await asyncio.to_thread(responder.done.wait, PATIENCE_S)
        return incident

    with make_guard(limits=KernelLimits(responders_s=PATIENCE_S)) as guard:
        incident = asyncio.run(bot(guard))
    assert by_plugin(incident)["async"].did == "under way on its event loop"
    assert by_plugin(incident)["responder"].did == "nothing said"


def test_a_responder_whose_loop_is_closed_fails_and_stops_no_other() -> None:
    responder, quick = Async(), Responder()

    async def register(guard: Guard) -> None:
        guard.register(responder)
        guard.register(quick)

    with make_guard() as guard:
        asyncio.run(register(guard))
        outcomes = by_plugin(guard.report("leak", Severity.LOW))
        gc.collect()  # a coroutine left behind would warn, and warnings are errors
    assert outcomes["async"].did == "its event loop is closed"
    assert not outcomes["async"].ok
    assert outcomes["responder"].ok


def test_an_async_responder_that_breaks_or_is_cancelled_stops_no_other() -> None:
    def boom() -> None:
        raise ValueError("boom")

    def cancel() -> None:
        raise asyncio.CancelledError

    responder, quick = Async(boom, cancel), Responder()

    async def bot(guard: Guard) -> list[str]:
        guard.register(responder)
        guard.register(quick)
        reports = [await guard.areport(f"leak {n}", Severity.LOW) for n in range(3)]
        return [by_plugin(report)["async"].did for report in reports]

    with make_guard() as guard:
        did = asyncio.run(bot(guard))
    assert did == ["raised ValueError: boom", "raised CancelledError", "cancelled the orders"]
    assert len(quick.incidents) == 3


def test_an_async_responder_that_hangs_is_abandoned_and_not_called_again_until_it_returns() -> None:
    async def bot(guard: Guard) -> list[str]:
        release = asyncio.Event()
        responder = Async(release.wait)
        guard.register(responder)
        reports = [await guard.areport(f"leak {n}", Severity.LOW) for n in range(2)]
        release.set()
        await asyncio.to_thread(responder.done.wait, PATIENCE_S)
        await asyncio.sleep(0)
        reports.append(await guard.areport("leak 3", Severity.LOW))
        return [by_plugin(report)["async"].did for report in reports]

    with make_guard(limits=SHORT) as guard:
        did = asyncio.run(bot(guard))
    assert did == [
        "not back by the deadline: abandoned",
        "not called: it has not returned yet",
        "cancelled the orders",
    ]


def test_an_async_observer_runs_on_its_loop_and_is_contained() -> None:
    class Observer(Plugin):
        seen: list[tuple[int, int]] = []

        @hookimpl
        async def on_response(self, request: Request, response: Response) -> None:
            self.seen.append((threading.get_ident(), response.status))
            raise ValueError("contained")

    async def bot(guard: Guard) -> None:
        guard.register(Observer())
        cleared = await guard.aclear(ORDER)
        await asyncio.to_thread(guard.settle, cleared, Response(200))
        while not Observer.seen:
            await asyncio.sleep(0)

    with make_guard() as guard:
        asyncio.run(bot(guard))
    assert Observer.seen == [(threading.get_ident(), 200)]


# What an incident says.


class Unreadable:
    def __repr__(self) -> str:
        raise ValueError("no")


@pytest.mark.parametrize(
    "details",
    [
        {"name": "n", "message": "m", "args": "a", "exc_info": True},  # keys that logging refuses
        {"severity": "LOW", "incident": "inc-1", "outcomes": []},
        {1: "one", None: "nothing", ("a", 1): "pair"},
        {"\ud800": "\udfff"},
        {"deep": [[[{}]]], "set": {1}, "bytes": b"\xff", "nan": float("nan")},
        {"object": Unreadable()},
    ],
)
def test_no_details_can_lose_an_incident(details) -> None:
    switch, audit = Switch(), Recorder()
    with make_guard(
        ("killswitch", switch), ("audit", audit), grants={"audit": ["record"]}
    ) as guard:
        incident = guard.report("leak", Severity.HIGH, details)
    assert switch.halted
    assert audit.events[0].fields["incident"] == incident.id
    assert json.loads(json.dumps(incident.details)) == incident.details


def test_secrets_in_details_are_masked_wherever_they_stand() -> None:
    audit = Recorder()
    details = {"key": Secret("s3cret"), "list": [Secret("s3cret")], "map": {"x": Secret("s3cret")}}
    with make_guard(("audit", audit), grants={"audit": ["record"]}) as guard:
        incident = guard.report("leak", Severity.LOW, details)
    assert "s3cret" not in str(incident)
    assert "s3cret" not in str(audit.events)
    assert incident.details["key"] == "[secret]"


def test_a_title_cannot_be_left_out_nor_a_severity_made_up() -> None:
    with make_guard() as guard:
        for title, severity in (("", Severity.LOW), (None, Severity.LOW), ("x", 4), ("x", "HIGH")):
            with pytest.raises(MisuseError):
                guard.report(title, severity)  # type: ignore[arg-type]
        assert guard.incidents == ()


def test_incidents_are_kept_in_order_and_the_oldest_forgotten(monkeypatch) -> None:
    monkeypatch.setattr("hauberk.incidents.KEPT", 3)
    with make_guard() as guard:
        for number in range(5):
            guard.report(f"number {number}", Severity.LOW)
        assert [incident.title for incident in guard.incidents] == [
            "number 2", "number 3", "number 4",
        ]  # fmt: skip


def test_resolving_says_what_was_done_and_lifts_no_halt() -> None:
    audit = Recorder()
    with make_guard(("audit", audit), grants={"audit": ["record"]}) as guard:
        incident = guard.report("leak", Severity.HIGH)
        resolved = guard.resolve(incident.id, "key rotated")
        assert resolved.resolution == "key rotated"
        assert guard.incidents == (resolved,)
        with pytest.raises(Denied):
            guard.clear(ORDER)
        for misuse in (("inc-none", "x"), (incident.id, ""), (incident.id, None)):
            with pytest.raises(MisuseError):
                guard.resolve(*misuse)  # type: ignore[arg-type]
    assert "incident.resolved" in [event.kind for event in audit.events]


def test_an_incident_resolved_by_a_responder_stays_resolved() -> None:
    responder = Responder(lambda incident: guard.resolve(incident.id, "false alarm") and None)
    with make_guard(responder) as guard:
        guard.report("leak", Severity.LOW)
        assert guard.incidents[0].resolution == "false alarm"


# Who reported it, and from where.


def test_who_reported_is_stamped_by_the_kernel() -> None:
    class Claims(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            guard.report("by me", Severity.LOW, {"source": "killswitch"})

    named = Named()
    with make_guard(Claims(), ("named", named)) as guard:
        guard.clear(ORDER)
        guard.report("by the program", Severity.LOW)
        named.context.report("by its own thread", Severity.LOW)
    assert [incident.source for incident in guard.incidents] == ["claims", "bot", "named"]


def test_a_port_that_reports_inside_anothers_hook_is_named_itself() -> None:
    class Caller(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            named.context.report("key revoked", Severity.LOW)

    named = Named()
    with make_guard(Caller(), ("named", named)) as guard:
        guard.clear(ORDER)
    assert [incident.source for incident in guard.incidents] == ["named"]


def test_who_emitted_is_stamped_by_the_kernel_on_source_and_kind() -> None:
    audit, named = Recorder(), Named()
    plugins = ("audit", audit), ("named", named)
    with make_guard(*plugins, grants={"audit": ["record"]}):
        named.context.emit("request.intent", {"source": "kernel", "permission": True})
    event = audit.events[0]
    assert (event.source, event.kind, event.permission) == ("named", "named.request.intent", False)


def test_a_report_inside_a_guard_is_sent_when_the_dispatch_has_ended() -> None:
    seen: list[str] = []

    class First(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            incident = guard.report("odd", Severity.LOW)
            seen.append(f"first, {len(incident.outcomes)} outcomes")

    class Second(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            seen.append("second")

    with make_guard(First(), Second(), Responder(lambda _: seen.append("told"))) as guard:
        guard.clear(ORDER)
    assert seen == ["first, 0 outcomes", "second", "told"]


@pytest.mark.parametrize("hook", ["on_login", "on_start", "on_stop", "on_end", "on_event"])
def test_what_any_hook_emits_or_reports_is_sent_and_not_lost(hook) -> None:
    class Talks(Plugin):
        context: Context

        def talk(self, where: str) -> None:
            if where == hook and self.context is not None:
                context, self.context = self.context, None  # type: ignore[assignment]
                context.emit("said")
                if where != "on_stop":  # closed: there is nobody to respond
                    context.report("reported", Severity.LOW)

        @hookimpl
        def on_start(self, context: Context) -> None:
            self.context = context
            self.talk("on_start")

        @hookimpl
        def on_stop(self) -> None:
            self.talk("on_stop")

        @hookimpl
        def on_request(self, request: Request) -> None:
            """No objection."""

        @hookimpl
        def on_end(self, request: Request, left: bool, why: str) -> None:
            self.talk("on_end")

        @hookimpl
        def on_login(self, login: Login) -> None:
            self.talk("on_login")

        @hookimpl
        def on_event(self, event: Event) -> None:
            self.talk("on_event")

    audit, responder = Recorder(), Responder()
    plugins = ("audit", audit), ("talks", Talks()), ("responder", responder)
    with make_guard(*plugins, grants={"audit": ["record"], "talks": ["record"]}) as guard:
        guard.clear(ORDER)
        with pytest.raises(Denied):
            guard.login(Login("eve"))
    assert [event.kind for event in audit.events].count("talks.said") == 1
    assert [incident.title for incident in responder.incidents] == ["reported"] * (
        hook != "on_stop"
    )


def test_what_one_report_fails_to_send_keeps_back_no_other(caplog) -> None:
    class Twice(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            guard.report("first", Severity.LOW)
            guard.report("second", Severity.LOW)

    broken: list[Incident] = []
    responder = Responder()
    with make_guard(Twice(), responder) as guard:
        kernel = guard.kernel
        original = kernel.contain

        def break_once(incident: Incident) -> Incident:
            if not broken:
                broken.append(incident)
                raise RuntimeError("broken")
            return original(incident)

        kernel.contain = break_once
        with caplog.at_level(logging.ERROR, logger="hauberk"):
            guard.clear(ORDER)
    assert [incident.title for incident in responder.incidents] == ["second"]
    assert "could not be sent" in caplog.text


def test_an_interrupt_while_one_report_is_sent_keeps_back_no_other() -> None:
    def interrupt(_: Incident) -> None:
        raise KeyboardInterrupt

    class Twice(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            guard.report("first", Severity.LOW)
            guard.report("second", Severity.LOW)

    responder = Responder(interrupt)
    with make_guard(Twice(), responder) as guard, pytest.raises(KeyboardInterrupt):
        guard.clear(ORDER)
    assert [incident.title for incident in responder.incidents] == ["first", "second"]


def test_an_interrupt_while_a_login_is_reported_keeps_back_no_other_report() -> None:
    def interrupt(_: Incident) -> None:
        raise KeyboardInterrupt

    class Twice(Plugin):
        @hookimpl
        def on_login(self, login: Login) -> None:
            guard.report("first", Severity.LOW)
            guard.report("second", Severity.LOW)

    responder = Responder(interrupt)
    with make_guard(Twice(), responder) as guard, pytest.raises(KeyboardInterrupt):
        guard.login(Login("eve"))
    assert [incident.title for incident in responder.incidents] == ["first", "second"]


def test_a_task_that_a_guard_started_reports_at_once_when_the_guard_has_returned() -> None:
    # It inherits the guard's context; queued in its dispatch, a report would never be sent.
    class Starts(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            self.task = asyncio.get_running_loop().create_task(self.later())

        async def later(self) -> None:
            await asyncio.sleep(0)
            guard.report("later", Severity.LOW)
            await guard.aclear(ORDER) if len(responder.incidents) < 2 else None

    starts, responder = Starts(), Responder()

    async def bot() -> None:
        await guard.aclear(ORDER)
        await starts.task

    with make_guard(starts, responder) as guard:
        asyncio.run(bot())
    assert responder.incidents[0].title == "later"
    assert responder.incidents[0].source == "bot"


def test_a_report_inside_a_responder_is_allowed() -> None:
    titles: list[str] = []

    def escalate(incident: Incident) -> Outcome:
        titles.append(guard.report("worse", Severity.HIGH).title)
        return Outcome("escalated")

    switch = Switch()
    with make_guard(("killswitch", switch), ("escalates", Responder(escalate))) as guard:
        incident = guard.report("bad", Severity.LOW)
    assert titles == ["worse"]
    assert switch.halted
    assert by_plugin(incident)["escalates"].did == "escalated"


def test_responders_that_report_upon_reports_come_to_an_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    depths: list[int] = []

    class Echo(Named):
        @hookimpl
        def on_incident(self, incident: Incident) -> None:
            depths.append(len(depths))
            self.context.report("echo", Severity.LOW)

    with make_guard(("echo", Echo()), required=["echo"]) as guard:
        incident = guard.report("shout", Severity.LOW)
    assert len(depths) == 4
    assert by_plugin(incident)["echo"].ok
    assert guard.incidents[-1].count == 3, "the same again is the same incident"
    assert "4 dispatches deep" in caplog.text, "its report was refused, and it says so"


def test_recorders_that_emit_upon_events_come_to_an_end(caplog) -> None:
    class Echo(Plugin):
        events = 0

        @hookimpl
        def on_start(self, context: Context) -> None:
            self.context = context

        @hookimpl
        def on_event(self, event: Event) -> None:
            self.events += 1
            self.context.emit("heard")

    echo, other = Echo(), Recorder()
    plugins = ("echo", echo), ("other", other)
    with make_guard(*plugins, grants={"echo": ["record"], "other": ["record"]}):
        echo.context.emit("said")
    assert echo.events == 4
    assert len(other.events) == 4
    assert "is dropped" in caplog.text


def test_clearing_inside_a_responder_is_allowed_to_flatten_positions() -> None:
    def flatten(incident: Incident) -> Outcome:
        guard.clear(ORDER)
        return Outcome("flattened")

    with make_guard(("flattens", Responder(flatten))) as guard:
        incident = guard.report("bad", Severity.LOW)
    assert by_plugin(incident)["flattens"].did == "flattened"


def test_the_incident_carries_its_time_from_the_injected_clock() -> None:
    clock = FakeClock(wall_ns=1_000)
    with make_guard(clock=clock) as guard:
        assert guard.report("x", Severity.LOW).at_ns == 1_000
