"""Crossing between threads and event loops.

What blocks runs away from the loop, to its end whatever is cancelled meanwhile; a coroutine runs
on the loop that it belongs to, if that is still there.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

_T = TypeVar("_T")


def in_pool(pool: ThreadPoolExecutor, function: Callable[..., _T], *args: Any) -> Future[_T]:
    """Start a function in a pool, in this context."""
    context = contextvars.copy_context()
    try:
        return pool.submit(context.run, _told_apart, function, *args)
    except RuntimeError:  # the guard was closed meanwhile: whoever was asked must still be told
        return start(function, *args)


async def aside(function: Callable[..., _T], *args: Any) -> _T:
    """Run a function on a daemon thread of its own, which no hanging guard can keep busy."""
    return await to_the_end(start(function, *args))


async def to_the_end(running: Future[_T]) -> _T:
    """Await in spite of cancellations, then raise the first of them.

    One is heeded only when what runs has returned: before that, a guard might still charge after
    it had been told the end.
    """
    future = asyncio.wrap_future(running)
    cancelled = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
    if cancelled is not None:
        if not future.cancelled():
            future.exception()  # looked at, so that it does not warn
        raise cancelled
    return future.result()


def start(function: Callable[..., _T], *args: Any) -> Future[_T]:
    """Start a function on a daemon thread of its own, in this context."""
    context = contextvars.copy_context()
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(context.run(_told_apart, function, *args))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="hauberk-aside", daemon=True).start()
    return future


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs on this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def start_on(loop: asyncio.AbstractEventLoop | None, body: Coroutine[Any, Any, object]) -> bool:
    """Have a coroutine run on a loop, from any thread.

    Returns:
        Whether it will; if not, since there is no loop or it is closed, the coroutine is closed.
    """
    if loop is not None:
        with suppress(RuntimeError):  # closed
            asyncio.run_coroutine_threadsafe(body, loop)
            return True
    body.close()
    return False


def _told_apart(function: Callable[..., _T], *args: Any) -> _T:
    """Call; asyncio would take a StopIteration for the end of its own, and wait for ever."""
    try:
        return function(*args)
    except StopIteration as error:
        raise RuntimeError("StopIteration was raised off the loop") from error
