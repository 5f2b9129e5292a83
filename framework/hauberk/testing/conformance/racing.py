"""Running code in several threads that switch wherever it hurts.

CPython switches threads so rarely that a race may hide for years. Here each thread lets the
others in before lines of the plugin's own code, by a seeded choice.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Final

#: Threads that take longer wait for each other.
PATIENCE_S: Final = 30.0
_SWITCH_S: Final = 1e-6
#: Long enough for another thread to wake and take the interpreter's lock.
_PAUSE_S: Final = 2e-5
#: How likely a switch is before a line, at first and after so many: a plugin may run long loops.
_OFTEN: Final = 0.5
_SELDOM: Final = 0.02
_MANY: Final = 300


def race(
    jobs: Sequence[Callable[[], object]],
    is_own: Callable[[FrameType], bool],
    *,
    patience_s: float = PATIENCE_S,
) -> list[BaseException]:
    """Run jobs at once, a thread each.

    Args:
        jobs: What to run.
        is_own: Whether a frame runs code before whose lines threads should switch.
        patience_s: How long they may take together.

    Returns:
        What they raised.

    Raises:
        TimeoutError: They did not end: most likely each waits for what another holds.
    """
    raised: list[BaseException] = []
    start = threading.Barrier(len(jobs))
    threads = [
        threading.Thread(
            target=_run, args=(job, start, _switcher(is_own, seed), raised), daemon=True
        )
        for seed, job in enumerate(jobs)
    ]
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        for thread in threads:
            thread.start()
        until = time.monotonic() + patience_s
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0))
    finally:
        sys.setswitchinterval(before)
    if any(thread.is_alive() for thread in threads):
        raise TimeoutError
    return raised


def _run(
    job: Callable[[], object],
    start: threading.Barrier,
    switch: Callable[[FrameType, str, Any], Any],
    raised: list[BaseException],
) -> None:
    try:
        start.wait()
        sys.settrace(switch)
        job()
    except BaseException as error:  # handed to whoever started the race
        raised.append(error)
    finally:
        sys.settrace(None)


def _switcher(
    is_own: Callable[[FrameType], bool], seed: int
) -> Callable[[FrameType, str, Any], Any]:
    choice = random.Random(seed)  # noqa: S311 - which lines to switch at is no secret
    switches = 0

    def on_line(_frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal switches
        if event == "line" and choice.random() < (_OFTEN if switches < _MANY else _SELDOM):
            switches += 1
            time.sleep(_PAUSE_S)
        return on_line

    def on_call(frame: FrameType, _event: str, _arg: Any) -> Any:
        return on_line if is_own(frame) else None

    return on_call
