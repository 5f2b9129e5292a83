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
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from math import ceil
from typing import Any, Final, TypeAlias

from attrs import frozen

from hauberk.binding import Binding
from hauberk.dispatch import Finding
from hauberk.errors import Denied, HauberkError
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


@frozen(eq=False)
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


def clearing(request: Request, timeout_ns: int, *, frame: Frame, off_loop: bool = False) -> Steps:
    """Take a request from the guards to leaving.

    Args:
        request: Stamped with its id.
        timeout_ns: How long it may wait in all.
        frame: The dispatch that its hooks run in.
        off_loop: Whether the driver runs blocking guards elsewhere: they are asked one by one.

    Returns:
        The cleared request.

    Raises:
        Denied: It may not leave.
    """
    way = _Way(request, timeout_ns, frame, off_loop)
    try:
        cleared = yield from way.to_leaving()
    except GeneratorExit:  # dropped by its driver, which can carry out no more steps
        raise
    except BaseException as error:
        if not way.ended:
            yield from way.end(left=False, why=_why(error), error=error)
        raise
    return cleared


class _Way:
    """The state of one clearing."""

    def __init__(self, request: Request, timeout_ns: int, frame: Frame, off_loop: bool) -> None:
        self.request = request
        self.timeout_ns = timeout_ns
        self.frame = frame
        self.off_loop = off_loop
        self.deadline_ns = 0
        self.amendments = 0
        self.asked: Sequence[Impl] = ()
        self.ended = False
        self.scene: Scene | None = None

    def to_leaving(self) -> Steps:
        for turn in range(MAX_PASSES):
            scene: Scene = yield Begin(self.request.id)
            self.scene = scene
            if turn == 0:
                self.deadline_ns = scene.now_ns + self.timeout_ns
            elif scene.now_ns > self.deadline_ns:
                raise self._denied("kernel", "it was not cleared within its time")
            binding = self._bind(scene)
            if scene.obstacle is not None:
                obstacle = Denied(*scene.obstacle, request_id=self.request.id)
                yield from self._object(obstacle, scene)
            finding = yield from self._pass(scene)
            if self.frame.queue:
                yield Flush(self.frame)
            if finding is not None:
                yield from self._heed(*finding)
                continue
            signed = yield from self._sign(scene, binding)
            if (yield Leave(scene.epoch)):
                yield from self.end(left=True, why="")
                return Cleared(signed, self.request)
        raise self._denied("kernel", f"it was not cleared in {MAX_PASSES} passes")

    def _bind(self, scene: Scene) -> Binding:
        binding = scene.snapshot.bindings.get(self.request.account)
        if binding is None:
            known = ", ".join(scene.snapshot.bindings) or "none"
            raise self._denied(
                "kernel", f"unknown account {self.request.account!r} (accounts: {known})"
            )
        try:
            self.request = binding.judged(self.request)
        except Denied as denied:
            raise self._denied(denied.plugin, denied.reason) from None
        except Exception as error:
            why = str(error) if isinstance(error, HauberkError) else type(error).__name__
            raise self._denied("kernel", f"its venue cannot read the request: {why}") from None
        return binding

    def _pass(self, scene: Scene) -> Generator[Step, Any, Finding | None]:
        for guards in scene.snapshot.runs if self.off_loop else (scene.snapshot.guards,):
            self.frame.impl = None
            try:
                finding: Finding | None = yield Ask(guards, self.request, self.frame, scene.shadow)
            finally:
                self._note_asked(guards)
            if self.frame.passed_over:
                yield from self._pass_over()
            if finding is not None:
                return finding
        return None

    def _note_asked(self, guards: Sequence[Impl]) -> None:
        """Whoever was asked is told the end; `frame.impl` is the last one of this run."""
        last = self.frame.impl
        if last is not None and last in guards:
            reached = tuple(guards[: guards.index(last) + 1])
            if not self.asked:
                self.asked = reached
            elif self.asked != reached:
                # By plugin: one registered anew or granted more meanwhile has hooks anew.
                every = (*self.asked, *reached)
                self.asked = tuple({id(impl.part.plugin): impl for impl in every}.values())

    def _pass_over(self) -> Generator[Step, Any, None]:
        findings, self.frame.passed_over = self.frame.passed_over, []
        for impl, verdict in findings:
            fields = {"plugin": impl.name, "verdict": _verdict_text(verdict)}
            yield self._tell("request.would_stop", fields)

    def _heed(self, impl: Impl, verdict: Deny | Wait | Request) -> Generator[Step, Any, None]:
        """Act on what stopped a pass; returning means: pass again."""
        if type(verdict) is Deny:
            raise self._denied(impl.name, verdict.reason, verdict.retry_after)
        if type(verdict) is Wait:
            yield from self._wait(impl, verdict.seconds)
        elif type(verdict) is Request:
            self.amendments += 1
            if self.amendments > MAX_AMENDMENTS:
                raise self._denied(
                    impl.name, f"amended the request more than {MAX_AMENDMENTS} times"
                )
            self.request = verdict.stamped(self.request.id, Operation.UNKNOWN)

    def _wait(self, impl: Impl, seconds: float) -> Generator[Step, Any, None]:
        now: int = yield Now()
        ns = max(ceil(min(seconds, MAX_WAIT_S) * 1e9), MIN_WAIT_NS)
        left = self.deadline_ns - now
        if ns > left:
            raise self._denied(
                impl.name,
                f"it would have to wait {seconds:g} s, and has {max(left, 0) / 1e9:g} s left",
                float(seconds),
            )
        yield Pause(self.request.id, ns)

    def _sign(self, scene: Scene, binding: Binding) -> Generator[Step, Any, Request]:
        judged, snapshot = self.request, scene.snapshot
        if snapshot.recorders:
            try:
                yield self._tell("request.intent", permission=True)
            except Denied as denied:
                yield from self._object(denied, scene)
        signer = snapshot.signers.get(binding.account.signer)
        if signer is None:
            raise self._denied("kernel", f"no plugin {binding.account.signer!r} signs here")
        signed: Request = yield Sign(signer, judged, self.frame)
        if self.frame.queue:
            yield Flush(self.frame)
        try:
            problem = check_signed(judged, signed, binding)
        except Exception as error:
            why = str(error) if isinstance(error, HauberkError) else type(error).__name__
            problem = f"what was signed cannot be read back: {why}"
        if problem is not None:
            raise self._denied(signer.name, problem)
        return signed

    def _object(self, denied: Denied, scene: Scene) -> Generator[Step, Any, None]:
        """Deny, or in shadow mode say so and go on."""
        if not scene.shadow:
            raise denied
        yield self._tell("request.would_stop", {"plugin": denied.plugin, "verdict": denied.reason})

    def end(
        self, left: bool, why: str, error: BaseException | None = None
    ) -> Generator[Step, Any, None]:
        """Tell the guards, then the recorders; what is raised meanwhile is raised when all know."""
        self.ended = True
        cut_short = None
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
        yield End(self.asked, self.request, left, why, self.frame)
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

    def _denied(self, plugin: str, reason: str, retry_after: float | None = None) -> Denied:
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
