"""An event loop that is gone under `aclear` (DESIGN 2): who was asked is told the end all the same.

asyncio closes no coroutine of its own: the collector does, when nothing refers to it any more, at
any moment, on any thread, and in an order of its own.
"""

import asyncio
import gc
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import pytest

from hauberk import frames
from hauberk.clock import SystemClock
from hauberk.drivers import Drivers
from hauberk.guard import Guard
from hauberk.hooks import Plugin, blocking, hookimpl
from hauberk.records import Event
from hauberk.request import Request
from hauberk.testing import DEFAULT_URL, FakeClock, make_guard
from hauberk.verdicts import Wait

ORDER = Request("POST", DEFAULT_URL)
PATIENCE_S = 30
GENERATIONS = [None, 0, 1, 2]


class Ledger(Plugin):
    """Charges by id, gives back at the end, as throttle does."""

    def __init__(self, answer: Any = None, then: Callable[[], object] | None = None) -> None:
        self.answer, self.then = answer, then
        self.charges: set[str] = set()
        self.told = threading.Event()

    @hookimpl
    def on_request(self, request: Request) -> Any:
        self.charges.add(request.id)
        if self.then is not None:
            self.then()
        return self.answer

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        self.charges.discard(request.id)
        self.told.set()


class Gate:
    """Holds a hook up until it is opened."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.entered.set()
        assert self.opened.wait(PATIENCE_S)


@contextmanager
def no_collector() -> Iterator[None]:
    """Collect only where the test says so."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def quiet_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # it says that a task was destroyed
    return loop


def begun(loop: asyncio.AbstractEventLoop, guard: Guard, until: threading.Event | None) -> Any:
    """Begin to clear, and run the loop until the request waits or a hook is entered."""
    task = loop.create_task(guard.aclear(ORDER))
    loop.run_until_complete(asyncio.sleep(0))
    while until is not None and not until.is_set():
        loop.run_until_complete(asyncio.sleep(0))
    return task


@pytest.mark.parametrize("is_dropped", [False, True], ids=["", "the guard is dropped"])
@pytest.mark.parametrize("after", GENERATIONS)
@pytest.mark.parametrize("inside", GENERATIONS)
def test_a_collection_at_any_moment_keeps_no_guard_from_its_end(inside, after, is_dropped) -> None:
    def collect(generation: int | None) -> None:
        if generation is not None:
            gc.collect(generation)

    clock, ledger = FakeClock(auto=False), Ledger(Wait(30), lambda: collect(inside))
    loop = quiet_loop()
    with no_collector():
        guard: Any = make_guard(("ledger", ledger), clock=clock)
        task = begun(loop, guard, None)
        assert ledger.charges
        collect(after)
        loop.close()
        clock._waiting.clear()
        armed = guard.kernel.waking._armed
        if is_dropped:
            guard = None
        del task
        gc.collect()
        assert ledger.told.wait(PATIENCE_S)
    assert ledger.charges == set()
    assert armed == {}


@pytest.mark.parametrize("is_dropped", [False, True], ids=["", "the guard is dropped"])
def test_a_loop_that_is_dropped_and_not_even_closed_leaves_no_charge(is_dropped) -> None:
    ledger, loop = Ledger(Wait(30)), quiet_loop()
    with no_collector(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of the loop
        guard: Any = make_guard(("ledger", ledger), clock=SystemClock())
        task = begun(loop, guard, None)
        assert ledger.charges
        if is_dropped:
            guard = None
        del task, loop
        gc.collect()
        assert ledger.told.wait(PATIENCE_S)
    assert ledger.charges == set()


def test_a_clearing_that_is_closed_by_hand_tells_the_end_when_what_blocks_has_returned() -> None:
    gate, seen = Gate(), []

    class Slow(Ledger):
        @blocking
        @hookimpl
        def on_request(self, request: Request) -> None:
            gate()
            seen.append("charged")
            Ledger.on_request(self, request)

        @hookimpl
        def on_end(self, request: Request, left: bool, why: str) -> None:
            seen.append(why)
            Ledger.on_end(self, request, left, why)

    async def bot() -> None:
        clearing = guard.aclear(ORDER)
        clearing.send(None)
        assert await asyncio.to_thread(gate.entered.wait, PATIENCE_S)
        clearing.close()
        gate.opened.set()

    slow = Slow()
    with make_guard(("slow", slow)) as guard:
        asyncio.run(bot())
        assert slow.told.wait(PATIENCE_S)
    assert seen == ["charged", "cancelled"]
    assert slow.charges == set()


def test_a_loop_that_is_closed_while_the_end_is_told_keeps_it_from_nobody() -> None:
    gate, kinds, recorded = Gate(), [], threading.Event()

    class Slow(Ledger):
        @blocking
        @hookimpl
        def on_end(self, request: Request, left: bool, why: str) -> None:
            gate()
            Ledger.on_end(self, request, left, why)

    class Fails(Ledger):
        @hookimpl
        def on_end(self, request: Request, left: bool, why: str) -> None:
            raise KeyboardInterrupt

    class Audit(Plugin):
        @hookimpl
        def on_event(self, event: Event) -> None:
            kinds.append(event.kind)
            if event.kind == "request.left":
                recorded.set()

    ledgers = [Ledger(), Slow(), Fails(), Slow(), Ledger()]
    plugins = [(f"l{number}", ledger) for number, ledger in enumerate(ledgers)]
    loop = quiet_loop()
    with make_guard(*plugins, ("audit", Audit()), grants={"audit": ["record"]}) as guard:
        task = begun(loop, guard, gate.entered)
        loop.close()
        gate.opened.set()
        guard._drivers._pool.shutdown(wait=True)  # until that has returned, nothing is garbage
        del task
        gc.collect()
        assert recorded.wait(PATIENCE_S)
    assert [ledger.told.is_set() for ledger in ledgers] == [True, True, False, True, True]
    assert kinds == ["request.intent", "request.left"]


def test_a_collection_inside_a_hook_does_not_tell_the_end_from_inside_that_hook() -> None:
    around: list[object] = []
    noted = threading.Event()

    def note(self: Drivers, *args: Any) -> None:
        around.append(copy_context().get(frames._CURRENT))
        noted.set()

    ledger, loop = Ledger(Wait(30)), quiet_loop()
    clock, plugins = FakeClock(auto=False), (("ledger", ledger), ("b", Ledger(None, gc.collect)))
    with (
        no_collector(),
        pytest.MonkeyPatch.context() as patched,
        make_guard(*plugins, clock=clock) as guard,
    ):
        patched.setattr(Drivers, "_abandon", note)
        task = begun(loop, guard, None)
        loop.close()
        clock._waiting.clear()
        ledger.answer = None
        del task
        guard.clear(ORDER)
        assert noted.wait(PATIENCE_S)
    assert around == [None]
