"""The way of a request from the guards to leaving, as one generator of steps.

No I/O and no clock of its own: whoever drives it carries out each step and sends back what came
of it. `clear` and `aclear` are two such drivers; hypothesis is a third. Rules, in order:

- A pass asks the guards in order and stops at the first denial, wait or amendment; each pass
  sees one snapshot, the next takes the newest.
- What would wait longer than is left of the budget is denied at once.
- The intent is durable before the request is signed.
- Leaving succeeds only if the epoch is what it was when the pass began; otherwise the signed
  request is thrown away and the guards are asked again.
- Every guard that was asked is told, once, how it ended.

Most requests meet nobody who objects, and nothing that anybody must be told of meanwhile. They may
go through in one call (`Drivers.clear`): the same, without the steps. Where something comes
between, the generator goes on from there.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from math import ceil
from typing import Any, Final, TypeAlias

from attrs import define, frozen

from hauberk.binding import Binding
from hauberk.dispatch import Finding
from hauberk.errors import Denied, safe_text
from hauberk.frames import Frame
from hauberk.registry import Impl
from hauberk.request import Operation, Request
from hauberk.signed import check_signed
from hauberk.snapshot import Snapshot
from hauberk.verdicts import Deny, Wait

MAX_AMENDMENTS: Final = 3
MAX_PASSES: Final = 10_000
MIN_WAIT_NS: Final = 1_000_000
MAX_WAIT_S: Final = 1e9


@frozen(eq=False)
class Cleared:
    """A request that may be sent now.

    Attributes:
        request: Signed: send exactly its method, url, headers and body.
        judged: What the guards saw, unsigned.
        id: The id under which it is recorded.
    """

    request: Request
    judged: Request

    @property
    def id(self) -> str:
        """The id under which it is recorded."""
        return self.judged.id


class Step:
    """Something that the driver is to do."""

    __slots__ = ()


class Begin(Step):
    """Arm the request's wake, then look: answered with a `Scene`."""

    __slots__ = ("request_id",)

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id


class Ask(Step):
    """Ask guards: answered with a finding or `None`."""

    __slots__ = ("frame", "guards", "request", "shadow")

    def __init__(
        self, guards: Sequence[Impl], request: Request, frame: Frame, shadow: bool
    ) -> None:
        self.guards = guards
        self.request = request
        self.frame = frame
        self.shadow = shadow


class Flush(Step):
    """Send what guards reported and emitted during the dispatch that has ended."""

    __slots__ = ("frame",)

    def __init__(self, frame: Frame) -> None:
        self.frame = frame


class Now(Step):
    """Answered with the monotonic clock, nanoseconds."""

    __slots__ = ()


class Pause(Step):
    """Wait so many nanoseconds, or until the request is woken."""

    __slots__ = ("ns", "request_id")

    def __init__(self, request_id: str, ns: int) -> None:
        self.request_id = request_id
        self.ns = ns


class Tell(Step):
    """Tell the recorders; a permission that a required one cannot record raises `Denied`."""

    __slots__ = ("fields", "kind", "permission", "request", "snapshot")

    def __init__(
        self,
        snapshot: Snapshot,
        kind: str,
        request: Request,
        fields: dict[str, Any] | None = None,
        permission: bool = False,
    ) -> None:
        self.snapshot = snapshot
        self.kind = kind
        self.request = request
        self.fields = fields
        self.permission = permission


class Sign(Step):
    """Have the request signed: answered with the signed one, or raises `Denied`."""

    __slots__ = ("frame", "request", "signer")

    def __init__(self, signer: Impl, request: Request, frame: Frame) -> None:
        self.signer = signer
        self.request = request
        self.frame = frame


class Leave(Step):
    """One step under the lock: answered with whether the epoch still stands."""

    __slots__ = ("epoch",)

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch


class End(Step):
    """Tell the guards that were asked how it ended, and disarm the wake."""

    __slots__ = ("asked", "frame", "left", "request", "why")

    def __init__(
        self, asked: Sequence[Impl], request: Request, left: bool, why: str, frame: Frame
    ) -> None:
        self.asked = asked
        self.request = request
        self.left = left
        self.why = why
        self.frame = frame


@define(eq=False)
class Scene:
    """What a pass goes by.

    Attributes:
        epoch: Read before the snapshot, so that a change in between is noticed at leaving.
        snapshot: The plugins and accounts.
        now_ns: Monotonic clock.
        obstacle: Why nothing may pass: a required responder that has failed; else empty.
        shadow: Whether denials and waits of guards are only noted.
    """

    epoch: int
    snapshot: Snapshot
    now_ns: int
    obstacle: tuple[str, str] | None = None
    shadow: bool = False


Steps: TypeAlias = Generator[Step, Any, Cleared]


def clearing(
    request: Request,
    timeout_ns: int,
    *,
    frame: Frame,
    off_loop: bool = False,
    way: Way | None = None,
) -> Steps:
    """Take a request from the guards to leaving.

    Args:
        request: Stamped with its id.
        timeout_ns: How long it may wait in all.
        frame: The dispatch that its hooks run in.
        off_loop: Whether the driver runs blocking guards elsewhere: they are asked one by one.
        way: What it has gone of its way already.

    Returns:
        The cleared request.

    Raises:
        Denied: It may not leave.
    """
    way = way or Way(request, timeout_ns, frame)
    began, way.began = way.began, None
    try:
        if began is not None:
            if began.left and frame.queue:
                yield Flush(frame)
            if began.raised is not None:
                raise began.raised
            if began.left and began.signed is not None:
                return Cleared(began.signed, way.request)
        for _ in range(MAX_PASSES):
            if began is not None:
                scene, binding = began.scene, began.binding
                finding, signed, began = began.finding, began.signed, None
            else:
                begun: Scene = yield Begin(request.id)
                scene, binding = begun, way.bound(begun)
                finding = signed = None
                if scene.obstacle is not None:
                    yield from way.refuse(Denied(*scene.obstacle, request_id=request.id))
                for guards in scene.snapshot.runs if off_loop else (scene.snapshot.guards,):
                    frame.impl = None  # until the first of them is asked
                    try:
                        finding = yield Ask(guards, way.request, frame, scene.shadow)
                    finally:
                        way.note_asked(guards)
                    if frame.passed_over:
                        yield from way.pass_over()
                    if finding is not None:
                        break
            if frame.queue:
                yield Flush(frame)
            if finding is not None:
                yield from way.heed(*finding)
                continue
            if signed is None:
                if scene.snapshot.recorders:
                    yield from way.intend()
                signed = yield Sign(way.signer(binding), way.request, frame)
                if frame.queue:
                    yield Flush(frame)
            way.check(signed, binding)
            if (yield Leave(scene.epoch)):
                yield from way.end(left=True, why="")
                return Cleared(signed, way.request)
        raise way.denied("kernel", f"it was not cleared in {MAX_PASSES} passes")
    except GeneratorExit:  # dropped by its driver, which can carry out no more steps
        raise
    except BaseException as error:
        if not way.ended:
            yield from way.end(left=False, why=_why(error), error=error)
        raise


@frozen(eq=False)
class Began:
    """How far a first pass has come in one call.

    Attributes:
        scene: What it goes by.
        binding: The account's.
        finding: What stopped it.
        signed: The signed request.
        left: Whether that has left, and all were told.
        raised: What was raised.
    """

    scene: Scene
    binding: Binding
    finding: Finding | None = None
    signed: Request | None = None
    left: bool = False
    raised: BaseException | None = None


class Way:
    """The state of one clearing, and what happens off its straight line."""

    __slots__ = ("amendments", "asked", "began", "deadline_ns", "ended", "frame", "request",
                 "scene", "timeout_ns")  # fmt: skip

    def __init__(self, request: Request, timeout_ns: int, frame: Frame) -> None:
        self.request = request
        self.timeout_ns = timeout_ns
        self.frame = frame
        self.deadline_ns = 0
        self.amendments = 0
        self.asked: Sequence[Impl] = ()
        self.ended = False
        self.scene: Scene | None = None
        self.began: Began | None = None

    @classmethod
    def of(cls, request: Request, timeout_ns: int, frame: Frame, began: Began) -> Way:
        """Take over a first pass that has begun: the guards were asked as far as `frame.impl`."""
        way, guards = cls(request, timeout_ns, frame), began.scene.snapshot.guards
        way.began = began
        way.scene = began.scene
        way.deadline_ns = began.scene.now_ns + timeout_ns
        way.ended = began.left
        if guards and frame.impl is not None and frame.impl not in guards:
            frame.impl = guards[-1]  # all were asked, and then others
        way.note_asked(guards)
        return way

    def bound(self, scene: Scene) -> Binding:
        """Begin a pass: check the time and the URL, and stamp the operation."""
        if self.scene is None:
            self.deadline_ns = scene.now_ns + self.timeout_ns
        self.scene = scene
        if scene.now_ns > self.deadline_ns:
            raise self.denied("kernel", "it was not cleared within its time")
        account, bindings = self.request.account, scene.snapshot.bindings
        if account not in bindings:
            known = ", ".join(bindings) or "none"
            raise self.denied("kernel", f"unknown account {account!r} (accounts: {known})")
        binding = bindings[account]
        try:
            self.request = binding.judged(self.request)
        except Denied as denied:
            raise self.denied(denied.plugin, denied.reason) from None
        except Exception as error:
            why = f"its venue cannot read the request: {safe_text(error)}"
            raise self.denied("kernel", why) from None
        return binding

    def note_asked(self, guards: Sequence[Impl]) -> None:
        """Whoever was asked is told the end; `frame.impl` is the last one of this run."""
        last = self.frame.impl
        if not guards or (last is not guards[-1] and last not in guards):
            return
        reached = guards if last is guards[-1] else guards[: guards.index(last) + 1]
        if not self.asked:
            self.asked = reached
        elif self.asked is not reached:
            # By plugin: one registered anew or granted more meanwhile has hooks anew.
            every = (*self.asked, *reached)
            self.asked = tuple({id(impl.part.plugin): impl for impl in every}.values())

    def pass_over(self) -> Generator[Step, Any, None]:
        """Tell what was passed over in shadow mode."""
        findings, self.frame.passed_over = self.frame.passed_over, []
        for impl, verdict in findings:
            fields = {"plugin": impl.name, "verdict": _verdict_text(verdict)}
            yield self._tell("request.would_stop", fields)

    def heed(self, impl: Impl, verdict: Deny | Wait | Request) -> Generator[Step, Any, None]:
        """Act on what stopped a pass; returning means: pass again."""
        if type(verdict) is Deny:
            raise self.denied(impl.name, verdict.reason, verdict.retry_after)
        if type(verdict) is Wait:
            yield from self._wait(impl, verdict.seconds)
        elif type(verdict) is Request:
            self.amendments += 1
            if self.amendments > MAX_AMENDMENTS:
                raise self.denied(
                    impl.name, f"amended the request more than {MAX_AMENDMENTS} times"
                )
            self.request = verdict.stamped(self.request.id, Operation.UNKNOWN)

    def _wait(self, impl: Impl, seconds: float) -> Generator[Step, Any, None]:
        now: int = yield Now()
        ns = max(ceil(min(seconds, MAX_WAIT_S) * 1e9), MIN_WAIT_NS)
        left = self.deadline_ns - now
        if ns > left:
            raise self.denied(
                impl.name,
                f"it would have to wait {seconds:g} s, and has {max(left, 0) / 1e9:g} s left",
                float(seconds),
            )
        yield Pause(self.request.id, ns)

    def intend(self) -> Generator[Step, Any, None]:
        """Have the intent recorded before anything is signed."""
        try:
            yield self._tell("request.intent", permission=True)
        except Denied as denied:
            yield from self.refuse(denied)

    def signer(self, binding: Binding) -> Impl:
        """The signer that the account names."""
        name = binding.account.signer
        signer = None if self.scene is None else self.scene.snapshot.signers.get(name)
        if signer is None:
            raise self.denied("kernel", f"no plugin {name!r} signs here")
        return signer

    def check(self, signed: Request, binding: Binding) -> None:
        """Deny unless what was signed is what was judged."""
        try:
            problem = check_signed(self.request, signed, binding)
        except Exception as error:
            problem = f"what was signed cannot be read back: {safe_text(error)}"
        if problem is not None:
            raise self.denied(binding.account.signer, problem)

    def refuse(self, denied: Denied) -> Generator[Step, Any, None]:
        """Deny, or in shadow mode say so and go on."""
        if self.scene is None or not self.scene.shadow:
            raise denied
        yield self._tell("request.would_stop", {"plugin": denied.plugin, "verdict": denied.reason})

    def end(
        self, left: bool, why: str, error: BaseException | None = None
    ) -> Generator[Step, Any, None]:
        """Tell the guards, then the recorders; what is raised meanwhile is raised when all know."""
        self.ended = True
        cut_short = None
        try:
            yield End(self.asked, self.request, left, why, self.frame)
        except GeneratorExit:
            raise
        except BaseException as raised:
            cut_short = raised
        if self.frame.queue or (self.scene is not None and self.scene.snapshot.recorders):
            for step in self._last_steps(left, why, error):
                try:
                    yield step
                except GeneratorExit:
                    raise
                except BaseException as raised:
                    cut_short = cut_short or raised
        if cut_short is not None:
            raise cut_short

    def _last_steps(self, left: bool, why: str, error: BaseException | None) -> Iterator[Step]:
        if self.frame.queue:
            yield Flush(self.frame)
        if self.scene is None or not self.scene.snapshot.recorders:
            return
        if left:
            yield self._tell("request.left")
        elif isinstance(error, Denied):
            yield self._tell(
                "request.denied",
                {"plugin": error.plugin, "reason": error.reason, "retry_after": error.retry_after},
            )
        else:
            yield self._tell("request.abandoned", {"why": why})

    def _tell(
        self, kind: str, fields: dict[str, Any] | None = None, permission: bool = False
    ) -> Tell:
        if self.scene is None:
            raise RuntimeError("nothing is told before the first pass begins")
        return Tell(self.scene.snapshot, kind, self.request, fields, permission)

    def denied(self, plugin: str, reason: str, retry_after: float | None = None) -> Denied:
        """Make a denial of this request."""
        return Denied(plugin, reason, retry_after, self.request.id)


def _why(error: BaseException) -> str:
    if isinstance(error, Denied):
        return f"{error.plugin}: {error.reason}"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return "cancelled" if type(error).__name__ == "CancelledError" else type(error).__name__


def _verdict_text(verdict: Deny | Wait | Request) -> str:
    if type(verdict) is Deny:
        return f"deny: {verdict.reason}"
    return f"wait {verdict.seconds:g} s" if type(verdict) is Wait else "amend"
