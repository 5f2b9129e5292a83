"""Recording that holds nobody up: beside whoever reports, and waited for within a bound."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from typing import Final

from hauberk.telling import told

log = logging.getLogger("hauberk")

#: How long a recorder may take before others are told all the same.
WITHIN_S: Final = 0.5
#: What waits for a recorder that hangs: more than that is dropped, and logged.
_WAITING: Final = 1_000
#: How long closing waits for what is not recorded yet.
_LAST_WORDS_S: Final = 1.0


class Recording:
    """Records one thing after the other, on a thread that is there while there is something.

    May be used from any thread.

    Args:
        within_s: How long each is waited for.
    """

    def __init__(self, within_s: float = WITHIN_S) -> None:
        self._within_s = within_s
        self._lock = threading.RLock()  # a signal's handler may report
        self._waiting: deque[tuple[Future[None], Callable[[], None]]] = deque()
        self._thread: threading.Thread | None = None
        #: Whether somebody waited in vain for what is being recorded: the next does not wait too.
        self._hangs = False

    def run(self, send: Callable[[], None]) -> None:
        """Record something in its turn; go on when it is done, or has taken too long.

        What a recorder reports meanwhile is recorded inside, and where no thread is to be had, so
        is everything.

        Raises:
            KeyboardInterrupt: A recorder was interrupted, or whoever waits.
        """
        future = self._begun(send)
        if future is None:
            send()
            return
        wait([future], timeout=0 if self._hangs else self._within_s)
        if future.done():
            future.result()
            return
        self._hangs = not future.done()
        log.error("an incident is not recorded yet: a recorder takes long, and others go on")

    def close(self) -> None:
        """Wait a moment for what is not recorded yet."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_LAST_WORDS_S)

    def _begun(self, send: Callable[[], None]) -> Future[None] | None:
        """Queue it; `None` where it is for the caller to do."""
        context = copy_context()
        future: Future[None] = Future()
        with self._lock:
            if self._thread is threading.current_thread():
                return None
            if len(self._waiting) >= _WAITING:
                log.error("an incident is not recorded: a recorder hangs")
                future.set_result(None)
                return future
            self._waiting.append((future, lambda: context.run(send)))
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="hauberk-recording", daemon=True)
                self._thread = thread
                try:
                    thread.start()
                except RuntimeError:  # no more threads to be had
                    self._thread = None
                    self._waiting.pop()
                    return None
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                future, send = self._waiting.popleft()
            try:
                send()
            except BaseException as error:  # whoever waits raises it
                log.error("an incident could not be recorded: %s", told(error))
                future.set_exception(error)
            else:
                future.set_result(None)
            self._hangs = False
