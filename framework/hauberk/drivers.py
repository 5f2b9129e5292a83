"""The two drivers of the protocol: they carry out its steps, on this thread or on a loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from typing import Any

from hauberk import dispatch, offloop
from hauberk.answers import HookFailed
from hauberk.dispatch import Finding
from hauberk.errors import Denied, HauberkError
from hauberk.frames import Frame
from hauberk.kernel import Kernel
from hauberk.protocol import (
    Ask,
    Began,
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
    Steps,
    Tell,
    Way,
    clearing,
)
from hauberk.records import Event
from hauberk.registry import Impl
from hauberk.request import Operation, Request
from hauberk.settings import Mode
from hauberk.snapshot import ends, runs
from hauberk.telling import masked

log = logging.getLogger("hauberk")

#: Threads for what blocks under `aclear`.
_THREADS = 16
#: What `aclear` is carrying out, out of a collector's reach: one that found a protocol together
#: with its coroutine might close the protocol first, which then tells nobody.
_HELD: set[Steps] = set()
_SHADOW = Mode.SHADOW
_UNKNOWN = Operation.UNKNOWN


class Drivers:
    """Carries out steps for a kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        #: What goes on elsewhere after the loop was closed under it, and is to be waited for.
        self._unfinished: dict[Step | None, Callable[[], object]] = {}
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="hauberk")
        self._do: dict[type[Step], Callable[[Any], Any]] = {
            Begin: self._begin,
            Ask: self._ask,
            Flush: lambda step: kernel.flush(step.frame),
            Now: lambda _: kernel.clock.monotonic_ns(),
            Pause: lambda step: kernel.waking.wait(step.request_id, step.ns),
            Tell: self._tell,
            Sign: self._sign,
            Leave: lambda step: kernel.leave(step.epoch),
            End: self._end,
        }
        self._await: dict[type[Step], Callable[[Any], Awaitable[Any] | None]] = {
            Ask: lambda step: self._off(self._ask, step, any(i.is_blocking for i in step.guards)),
            Flush: lambda step: self._ended(step, offloop.start(kernel.flush, step.frame)),
            Pause: lambda step: kernel.waking.await_(step.request_id, step.ns),
            Tell: self._tell_off,
            Sign: lambda step: self._off(self._sign, step, step.signer.is_blocking),
            End: self._end_off,
        }

    def clear(self, request: Request, request_id: str, timeout_ns: int) -> Cleared:
        """Take a request its way on this thread.

        Args:
            request: Without an id.
            request_id: The one that it gets.
            timeout_ns: How long it may wait in all.
        """
        way = self._through(request, request_id, timeout_ns, off_loop=False)
        return way if type(way) is Cleared else self.run(way)  # type: ignore[arg-type]

    async def aclear(self, request: Request, request_id: str, timeout_ns: int) -> Cleared:
        """The same on the running event loop, what blocks aside."""
        way = self._through(request, request_id, timeout_ns, off_loop=True)
        return way if type(way) is Cleared else await self.arun(way)  # type: ignore[arg-type]

    def _through(
        self, request: Request, request_id: str, timeout_ns: int, *, off_loop: bool
    ) -> Cleared | Steps:
        """Take a request its way in one go, as far as nothing comes between.

        Returns:
            What is cleared, or the steps that remain.
        """
        kernel = self._kernel
        frame = Frame(watch=kernel.watch)
        kernel.waking.arm(request_id)
        epoch = kernel.epoch  # before the snapshot: a change in between is noticed at leaving
        snapshot = kernel.snapshot
        binding = snapshot.bindings.get(request.account)
        signer = None if binding is None else snapshot.signers.get(binding.account.signer)
        judged = None
        if (
            binding is not None
            and signer is not None
            and not snapshot.recorders
            and not kernel.closed
            and not kernel.responses.owed
            and not (off_loop and snapshot.blocks)
            and kernel.settings.mode is not _SHADOW
        ):
            with suppress(Exception):  # the protocol finds the same, and says it
                judged = binding.judged(request, request_id)
        if judged is None or binding is None or signer is None:
            stamped = request.stamped(request_id, _UNKNOWN)
            return clearing(stamped, timeout_ns, frame=frame, off_loop=off_loop)
        now = kernel.clock.monotonic_ns()
        finding = signed = None
        raised: BaseException | None = None
        try:
            finding, signed, told = dispatch.through(
                kernel, snapshot, binding, signer, judged, frame, epoch, now
            )
            if told and not frame.queue:
                return Cleared(signed, judged)  # type: ignore[arg-type] # what was told has left
        except HookFailed as failure:
            raised = _not_signed(failure, judged)
        except BaseException as error:
            raised = error
        scene = Scene(epoch, snapshot, now)
        began = Began(scene, binding, finding, signed, frame.has_left, raised)
        way = Way.of(judged, timeout_ns, frame, began)
        return clearing(judged, timeout_ns, frame=frame, off_loop=off_loop, way=way)

    def run(self, steps: Steps, error: BaseException | None = None) -> Cleared:
        """Drive to the end on this thread, beginning with an error to throw, if there is one.

        Whatever is raised here, an interrupt included, is thrown into the protocol, which tells
        the guards the end before it raises it again.
        """
        do = self._do
        while True:
            try:
                step = steps.send(None) if error is None else steps.throw(error)
                while True:
                    step = steps.send(do[type(step)](step))
            except BaseException as raised:
                if _is_over(steps):
                    return _ended(raised)
                error = _throwable(raised)

    async def arun(self, steps: Steps) -> Cleared:
        """Drive to the end on the running event loop."""
        _HELD.add(steps)
        try:
            return await self._driven(steps)
        finally:
            _HELD.discard(steps)

    async def _driven(self, steps: Steps) -> Cleared:
        answer: Any = None
        error: BaseException | None = None
        step: Step | None = None
        while True:
            try:
                step = steps.send(answer) if error is None else steps.throw(error)
                waiting = self._await.get(type(step))
                later = None if waiting is None else waiting(step)
                answer, error = (self._do[type(step)](step) if later is None else await later), None
            except BaseException as raised:
                if _is_over(steps):
                    return _ended(raised)
                if isinstance(raised, GeneratorExit):
                    # The loop was closed under it: nothing can be awaited, and since a collector
                    # may be running this inside any lock and any hook, the guards are told from
                    # elsewhere.
                    unfinished = self._unfinished.pop(step, None)
                    Context().run(offloop.start, self._abandon, steps, unfinished)
                    raise
                answer, error = None, _throwable(raised)

    def _abandon(self, steps: Steps, unfinished: Callable[[], object] | None) -> None:
        if unfinished is not None:  # or a guard would charge after it had been told the end
            unfinished()
        with suppress(asyncio.CancelledError):
            self.run(steps, asyncio.CancelledError())

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=False)

    def _off(
        self, function: Callable[[Any], Any], step: Step, is_blocking: bool
    ) -> Awaitable[Any] | None:
        """Go to the pool, or say that it is to be done here."""
        if not is_blocking:
            return None
        return self._ended(step, offloop.in_pool(self._pool, function, step))

    async def _ended(self, step: Step, running: Future[Any]) -> Any:
        """Await what runs off the loop."""
        try:
            return await offloop.to_the_end(running)
        except GeneratorExit:
            self._unfinished[step] = running.exception
            raise

    def _begin(self, step: Begin) -> Scene:
        kernel = self._kernel
        kernel.waking.arm(step.request_id)
        epoch = kernel.epoch  # before the snapshot: a change in between is noticed at leaving
        if kernel.closed:
            kernel.check_open()
        snapshot = kernel.snapshot
        now = kernel.clock.monotonic_ns()
        responses = kernel.responses
        obstacle = responses.obstacle(snapshot, now) if responses.owed else None
        return Scene(epoch, snapshot, now, obstacle, kernel.settings.mode is _SHADOW)

    def _ask(self, step: Ask) -> Finding | None:
        return dispatch.ask(step.guards, step.request, step.frame, self._kernel.watch, step.shadow)

    def _sign(self, step: Sign) -> Request:
        try:
            return dispatch.sign(step.signer, step.request, step.frame)
        except HookFailed as failure:
            denied = _not_signed(failure, step.request)
            raise denied from denied.__cause__

    def _tell(self, step: Tell) -> None:
        if (event := self._event(step)) is not None:
            self._record(event, step.snapshot.recorders)

    def _tell_off(self, step: Tell) -> Awaitable[None] | None:
        recorders = step.snapshot.recorders
        if not any(impl.is_blocking for impl in recorders) or (event := self._event(step)) is None:
            return None
        return self._spread(step, lambda run: self._record(event, run), recorders)

    def _event(self, step: Tell) -> Event | None:
        if step.kind == "request.would_stop":
            log.warning(
                "shadow mode: request %s would be stopped: %s",
                step.request.id,
                masked(str(step.fields)),
            )
        if not step.snapshot.recorders:
            return None
        return self._kernel.event(
            "kernel", step.kind, step.fields, step.request, permission=step.permission
        )

    def _record(self, event: Event, recorders: Sequence[Impl]) -> None:
        if event.permission:
            self._kernel.permit(event, recorders)
        else:
            self._kernel.record(event, recorders)

    def _end(self, step: End) -> None:
        self._kernel.waking.disarm(step.request.id)
        dispatch.end(self._ends(step), step.request, step.left, step.why, step.frame)

    def _end_off(self, step: End) -> Awaitable[None] | None:
        told = self._ends(step)
        if not any(impl.is_blocking for impl in told):
            return None
        self._kernel.waking.disarm(step.request.id)
        return self._spread(
            step, lambda run: dispatch.end(run, step.request, step.left, step.why, step.frame), told
        )

    def _ends(self, step: End) -> Sequence[Impl]:
        snapshot = self._kernel.snapshot
        return snapshot.ends if step.asked is snapshot.guards else ends(step.asked)

    async def _spread(
        self, step: Step, call: Callable[[Sequence[Impl]], None], impls: Sequence[Impl]
    ) -> None:
        """Call all on the loop but those that may block, whatever is cancelled meanwhile."""
        cut_short = None
        rest = iter(runs(impls))
        for run in rest:
            try:
                if run[0].is_blocking:
                    await self._ended(step, offloop.in_pool(self._pool, call, run))
                else:
                    call(run)
            except (asyncio.CancelledError, KeyboardInterrupt) as error:
                cut_short = cut_short or error
            except GeneratorExit:
                self._unfinished[step] = _then(self._unfinished[step], call, rest)
                raise
        if cut_short is not None:
            raise cut_short


def _then(
    unfinished: Callable[[], object],
    call: Callable[[Sequence[Impl]], None],
    rest: Iterable[Sequence[Impl]],
) -> Callable[[], None]:
    """Wait for one that has been called, and call the rest."""

    def finish() -> None:
        unfinished()
        for run in rest:
            with suppress(Exception, KeyboardInterrupt):
                call(run)

    return finish


def _not_signed(failure: HookFailed, request: Request) -> Denied:
    """Make a denial of a signer's failure.

    Another's exception may quote a secret, and bots log tracebacks: only ours is named.
    """
    denied = Denied(failure.impl.name, failure.why, None, request.id)
    denied.__cause__ = failure.cause if isinstance(failure.cause, HauberkError) else None
    return denied


def _is_over(steps: Steps) -> bool:
    """Whether the protocol itself has ended: what was raised is then its own word."""
    return steps.gi_frame is None  # type: ignore[attr-defined] # `cast` would be called each time


def _ended(raised: BaseException) -> Cleared:
    """Return what the protocol returned, or raise what it raised."""
    if not isinstance(raised, StopIteration):
        raise raised
    cleared: Cleared = raised.value
    return cleared


def _throwable(raised: BaseException) -> BaseException:
    """A step's own StopIteration must not look like the protocol's end."""
    return (
        RuntimeError("a step raised StopIteration") if isinstance(raised, StopIteration) else raised
    )
