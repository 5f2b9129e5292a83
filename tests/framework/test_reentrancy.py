"""Threads, asyncio, re-entrancy, forks (DESIGN 2, rule 10)."""

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from hauberk.batch import SignedBatch
from hauberk.context import Context
from hauberk.errors import ClosedError, Denied, ReentrancyError
from hauberk.guard import Guard
from hauberk.hooks import Plugin, blocking, hookimpl
from hauberk.plan import Plan, Planned
from hauberk.records import Event, Incident, Login, Severity
from hauberk.request import Request, Response
from hauberk.settings import KernelLimits
from hauberk.testing import DEFAULT_URL, FakeClock, PlainSigner, make_guard, make_plan
from hauberk.verdicts import Deny, Wait

ORDER = Request("POST", DEFAULT_URL)
PATIENCE_S = 30


class Bystander(Plugin):
    @hookimpl
    def on_request(self, request: Request) -> None:
        """No objection."""


CALLS: dict[str, Callable[[Guard], object]] = {
    "clear": lambda guard: guard.clear(ORDER),
    "aclear": lambda guard: asyncio.run(guard.aclear(ORDER)),
    "settle": lambda guard: guard.settle(None, Response()),  # type: ignore[arg-type]
    "login": lambda guard: guard.login(Login("eve")),
    "alogin": lambda guard: asyncio.run(guard.alogin(Login("eve"))),
    "register": lambda guard: guard.register(Bystander()),
    "on_request": lambda guard: guard.on_request(lambda request: None),
    "unregister": lambda guard: guard.unregister("bystander"),
    "reload": lambda guard: guard.reload(),
    "close": lambda guard: guard.close(),
    "verify_batch": lambda guard: guard.verify_batch(
        SignedBatch("hmac-sha256", b"", (0,), b"", (0,), (), ())
    ),
}
HOOKS = ["on_request", "on_end", "sign_request", "on_event", "on_login", "on_login_end", "on_stop",
         "on_start"]  # fmt: skip


class Caller(PlainSigner):
    """Calls back into the guard from one hook."""

    def __init__(self, hook: str, call: Callable[[], object]) -> None:
        self.hook, self.call = hook, call
        self.errors: list[BaseException] = []

    def here(self, hook: str) -> None:
        if hook == self.hook:
            try:
                self.call()
            except BaseException as error:
                self.errors.append(error)
                raise

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.here("on_start")

    @hookimpl
    def on_stop(self) -> None:
        self.here("on_stop")

    @hookimpl
    def on_request(self, request: Request) -> None:
        self.here("on_request")

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        self.here("on_end")

    @hookimpl
    def sign_request(self, request: Request) -> Request:
        self.here("sign_request")
        return PlainSigner.sign_request(self, request)

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.here("on_event")

    @hookimpl
    def on_login(self, login: Login) -> None:
        self.here("on_login")

    @hookimpl
    def on_login_end(self, login: Login, granted: bool, why: str) -> None:
        self.here("on_login_end")


# Inside a hook that judges.


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("name", CALLS)
def test_a_hook_that_judges_may_not_call_back_and_the_error_names_it(name, hook) -> None:
    caller = Caller(hook, lambda: CALLS[name](guard))
    base = make_plan()
    # It comes with a reload, so that there is a guard that its `on_start` may call.
    planned = Planned("caller", lambda: caller, None, frozenset({"sign", "record"}))
    order = ["killswitch", "caller", "bots", "signing"]
    later = Plan(base.settings, order, [*base.planned, planned])
    guard = Guard(base, clock=FakeClock(), replan=lambda: later)
    with guard:
        bystander = Bystander()
        guard.register(bystander)
        guard.reload()
        signers = {**guard.snapshot.signers, "signing": guard.snapshot.signers.get("caller")}
        if hook == "sign_request":
            object.__setattr__(guard.snapshot, "signers", signers)
        before = guard.snapshot
        with suppress(Denied):
            guard.clear(ORDER)
        with suppress(Denied):
            guard.login(Login("eve"))
        assert guard.snapshot is before
        assert not guard.kernel.closed
    assert caller.errors, "the hook was not called"
    assert {type(error) for error in caller.errors} == {ReentrancyError}
    called = {"aclear": "clear", "alogin": "login", "on_request": "register"}.get(name, name)
    assert f"caller called {called} " in str(caller.errors[0])


@pytest.mark.parametrize("name", ["clear", "register", "close"])
def test_a_refused_call_back_denies_the_request_by_the_guard_that_made_it(name) -> None:
    caller = Caller("on_request", lambda: CALLS[name](guard))
    guard = make_guard(("caller", caller), grants={"caller": ["sign", "record"]})
    with guard, pytest.raises(Denied, match=f"ReentrancyError: caller called {name}") as denied:
        guard.clear(ORDER)
    assert denied.value.plugin == "caller"


def test_a_blocking_guard_may_not_call_back_from_its_thread_either() -> None:
    class Blocks(Plugin):
        @blocking
        @hookimpl
        def on_request(self, request: Request) -> None:
            guard.clear(ORDER)

    with make_guard(Blocks()) as guard, pytest.raises(Denied, match="blocks called clear"):
        asyncio.run(guard.aclear(ORDER))


def test_what_a_guard_emits_is_recorded_when_every_guard_was_asked() -> None:
    seen: list[str] = []

    class Talks(Plugin):
        @hookimpl
        def on_start(self, context: Context) -> None:
            self.context = context

        @hookimpl
        def on_request(self, request: Request) -> None:
            self.context.emit("judged")
            seen.append("talks")

    class Later(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            seen.append("later")

        @hookimpl
        def on_event(self, event: Event) -> None:
            seen.append(event.kind)

    plugins = ("talks", Talks()), ("later", Later())
    with make_guard(*plugins, grants={"later": ["record"]}) as guard:
        guard.clear(ORDER)
    assert seen == ["talks", "later", "talks.judged", "request.intent", "request.left"]


def test_the_same_thread_is_outside_again_when_its_hooks_have_returned() -> None:
    with make_guard(Bystander()) as guard:
        guard.clear(ORDER)
        guard.register(Bystander(), name="another")
        with pytest.raises(Denied):
            guard.login(Login("eve"))
        guard.clear(ORDER)


def test_a_task_that_a_guard_started_may_clear_when_the_guard_has_returned() -> None:
    class Starts(Plugin):
        task: Any = None

        @hookimpl
        def on_request(self, request: Request) -> None:
            if self.task is None:
                self.task = asyncio.get_running_loop().create_task(guard.aclear(ORDER))

    async def bot() -> None:
        await guard.aclear(ORDER)
        await starts.task

    starts = Starts()
    with make_guard(starts) as guard:
        asyncio.run(bot())
        assert guard.snapshot.hooks("starts")["on_request"].calls == 2


# Inside a hook that may call back.


class Responds(Plugin):
    def __init__(self, act: Callable[[], object]) -> None:
        self.act, self.calls = act, 0

    @hookimpl
    def on_incident(self, incident: Incident) -> None:
        self.calls += 1
        self.act()


@pytest.mark.parametrize("required", [[], ["responds"]])
def test_a_responder_may_clear_settle_and_register(required) -> None:
    def act() -> None:
        cleared.append(guard.clear(ORDER))
        guard.settle(cleared[-1], Response(200))
        guard.register(Bystander())
        guard.unregister("bystander")

    cleared: list[Any] = []
    with make_guard(("responds", Responds(act)), required=required) as guard:
        incident = guard.report("flatten", Severity.MEDIUM)
    assert len(cleared) == 1
    assert [outcome.ok for outcome in incident.outcomes] == [True, True]


def test_an_observer_may_clear() -> None:
    class Hedges(Plugin):
        hedged = 0

        @hookimpl
        def on_response(self, request: Request, response: Response) -> None:
            if response.status == 200:
                guard.settle(guard.clear(ORDER), Response(201))
                self.hedged += 1

    hedges = Hedges()
    with make_guard(hedges) as guard:
        guard.settle(guard.clear(ORDER), Response(200))
    assert hedges.hedged == 1


def test_observers_that_clear_upon_responses_come_to_an_end() -> None:
    class Endless(Plugin):
        calls = 0
        last: BaseException | None = None

        @hookimpl
        def on_response(self, request: Request, response: Response) -> None:
            self.calls += 1
            try:
                guard.settle(guard.clear(ORDER), Response(200))
            except ReentrancyError as error:
                self.last = error

    endless = Endless()
    with make_guard(endless) as guard:
        guard.settle(guard.clear(ORDER), Response(200))
    assert endless.calls == 4
    assert "4 dispatches deep" in str(endless.last)


def test_guards_that_report_to_responders_that_clear_come_to_an_end() -> None:
    class Alarmed(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            guard.report("alarm", Severity.LOW)

    class Flattens(Plugin):
        calls = 0

        @hookimpl
        def on_incident(self, incident: Incident) -> None:
            self.calls += 1
            guard.clear(ORDER)

    flattens = Flattens()
    with make_guard(Alarmed(), ("flattens", flattens), required=["flattens"]) as guard:
        guard.clear(ORDER)
    assert 1 <= flattens.calls <= 4


# Forks.

FORK = """
import os, threading, warnings
from hauberk.errors import HauberkError
from hauberk.hooks import Plugin, hookimpl
from hauberk.records import Login, Severity
from hauberk.request import Request, Response
from hauberk.testing import DEFAULT_URL, make_guard

warnings.simplefilter("ignore")  # from Python 3.12 on, of forking beside other threads
ORDER = Request("POST", DEFAULT_URL)


class Guards(Plugin):
    fork = False
    child = None

    @hookimpl
    def on_request(self, request):
        if self.fork:
            self.fork = False
            self.child = os.fork()


def tell(what, call):
    try:
        call()
        said = "done"
    except HauberkError as error:
        said = f"{type(error).__name__} {'parent of a fork' in str(error)}"
    os.write(1, f"{what} {said}\\n".encode())
"""

IN_CHILD = (
    FORK
    + """
guard = make_guard(Guards())
cleared = guard.clear(ORDER)
# Another thread holds the locks while this one forks: the child never sees them let go.
held, forked = threading.Event(), threading.Event()


def hold():
    with guard.kernel.changing, guard.kernel.lock:
        held.set()
        forked.wait(30)


holder = threading.Thread(target=hold)
holder.start()
held.wait(30)
child = os.fork()
if child == 0:
    tell("clear", lambda: guard.clear(ORDER))
    tell("settle", lambda: guard.settle(cleared, Response(200)))
    tell("login", lambda: guard.login(Login("eve")))
    tell("register", lambda: guard.register(Guards(), name="again"))
    tell("reload", guard.reload)
    tell("report", lambda: guard.report("x", Severity.HIGH))
    tell("close", guard.close)
    os._exit(0)
os.waitpid(child, 0)
forked.set()
holder.join()
tell("parent", lambda: guard.clear(ORDER))
guard.close()
"""
)

IN_GUARD = (
    FORK
    + """
guards = Guards()
guard = make_guard(guards)
guards.fork = True
try:
    guard.clear(ORDER)
    outcome = "left"
except HauberkError as error:
    outcome = type(error).__name__
if guards.child == 0:
    os.write(1, f"in the child: {outcome}\\n".encode())
    os._exit(0)
os.waitpid(guards.child, 0)
os.write(1, f"in the parent: {outcome}\\n".encode())
guard.close()
"""
)


def run(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_child_of_a_fork_refuses_whatever_another_thread_held() -> None:
    assert run(IN_CHILD) == [
        "clear ClosedError True", "settle ClosedError True", "login ClosedError True",
        "register ClosedError True", "reload ClosedError True", "report ClosedError True",
        "close done", "parent done",
    ]  # fmt: skip


def test_a_request_that_a_guard_forked_leaves_once_in_the_parent() -> None:
    assert run(IN_GUARD) == ["in the child: ClosedError", "in the parent: left"]


# aclear: what runs where.


class Where(PlainSigner):
    """Remembers on which thread each hook ran."""

    def __init__(self) -> None:
        self.threads: dict[str, int] = {}

    def note(self, hook: str) -> None:
        self.threads[hook] = threading.get_ident()

    @hookimpl
    def on_request(self, request: Request) -> None:
        self.note("on_request")

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        self.note("on_end")

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.note("on_event")

    @hookimpl
    def sign_request(self, request: Request) -> Request:
        self.note("sign_request")
        return PlainSigner.sign_request(self, request)


class Blocking(Where):
    """The same, declared blocking."""

    @blocking
    @hookimpl
    def on_request(self, request: Request) -> None:
        self.note("on_request")

    @blocking
    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        self.note("on_end")

    @blocking
    @hookimpl
    def on_event(self, event: Event) -> None:
        self.note("on_event")

    @blocking
    @hookimpl
    def sign_request(self, request: Request) -> Request:
        self.note("sign_request")
        return PlainSigner.sign_request(self, request)


@pytest.mark.parametrize("signer", ["plain", "blocking"])
def test_only_what_is_declared_blocking_runs_off_the_loop(signer) -> None:
    plugins = {"first": Where(), "blocking": Blocking(), "plain": Where()}
    base = make_plan(
        *plugins.items(), grants=dict.fromkeys(plugins, ("record", "sign")),
    )  # fmt: skip
    with Guard(base, clock=FakeClock()) as guard:
        signers = {**guard.snapshot.signers, "signing": guard.snapshot.signers[signer]}
        object.__setattr__(guard.snapshot, "signers", signers)
        asyncio.run(guard.aclear(ORDER))
    here = threading.get_ident()
    for name, plugin in plugins.items():
        signs = {"sign_request"} if name == signer else set()
        assert set(plugin.threads) == {"on_request", "on_end", "on_event"} | signs
        assert {thread == here for thread in plugin.threads.values()} == {name != "blocking"}, name


def test_everything_runs_on_the_calling_thread_under_clear() -> None:
    blocks = Blocking()
    with make_guard(("blocks", blocks), grants={"blocks": ["record", "sign"]}) as guard:
        guard.clear(ORDER)
    assert set(blocks.threads.values()) == {threading.get_ident()}


def test_the_loop_goes_on_while_a_guard_blocks() -> None:
    went_on = threading.Event()

    class Blocks(Plugin):
        @blocking
        @hookimpl
        def on_request(self, request: Request) -> None:
            assert went_on.wait(PATIENCE_S)

    async def bot() -> None:
        asyncio.get_running_loop().call_soon(went_on.set)
        await guard.aclear(ORDER)

    with make_guard(Blocks()) as guard:
        asyncio.run(bot())


def test_guards_are_asked_in_order_whether_they_block_or_not() -> None:
    seen: list[str] = []

    def named(name: str, blocks: bool, answer: Any = None) -> tuple[str, Plugin]:
        class One(Plugin):
            @hookimpl
            def on_request(self, request: Request) -> Any:
                seen.append(name)
                return answer

        class Blocks(Plugin):
            @blocking
            @hookimpl
            def on_request(self, request: Request) -> Any:
                seen.append(name)
                return answer

        return name, Blocks() if blocks else One()

    plugins = [named("a", False), named("b", True), named("c", False), named("d", True)]
    with make_guard(*plugins, named("e", True, Deny("no")), named("f", False)) as guard:
        with pytest.raises(Denied) as denied:
            asyncio.run(guard.aclear(ORDER))
        assert denied.value.plugin == "e"
        assert seen == ["a", "b", "c", "d", "e"]


# aclear: cancelled.


class Ledger(Plugin):
    """Charges by id, gives back at the end, as throttle does."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.charges: set[str] = set()
        self.ends: list[tuple[bool, str]] = []

    @hookimpl
    def on_request(self, request: Request) -> Any:
        self.charges.add(request.id)
        return self.answers.pop(0) if self.answers else None

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        self.ends.append((left, why))
        if not left:
            self.charges.discard(request.id)


class Gate(PlainSigner):
    """Blocks in one hook until it is opened."""

    def __init__(self, hook: str) -> None:
        self.hook = hook
        self.entered, self.opened = threading.Event(), threading.Event()
        self.seen: list[str] = []

    def stop(self, hook: str) -> None:
        if hook == self.hook:
            self.entered.set()
            assert self.opened.wait(PATIENCE_S)
            self.seen.append(f"{hook} returned")

    @blocking
    @hookimpl
    def on_request(self, request: Request) -> None:
        self.stop("on_request")

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        self.seen.append("end")

    @blocking
    @hookimpl
    def on_event(self, event: Event) -> None:
        self.stop(event.kind)

    @blocking
    @hookimpl
    def sign_request(self, request: Request) -> Request:
        self.stop("sign_request")
        return PlainSigner.sign_request(self, request)


async def cancelled_at(gate: Gate, task: "asyncio.Task[Any]", times: int = 1) -> None:
    """Cancel a task while it is held up at a gate, then open it."""
    assert await asyncio.to_thread(gate.entered.wait, PATIENCE_S)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done(), "a cancellation is heeded when what blocks has returned"
    gate.opened.set()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("hook", ["on_request", "request.intent", "sign_request"])
def test_a_cancellation_while_a_hook_blocks_waits_for_it_and_leaves_no_charge(hook, times) -> None:
    ledger, gate = Ledger(), Gate(hook)

    async def bot() -> None:
        await cancelled_at(gate, asyncio.ensure_future(guard.aclear(ORDER)), times)

    plugins = ("ledger", ledger), ("gate", gate)
    grants = {"gate": ["record", "sign"]}
    with make_guard(*plugins, grants=grants) as guard:
        signers = {**guard.snapshot.signers, "signing": guard.snapshot.signers["gate"]}
        object.__setattr__(guard.snapshot, "signers", signers)
        asyncio.run(bot())
        assert guard.kernel.waking._armed == {}
    assert gate.seen == [f"{hook} returned", "end"], "told the end only when it has returned"
    assert ledger.ends == [(False, "cancelled")]
    assert ledger.charges == set()


def test_a_cancellation_while_it_waits_leaves_no_charge() -> None:
    clock, ledger = FakeClock(auto=False), Ledger(Wait(30))

    async def bot() -> None:
        task = asyncio.ensure_future(guard.aclear(ORDER))
        await asyncio.to_thread(clock.await_waiters, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with make_guard(ledger, clock=clock) as guard:
        asyncio.run(bot())
        assert guard.kernel.waking._armed == {}
    assert ledger.ends == [(False, "cancelled")]
    assert ledger.charges == set()


def test_a_cancellation_while_reports_are_sent_waits_for_them_and_leaves_no_charge() -> None:
    class Alarmed(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            guard.report("alarm", Severity.LOW)

    gate = Gate("on_incident")

    class Slow(Plugin):
        @hookimpl
        def on_incident(self, incident: Incident) -> None:
            gate.stop("on_incident")

    async def bot() -> None:
        await cancelled_at(gate, asyncio.ensure_future(guard.aclear(ORDER)))

    ledger, limits = Ledger(), KernelLimits(responders_s=PATIENCE_S)
    with make_guard(ledger, Alarmed(), Slow(), limits=limits) as guard:
        asyncio.run(bot())
    assert ledger.ends == [(False, "cancelled")]
    assert ledger.charges == set()


def test_a_cancellation_while_the_end_is_told_keeps_it_from_nobody() -> None:
    gate, kinds = Gate("on_end"), []

    class Slow(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            """No objection."""

        @blocking
        @hookimpl
        def on_end(self, request: Request, left: bool, why: str) -> None:
            gate.stop("on_end")

    class Audit(Plugin):
        @hookimpl
        def on_event(self, event: Event) -> None:
            kinds.append(event.kind)

    async def bot() -> None:
        await cancelled_at(gate, asyncio.ensure_future(guard.aclear(ORDER)))

    ledger = Ledger(Deny("no"))
    plugins = ("slow", Slow()), ("ledger", ledger), ("audit", Audit())
    with make_guard(*plugins, grants={"audit": ["record"]}) as guard:
        asyncio.run(bot())
    assert gate.seen == ["on_end returned"]
    assert ledger.ends == [(False, "ledger: no")], "asked after the slow one, and told after it"
    assert kinds == ["request.denied"]


def test_a_timeout_around_aclear_leaves_no_charge() -> None:
    clock, ledger = FakeClock(auto=False), Ledger(Wait(30))

    async def bot() -> None:
        async with asyncio.timeout(0.01):
            await guard.aclear(ORDER)

    with make_guard(ledger, clock=clock) as guard, pytest.raises(TimeoutError):
        asyncio.run(bot())
    assert ledger.charges == set()


def test_a_loop_that_is_closed_under_a_waiting_request_leaves_no_charge() -> None:
    clock, told = FakeClock(auto=False), threading.Event()

    class Told(Ledger):
        @hookimpl
        def on_end(self, request: Request, left: bool, why: str) -> None:
            Ledger.on_end(self, request, left, why)
            told.set()

    ledger = Told(Wait(30))
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # it says that a task was destroyed
    with make_guard(("ledger", ledger), clock=clock) as guard:
        task = loop.create_task(guard.aclear(ORDER))
        loop.run_until_complete(asyncio.sleep(0))
        assert ledger.charges
        loop.close()
        clock._waiting.clear()
        del task
        gc.collect()
        assert told.wait(PATIENCE_S)
        assert guard.kernel.waking._armed == {}
    assert ledger.ends == [(False, "cancelled")]
    assert ledger.charges == set()


def test_guards_that_block_are_told_the_end_though_the_guard_was_closed_meanwhile() -> None:
    clock = FakeClock(auto=False)

    class Blocks(Ledger):
        @blocking
        @hookimpl
        def on_end(self, request: Request, left: bool, why: str) -> None:
            Ledger.on_end(self, request, left, why)

    ledger = Blocks(Wait(30))

    async def bot() -> None:
        task = asyncio.ensure_future(guard.aclear(ORDER))
        await asyncio.to_thread(clock.await_waiters, 1)
        guard.close()
        with pytest.raises(ClosedError):
            await task

    with make_guard(("ledger", ledger), clock=clock) as guard:
        asyncio.run(bot())
    assert [left for left, _ in ledger.ends] == [False]


# Many threads and loops.


def test_two_loops_in_two_threads_share_one_guard() -> None:
    clock = FakeClock(auto=False)

    class Waits(Plugin):
        def __init__(self) -> None:
            self.threads: dict[str, set[int]] = {}

        @hookimpl
        def on_request(self, request: Request) -> Any:
            threads = self.threads.setdefault(request.id, set())
            first = not threads
            threads.add(threading.get_ident())
            return Wait(5) if first else None

    waits, left = Waits(), []

    def bot() -> None:
        async def both() -> None:
            left.extend(await asyncio.gather(*[guard.aclear(ORDER) for _ in range(3)]))

        asyncio.run(both())

    with make_guard(waits, clock=clock) as guard:
        threads = [threading.Thread(target=bot) for _ in range(2)]
        for thread in threads:
            thread.start()
        clock.await_waiters(6)
        clock.advance(5)
        for thread in threads:
            thread.join()
    assert len({cleared.id for cleared in left}) == 6
    assert {len(seen) for seen in waits.threads.values()} == {1}, "each stayed on its loop"
    assert len(set.union(*waits.threads.values())) == 2


def test_hooks_are_called_from_many_threads_at_once() -> None:
    barrier = threading.Barrier(4)

    class Meets(Plugin):
        @hookimpl
        def on_request(self, request: Request) -> None:
            barrier.wait(PATIENCE_S)

    with make_guard(Meets()) as guard:
        threads = [threading.Thread(target=guard.clear, args=(ORDER,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert guard.snapshot.hooks("meets")["on_request"].calls == 4


def test_alogin_and_areport_do_not_hold_up_the_loop() -> None:
    went_on = threading.Event()

    class Slow(Plugin):
        @hookimpl
        def on_login(self, login: Login) -> Deny:
            assert went_on.wait(PATIENCE_S)
            return Deny("no")

        @hookimpl
        def on_incident(self, incident: Incident) -> None:
            assert went_on.wait(PATIENCE_S)

    async def bot() -> None:
        asyncio.get_running_loop().call_soon(went_on.set)
        with pytest.raises(Denied, match="no"):
            await guard.alogin(Login("eve"))
        went_on.clear()
        asyncio.get_running_loop().call_soon(went_on.set)
        incident = await guard.areport("x", Severity.LOW)
        assert incident.outcomes[-1].ok

    with make_guard(Slow(), limits=KernelLimits(responders_s=PATIENCE_S)) as guard:
        asyncio.run(bot())
