"""Asking exchanges for their time, off the way of requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, Final

from hauberk.context import Context
from hauberk.ports import Venue
from hauberk.request import Request, Response
from hauberk_plugins.signing.offset import ExchangeClock

TIMEOUT_S: Final = 5.0
_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


class Clocks:
    """The clocks of the exchanges that accounts are at, by base URL.

    Each is asked in a thread of its own, when it is due and somebody signs: a bot that does
    nothing asks nothing. Until an answer comes, our own clock counts.

    Args:
        context: Of the plugin; with the grant `transport`, or nothing is asked.
        spawn: Runs a function elsewhere.
    """

    def __init__(
        self, context: Context, spawn: Callable[[Callable[[], None]], None] | None = None
    ) -> None:
        self._context = context
        self._spawn = spawn or _in_a_thread
        self._clocks: dict[tuple[str, str], ExchangeClock] = {}

    def clock(self, venue: Venue, base: str) -> ExchangeClock:
        """Return the clock of a venue at a base URL; has it asked if it is due."""
        key = (venue.name, base)
        found = self._clocks.get(key)
        if found is None:
            found = self._clocks.setdefault(key, ExchangeClock(venue.name))
        if found.is_due(self._context.clock.monotonic_ns()) and self._context.has("transport"):
            section = venue.section("server_time")
            if section:
                clock = found
                self._spawn(lambda: self.ask(clock, section, base))
        return found

    def ask(self, clock: ExchangeClock, section: Any, base: str) -> None:
        """Ask once; no answer, or one that cannot be read, changes nothing."""
        time = self._context.clock
        method, _, path = section["endpoint"].partition(" ")
        question = Request(method, base + path, headers={"Accept": "application/json"})
        wall, start = time.wall_ns(), time.monotonic_ns()
        answer = self._context.transport.send(question, timeout_s=TIMEOUT_S)
        end = time.monotonic_ns()
        server = server_time(answer, section["field"], _NS[section["unit"]])
        if server is not None:
            clock.note(server, wall, end - start, end)


def server_time(answer: Response, field: str, unit_ns: int) -> int | None:
    """Read the time out of an answer, nanoseconds since the epoch; `None` where it has none.

    Args:
        answer: What came.
        field: Where it stands in the JSON, as `result.time` or `data.0`.
        unit_ns: How many nanoseconds its unit has.
    """
    if answer.status != 200:
        return None
    try:
        found = json.loads(answer.body)
        for part in field.split("."):
            found = found[int(part)] if isinstance(found, list) else found[part]
        return int(float(found) * unit_ns) if "." in str(found) else int(found) * unit_ns
    except (ValueError, KeyError, IndexError, TypeError, RecursionError, OverflowError):
        return None


def _in_a_thread(function: Callable[[], None]) -> None:
    threading.Thread(target=function, name="hauberk-clock", daemon=True).start()
