"""A guard under everything at once: threads, an event loop, changes, halts, waits, cancellations.

Every hook writes down what it saw, on one count of ticks for all threads. When all is quiet, the
books are checked: no call saw a half-made order or missed a guard, no denial was turned, nothing
is charged for what did not leave, nothing left after a halt, and each who was asked was told once.
"""

import asyncio
import itertools
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from attrs import define, field
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from hauberk.context import Context
from hauberk.errors import Denied
from hauberk.guard import Guard
from hauberk.hooks import Plugin, blocking, hookimpl
from hauberk.kernel import Kernel
from hauberk.plan import Plan, Planned
from hauberk.protocol import Cleared
from hauberk.records import Event, Incident, Outcome, Severity
from hauberk.request import Request
from hauberk.settings import KernelLimits
from hauberk.snapshot import Snapshot
from hauberk.testing import DEFAULT_URL, FakeClock, PlainSigner, make_plan
from hauberk.verdicts import Deny, Wait
from hauberk.waking import Waking

PATIENCE_S = 30
MAX_CALLS = 16
FOREVER = 10**12
#: Time that a test lets pass while a guard is held up is not the guard's.
LIMITS = KernelLimits(
    warn_after_s=80_000.0, deny_after_s=80_000.0, responders_s=PATIENCE_S, retry_s=1.0
)


#: Whether a call goes on on the event loop, wherever its blocking hooks run.
ON_LOOP: ContextVar[bool] = ContextVar("on_loop", default=False)
#: Whether code runs on behalf of a call, wherever its hooks run.
IN_CALL: ContextVar[bool] = ContextVar("in_call", default=False)
#: The wait that a call is about to begin.
IDLE: ContextVar["Idle"] = ContextVar("idle")
PLACES = ["guard", "recorder", "signer", "snapshot"]


class Gate:
    """Where the first who comes by is held up, until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.holds: tuple[bool, bool] | None = None


class Busy:
    """How many calls are neither finished nor held up, so that a step can wait for the others."""

    def __init__(self) -> None:
        self._counts = {False: 0, True: 0}
        self._changed = threading.Condition(threading.RLock())
        self.loop_is_held = False

    def add(self, number: int, on_loop: bool | None = None) -> None:
        with self._changed:
            self._counts[ON_LOOP.get() if on_loop is None else on_loop] += number
            self._changed.notify_all()

    def hold(self, gate: Gate, loop_thread: int | None) -> None:
        """Be held at a gate; if that is on the loop's own thread, all its calls are."""
        with self._changed:
            if gate.opened.is_set():
                return
            gate.holds = on_loop, holds_loop = ON_LOOP.get(), threading.get_ident() == loop_thread
            self.loop_is_held = self.loop_is_held or holds_loop
            self.add(-1, on_loop)
        assert gate.opened.wait(PATIENCE_S)

    def let_go(self, gate: Gate) -> None:
        """Open a gate: whoever is held there is busy from now on, not from when it wakes up."""
        with self._changed:
            if gate.holds is not None and not gate.opened.is_set():
                on_loop, holds_loop = gate.holds
                self.loop_is_held = self.loop_is_held and not holds_loop
                self.add(1, on_loop)
            gate.opened.set()

    def settle(self) -> None:
        """Wait until every call is finished, waits on the clock, or is held at a gate."""
        with self._changed:
            assert self._changed.wait_for(self._is_settled, PATIENCE_S), "calls are stuck"

    def _is_settled(self) -> bool:
        return self._counts[False] <= 0 and (self.loop_is_held or self._counts[True] <= 0)


class Idle:
    """One wait of a call: whoever ends it has it count as busy again, before it wakes up."""

    def __init__(self, busy: Busy) -> None:
        self.busy, self.on_loop, self.lock = busy, ON_LOOP.get(), threading.Lock()
        self.is_over = False

    def begin(self) -> None:
        self.busy.add(-1, self.on_loop)

    def end(self) -> None:
        with self.lock:
            was_over, self.is_over = self.is_over, True
        if not was_over:
            self.busy.add(1, self.on_loop)


class Clock(FakeClock):
    """A clock on which whoever waits is not busy."""

    def __init__(self) -> None:
        super().__init__(auto=False)

    @contextmanager
    def _waits(self, ns: int, go: Callable[[], object]) -> Iterator[None]:
        idle = IDLE.get()

        def due() -> None:
            idle.end()
            go()

        with super()._waits(ns, due):
            idle.begin()
            try:
                yield
            finally:
                idle.end()


class CountedWaking(Waking):
    """Whoever is woken counts as busy from that moment."""

    busy: Busy

    def _put(self, request_id: str, wake: Callable[[], object]) -> bool:
        idle = Idle(self.busy)
        IDLE.set(idle)

        def counted() -> None:
            idle.end()
            wake()

        return super()._put(request_id, counted)


@define
class Span:
    """Something that held between two ticks, for certain."""

    begin: int
    end: int = FOREVER


@define
class Books:
    """What happened, by tick."""

    tick: Callable[[], int] = field(factory=lambda: itertools.count(1).__next__)
    orders: list[tuple[tuple[str, ...], Span]] = field(factory=list)
    passes: dict[str, list[tuple[int, list[str]]]] = field(factory=lambda: defaultdict(list))
    left: dict[str, tuple[int, int]] = field(factory=dict)
    halts: list[Span] = field(factory=list)
    refusals: list[Span] = field(factory=list)
    rechecks: list[Span] = field(factory=list)
    inside: list[tuple[str, int]] = field(factory=list)
    lifts: list[int] = field(factory=list)
    signed: list[str] = field(factory=list)
    intents: list[str] = field(factory=list)

    def check(self) -> None:
        for request_id, passes in self.passes.items():
            for _, names in passes:
                assert any(list(order[: len(names)]) == names for order, _ in self.orders), (
                    f"{names} is the beginning of no order there ever was"
                )
            if request_id in self.left:
                self._check_left(request_id, *self.left[request_id])

    def _check_left(self, request_id: str, leaving: int, ended: int) -> None:
        began, names = self.passes[request_id][-1]
        assert any(
            list(order) == names and span.begin <= ended and span.end >= began
            for order, span in self.orders
        ), f"it left though {names} is not everybody who stood then"
        assert not any(halt.begin < leaving < halt.end for halt in self.halts), "after a halt"
        assert not any(no.begin < leaving < no.end for no in self.refusals), "a denial turned"
        assert not any(began < each.begin and each.end < leaving for each in self.rechecks), (
            "by a pass that began before all were to be asked again"
        )
        for reported_in, at in self.inside:
            lifted = any(at < lift < leaving for lift in self.lifts)
            assert reported_in != request_id or at > leaving or lifted, "after its own alarm"
        assert request_id in self.intents, "it left without a record of its intent"


class Noted(Plugin):
    """A guard that writes down whom it was asked about, and when it was told the end."""

    def __init__(self, world: "World", name: str) -> None:
        self.world, self.name = world, name
        self.asked: set[str] = set()
        self.told: Counter[str] = Counter()
        world.everybody.append(self)

    def note(self, request: Request) -> None:
        with self.world.lock:
            self.world.books.passes[request.id][-1][1].append(self.name)
            self.asked.add(request.id)

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        with self.world.lock:
            self.told[request.id] += 1


class Witness(Noted):
    """No objection; does once what it is told to, and is held at a gate."""

    @hookimpl
    def on_request(self, request: Request) -> None:
        self.note(request)
        with self.world.lock:
            errand = self.world.errands.pop() if self.world.errands else None
        if errand is not None:
            errand(request)
        self.world.gate("guard")


class BlockingWitness(Witness):
    @blocking
    @hookimpl
    def on_request(self, request: Request) -> None:
        Witness.on_request(self, request)


class Refuser(Noted):
    @hookimpl
    def on_request(self, request: Request) -> Deny:
        self.note(request)
        return Deny("not while I stand here")


class BlockingRefuser(Refuser):
    @blocking
    @hookimpl
    def on_request(self, request: Request) -> Deny:
        return Refuser.on_request(self, request)


class BlockingLedger(Noted):
    """Charges when it comes back from a wait of its own, as a store on a network does."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self.charges: set[str] = set()

    @blocking
    @hookimpl
    def on_request(self, request: Request) -> None:
        self.world.gate("pool")
        self.note(request)
        with self.world.lock:
            self.charges.add(request.id)

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        Noted.on_end(self, request, left, why)
        with self.world.lock:
            self.charges.discard(request.id)


class Switch(Noted):
    """The kill switch; the first of every pass."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self.halted = False
        self.failures = 0

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        with self.world.lock:
            self.world.books.passes[request.id].append((self.world.books.tick(), []))
        self.note(request)
        return Deny("halted") if self.halted else None

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome:
        self.world.gate("switch")
        if incident.severity >= Severity.HIGH:
            if self.failures:
                self.failures -= 1
                raise OSError("the switch is stuck")
            self.halted = True
        return Outcome("halted")


class Ledger(Noted):
    """Charges by id and paces as the request says; gives back what did not leave."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self.charges: set[str] = set()
        self.waits: Counter[str] = Counter()
        self.spent: set[str] = set()

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.context = context

    @hookimpl
    def on_request(self, request: Request) -> Wait | None:
        self.note(request)
        script = dict(request.params)["waits"].split()
        with self.world.lock:
            assert request.id not in self.told, "asked about what has ended"
            self.charges.add(request.id)
            turn = self.waits[request.id]
            self.waits[request.id] += 1
        return Wait(float(script[turn])) if turn < len(script) else None

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:
        Noted.on_end(self, request, left, why)
        with self.world.lock:
            self.charges.discard(request.id)
            if left:
                self.spent.add(request.id)
                leaving = self.world.here.leaving
                self.world.books.left[request.id] = leaving, self.world.books.tick()


class Audit(Plugin):
    def __init__(self, world: "World") -> None:
        self.world = world

    @hookimpl
    def on_event(self, event: Event) -> None:
        if event.kind == "request.intent":
            self.world.books.intents.append(event.request_id)
            self.world.gate("recorder")


class Signer(PlainSigner):
    def __init__(self, world: "World") -> None:
        self.world = world

    @hookimpl
    def sign_request(self, request: Request) -> Request:
        self.world.books.signed.append(request.id)
        self.world.gate("signer")
        return PlainSigner.sign_request(self, request)


class Loop:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE_S)
        self.loop.close()


class Watched(Kernel):
    """Notes each snapshot that is put in place, and holds a call up that has just read one."""

    world: "World"

    @property
    def snapshot(self) -> Snapshot:  # type: ignore[override]
        found: Snapshot = self.__dict__["snapshot"]
        if IN_CALL.get():
            self.world.gate("snapshot")
        return found

    @snapshot.setter
    def snapshot(self, snapshot: Snapshot) -> None:
        assert self.lock._is_owned(), "put in place while another may leave"  # type: ignore[attr-defined]
        names = tuple(impl.name for impl in snapshot.guards)
        assert names[0] == "killswitch"
        assert names[-1] == "throttle"
        assert self.world.standing <= set(names), "somebody registered is missing"
        orders = self.world.books.orders
        orders.append((names, Span(self.world.books.tick())))
        self.__dict__["snapshot"] = snapshot
        orders[-2][1].end = self.world.books.tick()


class World:
    """A guard, its plugins and plans, and the calls under way.

    Attributes:
        standing: Names of those registered at run time, from when that is done until it is undone.
    """

    def __init__(self) -> None:
        self.books, self.busy, self.lock = Books(), Busy(), threading.Lock()
        self.here = threading.local()
        self.clock = Clock()
        self.everybody: list[Noted] = []
        self.errands: list[Callable[[Request], object]] = []
        self.gates: dict[str, Gate] = {}
        self.held: list[Gate] = []
        self.calls: list[Future[Cleared]] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.standing: set[str] = set()
        self.switch, self.ledger = Switch(self, "killswitch"), Ledger(self, "throttle")
        # The same objects in every plan, so that a reload finds them unchanged.
        self.makers: dict[str, Callable[..., Plugin]] = {
            "killswitch": lambda: self.switch,
            "throttle": lambda: self.ledger,
            "audit": lambda: Audit(self),
            "signing": lambda: Signer(self),
        }
        self.make = lambda version: Witness(self, version.partition(" ")[0])
        self.base = make_plan(limits=LIMITS)
        self.plan_next = self.plan(("first", "second"), {})
        self.guard = Guard(self.plan_next, clock=self.clock, replan=lambda: self.plan_next)
        self.loop = Loop()
        self._watch_kernel()

    def plan(self, middle: tuple[str, ...], versions: dict[str, int]) -> Plan:
        providers = self.base.planned[0]
        grants = {"audit": frozenset({"record"}), "signing": frozenset({"sign"})}
        planned = [
            Planned(name, make, None, grants.get(name, frozenset()), required=True)
            for name, make in self.makers.items()
        ]
        planned += [Planned(name, self.make, f"{name} {versions.get(name, 0)}") for name in middle]
        order = ("killswitch", *middle, "bots", "throttle", "signing", "audit")
        return Plan(self.base.settings, order, [providers, *planned])

    def _watch_kernel(self) -> None:
        kernel = self.guard.kernel
        leave = kernel.leave

        def noted_leave(epoch: int) -> bool:
            self.here.leaving = self.books.tick()
            return leave(epoch)

        kernel.leave = noted_leave  # type: ignore[method-assign]
        names = tuple(impl.name for impl in self.guard.snapshot.guards)
        self.books.orders.append((names, Span(0)))
        kernel.waking.__class__ = CountedWaking
        kernel.waking.busy = self.busy  # type: ignore[attr-defined]
        kernel.__class__ = Watched
        kernel.world = self  # type: ignore[attr-defined]

    def shut(self, place: str) -> Gate:
        gate = Gate()
        self.held.append(gate)
        with self.lock:
            self.gates[place] = gate
        return gate

    def gate(self, place: str) -> None:
        """Hold up the first who comes by since the gate was shut."""
        with self.lock:
            gate = self.gates.pop(place, None)
        if gate is not None:
            self.busy.hold(gate, self.loop.thread.ident)

    # Calls.

    def call(self, waits: list[float], on_loop: bool) -> None:
        params = {"waits": " ".join(map(str, waits))}
        request = Request("POST", DEFAULT_URL, params)
        result: Future[Cleared] = Future()
        self.calls.append(result)
        self.busy.add(1, on_loop)
        if on_loop:
            asyncio.run_coroutine_threadsafe(self._acall(request, result), self.loop.loop)
        else:
            threading.Thread(target=self._call, args=(request, result)).start()

    def _call(self, request: Request, result: Future[Cleared]) -> None:
        IN_CALL.set(True)
        try:
            result.set_result(self.guard.clear(request))
        except BaseException as error:
            result.set_exception(error)
        finally:
            self.busy.add(-1)

    async def _acall(self, request: Request, result: Future[Cleared]) -> None:
        ON_LOOP.set(True)
        IN_CALL.set(True)
        task = asyncio.ensure_future(self.guard.aclear(request))
        self.tasks.append(task)
        try:
            result.set_result(await task)
        except asyncio.CancelledError:
            result.set_exception(Denied("bot", "cancelled"))
        except BaseException as error:
            result.set_exception(error)
        finally:
            self.busy.add(-1)

    def cancel(self, task: "asyncio.Task[Any]", times: int = 1) -> None:
        """Cancel a call, and wait until the loop has come to that."""

        async def cancel() -> None:
            for _ in range(times):
                task.cancel()
                for _ in range(3):
                    await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(cancel(), self.loop.loop).result(PATIENCE_S)

    def begin_elsewhere(self, action: Callable[[], object]) -> Future[object]:
        """Do it on another thread, which counts as busy until it is done or held up."""
        done: Future[object] = Future()

        def run() -> None:
            try:
                done.set_result(action())
            except BaseException as error:
                done.set_exception(error)
            finally:
                self.busy.add(-1)

        self.busy.add(1)
        threading.Thread(target=run).start()
        return done

    def elsewhere(self, action: Callable[[], object]) -> None:
        """Do it on another thread, and wait for it."""
        self.begin_elsewhere(action).result(PATIENCE_S)

    def open_gates(self) -> None:
        with self.lock:
            self.gates.clear()
        for gate in self.held:
            self.busy.let_go(gate)
        self.held.clear()

    def quiet(self) -> None:
        """Let every call end, then check the books."""
        self.open_gates()
        self.clock.auto = True
        while wait(self.calls, 0.01).not_done:
            self.clock.advance(1_000)
        self.busy.settle()
        self.clock.auto = False
        cleared = set()
        for call in self.calls:
            if (error := call.exception()) is None:
                cleared.add(call.result().id)
            else:
                assert isinstance(error, Denied), error
        with self.lock:
            assert cleared <= set(self.books.left)
            for noted in self.everybody:
                assert getattr(noted, "charges", set()) == set(), "charged for what did not leave"
            assert self.ledger.spent == set(self.books.left)
            for noted in self.everybody:
                assert noted.told == Counter(noted.asked), f"{noted.name}: each once"
            self.books.check()
        assert self.guard.kernel.waking._armed == {}
        assert self.guard.kernel.watch.active == set()
        self.calls.clear()

    def close(self) -> None:
        self.open_gates()
        self.guard.close()
        self.loop.close()


anywhere = st.sampled_from(["here", "thread"])
#: How long a request is made to wait, each time that it is asked about.
scripts = st.sampled_from([[], [], [0.5], [5.0], [0.5, 5.0], [50.0, 0.0], [500.0]])
kinds = st.sampled_from([Witness, BlockingWitness, BlockingLedger, Refuser, BlockingRefuser])
HAPPENINGS = ["refuse", "refuse off the loop", "reload", "halt", "a halt that fails", "recheck"]
happenings = st.sampled_from(HAPPENINGS)
severities = st.sampled_from([*Severity, Severity.LOW, Severity.MEDIUM])


class KernelMachine(RuleBasedStateMachine):
    """Each rule is one thing that may happen; whatever is held or waits stays so across rules."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.bots: list[tuple[str, Span | None]] = []
        self.numbers = itertools.count(1)
        self.versions = Counter[str]()
        self.middle: tuple[str, ...] = ("first", "second")

    def teardown(self) -> None:
        try:
            self.world.quiet()
        finally:
            self.world.close()

    def do(self, where: str, action: Callable[[], object]) -> None:
        if where == "thread":
            self.world.elsewhere(action)
        else:
            action()

    @initialize(waits=scripts, on_loop=st.booleans())
    def something_is_under_way(self, waits, on_loop) -> None:
        self.world.call(waits, on_loop)

    # A precondition may not depend on how far a thread got: hypothesis repeats what it draws.
    @precondition(lambda self: len(self.world.calls) < MAX_CALLS)
    @rule(calls=st.lists(st.tuples(scripts, st.booleans()), min_size=1, max_size=4))
    def call(self, calls) -> None:
        for waits, on_loop in calls:
            self.world.call(waits, on_loop)
        self.world.busy.settle()

    @rule(seconds=st.sampled_from([0.5, 5.0, 30.0]))
    def time_passes(self, seconds) -> None:
        self.world.clock.advance(seconds)
        self.world.busy.settle()

    @rule(where=anywhere)
    def wake_everybody(self, where) -> None:
        for request_id in tuple(self.world.ledger.charges):
            self.do(where, lambda request_id=request_id: self.world.ledger.context.wake(request_id))
        self.world.busy.settle()

    @rule(number=st.integers(0, 9))
    def cancel(self, number) -> None:
        running = [task for task in self.world.tasks if not task.done()]
        if running:
            task = running[number % len(running)]
            self.world.loop.loop.call_soon_threadsafe(task.cancel)

    # Changes.

    @precondition(lambda self: len(self.bots) < 4)
    @rule(kind=kinds, where=anywhere)
    def register(self, kind, where) -> None:
        self._register(kind, where)

    def _register(self, kind: type[Noted], where: str) -> None:
        name = f"bot{next(self.numbers)}"
        plugin = kind(self.world, name)
        self.do(where, lambda: self.world.guard.register(plugin, name=name))
        self.world.standing.add(name)
        span = None
        if issubclass(kind, Refuser):
            span = Span(self.world.books.tick())
            self.world.books.refusals.append(span)
        self.bots.append((name, span))
        self.names_are_as_they_should_be()

    @precondition(lambda self: self.bots)
    @rule(number=st.integers(0, 9), where=anywhere)
    def unregister(self, number, where) -> None:
        self._unregister(self.bots[number % len(self.bots)], where)

    def _unregister(self, bot: tuple[str, Span | None], where: str) -> None:
        self.bots.remove(bot)
        name, span = bot
        self.world.standing.discard(name)
        if span is not None:
            span.end = self.world.books.tick()
        self.do(where, lambda: self.world.guard.unregister(name))
        self.names_are_as_they_should_be()

    @rule(
        middle=st.sampled_from([("first", "second"), ("second", "first"), ("second",), ()]),
        change=st.sampled_from(["", "first", "second"]),
        where=anywhere,
    )
    def reload(self, middle, change, where) -> None:
        self._reload(middle, change, where)

    def _reload(self, middle: tuple[str, ...], change: str, where: str) -> None:
        self.versions[change] += 1
        self.middle = middle
        self.world.plan_next = self.world.plan(middle, dict(self.versions))
        self.do(where, self.world.guard.reload)
        self.names_are_as_they_should_be()

    @rule()
    def reload_what_is_faulty(self) -> None:
        def unreadable() -> Plan:
            raise OSError("unreadable")

        guard, before = self.world.guard, self.world.guard.snapshot
        replan, guard._replan = guard._replan, unreadable
        try:
            guard.reload()
        except OSError:
            assert guard.snapshot is before
        else:
            raise AssertionError("a faulty reload went through")
        finally:
            guard._replan = replan

    @rule(where=anywhere)
    def recheck(self, where) -> None:
        self._recheck(where)

    def _recheck(self, where: str) -> None:
        began = self.world.books.tick()
        self.do(where, self.world.ledger.context.recheck)
        self.world.books.rechecks.append(Span(began, self.world.books.tick()))

    def names_are_as_they_should_be(self) -> None:
        names = [impl.name for impl in self.world.guard.snapshot.guards]
        bots = [name for name, _ in self.bots]
        assert names == ["killswitch", *self.middle, *bots, "throttle"]

    # Incidents.

    @rule(severity=severities, where=anywhere, stuck=st.booleans())
    def report(self, severity, where, stuck) -> None:
        self.world.switch.failures = int(stuck and severity >= Severity.HIGH)
        self._report(severity, where)
        self.world.busy.settle()

    def _report(self, severity: Severity, where: str) -> None:
        world = self.world
        self.do(where, lambda: world.guard.report("alarm", severity))
        if severity >= Severity.HIGH:
            world.books.halts.append(Span(world.books.tick()))

    @rule(severity=severities)
    def report_inside_the_next_guard(self, severity) -> None:
        def errand(request: Request) -> None:
            world.guard.report("alarm inside", severity)
            if severity >= Severity.HIGH:  # contained though the guard has yet to return
                world.books.inside.append((request.id, world.books.tick()))
                world.books.halts.append(Span(world.books.tick()))

        world = self.world
        world.errands.append(errand)

    @rule()
    def lift(self) -> None:
        """Lift every halt and refusal, so that something leaves again."""
        self._lift()

    def _lift(self) -> None:
        for bot in [bot for bot in self.bots if bot[1] is not None]:
            self._unregister(bot, "here")
        now = self.world.books.tick()
        self.world.books.lifts.append(now)
        for halt in self.world.books.halts:
            halt.end = min(halt.end, now)
        self.world.switch.halted = False
        self.world.clock.advance(1)

    # Moments.

    @rule(place=st.sampled_from([*PLACES, "pool"]))
    def hold_the_next_at(self, place) -> None:
        self.world.shut(place)

    @rule()
    def let_go(self) -> None:
        self.world.open_gates()
        self.world.busy.settle()

    @precondition(lambda self: len(self.bots) < 4 and len(self.world.calls) < MAX_CALLS)
    @rule(calls=st.integers(2, 4), what=happenings)
    def all_at_once(self, calls, what) -> None:
        """Calls from threads and the loop race one change, with nothing to hold them up."""
        self.world.open_gates()
        for number in range(calls):
            self.world.call([], on_loop=bool(number % 2))
        self._happen(what, "here")
        self.world.busy.settle()

    @precondition(lambda self: len(self.bots) < 4 and len(self.world.calls) < MAX_CALLS)
    @rule(
        place=st.sampled_from(PLACES),
        what=happenings,
        on_loop=st.booleans(),
        where=anywhere,
    )
    def in_the_middle(self, place, what, on_loop, where) -> None:
        """A call is held up at a place, something happens, and it goes on."""
        self.let_everything_go()
        self.world.shut(place)
        self.world.call([], on_loop)
        self.world.busy.settle()
        self._happen(what, where)
        self.world.open_gates()
        self.world.busy.settle()

    @precondition(lambda self: len(self.world.calls) < MAX_CALLS)
    @rule(place=st.sampled_from(PLACES), on_loop=st.booleans())
    def while_the_switch_acts(self, place, on_loop) -> None:
        """A call begins when the switch was told and has not acted yet, and ends when it has."""
        world = self.world
        self.let_everything_go()
        acting = world.shut("switch")
        reporting = world.begin_elsewhere(lambda: world.guard.report("alarm", Severity.CRITICAL))
        world.busy.settle()
        world.shut(place)
        world.call([], on_loop)
        world.busy.settle()
        world.busy.let_go(acting)
        reporting.result(PATIENCE_S)
        world.books.halts.append(Span(world.books.tick()))
        world.open_gates()
        world.busy.settle()

    @precondition(lambda self: len(self.bots) < 4 and len(self.world.calls) < MAX_CALLS)
    @rule(times=st.integers(1, 3))
    def cancel_what_blocks(self, times) -> None:
        """A call is cancelled while a guard that has yet to charge blocks off the loop."""
        self.let_everything_go()
        self._register(BlockingLedger, "here")
        self.world.shut("pool")
        self.world.call([], on_loop=True)
        self.world.busy.settle()
        self.world.cancel(self.world.tasks[-1], times)
        self.world.open_gates()
        self.world.busy.settle()

    def let_everything_go(self) -> None:
        self.world.open_gates()
        self.world.busy.settle()
        self._lift()
        self.world.busy.settle()

    def _happen(self, what: str, where: str) -> None:
        if what.startswith("refuse"):
            self._register(BlockingRefuser if "off the loop" in what else Refuser, where)
        elif what == "reload":
            self._reload((), "first", where)
        elif what == "halt":
            self._report(Severity.CRITICAL, where)
        elif what == "a halt that fails":
            self.world.switch.failures = 1
            self._report(Severity.CRITICAL, where)
        else:
            self._recheck(where)

    @rule()
    def all_is_quiet(self) -> None:
        self.world.quiet()


#: One example does the work of many: a third of what an ordinary property gets. None is made
#: smaller: with threads, a smaller one seldom fails again.
KernelMachine.TestCase.settings = settings(
    max_examples=settings.default.max_examples // 3,
    stateful_step_count=40,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


@contextmanager
def machine() -> Iterator[KernelMachine]:
    """One to which a test itself says what happens."""
    made = KernelMachine()
    try:
        yield made
    finally:
        made.teardown()


@pytest.mark.parametrize("what", HAPPENINGS)
@pytest.mark.parametrize("place", PLACES)
def test_whatever_happens_at_whatever_moment_the_books_are_right(place, what) -> None:
    for on_loop, where in itertools.product([False, True], ["here", "thread"]):
        with machine() as it:
            it.in_the_middle(place=place, what=what, on_loop=on_loop, where=where)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("on_loop", [False, True])
def test_a_halt_that_takes_its_time_stops_what_began_meanwhile(place, on_loop) -> None:
    with machine() as it:
        it.while_the_switch_acts(place=place, on_loop=on_loop)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_call_that_is_cancelled_while_a_guard_blocks_leaves_no_charge(times) -> None:
    with machine() as it:
        it.cancel_what_blocks(times=times)


@pytest.mark.parametrize("on_loop", [False, True])
def test_what_a_guard_reports_and_then_hangs_stops_everybody_else(on_loop) -> None:
    with machine() as it:
        it.world.shut("signer")
        it.world.call([], on_loop=False)
        it.world.busy.settle()
        it.report_inside_the_next_guard(severity=Severity.HIGH)
        it.world.shut("guard")
        it.world.call([], on_loop)
        it.world.busy.settle()
        it.world.busy.let_go(it.world.held[0])
        it.world.busy.settle()


class TestKernel(KernelMachine.TestCase):
    """The machine, as pytest collects it."""
