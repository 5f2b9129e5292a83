"""The protocol of clearing, driven by anything that could drive it."""

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from hauberk.accounts import Account
from hauberk.binding import bind_accounts
from hauberk.dispatch import Finding
from hauberk.errors import Denied, HauberkError
from hauberk.frames import Frame
from hauberk.hooks import Plugin, blocking, hookimpl
from hauberk.protocol import (
    MAX_AMENDMENTS,
    MIN_WAIT_NS,
    Ask,
    Begin,
    Cleared,
    End,
    Flush,
    Leave,
    Now,
    Pause,
    Scene,
    Sign,
    Step,
    Tell,
    clearing,
)
from hauberk.records import Event
from hauberk.registry import Impl, Part, implementations
from hauberk.request import Operation, Request
from hauberk.snapshot import Snapshot, arrange
from hauberk.testing import DEFAULT_URL, OpenVenues, PlainSigner
from hauberk.verdicts import Deny, Wait

ORDER = Request("POST", DEFAULT_URL, {"symbol": "BTCUSDT"}).stamped("r1", Operation.UNKNOWN)
BINDINGS = bind_accounts({"main": Account("open")}, OpenVenues())
SIGNER = PlainSigner()
TIMEOUT_NS = 60_000_000_000
#: After so many steps the world comes to rest, so that whatever does not end is a fault.
RESTLESS_STEPS = 80


class Quick(Plugin):
    @hookimpl
    def on_request(self, request: Request) -> None:
        """Never called: the driver answers for it."""


class Blocks(Plugin):
    @blocking
    @hookimpl
    def on_request(self, request: Request) -> None:
        """Never called: the driver answers for it."""


class Records(Plugin):
    @hookimpl
    def on_event(self, event: Event) -> None:
        """Never called: the driver answers for it."""


def snapshot(*names: str, records: bool, binding: bool = True) -> Snapshot:
    """Guards by these names, those in capitals blocking; the same name is the same plugin."""
    order = ["killswitch", *names, "bots", "signing"]
    parts = [PARTS[name] for name in ("killswitch", *names, "signing")]
    if records:
        parts.append(PARTS["audit"])
        order.append("audit")
    return arrange(parts, order, BINDINGS if binding else {})


def made(name: str, plugin: Plugin, *grants: str) -> tuple[Part, Any]:
    part = Part(name, plugin, frozenset(grants))
    return part, implementations(part)


PARTS = {
    "killswitch": made("killswitch", Quick()),
    "a": made("a", Quick(), "amend"),
    "B": made("B", Blocks()),
    "c": made("c", Quick()),
    "D": made("D", Blocks()),
    "signing": made("signing", SIGNER, "sign"),
    "audit": made("audit", Records(), "record"),
}
SNAPSHOTS = [
    snapshot("a", "B", "c", records=True),
    snapshot("a", "B", "c", "D", records=False),
    snapshot("c", "a", records=True),
    snapshot(records=False),
]
ERRORS: list[type[BaseException]] = [
    KeyboardInterrupt, SystemExit, ValueError, Denied, StopIteration, MemoryError,
]  # fmt: skip


def error_of(kind: type[BaseException]) -> BaseException:
    return Denied("thrown", "by the driver") if kind is Denied else kind()


waits = st.one_of(
    st.builds(Wait, st.floats(0, 90, allow_nan=False)),
    st.sampled_from([0.0, 1e-9, 60.0, 1e300]).map(Wait),
)
amendments = st.sampled_from(["ETHUSDT", "BTCUSDT"]).map(
    lambda symbol: ORDER.amend(params={"symbol": symbol})
)
#: What guards answer in one run.
TEMPERS = {
    "content": st.one_of(st.none(), st.none(), st.none(), waits),
    "fickle": st.one_of(st.none(), st.just(Deny("no")), waits, amendments),
    "slow": st.one_of(st.none(), waits),
    "meddling": amendments,
}
#: At which steps something is thrown in one run.
throws = st.one_of(st.just(set()), st.sets(st.integers(0, 20), min_size=1, max_size=4))


@define
class Driver:
    """Answers each step with anything that a driver could, and checks what it is asked to do."""

    data: st.DataObject
    off_loop: bool
    shadow: bool
    temper: st.SearchStrategy[Any]
    frame: Frame = field(factory=Frame)
    steps: int = 0
    now_ns: int = 0
    read_ns: int = 0
    epoch: int = 0
    deadline_ns: int | None = None
    scene: Scene | None = None
    unasked: list[Sequence[Impl]] = field(factory=list)
    objected: bool = False
    signed_in_pass: bool = False
    intent: bool = False
    amendments: int = 0
    asked: dict[int, str] = field(factory=dict)
    left: bool = False
    ends: list[End] = field(factory=list)
    told: list[str] = field(factory=list)

    def draw(self, strategy: st.SearchStrategy[Any], rest: Any) -> Any:
        return self.data.draw(strategy) if self.steps < RESTLESS_STEPS else rest

    def carry_out(self, step: Step) -> Any:
        self.steps += 1
        self.now_ns += self.draw(st.sampled_from([0, 0, 1, 10**9, 10**11]), 0)
        return getattr(self, f"on_{type(step).__name__.lower()}")(step)

    def on_begin(self, step: Begin) -> Scene:
        assert step.request_id == ORDER.id
        assert not self.ends
        obstacle = self.draw(st.sampled_from([None] * 7 + [("killswitch", "failed")]), None)
        self.epoch += self.draw(st.sampled_from([0, 0, 1]), 0)
        self.scene = Scene(
            self.epoch, SNAPSHOTS[self.draw(st.integers(0, 3), 0)], self.now_ns, obstacle,
            self.shadow,
        )  # fmt: skip
        if self.deadline_ns is None:
            self.deadline_ns = self.now_ns + TIMEOUT_NS
        self.unasked = list(
            self.scene.snapshot.runs if self.off_loop else (self.scene.snapshot.guards,)
        )
        self.objected, self.signed_in_pass, self.intent = obstacle is not None, False, False
        return self.scene

    def on_ask(self, step: Ask) -> Finding | None:
        assert self.scene is not None
        assert step.guards == self.unasked.pop(0), "in order, each run once"
        assert not self.objected or self.shadow, "nobody is asked after an objection"
        assert step.shadow == self.shadow
        assert step.request.id == ORDER.id
        reached = self.draw(st.integers(1, len(step.guards)), len(step.guards))
        verdict = self.draw(self.temper, None)
        if verdict is None or self.shadow:
            reached = len(step.guards)
        for impl in step.guards[:reached]:
            self.frame.impl = impl
            self.asked[id(impl.part.plugin)] = impl.name
        if self.draw(st.booleans(), False):
            self.frame.queue.append(lambda: None)
        if verdict is None:
            return None
        if self.shadow:
            self.frame.passed_over.append((step.guards[0], verdict))
            return None
        self.objected = True
        if type(verdict) is Request:
            self.amendments += 1
        return step.guards[reached - 1], verdict

    def on_flush(self, step: Flush) -> None:
        assert step.frame.queue, "nothing to send"
        step.frame.queue.clear()

    def on_now(self, step: Now) -> int:
        self.read_ns = self.now_ns
        return self.now_ns

    def on_pause(self, step: Pause) -> None:
        assert self.deadline_ns is not None
        assert step.ns >= MIN_WAIT_NS, "spins"
        assert step.ns <= self.deadline_ns - self.read_ns, "beyond the budget"
        self.now_ns += self.draw(st.integers(0, step.ns), step.ns)

    def on_tell(self, step: Tell) -> None:
        assert self.scene is not None
        assert step.snapshot is self.scene.snapshot, "whose recorders heard the intent hears all"
        self.told.append(step.kind)
        if step.kind == "request.intent":
            assert step.permission
            self.intent = True
            self.unobjected_pass()
            if self.draw(st.sampled_from([False] * 5 + [True]), False):
                self.objected = True
                raise Denied("audit", "disk full")

    def on_sign(self, step: Sign) -> Request:
        assert self.scene is not None
        self.unobjected_pass()
        assert self.intent or not self.scene.snapshot.recorders, "signed before it was recorded"
        self.signed_in_pass = True
        if self.draw(st.booleans(), False):
            self.frame.queue.append(lambda: None)
        signed = SIGNER.sign_request(step.request)
        return signed if self.draw(st.sampled_from([True] * 5 + [False]), True) else ORDER

    def on_leave(self, step: Leave) -> bool:
        assert self.scene is not None
        assert self.signed_in_pass
        assert not self.frame.queue, "what hooks reported is sent first"
        assert step.epoch == self.scene.epoch, "the epoch that was read when this pass began"
        self.epoch += self.draw(st.sampled_from([0, 0, 1]), 0)
        self.left = step.epoch == self.epoch
        return self.left

    def on_end(self, step: End) -> None:
        self.ends.append(step)
        if self.draw(st.booleans(), False):
            self.frame.queue.append(lambda: None)

    def unobjected_pass(self) -> None:
        assert self.unasked == [], "not everybody was asked in this pass"
        assert not self.objected or self.shadow, "somebody objected in this pass"


def drive(driver: Driver, throws_at: set[int]) -> tuple[Cleared | None, BaseException | None]:
    """Drive to the end; throw whatever may be thrown at some steps."""
    steps = clearing(ORDER, TIMEOUT_NS, frame=driver.frame, off_loop=driver.off_loop)
    answer: Any = None
    error: BaseException | None = None
    while True:
        assert driver.steps < 10 * RESTLESS_STEPS, "it does not come to an end"
        try:
            step = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as done:
            return done.value, None
        except BaseException as raised:
            return None, raised
        answer, error = None, None
        if driver.steps in throws_at:
            driver.steps += 1
            error = error_of(driver.data.draw(st.sampled_from(ERRORS)))
            if type(step) is End:  # it cannot be carried out twice
                driver.on_end(step)
            elif type(step) is Tell:  # tried; in shadow mode a denial of it is only noted
                driver.intent = driver.intent or step.kind == "request.intent"
            continue
        try:
            answer = driver.carry_out(step)
        except Denied as denied:
            error = denied


@pytest.mark.parametrize("shadow", [False, True])
@pytest.mark.parametrize("temper", TEMPERS)
@given(st.data(), st.booleans(), throws)
def test_whoever_drives_it_however_the_rules_hold(temper, shadow, data, off_loop, throws) -> None:
    driver = Driver(data, off_loop, shadow, TEMPERS[temper])
    cleared, error = drive(driver, throws)

    assert len(driver.ends) == 1, "told once how it ended"
    (end,) = driver.ends
    told = [id(impl.part.plugin) for impl in end.asked]
    assert len(told) == len(set(told)), "each guard once"
    assert {impl.name for impl in end.asked} == set(driver.asked.values()), "exactly who was asked"
    assert end.left == driver.left, "what is told is what happened"
    assert driver.amendments <= MAX_AMENDMENTS + 1
    if driver.amendments > MAX_AMENDMENTS:
        assert not driver.left
    if cleared is not None:
        assert driver.left
        assert error is None
        assert end.why == ""
        assert cleared.judged.id == ORDER.id
    if not throws:
        assert (cleared is not None) == driver.left, "cleared if and only if it left"
        assert cleared is not None or isinstance(error, HauberkError)
    if not driver.left:
        assert cleared is None
        assert end.why
    if driver.scene is not None and driver.scene.snapshot.recorders:
        assert driver.told.count("request.left") == driver.left or throws
        assert not (driver.left and "request.denied" in driver.told)


@given(st.data(), st.booleans())
def test_an_untroubled_request_leaves_whatever_the_clock_and_the_snapshots(data, off_loop) -> None:
    driver = Driver(data, off_loop, False, st.none(), steps=RESTLESS_STEPS)
    driver.now_ns = data.draw(st.integers(-(2**63), 2**63))
    cleared, error = drive(driver, set())
    assert error is None
    assert cleared is not None


@pytest.mark.parametrize("off_loop", [False, True])
def test_a_world_that_never_rests_comes_to_an_end(off_loop, monkeypatch) -> None:
    monkeypatch.setattr("hauberk.protocol.MAX_PASSES", 30)
    steps = clearing(ORDER, TIMEOUT_NS, frame=Frame(), off_loop=off_loop)
    passes, ends, epoch, answer = 0, [], 0, None
    error: BaseException | None = None
    while error is None:
        try:
            step = steps.send(answer)
        except Denied as denied:
            error = denied
            continue
        answer = None
        if type(step) is Begin:
            passes += 1
            epoch += 1
            answer = Scene(epoch, SNAPSHOTS[1], 0)
        elif type(step) is Sign:
            answer = SIGNER.sign_request(step.request)
        elif type(step) is Leave:
            answer = False
        elif type(step) is End:
            ends.append(step)
    assert passes == 30
    assert [end.left for end in ends] == [False]
    assert "30 passes" in str(error)


def test_a_pass_that_fails_before_it_begins_is_no_reason_to_tell_who_was_never_asked() -> None:
    frame = Frame()
    steps = clearing(ORDER, TIMEOUT_NS, frame=frame)
    next(steps)
    ask: Any = steps.send(Scene(0, SNAPSHOTS[2], 0))  # killswitch, c, a
    frame.impl = c = ask.guards[1]
    assert type(steps.send((c, Wait(1)))) is Now
    assert type(steps.send(0)) is Pause
    assert type(steps.send(None)) is Begin
    assert type(steps.send(Scene(0, SNAPSHOTS[0], 0))) is Ask  # killswitch, a, B, c
    end: Any = steps.throw(RuntimeError("can't start new thread"))
    assert [impl.name for impl in end.asked] == ["killswitch", "c"]


def test_a_driver_that_drops_it_is_not_asked_for_more() -> None:
    steps = clearing(ORDER, TIMEOUT_NS, frame=Frame())
    next(steps)
    steps.close()  # a generator that yielded here would raise RuntimeError
