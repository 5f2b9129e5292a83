"""How far an exchange's clock is from ours: measured by asking it, best answer first."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from attrs import frozen

from hauberk.errors import SigningError

#: An offset measured this long ago is measured again.
FRESH_NS: Final = 600 * 1_000_000_000
#: How soon after one attempt the next may follow.
AGAIN_NS: Final = 5 * 1_000_000_000
#: A clock that is further off is refused: it is wrong, and so is all that was written down by it.
MAX_OFF_NS: Final = 60 * 1_000_000_000
#: By how much our two clocks may part between an answer and its use: one that is corrected little
#: by little has not stepped.
STEP_NS: Final = 500_000_000
_KEPT: Final = 5
#: By how much clocks may drift apart between two samples.
_SLACK_NS: Final = 100_000_000


@frozen
class _Sample:
    """An answer: the exchange's clock less our monotonic one, and how long it took."""

    ahead_ns: int
    trip_ns: int


@frozen
class _Known:
    """What counts: one object, so that whoever signs meanwhile sees all of it or nothing."""

    ahead_ns: int
    #: Our wall clock less the monotonic one, when the exchange was last asked.
    apart_ns: int


class ExchangeClock:
    """An exchange's clock, seen from here. Pure: every time comes by argument.

    From one answer to the next it goes on by the monotonic clock, so that a wall clock that is set
    meanwhile moves nothing. Where the two have parted, one was set or the machine has slept, and
    nobody knows which: what was measured is void, and nothing is signed by it.

    Args:
        venue: Its name, for errors.
        max_off_ns: How far it may be off.
    """

    def __init__(self, venue: str, max_off_ns: int = MAX_OFF_NS) -> None:
        self._venue = venue
        self._max_off_ns = max_off_ns
        self._samples: deque[_Sample] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._known: _Known | None = None
        self._has_answered = False
        #: When it was last asked, when it last answered, and from when on it is asked again:
        #: monotonic.
        self._asked_ns = 0
        self._answered_ns = 0
        self._due_ns = 0

    def may_be_due(self, monotonic_ns: int) -> bool:
        """Whether `is_due` may say so."""
        return monotonic_ns >= self._due_ns

    def is_due(self, monotonic_ns: int) -> bool:
        """Whether it should be asked now; says so once in `AGAIN_NS` at most."""
        with self._lock:
            if monotonic_ns < self._due_ns:
                return False
            self._asked_ns = monotonic_ns
            self._due_ns = monotonic_ns + AGAIN_NS
            return True

    def is_void(self, wall_ns: int, monotonic_ns: int) -> bool:
        """Whether what was measured does not count any more: then it should be asked soon."""
        known = self._known
        if known is None:
            return self._has_answered
        if abs(wall_ns - monotonic_ns - known.apart_ns) <= STEP_NS:
            return False
        with self._lock:
            if self._known is known:
                self._forget()
        return self._known is None

    def note(self, server_ns: int, wall_ns: int, trip_ns: int, monotonic_ns: int) -> None:
        """Take an answer in.

        Args:
            server_ns: What the exchange said, nanoseconds since the epoch.
            wall_ns: Our clock when the question left.
            trip_ns: How long question and answer took together.
            monotonic_ns: When the answer came, on a clock that never steps.
        """
        left_ns = monotonic_ns - trip_ns
        # It read its clock somewhere on the way: halfway is off by half the trip at most.
        ahead = server_ns - (left_ns + trip_ns // 2)
        with self._lock:
            widest = max((sample.trip_ns for sample in self._samples), default=0)
            known = self._known
            if known and abs(ahead - known.ahead_ns) > (trip_ns + widest) // 2 + _SLACK_NS:
                self._samples.clear()  # a clock was set: what was measured before is void
            self._samples.append(_Sample(ahead, trip_ns))
            best = min(self._samples, key=lambda sample: sample.trip_ns)
            known = self._known = _Known(best.ahead_ns, wall_ns - left_ns)
            self._has_answered = True
            self._answered_ns = monotonic_ns
            # Who sets the clock, as the error says, must not wait for it to be noticed.
            is_refused = abs(known.ahead_ns - known.apart_ns) > self._max_off_ns
            self._due_ns = monotonic_ns + (AGAIN_NS if is_refused else FRESH_NS)

    def skewed(self, monotonic_ns: int) -> None:
        """Be told that the exchange found a request's time wrong: what was measured is void.

        Of what it answered a moment ago that is not believed: the request is older.
        """
        with self._lock:
            if monotonic_ns >= self._answered_ns + AGAIN_NS:
                self._forget()
            self._due_ns = min(self._due_ns, self._asked_ns + AGAIN_NS)

    def plain_ns(self, wall_ns: int, monotonic_ns: int) -> int | None:
        """Return what `time_ns` would, where it need not be asked first; else `None`.

        Changes nothing.
        """
        known = self._known
        if monotonic_ns >= self._due_ns:
            return None
        if known is None:
            return None if self._has_answered else wall_ns
        time = monotonic_ns + known.ahead_ns
        is_steady = -STEP_NS <= wall_ns - monotonic_ns - known.apart_ns <= STEP_NS
        return time if is_steady and abs(time - wall_ns) <= self._max_off_ns else None

    def time_ns(self, wall_ns: int, monotonic_ns: int) -> int:
        """Return the exchange's time; ours where it has never answered.

        Args:
            wall_ns: Our wall clock.
            monotonic_ns: Our monotonic clock at the same moment.

        Raises:
            SigningError: Our clock is so far off that it is wrong, or was set since it was
                compared: says what to do.
        """
        is_void = self.is_void(wall_ns, monotonic_ns)
        known = self._known
        if is_void or (known is None and self._has_answered):
            raise SigningError(
                f"this machine's clock was set, or the machine slept, or {self._venue} found a "
                "request's time wrong, and it has not told its time since: try again in "
                f"{AGAIN_NS // 1_000_000_000} s"
            )
        if known is None:
            return wall_ns
        time = monotonic_ns + known.ahead_ns
        off = time - wall_ns
        if abs(off) > self._max_off_ns:
            seconds = abs(off) // 1_000_000_000
            way = "behind" if off > 0 else "ahead of"
            raise SigningError(
                f"this machine's clock is {seconds} s {way} that of {self._venue}: set it (NTP), "
                "then try again"
            )
        return time

    def _forget(self) -> None:
        self._samples.clear()
        self._known = None
        self._due_ns = min(self._due_ns, self._asked_ns + AGAIN_NS)
