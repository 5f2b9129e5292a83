"""The system's clock, as the port `Clock`."""

from __future__ import annotations

import asyncio
import threading
import time


class SystemClock:
    """Wall and monotonic time of this machine."""

    wall_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)

    def wait(self, woken: threading.Event, ns: int) -> None:
        """Return after `ns`, or as soon as `woken` is set."""
        woken.wait(ns / 1e9)

    async def await_(self, woken: asyncio.Event, ns: int) -> None:
        """The same without blocking the event loop."""
        try:
            async with asyncio.timeout(ns / 1e9):
                await woken.wait()
        except TimeoutError:
            return
