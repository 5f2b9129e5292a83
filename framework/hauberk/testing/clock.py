"""A clock that tests move."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

#: A wait that nobody ends is a broken test, not a slow one.
_PATIENCE_S: Final = 30.0
_START_NS: Final = 1_700_000_000_000_000_000


class FakeClock:
    """Satisfies the port `Clock` without real time.

    Args:
        auto: Whether waiting moves the clock by itself. Turn it off where several threads or
            tasks wait and the test decides when.
        wall_ns: Wall time at the start, nanoseconds since the epoch.
    """

    def __init__(self, *, auto: bool = True, wall_ns: int = _START_NS) -> None:
        self.auto = auto
        self.waits: list[int] = []
        self._wall_ns = wall_ns
        self._monotonic_ns = 0
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, Callable[[], object]]] = []
        self._arrived = threading.Condition(self._lock)

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return self._wall_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds since the test began."""
        return self._monotonic_ns

    def advance(self, seconds: float) -> None:
        """Let time pass, and whoever waited for it go on."""
        self.advance_ns(round(seconds * 1e9))

    def advance_ns(self, ns: int) -> None:
        """Let so many nanoseconds pass."""
        with self._lock:
            self._monotonic_ns += ns
            self._wall_ns += ns
            due = [go for at, go in self._waiting if at <= self._monotonic_ns]
            self._waiting = [item for item in self._waiting if item[0] > self._monotonic_ns]
        for go in due:
            go()

    def step_wall(self, seconds: float) -> None:
        """Step the wall clock alone, forward or back, as NTP or an operator does."""
        self._wall_ns += round(seconds * 1e9)

    def await_waiters(self, count: int) -> None:
        """Block until so many threads or tasks wait on this clock."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._waiting) >= count, _PATIENCE_S):
                raise TimeoutError(f"{len(self._waiting)} of {count} wait on the clock")

    def next_due_ns(self) -> int | None:
        """When the first of those who wait is due, by the monotonic clock."""
        with self._lock:
            return min((at for at, _ in self._waiting), default=None)

    def wait(self, woken: threading.Event, ns: int) -> None:
        """Wait for `ns` of this clock's time, or until woken."""
        self.waits.append(ns)
        if self.auto:
            if not woken.is_set():
                self.advance_ns(ns)
            return
        with self._waits(ns, woken.set):
            if not woken.wait(_PATIENCE_S):
                raise TimeoutError("nobody advanced the clock")

    async def await_(self, woken: asyncio.Event, ns: int) -> None:
        """The same for asyncio."""
        self.waits.append(ns)
        if self.auto:
            if not woken.is_set():
                self.advance_ns(ns)
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        with self._waits(ns, lambda: loop.call_soon_threadsafe(woken.set)):
            async with asyncio.timeout(_PATIENCE_S):
                await woken.wait()

    @contextmanager
    def _waits(self, ns: int, go: Callable[[], object]) -> Iterator[None]:
        with self._arrived:
            item = (self._monotonic_ns + ns, go)
            self._waiting.append(item)
            self._arrived.notify_all()
        try:
            yield
        finally:
            with self._lock:
                self._waiting = [other for other in self._waiting if other is not item]
