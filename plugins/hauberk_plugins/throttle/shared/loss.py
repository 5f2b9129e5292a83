"""`Local`: what was set aside for when the shared budget cannot be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from attrs import evolve

from hauberk_plugins.throttle.errors import TooDear
from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.meters import Meter
from hauberk_plugins.throttle.shared.errors import BudgetLost
from hauberk_plugins.throttle.shared.lines import Waiter
from hauberk_plugins.throttle.shared.meter import SharedAmounts, SharedMeter
from hauberk_plugins.throttle.shared.owner import Owner
from hauberk_plugins.throttle.windows import Window

#: It is looked for several times as often.
RETRY_AFTER_S: Final = 1.0


class Local:
    """Grants, in this process, what was set aside for it.

    Each process may grant its share of each window, at any time and whatever others do: the ledger
    holds what all the shares together leave. So no window overruns when the ledger is lost, nor
    while only some processes have lost it, nor when it is back.

    Args:
        share: Of each window, for each process.
        processes: How many share the budget at most.
        wake: Called with the id of a waiter that should ask again now.
    """

    def __init__(
        self,
        share: float,
        processes: int,
        *,
        wake: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._share = share
        self._processes = processes
        self._limiter = RateLimiter(wake=wake)
        self._granted: set[str] = set()
        self._waiting: set[str] = set()

    def configure(self, *, lease_ns: int, max_waiting: int) -> None:
        """Take other settings; charges and waiters stay."""
        self._limiter.configure(lease_ns=lease_ns, max_waiting=max_waiting)

    def aside(self, window: Window) -> int:
        """What all processes may grant without the ledger."""
        return self._size(window) * self._processes

    def ask(
        self, request_id: str, amounts: SharedAmounts, now_ns: int, wall_ns: int, *, cancel: bool
    ) -> int:
        """Charge a request to this process's share, or say when to ask again.

        Raises:
            BudgetLost: It takes more than the share ever holds.
            LineFull: Too many wait already.
            Frozen: The exchange has shut us out.
        """
        own = tuple((self._meter(meter), amount) for meter, amount in amounts)
        try:
            wait = self._limiter.ask(request_id, own, now_ns, wall_ns, cancel)
        except TooDear as error:
            raise BudgetLost(
                f"meanwhile this process may use {error.size} of window {error.window!r} at a "
                f"time, and the request takes {error.amount}",
                RETRY_AFTER_S,
            ) from None
        if wait:
            self._waiting.add(request_id)
        else:
            self._waiting.discard(request_id)
            self._granted.add(request_id)
        return wait

    def holds(self, request_id: str) -> bool:
        """Whether a request was granted here and has not ended."""
        return request_id in self._granted

    def end(self, request_id: str, left: bool, now_ns: int) -> None:
        """Date what was granted, or give it back, or the place in line."""
        if request_id in self._granted or request_id in self._waiting:
            self._granted.discard(request_id)
            self._waiting.discard(request_id)
            self._limiter.end(request_id, left, now_ns)

    def learn(self, meter: SharedMeter, used: int, now_ns: int, wall_ns: int) -> None:
        """What the exchange counts is everybody's, and says nothing of one share."""

    def freeze(self, key_prefix: tuple[str, ...], until_ns: int, now_ns: int) -> None:
        """Grant nothing of the shares either until then."""
        self._limiter.freeze(key_prefix, until_ns, now_ns)

    def waiting(self) -> Iterable[str]:
        """Who waits for room in the share."""
        return tuple(self._waiting)

    def _size(self, window: Window) -> int:
        return int(window.size * self._share)

    def _meter(self, meter: SharedMeter) -> Meter:
        size = self._size(meter.window)
        if size < 1:
            raise BudgetLost(
                f"nothing of window {meter.name!r} is set aside for this: it holds "
                f"{meter.window.size}, and `share` is {self._share:g}",
                RETRY_AFTER_S,
            )
        reserve = min(int(meter.window.reserve * self._share), size - 1)
        own = evolve(meter.window, size=size, reserve=reserve)
        return self._limiter.meter(meter.key, own, meter.jitter_ns)


def ask_without(
    local: Local | None,
    owner: Owner,
    waiter: Waiter,
    now_ns: int,
    wall_ns: int,
    *,
    why: str,
    cancel: bool,
) -> int:
    """Ask this process's share while the ledger is lost.

    Args:
        local: The share; without one, nothing is granted.
        owner: The process as the ledger knows it.
        waiter: Who asks.
        now_ns: Monotonic clock.
        wall_ns: Wall clock.
        why: Why the ledger is lost.
        cancel: Whether it may take of what is reserved.

    Returns:
        0 when it is charged, else in how many nanoseconds to ask again.

    Raises:
        BudgetLost: Nothing may be granted; says why.
    """
    if local is None:
        raise BudgetLost(f"{why}; nothing is granted without it", RETRY_AFTER_S)
    first = owner.first_ns
    if first is None:
        raise BudgetLost(f"{why}; it was not asked since this process began", RETRY_AFTER_S)
    # What the process before this one was granted without the ledger, nobody knows.
    longest = max((meter.length_ns + 2 * meter.jitter_ns for meter, _ in waiter.amounts), default=0)
    if now_ns - first < min(longest, owner.lease_us * 1_000):
        raise BudgetLost(f"{why}; this process began less than a window ago", RETRY_AFTER_S)
    try:
        return local.ask(waiter.request_id, waiter.amounts, now_ns, wall_ns, cancel=cancel)
    except BudgetLost as error:
        raise BudgetLost(f"{why}; {error.reason}", RETRY_AFTER_S) from None
