"""`Bounded` and `TimedSocket`: what is waited for ends in time, whoever hangs or drips."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

#: A store that does not answer for so long counts as lost: a request has its own time.
TIMEOUT_S: Final = 0.8

_T = TypeVar("_T")


class Bounded:
    """Calls functions on threads of their own, one after another, and waits so long at most.

    For what nothing else interrupts: the system's resolver, a database that is locked.

    Args:
        name: Of the threads.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._late: threading.Thread | None = None

    def call(
        self,
        function: Callable[[], _T],
        timeout_s: float,
        undo: Callable[[_T], object] = lambda _: None,
    ) -> _T:
        """Call a function; called by one thread at a time.

        Args:
            function: What to do.
            timeout_s: How long it may take, seconds.
            undo: Called with what it returns after nobody waits for it any more.

        Raises:
            TimeoutError: It is still under way; or another is, that was late, and this one was
                not begun.
        """
        if self._late is not None and self._late.is_alive():
            raise TimeoutError
        self._late = None
        future: Future[_T] = Future()
        lock, is_abandoned = threading.Lock(), False

        def run() -> None:
            try:
                found = function()
            except BaseException as error:
                future.set_exception(error)
                return
            with lock:
                if not is_abandoned:
                    future.set_result(found)
                    return
            undo(found)

        thread = threading.Thread(target=run, name=self._name, daemon=True)
        thread.start()
        try:
            return future.result(timeout_s)
        except TimeoutError:
            with lock:
                is_abandoned = not future.done()
            if not is_abandoned:
                return future.result()
            self._late = thread
            raise


class TimedSocket:
    """A socket on which everything between two calls of `begin` has one time together.

    Args:
        connection: A connected socket.
        monotonic_s: A clock that never steps, seconds.
    """

    def __init__(self, connection: Any, monotonic_s: Callable[[], float]) -> None:
        self._connection = connection
        self._monotonic_s = monotonic_s
        self._end_s = 0.0
        self._timeout_s: float | None = None
        self._is_first = True

    def begin(self, timeout_s: float) -> None:
        """From here on there is so much time."""
        self._end_s = self._monotonic_s() + timeout_s
        self._is_first = True
        if self._timeout_s != timeout_s:
            self._timeout_s = timeout_s
            self._connection.settimeout(timeout_s)

    def recv(self, *args: Any) -> Any:
        """Receive, within what is left."""
        self._lower()
        return self._connection.recv(*args)

    def recv_into(self, *args: Any) -> Any:
        """Receive, within what is left."""
        self._lower()
        return self._connection.recv_into(*args)

    def settimeout(self, timeout_s: float | None) -> None:
        """Take what a library sets."""
        self._timeout_s = timeout_s
        self._connection.settimeout(timeout_s)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def _lower(self) -> None:
        if self._is_first:  # as nearly every time, the answer comes at once
            self._is_first = False
            return
        if not self._end_s:  # before the first `begin`, what the library has set counts
            return
        left_s = self._end_s - self._monotonic_s()
        if left_s <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left_s)
