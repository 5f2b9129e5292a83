"""Running code in several threads that switch wherever it hurts.

CPython switches threads so rarely that a race may hide for years. Here one thread runs at a time
and hands its turn to another before lines of the plugin's own code, by a seeded choice. Who waits
for a lock that another holds does not come back with the turn: after a while the one before takes
it again, and when that has happened often enough, all run free, pausing now and then.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Final

#: Threads of which none comes to another line for so long wait for each other.
PATIENCE_S: Final = 30.0
#: So many times as long may they take in all; a machine under load is slow, not stuck.
_IN_ALL: Final = 10
#: How long a turn may be away, and how often, until all run free.
_AWAY_S: Final = 0.02
_LOST: Final = 12
#: How likely a switch is before a line, at first and after so many: a plugin may run long loops.
_OFTEN: Final = 0.5
_SELDOM: Final = 0.02
_MANY: Final = 1_000
#: When all run free: long enough for another thread to wake and take the interpreter's lock.
_PAUSE_S: Final = 2e-5
_SWITCH_S: Final = 1e-6


def race(
    jobs: Sequence[Callable[[], object]],
    is_own: Callable[[FrameType], bool],
    *,
    seed: int = 0,
    patience_s: float = PATIENCE_S,
) -> list[BaseException]:
    """Run jobs at once, a thread each.

    Args:
        jobs: What to run.
        is_own: Whether a frame runs code before whose lines threads should switch.
        seed: Decides before which lines, and who is next.
        patience_s: How long none of them need come to another line; ten times that is how long
            they may take in all.

    Returns:
        What they raised.

    Raises:
        TimeoutError: They did not end: most likely each waits for what another holds.
    """
    raised: list[BaseException] = []
    turns = _Turns(len(jobs), seed)
    threads = [
        threading.Thread(target=_run, args=(job, turns, me, is_own, raised), daemon=True)
        for me, job in enumerate(jobs)
    ]
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        for thread in threads:
            thread.start()
        _await(threads, turns, patience_s)
    finally:
        sys.setswitchinterval(before)
    return raised


def _await(threads: Sequence[threading.Thread], turns: _Turns, patience_s: float) -> None:
    """Join them while they get on; seen from the lines they come to, not from the clock alone."""
    began = moved = time.monotonic()
    lines = turns.lines
    for thread in threads:
        while thread.is_alive():
            thread.join(patience_s / 10)
            now = time.monotonic()
            if turns.lines != lines:
                lines, moved = turns.lines, now
            if thread.is_alive() and (
                now - moved > patience_s or now - began > patience_s * _IN_ALL
            ):
                raise TimeoutError


def _run(
    job: Callable[[], object],
    turns: _Turns,
    me: int,
    is_own: Callable[[FrameType], bool],
    raised: list[BaseException],
) -> None:
    def on_line(_frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            turns.switch(me)
        return on_line

    def on_call(frame: FrameType, _event: str, _arg: Any) -> Any:
        return on_line if is_own(frame) else None

    try:
        turns.enter(me)
        sys.settrace(on_call)
        job()
    except BaseException as error:  # handed to whoever started the race
        raised.append(error)
    finally:
        sys.settrace(None)
        turns.leave(me)


class _Turns:
    """Whose turn it is.

    Attributes:
        lines: How many lines all threads have come to.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.lines = 0
        self._count = count
        self._changed = threading.Condition()
        self._choice = random.Random(seed)  # noqa: S311 - who is next is no secret
        self._turn: int | None = None
        self._waiting: set[int] = set()
        self._entered = 0
        self._switches = 0
        self._lost = 0

    def enter(self, me: int) -> None:
        """Wait until all are here, and for the first turn."""
        with self._changed:
            self._entered += 1
            self._waiting.add(me)
            if self._entered == self._count:
                self._hand_on()
            self._changed.wait_for(lambda: self._turn == me or self._lost >= _LOST, PATIENCE_S)
            self._waiting.discard(me)

    def switch(self, me: int) -> None:
        """Perhaps let another go on, and wait for the turn to come back."""
        with self._changed:
            self.lines += 1
            is_due = self._choice.random() < (_OFTEN if self._switches < _MANY else _SELDOM)
            if self._lost >= _LOST:
                pause_s = _PAUSE_S if is_due else 0.0
                self._switches += is_due
            else:
                pause_s = 0.0
                self._await_turn(me, is_due)
        if pause_s:
            time.sleep(pause_s)

    def leave(self, me: int) -> None:
        """Give the turn up for good."""
        with self._changed:
            self.lines += 1  # it came to its end
            if self._turn == me:
                self._hand_on()

    def _await_turn(self, me: int, is_due: bool) -> None:
        if self._turn is None:
            self._turn = me
        if self._turn == me:
            if not is_due or not self._waiting:
                return
            self._switches += 1
            self._hand_on()
        self._waiting.add(me)
        back = self._changed.wait_for(lambda: self._turn == me or self._lost >= _LOST, _AWAY_S)
        self._waiting.discard(me)
        if not back:  # whoever has it waits for something else, perhaps for what this one holds
            self._lost += 1
            self._turn = me
            self._changed.notify_all()

    def _hand_on(self) -> None:
        others = sorted(self._waiting)
        self._turn = self._choice.choice(others) if others else None
        self._changed.notify_all()
