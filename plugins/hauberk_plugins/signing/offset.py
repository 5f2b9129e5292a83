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
_KEPT: Final = 5
#: By how much clocks may drift apart between two samples.
_SLACK_NS: Final = 100_000_000


@frozen
class _Sample:
    offset_ns: int
    trip_ns: int


class ExchangeClock:
    """An exchange's clock, seen from here. Pure: every time comes by argument.

    Args:
        venue: Its name, for errors.
        max_off_ns: How far it may be off.
    """

    def __init__(self, venue: str, max_off_ns: int = MAX_OFF_NS) -> None:
        self._venue = venue
        self._max_off_ns = max_off_ns
        self._samples: deque[_Sample] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._offset_ns = 0
        #: When it was last asked, and from when on it is asked again, monotonic.
        self._asked_ns = 0
        self._due_ns = 0

    def is_due(self, monotonic_ns: int) -> bool:
        """Whether it should be asked now; says so once in `AGAIN_NS` at most."""
        if monotonic_ns < self._due_ns:  # as for nearly every request
            return False
        with self._lock:
            if monotonic_ns < self._due_ns:
                return False
            self._asked_ns = monotonic_ns
            self._due_ns = monotonic_ns + AGAIN_NS
            return True

    def note(self, server_ns: int, wall_ns: int, trip_ns: int, monotonic_ns: int) -> None:
        """Take an answer in.

        Args:
            server_ns: What the exchange said, nanoseconds since the epoch.
            wall_ns: Our clock when the question left.
            trip_ns: How long question and answer took together.
            monotonic_ns: When the answer came, on a clock that never steps.
        """
        # It read its clock somewhere on the way: halfway is off by half the trip at most.
        offset = server_ns - (wall_ns + trip_ns // 2)
        with self._lock:
            known = self._offset_ns
            widest = max((sample.trip_ns for sample in self._samples), default=0)
            if self._samples and abs(offset - known) > (trip_ns + widest) // 2 + _SLACK_NS:
                self._samples.clear()  # a clock was set: what was measured before is void
            self._samples.append(_Sample(offset, trip_ns))
            self._offset_ns = min(self._samples, key=lambda sample: sample.trip_ns).offset_ns
            # Who sets the clock, as the error says, must not wait for it to be noticed.
            is_refused = abs(self._offset_ns) > self._max_off_ns
            self._due_ns = monotonic_ns + (AGAIN_NS if is_refused else FRESH_NS)

    def skewed(self) -> None:
        """Be told that the exchange found a request's time wrong: what was measured is void."""
        with self._lock:
            self._samples.clear()
            self._due_ns = min(self._due_ns, self._asked_ns + AGAIN_NS)

    def time_ns(self, wall_ns: int) -> int:
        """Return the exchange's time.

        Raises:
            SigningError: Our clock is so far off that it is wrong: says what to do.
        """
        offset = self._offset_ns
        if abs(offset) > self._max_off_ns:
            seconds = abs(offset) // 1_000_000_000
            way = "behind" if offset > 0 else "ahead of"
            raise SigningError(
                f"this machine's clock is {seconds} s {way} that of {self._venue}: set it (NTP), "
                "then try again"
            )
        return wall_ns + offset
