"""What is run off the event loop comes back, whatever it raises."""

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hauberk import offloop


class OutOfNowhere(BaseException):
    """Not even an Exception."""


def _raise(error: BaseException) -> None:
    raise error


def _in_pool(error: BaseException) -> Any:
    async def run() -> None:
        with ThreadPoolExecutor(1) as pool:
            await offloop.to_the_end(offloop.in_pool(pool, _raise, error))

    return run()


def _aside(error: BaseException) -> Any:
    return offloop.aside(_raise, error)


@pytest.mark.parametrize("way", [_in_pool, _aside])
@pytest.mark.parametrize("error", [OSError("x"), GeneratorExit(), OutOfNowhere(), MemoryError()])
def test_what_is_raised_off_the_loop_is_raised_to_whoever_awaits(
    way: Any, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        asyncio.run(way(error))
    assert caught.value is error


@pytest.mark.parametrize("way", [_in_pool, _aside])
def test_a_stop_iteration_off_the_loop_ends_the_await_with_an_error(way: Any) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(way(StopIteration()))


async def _body(ran: list[object]) -> None:
    ran.append(offloop.running_loop())


def test_a_coroutine_runs_on_the_loop_that_it_is_given() -> None:
    ran: list[object] = []

    async def wait() -> object:
        loop = asyncio.get_running_loop()
        assert await asyncio.to_thread(offloop.start_on, loop, _body(ran))
        while not ran:
            await asyncio.sleep(0)
        return loop

    assert [asyncio.run(wait())] == ran


def test_a_coroutine_whose_loop_is_gone_is_closed_and_never_warns() -> None:
    gone, ran = asyncio.new_event_loop(), list[object]()
    gone.close()
    for loop in (gone, None):
        body = _body(ran)
        assert not offloop.start_on(loop, body)
        assert inspect.getcoroutinestate(body) == inspect.CORO_CLOSED
    assert not ran
    assert offloop.running_loop() is None
