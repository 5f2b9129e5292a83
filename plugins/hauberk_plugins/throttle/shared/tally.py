"""`Tally`: what this process has to tell the ledger of one record."""

from __future__ import annotations

from typing import Final

from hauberk_plugins.throttle.shared.call import Departure, Report
from hauberk_plugins.throttle.shared.shape import SUBWINDOWS, Shape

#: More departures than this are looked through for those that count no more.
_MANY: Final = 4 * SUBWINDOWS


class _Left:
    __slots__ = ("amount", "at_ns", "seq")

    def __init__(self, at_ns: int, amount: int) -> None:
        self.at_ns = at_ns
        self.amount = amount
        self.seq = 0


class Tally:
    """Of one record: what is open, what left and was not told yet, which claims are given up.

    Attributes:
        shape: The record's.
        open: Granted to this owner, and not ended.
        is_dirty: Whether the ledger knows something else.
    """

    __slots__ = ("_dropped", "_left", "is_dirty", "open", "shape")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.open = 0
        self.is_dirty = False
        self._left: list[_Left] = []
        self._dropped: list[str] = []

    def leave(self, amount: int, at_ns: int) -> None:
        """Note what has left."""
        if not amount:
            return
        self.is_dirty = True
        left = self._left
        # Dated to the later of two times: the safe side.
        close_ns = self.shape.length_us * 1_000 // SUBWINDOWS // 16
        if left and not left[-1].seq and 0 <= at_ns - left[-1].at_ns < close_ns:
            left[-1].at_ns, left[-1].amount = at_ns, left[-1].amount + amount
            return
        left.append(_Left(at_ns, amount))
        if len(left) > _MANY:
            past = at_ns - self.shape.longest_us() * 1_000
            self._left = [one for one in left if one.seq or one.at_ns > past]

    def drop(self, claim: str) -> None:
        """Note that a claim is given up."""
        self._dropped.append(claim)
        self.is_dirty = True

    def report(self, seq: int, now_ns: int) -> Report:
        """Write what the ledger is to know.

        Args:
            seq: Of the call that will tell it.
            now_ns: Before the call is sent.
        """
        departures = []
        for one in self._left:
            one.seq = one.seq or seq
            departures.append(Departure(one.seq, max(now_ns - one.at_ns, 0) // 1_000, one.amount))
        self.is_dirty = True  # until the ledger has answered
        return Report(self.shape, self.open, tuple(departures), tuple(self._dropped))

    def told(self, report: Report, granted: int) -> None:
        """Forget what the ledger has acknowledged, and count what it granted."""
        if report.departures:
            del self._left[: len(report.departures)]
        if report.dropped:
            del self._dropped[: len(report.dropped)]
        self.open += granted
        is_known = self.open == report.open + granted
        self.is_dirty = not is_known or bool(self._left or self._dropped)

    def disown(self) -> None:
        """Begin again under another owner."""
        self.open = 0
        self.is_dirty = bool(self._left)
        self._dropped.clear()
        for one in self._left:
            one.seq = 0

    def untold(self) -> int:
        """What has left and the ledger does not know yet."""
        return sum(one.amount for one in self._left)
