"""Asking exchanges for their time, off the way of requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from hauberk.context import Context
from hauberk.ports import Venue
from hauberk.request import Request, Response
from hauberk_plugins.signing.offset import ExchangeClock

TIMEOUT_S: Final = 5.0
#: How long a start waits for the first answers.
FIRST_WAIT_S: Final = 2.0
#: How long a request waits for an answer, where what was measured does not count any more.
VOID_WAIT_S: Final = 1.0
#: URLs of which it is remembered by which clock they go; then it begins anew.
_REMEMBERED: Final = 1_024
_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}

#: Waits for what was begun, so many seconds at most.
Join: TypeAlias = Callable[[float], object]


class Clocks:
    """The clocks of the exchanges that accounts are at, by base URL.

    Each is asked in a thread of its own: at the start, which waits for the answers, then when it
    is due and somebody signs: a bot that does nothing asks nothing. While no answer has come, our
    own clock counts.

    Args:
        context: Of the plugin; with the grant `transport`, or nothing is asked.
        spawn: Runs a function elsewhere.
        before: Whose measurements go on to count.
    """

    def __init__(
        self,
        context: Context,
        spawn: Callable[[Callable[[], None]], Join] | None = None,
        before: Clocks | None = None,
    ) -> None:
        self._context = context
        self._spawn = spawn or _in_a_thread
        self._clocks: dict[tuple[str, str], ExchangeClock] = {}
        self._by_url: dict[str, ExchangeClock] = {}
        #: What waits for the question that is on its way, or was.
        self._joins: dict[ExchangeClock, Join] = {}
        self._asking = threading.Lock()
        if before is not None:
            self._clocks, self._joins = before._clocks, before._joins
            self._asking = before._asking

    def begin(self, places: Iterable[tuple[Venue, str]], wait_s: float = FIRST_WAIT_S) -> None:
        """Have the clocks asked, and wait for all the answers together.

        So a clock that is set wrong is known before anything is signed by it.

        Args:
            places: Venues and base URLs.
            wait_s: How long at most; an exchange that does not answer must not keep a bot from
                starting.
        """
        asked = [self._ask_if_due(self._found(*place), *place) for place in places]
        now = self._context.clock.monotonic_ns
        deadline = now() + int(wait_s * 1e9)
        for join in asked:
            if join is not None:
                join(max(0, deadline - now()) / 1e9)

    def plain_ns(self, url: str) -> int | None:
        """Return what `time_ns` would at once; `None` where the venue may have to be asked.

        Args:
            url: One for which `time_ns` was asked before.
        """
        clock = self._by_url.get(url)
        now = self._context.clock
        return None if clock is None else clock.plain_ns(now.wall_ns(), now.monotonic_ns())

    def time_ns(self, venue: Venue, base: str, url: str = "") -> int:
        """Return the time of a venue at a base URL; has it asked if it is due.

        Args:
            venue: The venue.
            base: The base URL.
            url: One there, without a query, that is remembered for `plain_ns`.

        Raises:
            SigningError: Our clock is wrong, or was set, and the venue has not answered since.
        """
        now = self._context.clock
        clock = self._found(venue, base)
        if len(self._by_url) >= _REMEMBERED:
            self._by_url.clear()
        self._by_url[url] = clock
        wall, monotonic = now.wall_ns(), now.monotonic_ns()
        is_void = clock.is_void(wall, monotonic)  # which makes it due
        self._ask_if_due(clock, venue, base)
        if is_void:
            with self._asking:
                join = self._joins.get(clock)
            if join is not None:
                join(VOID_WAIT_S)
            wall, monotonic = now.wall_ns(), now.monotonic_ns()
        return clock.time_ns(wall, monotonic)

    def skewed(self, venue: Venue, base: str) -> None:
        """Be told that a venue found a request's time wrong."""
        self._found(venue, base).skewed(self._context.clock.monotonic_ns())

    def ask(self, clock: ExchangeClock, section: Any, base: str) -> None:
        """Ask once; no answer, or one that cannot be read, changes nothing."""
        time = self._context.clock
        method, _, path = section["endpoint"].partition(" ")
        question = Request(method, base + path, headers={"Accept": "application/json"})
        left: list[tuple[int, int]] = []
        answer = self._context.transport.send(
            question,
            timeout_s=TIMEOUT_S,
            # What it waits for its turn is no part of its way.
            leaving=lambda: left.append((time.wall_ns(), time.monotonic_ns())),
        )
        end = time.monotonic_ns()
        server = server_time(answer, section["field"], _NS[section["unit"]])
        if server is not None:
            wall, start = left[0]
            clock.note(server, wall, end - start, end)

    def _found(self, venue: Venue, base: str) -> ExchangeClock:
        # The hosts of one exchange go by one clock.
        key = (venue.name, "" if base in venue.bases else base)
        found = self._clocks.get(key)
        return found or self._clocks.setdefault(key, ExchangeClock(venue.name))

    def _ask_if_due(self, clock: ExchangeClock, venue: Venue, base: str) -> Join | None:
        monotonic_ns = self._context.clock.monotonic_ns()
        if not clock.may_be_due(monotonic_ns):  # as for nearly every request
            return None
        section = venue.section("server_time")
        with self._asking:  # who comes next finds what to wait for
            if not clock.is_due(monotonic_ns) or not section or not self._context.has("transport"):
                return None
            join = self._joins[clock] = self._spawn(lambda: self.ask(clock, section, base))
            return join


def server_time(answer: Response, field: str, unit_ns: int) -> int | None:
    """Read the time out of an answer, nanoseconds since the epoch; `None` where it has none.

    Args:
        answer: What came.
        field: Where it stands in the JSON, as `result.time` or `data.0`.
        unit_ns: How many nanoseconds its unit has.
    """
    if answer.status != 200 or answer.error:
        return None
    try:
        found = json.loads(answer.body)
        for part in field.split("."):
            found = found[int(part)] if isinstance(found, list) else found[part]
        return int(float(found) * unit_ns) if "." in str(found) else int(found) * unit_ns
    except (ValueError, KeyError, IndexError, TypeError, RecursionError, OverflowError):
        return None


def _in_a_thread(function: Callable[[], None]) -> Join:
    thread = threading.Thread(target=function, name="hauberk-clock", daemon=True)
    thread.start()
    return thread.join
