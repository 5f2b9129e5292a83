"""`Beating`: the thread that tells the ledger what nobody's request carries, and looks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

#: What has left waits so long for a request to carry it along.
SOON_S: Final = 0.01
#: How often waiters are sent to look again, and a lost ledger is looked for.
OFTEN_S: Final = 0.25


class Beating:
    """Calls a function often, sooner where there is something to tell.

    Args:
        beat: Must not raise.
    """

    def __init__(self, beat: Callable[[], object]) -> None:
        self._beat = beat
        self._news = threading.Event()
        self._urgent = threading.Event()
        self._is_over = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="hauberk-throttle", daemon=True)
        self._thread.start()

    def hurry(self, is_urgent: bool) -> None:
        """Beat at once, or soon."""
        if is_urgent:
            self._urgent.set()
        if not self._news.is_set():
            self._news.set()

    def stop(self) -> None:
        """End it, and wait for that."""
        self._is_over = True
        self.hurry(True)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._is_over:
            if self._news.wait(OFTEN_S):
                self._urgent.wait(SOON_S)
                self._news.clear()
                self._urgent.clear()
            if not self._is_over:
                self._beat()
