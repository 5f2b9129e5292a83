"""`Worker`: a thread that takes a turn every so often, and at once when it is asked to.

What may hang, a store or a disk, hangs here and nobody else: whoever asks waits no longer than it
says.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable

from hauberk.errors import safe_text

log = logging.getLogger("hauberk")


class Worker:
    """Takes turns on a daemon thread, one after the other.

    Args:
        name: The thread's.
        every_s: How long it rests between turns that nobody asked for.
        turn: A bound method; the thread ends with the object that it is bound to.
    """

    def __init__(self, name: str, every_s: float, turn: Callable[[], None]) -> None:
        self._name = name
        self._every_s = every_s
        self._turn = weakref.WeakMethod(turn)
        # Re-entrant: a signal's handler may report while its thread is in here.
        self._changed = threading.Condition(threading.RLock())
        self._asked = 0
        self._done = 0
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Start the thread, unless it runs.

        Raises:
            RuntimeError: There are no more threads to be had.
        """
        with self._changed:
            if self._thread is None and not self._is_stopped:
                thread = threading.Thread(
                    target=_run, args=(weakref.ref(self),), name=self._name, daemon=True
                )
                thread.start()
                self._thread = thread

    def ask(self, wait_s: float = 0) -> bool:
        """Have a turn taken that begins from here on.

        Args:
            wait_s: For how long to wait for its end.

        Returns:
            Whether it ended.
        """
        try:
            self.start()
        except RuntimeError:
            return False
        with self._changed:
            self._asked = mine = self._asked + 1
            self._changed.notify_all()
            if not wait_s or threading.current_thread() is self._thread or self._thread is None:
                return False
            return self._changed.wait_for(lambda: self._done >= mine, wait_s)

    def stop(self, wait_s: float = 0) -> None:
        """End the thread after its present turn and those that were asked for.

        Args:
            wait_s: For how long to wait for that.
        """
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
            thread = self._thread
        if wait_s and thread is not None and thread is not threading.current_thread():
            thread.join(wait_s)

    def rest(self) -> int | None:
        """Wait for the next turn, on the thread; return how many asked, or `None` at the end."""
        with self._changed:
            if self._asked == self._done and not self._is_stopped:
                self._changed.wait(self._every_s)
            return None if self._is_stopped and self._asked == self._done else self._asked

    def take(self, asked: int) -> bool:
        """Take a turn, on the thread; return whether there is anything left to take turns for."""
        turn = self._turn()
        if turn is None:
            return False
        try:
            turn()
        except BaseException as error:  # SystemExit included: it is a thread of ours
            log.error("%s: %s", self._name, safe_text(error))
        with self._changed:
            self._done = asked
            self._changed.notify_all()
        return True


def _run(reference: weakref.ref[Worker]) -> None:
    while (worker := reference()) is not None:
        asked = worker.rest()
        if asked is None or not worker.take(asked):
            return
        del worker
