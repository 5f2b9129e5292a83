"""`async def` observers and responders (DESIGN 2, rule 10): on their loop, held to the rules."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hauberk import dispatch
from hauberk.context import Context
from hauberk.errors import PluginRefused, StartFailed
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.plan import Plan, Planned
from hauberk.records import Incident, Outcome, Severity
from hauberk.request import Request, Response
from hauberk.testing import DEFAULT_URL, FakeClock, check_plugin, make_guard, make_plan

ORDER = Request("POST", DEFAULT_URL)


class Notifier(Plugin):
    """Observes and responds on its loop, and remembers on which."""

    interface = (1, 1)

    def __init__(self, config: object = None) -> None:
        self.config = config
        self.loops: list[asyncio.AbstractEventLoop] = []

    @hookimpl
    async def on_response(self, request: Request, response: Response) -> None:
        await asyncio.sleep(0)
        self.loops.append(asyncio.get_running_loop())

    @hookimpl
    async def on_incident(self, incident: Incident) -> Outcome:
        await asyncio.sleep(0)
        self.loops.append(asyncio.get_running_loop())
        return Outcome("told")


class Plans:
    """A plan whose one plugin `notifier` is configured as the test says next."""

    def __init__(self, config: object = 1) -> None:
        self.config, self.required = config, False
        self.made: list[Notifier] = []

    def make(self, config: object) -> Notifier:
        self.made.append(Notifier(config))
        return self.made[-1]

    def __call__(self) -> Plan:
        base = make_plan()
        planned = Planned("notifier", self.make, self.config, required=self.required)
        order = ["killswitch", "bots", "notifier", "signing"]
        return Plan(base.settings, order, [*base.planned, planned], reserved=base.reserved)

    def open(self) -> Guard:
        return Guard(self(), clock=FakeClock(), replan=self)


async def heard(guard: Guard) -> str:
    """Have the responder called, and say what it did."""
    return (await guard.areport("test", Severity.LOW)).outcomes[-1].did


async def inside(function: Callable[[], Any]) -> Any:
    return function()


def loop_of(guard: Guard) -> Any:
    part = guard.snapshot.part("notifier")
    assert part is not None
    return part.loop


# Where they run.


def test_those_of_a_configuration_run_on_the_loop_where_the_guard_was_opened() -> None:
    plans = Plans()

    async def bot() -> None:
        with plans.open() as guard:
            guard.settle(await guard.aclear(ORDER), Response(200))
            assert await heard(guard) == "told"
            while len(plans.made[0].loops) < 2:
                await asyncio.sleep(0)
        assert set(plans.made[0].loops) == {asyncio.get_running_loop()}

    asyncio.run(bot())


def test_where_no_loop_runs_they_are_refused_with_what_to_do() -> None:
    plans = Plans()
    plans.required = True
    with pytest.raises(StartFailed, match="open or reload the guard inside one"):
        plans.open()


def test_where_no_loop_runs_an_optional_one_is_skipped_with_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Plans().open() as guard:
        assert guard.snapshot.part("notifier") is None
    assert "open or reload the guard inside one" in caplog.text


def test_a_reload_elsewhere_keeps_the_loop_for_the_successor() -> None:
    # As SIGHUP does it: on a thread of its own, where no loop runs.
    plans = Plans()

    async def bot() -> None:
        with plans.open() as guard:
            plans.config = 2
            await asyncio.to_thread(guard.reload)
            assert await heard(guard) == "told"
            assert loop_of(guard) is asyncio.get_running_loop()

    asyncio.run(bot())
    assert [made.config for made in plans.made] == [1, 2]
    assert (len(plans.made[0].loops), len(plans.made[1].loops)) == (0, 1)


def test_a_loop_that_runs_is_kept_though_the_reload_comes_from_another() -> None:
    plans = Plans()

    async def bot() -> None:
        with plans.open() as guard:
            for config in (1, 2):
                plans.config = config
                await asyncio.to_thread(lambda: asyncio.run(inside(guard.reload)))
                assert loop_of(guard) is asyncio.get_running_loop()

    asyncio.run(bot())


@pytest.mark.parametrize("config", [1, 2], ids=["unchanged", "changed"])
def test_a_reload_takes_over_from_a_loop_that_has_ended(config: int) -> None:
    plans = Plans()
    with asyncio.Runner() as first:
        guard = first.run(inside(plans.open))
    plans.config = config

    async def bot() -> None:
        guard.reload()
        assert await heard(guard) == "told"

    with guard:
        asyncio.run(bot())
    assert len(plans.made) == config, "an unchanged plugin keeps its instance"


def test_a_successor_is_refused_where_no_loop_is_left_and_what_stands_stays() -> None:
    plans = Plans()
    with asyncio.run(inside(plans.open)) as guard:
        plans.config, before = 2, guard.snapshot
        with pytest.raises(PluginRefused, match="open or reload the guard inside one"):
            guard.reload()
        assert guard.snapshot is before


def test_an_unchanged_one_whose_loop_has_ended_holds_up_no_reload() -> None:
    # What an operator tightens must not wait for a notifier.
    plans = Plans()
    with asyncio.run(inside(plans.open)) as guard:
        counts = guard.snapshot.hooks("notifier")
        guard.reload()
        assert guard.snapshot.hooks("notifier") == counts
        assert guard.report("test", Severity.LOW).outcomes[-1].did == "its event loop is closed"


def test_a_loop_that_pauses_between_two_runs_is_the_successors_too() -> None:
    plans = Plans()
    with asyncio.Runner() as runner:
        guard = runner.run(inside(plans.open))
        plans.config = 2
        with guard:
            guard.reload()
            assert runner.run(heard(guard)) == "told"


def test_a_plugin_without_such_hooks_keeps_its_counts_wherever_it_is_reloaded() -> None:
    with make_guard() as guard:
        guard.clear(ORDER)
        asyncio.run(inside(guard.reload))
        asyncio.run(inside(guard.reload))
        assert guard.snapshot.hooks("killswitch")["on_request"].calls == 1


# What they may not do.


class Changes(Plugin):
    """Changes what it was given when the kernel is no longer looking."""

    def __init__(self) -> None:
        self.changed = threading.Event()

    @hookimpl
    async def on_response(self, request: Request, response: Response) -> None:
        await asyncio.sleep(0)
        object.__setattr__(response, "status", 999)
        self.changed.set()

    @hookimpl
    async def on_incident(self, incident: Incident) -> Outcome:
        await asyncio.sleep(0)
        object.__setattr__(incident, "title", "all is well")
        return Outcome("nothing to see")


def test_an_observer_that_changes_an_answer_after_an_await_is_undone_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    changes, response = Changes(), Response(200)

    async def bot() -> None:
        guard.register(changes)
        guard.settle(await guard.aclear(ORDER), response)
        while not changes.changed.is_set():
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    with make_guard() as guard:
        asyncio.run(bot())
        assert guard.snapshot.hooks("changes")["on_response"].failures == 1
    assert response.status == 200
    assert "changes.on_response changed what it was given" in caplog.text


def test_a_responder_that_changes_an_incident_after_an_await_is_undone_and_said_so() -> None:
    async def bot() -> Incident:
        guard.register(Changes())
        return await guard.areport("leak", Severity.LOW)

    with make_guard() as guard:
        incident = asyncio.run(bot())
    assert incident.title == "leak"
    outcome = incident.outcomes[-1]
    assert (outcome.plugin, outcome.ok, outcome.did) == (
        "changes", False, "changed what it was given",
    )  # fmt: skip


# How they are timed.


def test_the_time_of_an_async_hook_is_that_until_it_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = FakeClock()
    monkeypatch.setattr(dispatch, "monotonic_ns", machine.monotonic_ns)

    class Slow(Plugin):
        @hookimpl
        async def on_incident(self, incident: Incident) -> None:
            await asyncio.sleep(0)
            machine.advance(3)

    async def bot() -> None:
        guard.register(Slow())
        for number in range(2):
            await guard.areport(f"leak {number}", Severity.LOW)

    with make_guard() as guard:
        asyncio.run(bot())
        impl = guard.snapshot.hooks("slow")["on_incident"]
    assert (impl.calls, impl.samples) == (2, 2)
    assert (impl.sampled_ns, impl.worst_ns) == (6_000_000_000, 3_000_000_000)


# What `check_plugin` says of them.


class OneLoop(Plugin):
    """Belongs to the loop that it was started on, as a client of a database does."""

    interface = (1, 1)

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.loop = asyncio.get_running_loop()

    @hookimpl
    async def on_response(self, request: Request, response: Response) -> None:
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError("it is bound to a different event loop")
        await asyncio.sleep(0)


def test_check_plugin_calls_them_on_one_loop_as_the_kernel_does() -> None:
    async def bot() -> None:
        with make_guard(("one", OneLoop()), required=["one"]) as guard:
            guard.settle(await guard.aclear(ORDER), Response(200))

    asyncio.run(bot())
    check_plugin(OneLoop, examples=5)


def test_check_plugin_leaves_the_programs_own_loop_alone() -> None:
    loop = asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        check_plugin(Notifier, examples=2)
        assert asyncio.get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_check_plugin_catches_one_that_changes_what_it_was_given_after_an_await() -> None:
    with pytest.raises(AssertionError, match="changes nothing that it was given"):
        check_plugin(type("Changer", (Changes,), {"interface": (1, 1)}), examples=5)


def test_the_refusal_of_a_bots_hook_says_to_register_it_from_a_loop() -> None:
    with make_guard() as guard, pytest.raises(PluginRefused, match="register it from one"):
        guard.register(Notifier())
