"""`RateLimiter`: grants what fits into every window at once, or says when to ask again.

It never sleeps and reads no clock. Its rules:

- A charge is keyed by the request: asked again for the same it costs nothing; for more, it is
  given back and the whole asked for afresh, so that nobody waits while holding a part.
- A charge counts from its grant, always, until it is dated at leaving; then for the window's
  length and the jitter.
- First come, first served, window by window (`line.py`); who wants nothing of a window does not
  wait for it, nor behind those who do.
- A part of a window may be reserved for cancels: a window of its own, as it were, with a line of
  its own. What it has no room for stands in the ordinary line by its ticket, so that a flood of
  cancels takes no more than its share of what is left.
- A wait says when there should be room for all who come before and the asker. A place is a
  lease. What is given back, and a turn that comes sooner than told, wakes the next.
- What is frozen grants nothing, and asks back what was granted and has not left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from hauberk_plugins.throttle.errors import TooDear
from hauberk_plugins.throttle.limiting import Key, Row
from hauberk_plugins.throttle.line import Amounts, Waiter
from hauberk_plugins.throttle.meters import Meter
from hauberk_plugins.throttle.registry import Keeping, Registry, with_asides
from hauberk_plugins.throttle.turns import Turns
from hauberk_plugins.throttle.windows import Window

#: The least by which the wall clock must disagree with the monotonic one to count as stepped: a
#: thread may be held up between reading the two.
MIN_STEP_NS: Final = 50_000_000


class RateLimiter:
    """Keeps windows, charges and lines; every method may be called from any thread.

    Args:
        lease_ns: How long a turn is kept for a waiter that does not come back.
        max_waiting: How many may wait for one window.
        wake: Called, without the lock, with the id of a waiter that should ask again now.
        keeper: Makes durable what is granted; without, it is in memory alone.
    """

    def __init__(
        self,
        *,
        lease_ns: int = 1_000_000_000,
        max_waiting: int = 1_000,
        wake: Callable[[str], object] = lambda _: None,
        keeper: Keeping | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._wake = wake
        self._registry = Registry(keeper)
        self._turns = Turns(lease_ns, max_waiting)
        self._waiters = self._turns.waiters
        self._charges: dict[str, Amounts] = {}
        # What was asked for where something else was taken: a part that is reserved.
        self._asked: dict[str, Amounts] = {}
        self._now = 0
        # The wall clock is read against the monotonic one once: a step never moves a boundary.
        self._anchor: int | None = None
        self._step_ns = MIN_STEP_NS
        # The anchor; `None` while the wall clock disagrees with it.
        self._offset: int | None = None
        # Between these lies what the wall clock is ahead, while it agrees; else nothing does.
        self._least, self._most = 1, 0

    def configure(self, *, lease_ns: int, max_waiting: int) -> None:
        """Take other settings; charges and waiters stay."""
        with self._lock:
            self._turns.lease_ns = lease_ns
            self._turns.max_waiting = max_waiting

    def anchor(self, now_ns: int, wall_ns: int) -> None:
        """Read the clocks against each other for the first time, before anything is counted."""
        with self._lock:
            self._now = max(now_ns, self._now)
            self._look(wall_ns - now_ns, [])

    def meter(
        self, key: tuple[str, ...], window: Window, jitter_ns: int, *, reshape: bool = True
    ) -> Meter:
        """Return the meter of a window for one key; an existing one keeps what it counted.

        Args:
            key: Who shares it, for example venue, window and account.
            window: Its description.
            jitter_ns: The longest delay on the way and the difference of the clocks, together.
            reshape: Whether an existing one takes the window's size, length and kind.
        """
        woken: list[str] = []
        with self._lock:
            self._step_ns = max(self._step_ns, jitter_ns)
            meter, is_changed = self._registry.meter(
                key, window, jitter_ns, self._now, self._anchor, reshape=reshape
            )
            if is_changed:
                self._call_up((meter,), woken)
        self._wake_all(woken)
        return meter

    def ask(
        self,
        request_id: str,
        amounts: Amounts,
        now_ns: int,
        wall_ns: int,
        cancel: bool = False,
    ) -> int:
        """Charge a request, or give it a place.

        Args:
            request_id: Its key.
            amounts: What it takes of which meters, each meter once.
            now_ns: Monotonic clock.
            wall_ns: Wall clock, since the epoch.
            cancel: Whether it may take of what is reserved.

        Returns:
            0 when it is charged, else in how many nanoseconds to ask again.

        Raises:
            TooDear: It can never be granted.
            LineFull: Too many wait already.
            Frozen: The exchange has shut us out for longer than anybody would wait.
            NotKept: What it takes cannot be made durable.
        """
        with self._lock:
            # Callers may come in another order than they read the clock.
            now = self._now = now_ns if now_ns > self._now else self._now
            charges = self._charges
            if (
                self._least <= wall_ns - now_ns <= self._most
                and not cancel
                and not self._waiters
                and request_id not in charges
            ):
                for meter, amount in amounts:
                    if (
                        meter.total + amount > meter.limit
                        and meter.used(now, self._offset) + amount > meter.limit
                    ):
                        _take_back(amounts, meter)
                        break
                    meter.total += amount
                else:
                    charges[request_id] = amounts
                    return 0
        return self._ask_closely(request_id, amounts, wall_ns - now_ns, cancel)

    def end(self, request_id: str, left: bool, now_ns: int) -> None:
        """Date a request's charge if it left, else give it back; forget the request.

        Args:
            request_id: Of any request; one that is not known is ignored.
            left: Whether it left, so that the exchange will count it.
            now_ns: Monotonic clock.
        """
        with self._lock:
            now = self._now = now_ns if now_ns > self._now else self._now
            amounts = self._charges.pop(request_id, None)
            if self._asked:
                self._asked.pop(request_id, None)
            if amounts is not None and left:
                for meter, amount in amounts:
                    meter.leave(amount, now, self._anchor)
                return
            woken = self._end_unsent(request_id, amounts or (), left)
        self._wake_all(woken)

    def count(self, amounts: Amounts, now_ns: int) -> None:
        """Count what has left and was never asked for."""
        with self._lock:
            now = self._now = max(now_ns, self._now)
            for meter, amount in self._registry.present(amounts, now):
                meter.date(amount, now, self._anchor)

    def learn(self, meter: Meter, used: int, now_ns: int, wall_ns: int) -> None:
        """Take what the exchange says is used in a window: the larger of ours and theirs counts.

        What is more than ours was somebody else's, who shares it: it counts as if it had left now.
        """
        woken: list[str] = []
        with self._lock:
            now = self._now = max(now_ns, self._now)
            offset = self._look(wall_ns - now_ns, woken)
            self._registry.learn(meter, used, now, offset, self._anchor)
        self._wake_all(woken)

    def freeze(self, key_prefix: Key, until_ns: int, now_ns: int) -> None:
        """Grant nothing of the meters whose keys begin so, until a time of the monotonic clock."""
        with self._lock:
            self._now = max(now_ns, self._now)
            self._registry.freeze(key_prefix, until_ns, self._now)

    def frozen(self, now_ns: int) -> dict[Key, int]:
        """Return what is frozen, and until when on the monotonic clock."""
        with self._lock:
            freezes = self._registry.freezes
            return {key: until for key, until in freezes.items() if until > now_ns}

    def rows(self, now_ns: int, wall_ns: int) -> Iterator[Row]:
        """Say how every meter stands that anybody uses."""
        woken: list[str] = []
        with self._lock:
            now = self._now = max(now_ns, self._now)
            rows = self._registry.rows(now, self._look(wall_ns - now_ns, woken))
        self._wake_all(woken)
        yield from rows

    def relax(self, level: Callable[[Meter, int], int]) -> None:
        """Go by records that allow less, where much less is used.

        Args:
            level: Told a meter and what is used of it, returns how far its record allows.
        """
        with self._lock:
            for _, meter in self._registry.parts():
                if meter.limit > 0:
                    used = meter.used(self._now, self._offset)
                    meter.limit = min(meter.size, level(meter, used))

    def close(
        self,
        write: Callable[[Iterable[tuple[Key, Meter, list[tuple[int, int]]]], int], object],
        now_ns: int,
    ) -> None:
        """Have all that may count written; what is granted afterwards is recorded afresh.

        Args:
            write: Told of each meter what left, oldest first; and what time it is.
            now_ns: Monotonic clock.
        """
        with self._lock:
            now = self._now = max(now_ns, self._now)
            parts = list(self._registry.parts())
            write([(key, meter, list(meter.departures())) for key, meter in parts], now)
            for _, meter in parts:
                self._registry.settle(meter, now)

    def _look(self, offset: int, woken: list[str]) -> int | None:
        """Compare the clocks: return the anchor, or `None` while the wall clock is off it."""
        if self._anchor is None:
            self._anchor = self._offset = offset
        is_steady = -self._step_ns <= offset - self._anchor <= self._step_ns
        if is_steady is (self._offset is None):
            self._offset = self._anchor if is_steady else None
            waited_for = {m: None for w in self._waiters.values() for m, _ in w.amounts}
            self._call_up(waited_for, woken)
        self._least, self._most = 1, 0
        if self._offset is not None:
            self._least, self._most = self._offset - self._step_ns, self._offset + self._step_ns
        return self._offset

    def _ask_closely(self, request_id: str, amounts: Amounts, ahead: int, is_cancel: bool) -> int:
        """Ask with everything looked at that is seldom so."""
        woken: list[str] = []
        try:
            with self._lock:
                self._look(ahead, woken)
                held = self._charges.get(request_id)
                if held is not None and self._holds(request_id, held, amounts):
                    return 0
                return self._ask_in_line(request_id, amounts, is_cancel, woken)
        finally:
            self._wake_all(woken)

    def _end_unsent(self, request_id: str, amounts: Amounts, left: bool) -> list[str]:
        """Give back what did not leave; date what left without a grant; wake whom it helps."""
        woken: list[str] = []
        for meter, amount in amounts:
            meter.total -= amount
        if (waiter := self._waiters.pop(request_id, None)) is not None:
            waiter.leave()
            amounts = waiter.amounts
            if left:  # the exchange counts it all the same
                for meter, amount in amounts:
                    meter.date(amount, self._now, self._anchor)
        self._call_up((meter for meter, _ in amounts), woken)
        return woken

    def _holds(self, request_id: str, held: Amounts, amounts: Amounts) -> bool:
        """Whether a charge covers all that is wanted, and nothing has frozen it since."""
        if self._registry.freezes and any(meter.frozen > self._now for meter, _ in held):
            return False
        if held is amounts:
            return True
        wanted = self._registry.present(amounts, self._now)
        return _covers(self._asked.get(request_id, held), wanted)

    def _ask_in_line(
        self, request_id: str, amounts: Amounts, is_cancel: bool, woken: list[str]
    ) -> int:
        amounts = self._registry.present(amounts, self._now)
        for meter, amount in amounts:
            if amount > meter.size:
                raise TooDear(meter.name, amount, meter.size)
        released = self._charges.pop(request_id, ())
        self._asked.pop(request_id, None)
        for meter, amount in released:
            meter.total -= amount
        try:
            return self._place(self._turns.waiter(request_id, amounts, is_cancel=is_cancel))
        finally:
            if self._waiters:
                self._call_up(dict.fromkeys(m for m, _ in (*released, *amounts)), woken)

    def _place(self, waiter: Waiter) -> int:
        now, offset, turns = self._now, self._offset, self._turns
        taken, blocked_by = turns.foretell(waiter, now, offset)
        if blocked_by:
            turns.keep_place(waiter, blocked_by, now)
            return waiter.told_ns - now
        self._registry.cover(taken, now, offset)
        turns.take_away(waiter)
        if taken == waiter.amounts:
            taken = waiter.amounts
        else:
            self._asked[waiter.request_id] = waiter.amounts
        for meter, amount in taken:
            meter.total += amount
        self._charges[waiter.request_id] = taken
        return 0

    def _call_up(self, meters: Iterable[Meter], woken: list[str]) -> None:
        self._turns.call_up(with_asides(meters), woken, self._now, self._offset)

    def _wake_all(self, request_ids: Iterable[str]) -> None:
        for request_id in request_ids:
            self._wake(request_id)


def _take_back(amounts: Amounts, blocked: Meter) -> None:
    """Give back what was taken of the meters before one that has no room."""
    for meter, amount in amounts:
        if meter is blocked:
            return
        meter.total -= amount


def _covers(held: Amounts, wanted: Amounts) -> bool:
    """Whether a charge holds all that is wanted."""
    amounts = dict(held)
    return all(amounts.get(meter, 0) >= amount for meter, amount in wanted)
