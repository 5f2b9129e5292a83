"""`SharedLimiter`: grants what fits into every window of a budget that several processes share.

It keeps the rules of `limiting.py`, and the ledger those of `ledger.py`. Here:

- One call at a time goes to the ledger, and says all that has happened since the last. What leaves
  is dated by how long ago it did, so that no clock need agree with another.
- In this process first come is first served, window by window; only who is at a head asks.
- What cannot be asked is lost (`loss.py`): what is configured for that happens, until a call that
  nobody waits for has found the ledger again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from hauberk_plugins.throttle.errors import Frozen, TooDear
from hauberk_plugins.throttle.limiting import Key, Row
from hauberk_plugins.throttle.shared.advance import MOST_AHEAD, Advance
from hauberk_plugins.throttle.shared.beating import Beating
from hauberk_plugins.throttle.shared.call import BackendLost, Status
from hauberk_plugins.throttle.shared.calls import Calls
from hauberk_plugins.throttle.shared.charges import Charges, Parts
from hauberk_plugins.throttle.shared.lines import Lines, Waiter
from hauberk_plugins.throttle.shared.loss import Local, ask_without
from hauberk_plugins.throttle.shared.meter import SharedAmounts, SharedMeter
from hauberk_plugins.throttle.shared.meters import SharedMeters
from hauberk_plugins.throttle.shared.owner import Owner
from hauberk_plugins.throttle.shared.post import MOST, Post
from hauberk_plugins.throttle.windows import Window

#: Who is frozen for longer is told so, and does not stand in line.
PATIENCE_NS: Final = 60_000_000_000
#: Whoever waits for the ledger looks at least so often whether another process gave something back.
LOOK_AGAIN_NS: Final = 500_000_000
#: How often what the ledger need not keep is looked for, where it does not forget by itself.
SWEEP_NS: Final = 600_000_000_000


class SharedLimiter:
    """Keeps charges and lines of one process; every method may be called from any thread.

    Args:
        owner: Calls the ledger.
        monotonic_ns: This machine's clock.
        without: Grants while the ledger is lost; without it, nothing is granted.
        lease_ns: How long a turn is kept for a waiter that does not come back.
        max_waiting: How many may wait for one window.
        wake: Called, without a lock, with the id of a waiter that should ask again now.
        told: Called, without a lock, when the ledger is lost (with the reason), and when it is
            found again (with nothing).
        froze: Called, without a lock, when another process turns out to have been shut out.
        most_ahead: How many requests one call to the ledger may grant in advance.
        beating: Calls `beat`, from the first meter on; without it, whoever made this does.
    """

    def __init__(
        self,
        owner: Owner,
        *,
        monotonic_ns: Callable[[], int],
        without: Local | None = None,
        lease_ns: int = 1_000_000_000,
        max_waiting: int = 1_000,
        wake: Callable[[str], object] = lambda _: None,
        told: Callable[[str], object] = lambda _: None,
        froze: Callable[[], object] = lambda: None,
        most_ahead: int = MOST_AHEAD,
        beating: Beating | None = None,
    ) -> None:
        self._owner = owner
        self._monotonic_ns = monotonic_ns
        self._without = without
        self._wake, self._told, self._froze, self._beating = wake, told, froze, beating
        self._lock = threading.Lock()
        self._lines = Lines(lease_ns, max_waiting)
        self._post = Post()
        self._advance = Advance(most_ahead)
        self._meters = SharedMeters()
        self._calls = Calls(
            owner,
            lock=self._lock,
            meters=self._meters,
            post=self._post,
            advance=self._advance,
            monotonic_ns=monotonic_ns,
        )
        self._charges = Charges(self._post)
        #: Requests that are asking now, and how they ended meanwhile.
        self._asking: dict[str, bool | None] = {}
        self._tickets = 0
        self._lost = ""
        self._looked_ns, self._swept_ns = 0, monotonic_ns()

    @property
    def lost(self) -> str:
        """Why the ledger cannot be asked; empty while it can."""
        return self._lost

    def configure(self, *, lease_ns: int, max_waiting: int) -> None:
        """Take other settings; charges and waiters stay."""
        with self._lock:
            self._lines.lease_ns, self._lines.max_waiting = lease_ns, max_waiting
        if self._without is not None:
            self._without.configure(lease_ns=lease_ns, max_waiting=max_waiting)

    def meter(
        self, key: Key, window: Window, jitter_ns: int, *, reshape: bool = True
    ) -> SharedMeter:
        """Return the meter of a window for one sharer.

        Raises:
            InvalidValue: The window is too large, or nothing of it is left to share.
        """
        aside = 0 if self._without is None else self._without.aside(window)
        with self._lock:
            if self._beating is not None and not self._meters:
                self._beating.start()
            return self._meters.get(
                key, window, jitter_ns, aside, self._monotonic_ns(), reshape=reshape
            )

    def ask(
        self,
        request_id: str,
        amounts: SharedAmounts,
        now_ns: int,
        wall_ns: int,
        cancel: bool = False,
    ) -> int:
        """Charge a request, or give it a place: see `Limiter.ask`.

        Raises:
            TooDear: It can never be granted.
            LineFull: Too many wait already.
            Frozen: The exchange has shut us out for longer than anybody would wait.
            BudgetLost: The ledger cannot be asked, and nothing is granted without it.
        """
        woken: list[str] = []
        try:
            with self._lock:
                amounts = self._meters.present(amounts, now_ns)
                found = self._ask_here(request_id, amounts, now_ns, woken, is_cancel=cancel)
                if not isinstance(found, Waiter):
                    return found
                self._asking[request_id] = None
                lost = self._lost
        finally:
            self._wake_all(woken)
        try:
            wait = None if lost else self._ask_ledger(found, cancel=cancel)
            if wait is None:
                wait = self._ask_without(found, now_ns, wall_ns, cancel=cancel)
            return wait
        finally:
            with self._lock:
                ended = self._asking.pop(request_id, None)
            if ended is not None:  # while it asked, by another thread
                self.end(request_id, ended, now_ns)

    def end(self, request_id: str, left: bool, now_ns: int) -> None:
        """Date a request's charge if it left, else give it back; forget the request."""
        with self._lock:
            if request_id in self._asking:
                self._asking[request_id] = left
                return
            is_known = bool(self._charges.get(request_id) or self._lines.get(request_id))
            nexts = self._end(request_id, left=left, now_ns=now_ns) if is_known else []
        if self._without is not None:
            self._without.end(request_id, left, now_ns)
        self._wake_all(nexts)
        if is_known:
            self._hurry(not left)

    def count(self, amounts: SharedAmounts, now_ns: int) -> None:
        """Count what has left and was never asked for."""
        with self._lock:
            present = self._meters.present(amounts, now_ns)
            parts = tuple((meter.main, amount) for meter, amount in present)
            self._charges.end("", self._calls.name, parts, left=True, now_ns=now_ns)
        self._hurry(False)

    def learn(self, meter: SharedMeter, used: int, now_ns: int, wall_ns: int) -> None:  # noqa: ARG002
        """Take what the exchange says is used in a window."""
        with self._lock:
            meter = self._meters.revive(meter, now_ns)
            self._post.learn(meter, min(max(used, 0), meter.window.size), now_ns)
        self._hurry(False)

    def freeze(self, key_prefix: Key, until_ns: int, now_ns: int) -> None:
        """Grant nothing of the meters whose keys begin so, in no process, until then."""
        with self._lock:
            self._post.freeze(key_prefix, self._meters.freeze(key_prefix, until_ns))
            self._charges.give_back(self._advance.all())
        if self._without is not None:
            self._without.freeze(key_prefix, until_ns, now_ns)
        self._hurry(True)

    def rows(self, now_ns: int, wall_ns: int) -> Iterator[Row]:  # noqa: ARG002
        """Say how every meter stands that this process uses; what is lost is not known."""
        with self._lock:
            meters = list(self._meters)
        for at in range(0, len(meters), MOST // 2):
            try:
                rows = [] if self._lost else self._calls.look(meters[at : at + MOST // 2])
            except BackendLost as error:
                self._lose(error)
                return
            yield from rows

    def beat(self) -> None:
        """Tell the ledger what it does not know, or that we live; look whether it is back."""
        was_lost, now = self._lost, self._monotonic_ns()
        with self._lock:
            self._charges.give_back(self._advance.unused())
            self._meters.sweep(now)
        if was_lost or self._calls.is_due:
            try:
                self._calls.tell(self._charges.tallies)
                if now - self._swept_ns >= SWEEP_NS:
                    self._swept_ns = now
                    self._owner.sweep()
            except BackendLost as error:
                self._lose(error)
                return
        if self._advance:
            self._hurry(False)
        if was_lost:
            self._find()
        elif now - self._looked_ns >= LOOK_AGAIN_NS:
            self._looked_ns = now
            with self._lock:
                heads = [one.request_id for one in self._lines if one.is_head]
            self._wake_all(heads)

    def close(self) -> None:
        """Tell the ledger what is left to tell, and let go of it."""
        if self._beating is not None:
            self._beating.stop()
        if not self._lost:
            self.beat()
        self._owner.close()

    # In this process

    def _hurry(self, is_urgent: bool) -> None:
        if self._beating is not None:
            self._beating.hurry(is_urgent)

    def _ask_here(
        self,
        request_id: str,
        amounts: SharedAmounts,
        now_ns: int,
        woken: list[str],
        *,
        is_cancel: bool,
    ) -> int | Waiter:
        """Say what can be said without the ledger, or return who must ask it."""
        held = self._charges.get(request_id)
        is_held = held is not None and held.covers(amounts)
        if wait := self._meters.frozen_ns(amounts, now_ns):
            wait = _shut_out(wait)
            if held is None:  # it goes on afterwards in the order of coming
                wanted = [meter for meter, amount in amounts if amount]
                place = self._waiter(request_id, amounts, now_ns)
                self._lines.stand(place, wanted, now_ns + wait, now_ns)
            return wait
        if is_held or (self._without is not None and self._without.holds(request_id)):
            return 0
        if held is not None:
            woken += self._end(request_id, left=False, now_ns=now_ns)
        if not self._lost and (parts := self._advance.take(amounts)):
            self._charges.put(request_id, amounts, self._calls.name, parts)
            if waiter := self._lines.get(request_id):
                woken += self._drop(waiter)
            return 0
        for meter, amount in amounts:
            if amount > meter.size and amount > (size := meter.size_for(is_cancel=is_cancel)):
                raise TooDear(meter.name, amount, size)
        waiter = self._waiter(request_id, amounts, now_ns)
        if not self._lost and not is_cancel and (wait := self._lines.behind(waiter, now_ns)):
            return wait
        return waiter

    def _waiter(self, request_id: str, amounts: SharedAmounts, now_ns: int) -> Waiter:
        waiter = self._lines.get(request_id)
        if waiter is not None and waiter.amounts == amounts:
            return waiter
        if waiter is not None:
            self._drop(waiter)
            waiter.amounts, waiter.wants = amounts, dict(amounts)
            return waiter
        self._tickets += 1
        claim = f"{self._owner.name}{self._tickets:08x}"
        return Waiter(request_id, self._tickets, amounts, claim, now_ns)

    def _drop(self, waiter: Waiter) -> list[str]:
        """Give up a place here, and the claim in the ledger; return whose turn it is to ask."""
        if waiter.is_head or waiter.claims:
            for meter, _ in waiter.amounts:
                meter.main.drop(waiter.claim)
                self._post.note(meter.main)
        return self._lines.leave(waiter)

    def _end(self, request_id: str, *, left: bool, now_ns: int) -> list[str]:
        waiter = self._lines.get(request_id)
        wanted = () if waiter is None else waiter.amounts
        parts = tuple((meter.main, amount) for meter, amount in wanted)
        self._charges.end(request_id, self._calls.name, parts, left=left, now_ns=now_ns)
        return self._drop(waiter) if waiter is not None else []

    def _wake_all(self, request_ids: Iterable[str]) -> None:
        for request_id in request_ids:
            self._wake(request_id)

    # Without the ledger

    def _ask_without(self, waiter: Waiter, now_ns: int, wall_ns: int, *, cancel: bool) -> int:
        wait = ask_without(
            self._without, self._owner, waiter, now_ns, wall_ns, why=self._lost, cancel=cancel
        )
        if not wait:
            with self._lock:
                nexts = self._drop(waiter)
            self._wake_all(nexts)
        return wait

    def _lose(self, error: BackendLost) -> None:
        with self._lock:
            is_known, self._lost = bool(self._lost), error.reason
            self._charges.give_back(self._advance.all())
            waiting = [one.request_id for one in self._lines]
        if not is_known:
            self._told(error.reason)
            self._wake_all(waiting)
            self._hurry(False)

    def _find(self) -> None:
        with self._lock:
            self._lost = ""
            waiting = [one.request_id for one in self._lines]
        self._told("")
        if self._without is not None:
            waiting += self._without.waiting()
        self._wake_all(waiting)

    # The ledger

    def _ask_ledger(self, waiter: Waiter, *, cancel: bool) -> int | None:
        """Return what the ledger says, or `None` if it cannot be asked."""
        try:
            answer = self._calls.ask(
                waiter, self._charge, is_cancel=cancel, claim_us=self._lines.lease_ns // 1_000
            )
        except BackendLost as error:
            self._lose(error)
            return None
        now = self._monotonic_ns()
        nexts: list[str] = []
        try:
            with self._lock:
                if answer.status is Status.GRANTED:
                    if self._without is not None:  # its place, if it had one
                        self._without.end(waiter.request_id, False, now)
                    nexts = self._lines.leave(waiter)
                    return 0
                self._charges.give_back(self._advance.all())
                wait = answer.wait_us * 1_000
                blocking = [
                    meter for bit, (meter, _) in enumerate(waiter.amounts) if answer.bits >> bit & 1
                ]
                waiter.is_head = True
                try:
                    self._lines.stand(waiter, blocking, now + wait, now)
                except Exception:
                    self._drop(waiter)
                    raise
        finally:
            self._wake_all(nexts)
        if answer.status is Status.FROZEN:
            self._froze()
            return _shut_out(wait)
        return wait

    def _charge(self, waiter: Waiter, parts: Parts) -> None:
        self._charges.put(waiter.request_id, waiter.amounts, self._calls.name, parts)


def _shut_out(wait_ns: int) -> int:
    if wait_ns > PATIENCE_NS:
        raise Frozen(wait_ns)
    return wait_ns
