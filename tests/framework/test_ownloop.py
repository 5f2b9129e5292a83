"""A guard where no event loop runs: `async def` hooks are on one, and nothing is left of it."""

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from attrs import evolve

from hauberk import ownloop
from hauberk.context import Context
from hauberk.errors import StartFailed
from hauberk.guard import Guard
from hauberk.hooks import Plugin, hookimpl
from hauberk.ownloop import LoopingGuard, OwnLoop, brief_guard, made
from hauberk.plan import Plan, Planned
from hauberk.records import Incident, Outcome, Severity
from hauberk.request import Request, Response
from hauberk.testing import DEFAULT_URL, FakeClock, make_plan

ORDER = Request("POST", DEFAULT_URL)


class Async(Plugin):
    """Responds on its loop."""

    interface = (1, 1)

    @hookimpl
    async def on_incident(self, incident: Incident) -> Outcome:
        await asyncio.sleep(0)
        return Outcome("told")


class Sync(Plugin):
    interface = (1, 1)

    @hookimpl
    def on_start(self, context: Context) -> None:
        asyncio.run(self.look_up())

    async def look_up(self) -> None:
        await asyncio.sleep(0)


class Static(Plugin):
    interface = (1, 1)

    @staticmethod
    @hookimpl
    async def on_response(request: Request, response: Response) -> None:
        await asyncio.sleep(0)


def plan(*classes: Any) -> Plan:
    base = make_plan()
    extra = [Planned(cls.__name__.lower(), cls) for cls in classes]
    order = ["killswitch", *(one.name for one in extra), "bots", "signing"]
    return Plan(base.settings, order, [*base.planned, *extra], reserved=base.reserved)


def brief(*classes: Any) -> Guard:
    return brief_guard(plan(*classes), clock=FakeClock())


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Every loop's thread ends with its guard."""
    yield
    assert not [one for one in threading.enumerate() if one.name == "hauberk-loop"]


def test_a_responder_answers_while_the_program_waits_for_it() -> None:
    with brief(Async) as guard:
        assert guard.report("test", Severity.LOW).outcomes[-1].did == "told"
        guard.settle(guard.clear(ORDER), Response(200))


def test_hooks_of_a_static_method_count_too() -> None:
    with brief(Static) as guard:
        assert type(guard) is LoopingGuard


def test_a_guard_without_such_hooks_is_made_where_no_loop_runs_as_ever() -> None:
    # What a plugin of a bot without asyncio does, works: its on_start runs a loop of its own.
    with brief(Sync) as guard:
        assert type(guard) is Guard
        assert guard.snapshot.part("sync") is not None


def test_inside_a_running_loop_that_one_is_taken() -> None:
    async def bot() -> None:
        with brief(Async) as guard:
            assert type(guard) is Guard
            assert (await guard.areport("test", Severity.LOW)).outcomes[-1].did == "told"
        assert made(Planned("async", Async)).loop is asyncio.get_running_loop()

    asyncio.run(bot())


def test_a_start_that_fails_leaves_no_loop() -> None:
    class Fails(Static):
        @hookimpl
        def on_start(self, context: Context) -> None:
            self.task = asyncio.get_running_loop().create_task(asyncio.sleep(0))
            raise OSError("no such device")

    needed = plan(Fails)
    failing = [evolve(one, required=True) for one in needed.planned]
    with pytest.raises(StartFailed, match="no such device"):
        brief_guard(evolve(needed, planned=failing), clock=FakeClock())


def test_ctrl_c_in_its_start_is_raised_and_leaves_no_loop() -> None:
    class Interrupted(Async):
        @hookimpl
        def on_start(self, context: Context) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        brief(Interrupted)


def test_what_it_left_running_is_cancelled_at_the_end() -> None:
    ends: list[str] = []

    class Listens(Async):
        @hookimpl
        def on_start(self, context: Context) -> None:
            self.task = asyncio.get_running_loop().create_task(self.listen())

        @hookimpl
        def on_stop(self) -> None:
            ends.append("stopped" if asyncio.get_running_loop().is_running() else "")

        async def listen(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                for _ in range(20):  # as one takes leave of an exchange
                    await asyncio.sleep(0)
                ends.append("cancelled")

    guard = brief(Listens)
    guard.close()
    guard.close()
    assert ends == ["stopped", "cancelled"]


def test_a_hook_that_holds_the_loop_up_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held, go, stopped = threading.Event(), threading.Event(), threading.Event()

    class Hangs(Plugin):
        interface = (1, 1)

        @hookimpl
        async def on_response(self, request: Request, response: Response) -> None:
            held.set()
            go.wait()

        @hookimpl
        def on_stop(self) -> None:
            stopped.set()

    monkeypatch.setattr(ownloop, "PATIENCE_S", 0.01)
    guard = brief(Hangs)
    assert isinstance(guard, LoopingGuard)
    guard.settle(guard.clear(ORDER), Response(200))
    held.wait()
    try:
        guard.close()
        assert stopped.is_set(), "the others are stopped all the same"
        assert "is abandoned on its event loop" in caplog.text
    finally:
        go.set()
        monkeypatch.undo()
        guard._own.take_back()
        guard._own.close()


def test_a_hook_that_returns_in_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    class Slow(Async):
        @hookimpl
        async def on_response(self, request: Request, response: Response) -> None:
            go.wait()

    join = threading.Thread.join

    def joined(thread: threading.Thread, timeout: float | None = None) -> None:
        go.set()
        join(thread, timeout)

    guard = brief(Slow)
    assert isinstance(guard, LoopingGuard)
    guard.settle(guard.clear(ORDER), Response(200))
    with monkeypatch.context() as patched:
        patched.setattr(guard._own._thread, "join", partial(joined, guard._own._thread))
        guard.close()
    assert guard._own._loop.is_closed()


def test_a_task_that_will_not_be_cancelled_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ownloop, "PATIENCE_S", 0.01)
    tasks = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    def start() -> None:
        task = asyncio.get_running_loop().create_task(stubborn())
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        tasks.append(task)

    async def turn() -> None:
        await asyncio.sleep(0)

    own = OwnLoop()
    own.inside(start)
    own._loop.run_until_complete(turn())
    own.close()
    assert not tasks[0].done()


def test_ctrl_c_while_it_waits_for_the_loop_keeps_no_plugin_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = []

    class Stops(Async):
        @hookimpl
        def on_stop(self) -> None:
            stopped.append(True)

    def interrupted(own: OwnLoop) -> None:
        raise KeyboardInterrupt

    guard = brief(Stops)
    assert isinstance(guard, LoopingGuard)
    with monkeypatch.context() as patched:
        patched.setattr(OwnLoop, "take_back", interrupted)
        with pytest.raises(KeyboardInterrupt):
            guard.close()
    assert stopped
    guard._own.take_back()
    guard._own.close()
