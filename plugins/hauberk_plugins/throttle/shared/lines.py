"""Who waits in this process, and behind whom: only who is at the head asks the ledger."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from typing import Final

from hauberk_plugins.throttle.errors import LineFull
from hauberk_plugins.throttle.shared.meter import SharedAmounts, SharedMeter

#: Whoever stands behind others and is not woken looks again so much later for each of them: the
#: longer a line is, the more seldom.
_EACH_NS: Final = 5_000_000


class Waiter:
    """A request that asks, and may have to wait. Times are monotonic nanoseconds.

    Attributes:
        request_id: Of the request.
        ticket: Its place in this process.
        since_ns: Since when it waits: its place among processes.
        amounts: What it wants.
        claim: The name of its claim in the ledger.
        due_ns: When it should find room, as it was told.
        is_head: Whether the ledger told it.
        claims: The meters that had no room for it, or for one before it.
    """

    __slots__ = (
        "amounts",
        "claim",
        "claims",
        "due_ns",
        "is_head",
        "request_id",
        "since_ns",
        "ticket",
        "wants",
    )

    def __init__(
        self, request_id: str, ticket: int, amounts: SharedAmounts, claim: str, now_ns: int
    ) -> None:
        self.request_id = request_id
        self.ticket = ticket
        self.amounts = amounts
        self.wants = dict(amounts)
        self.claim = claim
        self.since_ns = self.due_ns = now_ns
        self.is_head = False
        self.claims: list[SharedMeter] = []

    def __lt__(self, other: Waiter) -> bool:
        return self.ticket < other.ticket


class Lines:
    """The waiters of one process. Not locked: their limiter is.

    Attributes:
        lease_ns: How long a turn is kept for a waiter that does not come back.
        max_waiting: How many may wait for one meter.
    """

    def __init__(self, lease_ns: int, max_waiting: int) -> None:
        self.lease_ns = lease_ns
        self.max_waiting = max_waiting
        self._waiters: dict[str, Waiter] = {}

    def __iter__(self) -> Iterator[Waiter]:
        return iter(list(self._waiters.values()))

    def get(self, request_id: str) -> Waiter | None:
        """Return who waits under an id."""
        return self._waiters.get(request_id)

    def behind(self, waiter: Waiter, now_ns: int) -> int:
        """Have a waiter stand behind those who came before it and want the same.

        Returns:
            In how many nanoseconds to ask again; 0 if nobody is before it.

        Raises:
            LineFull: Too many wait already.
        """
        due, most, blocking = now_ns, 0, []
        for meter, amount in waiter.amounts:
            ahead = self._ahead(meter, waiter, now_ns) if amount else []
            if ahead:
                blocking.append(meter)
                between = sum(one.wants[meter] for one in ahead[1:])
                due = max(due, ahead[0].due_ns + between // meter.size * meter.length_ns)
                most = max(most, len(ahead))
        if not blocking:
            return 0
        waiter.is_head = False
        self.stand(waiter, blocking, due + most * _EACH_NS, now_ns)
        return waiter.due_ns - now_ns

    def stand(
        self, waiter: Waiter, blocking: Iterable[SharedMeter], due_ns: int, now_ns: int
    ) -> None:
        """Give a waiter its place before what has no room for it.

        Raises:
            LineFull: Too many wait already.
        """
        waiter.due_ns = due_ns
        for meter in blocking:
            if meter in waiter.claims:
                continue
            if len(meter.line) >= self.max_waiting:
                self.leave(waiter)
                raise LineFull(meter.name, len(meter.line), due_ns - now_ns)
            waiter.claims.append(meter)
            insort(meter.line, waiter)
        self._waiters[waiter.request_id] = waiter

    def leave(self, waiter: Waiter) -> list[str]:
        """Take a waiter's places away; return whose turn it is to ask."""
        self._waiters.pop(waiter.request_id, None)
        nexts = []
        for meter in waiter.claims:
            meter.line.remove(waiter)
            if meter.line:
                nexts.append(meter.line[0].request_id)
        waiter.claims = []
        return list(dict.fromkeys(nexts))

    def _ahead(self, meter: SharedMeter, waiter: Waiter, now_ns: int) -> list[Waiter]:
        alive_ns, found = now_ns - self.lease_ns, []
        for other in meter.line:
            if other.ticket >= waiter.ticket:
                break
            if other.due_ns >= alive_ns:
                found.append(other)
        return found
