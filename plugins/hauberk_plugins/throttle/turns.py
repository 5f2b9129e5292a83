"""`Turns`: who waits for which window, when its turn is, and whom to wake."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hauberk_plugins.throttle.errors import Frozen, LineFull
from hauberk_plugins.throttle.line import Amounts, Waiter
from hauberk_plugins.throttle.meters import Meter

#: Nobody is woken to save less than this: the kernel waits no shorter.
WORTH_WAKING_NS: Final = 1_000_000
#: Who is frozen for longer is told so, and does not stand in line.
PATIENCE_NS: Final = 60_000_000_000


class Turns:
    """The lines before all windows. Not locked: its limiter is.

    `now` and `offset` are as a `Meter` takes them.

    Args:
        lease_ns: How long a turn is kept for a waiter that does not come back.
        max_waiting: How many may wait for one window.

    Attributes:
        waiters: Who waits, by request.
    """

    def __init__(self, lease_ns: int, max_waiting: int) -> None:
        self.lease_ns = lease_ns
        self.max_waiting = max_waiting
        self.waiters: dict[str, Waiter] = {}
        self._tickets = 0

    def waiter(self, request_id: str, amounts: Amounts, *, is_cancel: bool) -> Waiter:
        """Return who waits for a request, or somebody with the next ticket."""
        waiter = self.waiters.get(request_id)
        if waiter is None:
            self._tickets += 1
            return Waiter(request_id, self._tickets, amounts, is_cancel=is_cancel)
        if waiter.amounts != amounts or waiter.is_cancel is not is_cancel:
            waiter.leave()
            waiter.amounts = amounts
            waiter.is_cancel = is_cancel
            del self.waiters[request_id]
        return waiter

    def keep_place(self, waiter: Waiter, blocked_by: list[tuple[Meter, ...]], now: int) -> None:
        """Give a waiter its place, and have what has no room for it kept for it.

        Raises:
            Frozen: It would wait for too long.
            LineFull: Too many wait already.
        """
        frozen = max(meter.frozen for meter, _ in waiter.amounts) - now
        if frozen > PATIENCE_NS:
            self.take_away(waiter)
            raise Frozen(frozen)
        for sources in blocked_by:
            full = [source for source in sources if self._is_full(source, waiter)]
            if len(full) == len(sources):
                self.take_away(waiter)
                line = sources[-1].line
                raise LineFull(sources[-1].name, line.claimed, waiter.due_ns - now)
        if waiter.request_id not in self.waiters:
            self.waiters[waiter.request_id] = waiter
            waiter.join()
        for sources in blocked_by:
            for source in sources:
                if not self._is_full(source, waiter):
                    source.line.claim(waiter)

    def _is_full(self, meter: Meter, waiter: Waiter) -> bool:
        line = meter.line
        return line.claimed >= self.max_waiting and line not in waiter.claims

    def take_away(self, waiter: Waiter) -> None:
        """Have somebody wait no longer."""
        self.waiters.pop(waiter.request_id, None)
        waiter.leave()

    def foretell(
        self, waiter: Waiter, now: int, offset: int | None
    ) -> tuple[Amounts, list[tuple[Meter, ...]]]:
        """Work out when a waiter is due; return what it would take, and what has no room now."""
        waiter.due_ns = waiter.told_ns = now
        taken: list[tuple[Meter, int]] = []
        blocked_by = []
        for meter, amount in waiter.amounts:
            sources = waiter.sources(meter, amount)
            turns = [
                (*self._turn(source, amount, waiter.ticket, now, offset), source)
                for source in sources
            ]
            due, _, source = min(turns, key=lambda turn: turn[0])
            taken.append((source, amount))
            if due > now:
                blocked_by.append(sources)
                waiter.due_ns = max(waiter.due_ns, due)
                waiter.told_ns = max(waiter.told_ns, min(told for _, told, _ in turns))
        return tuple(taken), blocked_by

    def _turn(
        self, meter: Meter, amount: int, ticket: int, now: int, offset: int | None
    ) -> tuple[int, int]:
        """Say when there should be room for an amount, and when to come and see."""
        alive = now - self.lease_ns
        ahead, last_due = meter.ahead(ticket, alive, now)
        due = meter.when(ahead + amount, now, offset)
        if due <= now:
            return now, now
        # Who is due before that comes first as well.
        ahead, last_due = meter.ahead(ticket, alive, due)
        due = meter.when(ahead + amount, now, offset)
        return due, due if last_due is None else min(due, last_due + self.lease_ns + 1)

    def call_up(
        self, meters: Iterable[Meter], woken: list[str], now: int, offset: int | None
    ) -> None:
        """Wake, in order, whose turn comes sooner than it was told.

        As many as there is room for, and the two after them: the first, to come at its turn, and
        the second, to come when the first has let it pass.
        """
        for meter in meters:
            if not meter.waiting:
                continue
            without_room = 0
            for waiter in meter.line.claimants(now - self.lease_ns):
                was_due, was_told = waiter.due_ns, waiter.told_ns
                _, blocked_by = self.foretell(waiter, now, offset)
                for sources in blocked_by:  # so that what is given back there wakes it
                    for source in sources:
                        source.line.claim(waiter)
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
