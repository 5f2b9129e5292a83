"""`RateLimiter`: grants what fits into every window at once, or says when to ask again.

It never sleeps and reads no clock. Its rules:

- A charge is keyed by the request: asked again for the same it costs nothing; for more, it is
  given back and the whole asked for afresh, so that nobody waits while holding a part.
- A charge counts from its grant, always, until it is dated at leaving; then for the window's
  length and the jitter.
- First come, first served, window by window (`line.py`); who wants nothing of a window does not
  wait for it, nor behind those who do.
- A wait says when there should be room for all who come before and the asker. A place is a
  lease. What is given back, and a turn that comes sooner than told, wakes the next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final

from hauberk_plugins.throttle.errors import LineFull, TooDear
from hauberk_plugins.throttle.line import Amounts, Waiter
from hauberk_plugins.throttle.windows import Meter, Window

#: Nobody is woken to save less than this: the kernel waits no shorter.
WORTH_WAKING_NS: Final = 1_000_000
#: The least by which the wall clock must disagree with the monotonic one to count as stepped: a
#: thread may be held up between reading the two.
MIN_STEP_NS: Final = 50_000_000


class RateLimiter:
    """Keeps windows, charges and lines; every method may be called from any thread.

    Args:
        lease_ns: How long a turn is kept for a waiter that does not come back.
        max_waiting: How many may wait for one window.
        wake: Called, without the lock, with the id of a waiter that should ask again now.
    """

    def __init__(
        self,
        *,
        lease_ns: int = 1_000_000_000,
        max_waiting: int = 1_000,
        wake: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._lock = threading.Lock()
        self._wake = wake
        self._lease_ns = lease_ns
        self._max_waiting = max_waiting
        self._meters: dict[tuple[str, ...], Meter] = {}
        self._charges: dict[str, Amounts] = {}
        self._waiters: dict[str, Waiter] = {}
        self._tickets = 0
        self._now = 0
        # The wall clock is read against the monotonic one once: a step never moves a boundary.
        self._anchor: int | None = None
        self._step_ns = MIN_STEP_NS
        # The anchor; `None` while the wall clock disagrees with it.
        self._offset: int | None = None

    def configure(self, *, lease_ns: int, max_waiting: int) -> None:
        """Take other settings; charges and waiters stay."""
        with self._lock:
            self._lease_ns = lease_ns
            self._max_waiting = max_waiting

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
            meter = self._meters.get(key)
            self._step_ns = max(self._step_ns, jitter_ns)
            if meter is None:
                meter = self._meters[key] = Meter(window, jitter_ns)
            elif reshape and meter.shape != (window, jitter_ns):
                meter.reshape(window, jitter_ns, self._anchor)
                self._call_up((meter,), woken)
        self._wake_all(woken)
        return meter

    def ask(self, request_id: str, amounts: Amounts, now_ns: int, wall_ns: int) -> int:
        """Charge a request, or give it a place.

        Args:
            request_id: Its key.
            amounts: What it takes of which meters, each meter once.
            now_ns: Monotonic clock.
            wall_ns: Wall clock, since the epoch.

        Returns:
            0 when it is charged, else in how many nanoseconds to ask again.

        Raises:
            TooDear: It can never be granted.
            LineFull: Too many wait already.
        """
        woken: list[str] = []
        try:
            with self._lock:
                # Callers may come in another order than they read the clock.
                now = self._now = now_ns if now_ns > self._now else self._now
                offset = self._look(wall_ns - now_ns, woken)
                held = self._charges.get(request_id)
                if held is not None and (held is amounts or _covers(held, amounts)):
                    return 0
                if held is not None or self._waiters:
                    return self._ask_in_line(request_id, amounts, woken)
                for meter, amount in amounts:
                    if meter.used(now, offset) + amount > meter.size:
                        return self._ask_in_line(request_id, amounts, woken)
                self._grant(request_id, amounts)
                return 0
        finally:
            if woken:
                self._wake_all(woken)

    def end(self, request_id: str, left: bool, now_ns: int) -> None:
        """Date a request's charge if it left, else give it back; forget the request.

        Args:
            request_id: Of any request; one that is not known is ignored.
            left: Whether it left, so that the exchange will count it.
            now_ns: Monotonic clock.
        """
        woken: list[str] = []
        with self._lock:
            now = self._now = now_ns if now_ns > self._now else self._now
            amounts = self._charges.pop(request_id, ())
            for meter, amount in amounts:
                meter.open -= amount
            if (waiter := self._waiters.pop(request_id, None)) is not None:
                waiter.leave()
                amounts = waiter.amounts
            if left:  # also what left without a grant: the exchange counts it all the same
                for meter, amount in amounts:
                    meter.date(amount, now, self._anchor)
            if waiter is not None or not left:
                self._call_up([meter for meter, _ in amounts], woken)
        if woken:
            self._wake_all(woken)

    def _look(self, offset: int, woken: list[str]) -> int | None:
        """Compare the clocks: return the anchor, or `None` while the wall clock is off it."""
        if self._anchor is None:
            self._anchor = self._offset = offset
        is_steady = -self._step_ns <= offset - self._anchor <= self._step_ns
        if is_steady is (self._offset is None):
            self._offset = self._anchor if is_steady else None
            self._call_up(self._meters.values(), woken)
        return self._offset

    def _grant(self, request_id: str, amounts: Amounts) -> None:
        for meter, amount in amounts:
            meter.open += amount
        self._charges[request_id] = amounts

    def _ask_in_line(self, request_id: str, amounts: Amounts, woken: list[str]) -> int:
        for meter, amount in amounts:
            if amount > meter.size:
                raise TooDear(meter.name, amount, meter.size)
        released = self._charges.pop(request_id, ())
        for meter, amount in released:
            meter.open -= amount
        try:
            return self._place(self._waiter(request_id, amounts))
        finally:
            self._call_up(dict((*released, *amounts)), woken)

    def _place(self, waiter: Waiter) -> int:
        if blocked_by := self._foretell(waiter):
            self._keep_place(waiter, blocked_by)
            return waiter.told_ns - self._now
        self._waiters.pop(waiter.request_id, None)
        waiter.leave()
        self._grant(waiter.request_id, waiter.amounts)
        return 0

    def _waiter(self, request_id: str, amounts: Amounts) -> Waiter:
        waiter = self._waiters.get(request_id)
        if waiter is None:
            self._tickets += 1
            return Waiter(request_id, self._tickets, amounts)
        if waiter.amounts != amounts:
            waiter.leave()
            waiter.amounts = amounts
            del self._waiters[request_id]
        return waiter

    def _keep_place(self, waiter: Waiter, blocked_by: list[tuple[Meter, int]]) -> None:
        for meter, _ in blocked_by:
            line = meter.line
            if line.claimed >= self._max_waiting and line not in waiter.claims:
                self._waiters.pop(waiter.request_id, None)
                waiter.leave()
                raise LineFull(meter.name, line.claimed, waiter.due_ns - self._now)
        if waiter.request_id not in self._waiters:
            self._waiters[waiter.request_id] = waiter
            waiter.join()
        for meter, _ in blocked_by:
            meter.line.claim(waiter)

    def _foretell(self, waiter: Waiter) -> list[tuple[Meter, int]]:
        """Work out when a waiter is due; return what has no room for it now."""
        now, offset, alive = self._now, self._offset, self._now - self._lease_ns
        waiter.due_ns = waiter.told_ns = now
        blocked_by = []
        for meter, amount in waiter.amounts:
            ahead, last_due = meter.line.before(waiter.ticket, alive, now)
            due = meter.when(ahead + amount, now, offset)
            if due > now:
                blocked_by.append((meter, amount))
                # Who is due before that comes first as well.
                ahead, last_due = meter.line.before(waiter.ticket, alive, due)
                due = meter.when(ahead + amount, now, offset)
                waiter.due_ns = max(waiter.due_ns, due)
                if last_due is not None:
                    due = min(due, last_due + self._lease_ns + 1)
                waiter.told_ns = max(waiter.told_ns, due)
        return blocked_by

    def _call_up(self, meters: Iterable[Meter], woken: list[str]) -> None:
        """Wake, in order, whose turn comes sooner than it was told.

        As many as there is room for, and the two after them: the first, to come at its turn, and
        the second, to come when the first has let it pass.
        """
        for meter in meters:
            without_room = 0
            for waiter in meter.line.claimants(self._now - self._lease_ns):
                was_due, was_told = waiter.due_ns, waiter.told_ns
                blocked_by = self._foretell(waiter)
                for blocking, _ in blocked_by:  # so that what is given back there wakes it
                    blocking.line.claim(waiter)
                if waiter.told_ns + WORTH_WAKING_NS <= was_told:
                    woken.append(waiter.request_id)
                else:  # it comes in time by itself
                    waiter.told_ns = was_told
                    if waiter.due_ns + WORTH_WAKING_NS > was_due:
                        waiter.due_ns = was_due
                        break
                without_room += bool(blocked_by)
                if without_room == 2:
                    break

    def _wake_all(self, request_ids: Iterable[str]) -> None:
        for request_id in request_ids:
            self._wake(request_id)


def _covers(held: Amounts, wanted: Amounts) -> bool:
    """Whether a charge holds all that is wanted."""
    amounts = dict(held)
    return all(amounts.get(meter, 0) >= amount for meter, amount in wanted)
