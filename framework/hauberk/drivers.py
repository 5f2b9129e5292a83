"""The two drivers of the protocol: they carry out its steps, on this thread or on a loop."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from inspect import GEN_CLOSED, getgeneratorstate
from typing import Any

from hauberk import dispatch, offloop
from hauberk.dispatch import Finding, HookFailed
from hauberk.errors import Denied
from hauberk.kernel import Kernel
from hauberk.protocol import (
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
    Steps,
    Tell,
)
from hauberk.request import Request
from hauberk.settings import Mode

log = logging.getLogger("hauberk")

#: Threads for what blocks under `aclear`.
_THREADS = 16


class Drivers:
    """Carries out steps for a kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._pool: ThreadPoolExecutor | None = None
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
            Flush: lambda step: offloop.aside(kernel.flush, step.frame),
            Pause: lambda step: kernel.waking.await_(step.request_id, step.ns),
            Tell: lambda step: self._off(
                self._tell, step, any(i.is_blocking for i in step.snapshot.recorders)
            ),
            Sign: lambda step: self._off(self._sign, step, step.signer.is_blocking),
            End: lambda step: self._off(
                self._end, step, any(i.end is not None and i.end.is_blocking for i in step.asked)
            ),
        }

    def run(self, steps: Steps) -> Cleared:
        """Drive to the end on this thread.

        Whatever is raised here, an interrupt included, is thrown into the protocol, which tells
        the guards the end before it raises it again.
        """
        do, answer, error = self._do, None, None
        while True:
            try:
                step = steps.send(answer) if error is None else steps.throw(error)
                answer, error = do[type(step)](step), None
            except StopIteration as done:
                cleared: Cleared = done.value
                return cleared
            except BaseException as raised:
                if getgeneratorstate(steps) == GEN_CLOSED:
                    raise
                answer, error = None, raised

    async def arun(self, steps: Steps) -> Cleared:
        """Drive to the end on the running event loop."""
        answer: Any = None
        error: BaseException | None = None
        while True:
            try:
                step = steps.send(answer) if error is None else steps.throw(error)
                waiting = self._await.get(type(step))
                later = None if waiting is None else waiting(step)
                answer, error = (self._do[type(step)](step) if later is None else await later), None
            except StopIteration as done:
                cleared: Cleared = done.value
                return cleared
            except BaseException as raised:
                if getgeneratorstate(steps) == GEN_CLOSED:
                    raise
                answer, error = None, raised

    def close(self) -> None:
        """Let go of the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def _off(
        self, function: Callable[[Any], Any], step: Step, is_blocking: bool
    ) -> Awaitable[Any] | None:
        """Go to the pool, or say that it is to be done here."""
        if not is_blocking:
            return None
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="hauberk")
        return offloop.in_pool(self._pool, function, step)

    def _begin(self, step: Begin) -> Scene:
        kernel = self._kernel
        kernel.waking.arm(step.request_id)
        epoch = kernel.epoch  # before the snapshot: a change in between is noticed at leaving
        kernel.check_open()
        snapshot = kernel.snapshot
        now = kernel.clock.monotonic_ns()
        return Scene(epoch, snapshot, now, kernel.responses.obstacle(snapshot, now))

    def _ask(self, step: Ask) -> Finding | None:
        kernel = self._kernel
        shadow = kernel.settings.mode is Mode.SHADOW
        return dispatch.ask(step.guards, step.request, step.frame, kernel.watch, shadow)

    def _sign(self, step: Sign) -> Request:
        try:
            return dispatch.sign(step.signer, step.request, step.frame)
        except HookFailed as failure:
            raise Denied(step.signer.name, failure.why, None, step.request.id) from failure.cause

    def _tell(self, step: Tell) -> None:
        if step.kind == "request.would_stop":
            log.warning(
                "shadow mode: request %s would be stopped: %s", step.request.id, step.fields
            )
        if not step.snapshot.recorders:
            return
        event = self._kernel.event(
            "kernel", step.kind, step.fields, step.request, permission=step.permission
        )
        if step.permission:
            self._kernel.permit(event, step.snapshot)
        else:
            self._kernel.record(event)

    def _end(self, step: End) -> None:
        self._kernel.waking.disarm(step.request.id)
        dispatch.end(step.asked, step.request, step.left, step.why, step.frame)
