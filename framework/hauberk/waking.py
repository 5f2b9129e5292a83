"""Waiting requests and how they are woken; armed before a pass, so that no wake is lost."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from typing import TypeAlias

from hauberk.ports import Clock

_Wake: TypeAlias = Callable[[], object]


def _already_woken() -> None:
    """Stands where a wake came while the request was still being judged."""


class Waking:
    """Who waits for what.

    Args:
        clock: Waits on it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()  # a signal's handler may wake
        self._armed: dict[str, _Wake | None] = {}

    def arm(self, request_id: str) -> None:
        """From here on a wake is remembered. Called before each pass."""
        self._armed[request_id] = None

    def disarm(self, request_id: str) -> None:
        """Forget the request."""
        self._armed.pop(request_id, None)

    def wake(self, request_id: str) -> None:
        """Have a request asked again: now if it waits, at once if it is about to."""
        with self._lock:
            if request_id not in self._armed:
                return
            wake = self._armed[request_id]
            if wake is None:
                self._armed[request_id] = _already_woken
        if wake is not None:
            wake()

    def wake_all(self) -> None:
        """Have every request asked again."""
        for request_id in tuple(self._armed):
            self.wake(request_id)

    def wait(self, request_id: str, ns: int) -> None:
        """Block for `ns` or until woken."""
        woken = threading.Event()
        if self._put(request_id, woken.set):
            self._clock.wait(woken, ns)

    async def await_(self, request_id: str, ns: int) -> None:
        """The same without blocking the event loop."""
        woken = asyncio.Event()
        # Weak: what waits on a loop that was closed under it, or dropped, must not be kept from
        # its end.
        loop_ref, woken_ref = weakref.ref(asyncio.get_running_loop()), weakref.ref(woken)

        def wake() -> None:
            loop, event = loop_ref(), woken_ref()
            if loop is None or event is None:
                return
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # its loop is closed: nobody waits any more
                return

        if self._put(request_id, wake):
            await self._clock.await_(woken, ns)

    def _put(self, request_id: str, wake: _Wake) -> bool:
        """Stand ready to be woken, unless that has happened already."""
        with self._lock:
            if self._armed.get(request_id) is not None:
                return False
            self._armed[request_id] = wake
            return True
