"""A guard in a program that runs no event loop, such as the command line.

Plugins with `async def` hooks get a loop all the same. They are made, started and stopped inside
it, as in a bot that opens its guard in a coroutine; in between it runs on a thread of its own, so
that whoever waits for a responder does not hold it up.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Final, TypeVar

from hauberk import frames, offloop
from hauberk.guard import Guard
from hauberk.plan import Plan, Planned
from hauberk.ports import Clock
from hauberk.registry import Part

log = logging.getLogger("hauberk")

_T = TypeVar("_T")
#: How long a hook that holds the loop up is waited for at the end, and a task that was cancelled.
PATIENCE_S: Final = 5.0


def brief_guard(
    plan: Plan, *, clock: Clock | None = None, replan: Callable[[], Plan] | None = None
) -> Guard:
    """Make a guard that lasts as long as a command, with an event loop where it needs one.

    Args:
        plan: As `Guard`; so are the other arguments, and what is raised.
        clock: Time.
        replan: Makes the plan anew.
    """
    kind = LoopingGuard if any(map(_needs_loop, plan.planned)) else Guard
    return kind(plan, clock=clock, replan=replan)


def made(planned: Planned) -> Part:
    """Make a plugin to look at it, inside an event loop if it needs one."""
    if not _needs_loop(planned):
        return planned.make()
    with closing(OwnLoop()) as own:
        return own.inside(planned.make)


def _needs_loop(planned: Planned) -> bool:
    return planned.is_async and offloop.running_loop() is None


class LoopingGuard(Guard):
    """A guard with an event loop of its own, which ends when it is closed; arguments as `Guard`."""

    def __init__(
        self,
        plan: Plan,
        *,
        clock: Clock | None = None,
        replan: Callable[[], Plan] | None = None,
    ) -> None:
        self._own = OwnLoop()
        init = super().__init__
        try:
            self._own.inside(lambda: init(plan, clock=clock, replan=replan))
        except BaseException:
            self._own.close()
            raise
        self._own.hand_over()

    def close(self) -> None:
        """Stop every plugin inside the loop, then end that."""
        frames.refuse_inside("close")
        try:
            self._own.take_back()
        finally:  # an interrupt while it waits for a hook keeps no plugin from stopping
            try:
                self._own.inside(super().close)
            finally:
                self._own.close()


class OwnLoop:
    """An event loop that runs on this thread when it is told to, or on one of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None

    def inside(self, function: Callable[[], _T]) -> _T:
        """Call a function on this thread, inside the loop as a coroutine would.

        Where the loop is elsewhere, held up or closed, outside.
        """

        async def body() -> _T:
            return function()

        if self._thread or self._loop.is_closed() or offloop.running_loop() is not None:
            return function()
        return self._loop.run_until_complete(body())

    def hand_over(self) -> None:
        """Have it run on a thread of its own."""
        run = self._loop.run_forever
        self._thread = threading.Thread(target=run, name="hauberk-loop", daemon=True)
        self._thread.start()

    def take_back(self) -> None:
        """Have it run there no longer, unless a hook holds it up: then it is abandoned there."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            log.warning("an `async def` hook has not returned, and is abandoned on its event loop")
        else:
            self._thread = None

    def close(self) -> None:
        """Cancel what is left on it, and close it."""
        if self._thread or self._loop.is_closed():
            return
        try:
            if offloop.running_loop() is None:
                self._loop.run_until_complete(_cancelled(asyncio.all_tasks(self._loop)))
                self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()


async def _cancelled(tasks: set[asyncio.Task[object]]) -> None:
    """Cancel tasks, and wait a while for what they do about it."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=PATIENCE_S)
