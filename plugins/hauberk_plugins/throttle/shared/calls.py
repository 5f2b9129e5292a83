"""`Calls`: goes to the ledger, one call at a time, and tells all that has happened since."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from hauberk_plugins.throttle.limiting import Row
from hauberk_plugins.throttle.shared.advance import Advance
from hauberk_plugins.throttle.shared.call import Answer, Status
from hauberk_plugins.throttle.shared.lines import Waiter
from hauberk_plugins.throttle.shared.meter import SharedMeter
from hauberk_plugins.throttle.shared.meters import SharedMeters
from hauberk_plugins.throttle.shared.owner import Owner
from hauberk_plugins.throttle.shared.post import Post
from hauberk_plugins.throttle.shared.tally import Tally


class Calls:
    """Writes calls and reads their answers under its limiter's lock, and calls without it.

    Args:
        owner: Calls the ledger.
        lock: The limiter's.
        meters: Of this process.
        post: What the ledger is to know.
        advance: What was granted ahead.
        monotonic_ns: This machine's clock.

    Attributes:
        name: Of the owner under which this process has what is open.
    """

    def __init__(
        self,
        owner: Owner,
        *,
        lock: threading.Lock,
        meters: SharedMeters,
        post: Post,
        advance: Advance,
        monotonic_ns: Callable[[], int],
    ) -> None:
        self._owner, self._lock = owner, lock
        self._meters, self._post, self._advance = meters, post, advance
        self._monotonic_ns = monotonic_ns
        #: Whoever calls the ledger; taken before the lock.
        self._turn = threading.Lock()
        self.name = owner.name
        self._retold_ns = 0

    @property
    def is_due(self) -> bool:
        """Whether the ledger is to hear something, be it that we live."""
        return self._post.has_news or self._owner.is_due

    def tell(self, held: Callable[[], Iterable[Tally]]) -> None:
        """Tell the ledger all that it does not know.

        Args:
            held: What is charged to, told again once a lease: a record of which nobody speaks is
                forgotten.

        Raises:
            BackendLost: It cannot be asked.
        """
        now = self._monotonic_ns()
        if now - self._retold_ns >= self._owner.lease_us * 1_000:
            self._retold_ns = now
            with self._lock:
                for tally in held():
                    self._post.note(tally)
        self._call(None)
        while self._post.is_full:
            self._call(None)

    def ask(
        self,
        waiter: Waiter,
        granted: Callable[[Waiter, tuple[tuple[Tally, int], ...]], object],
        *,
        is_cancel: bool,
        claim_us: int,
    ) -> Answer:
        """Ask what one wants.

        Args:
            waiter: Who asks.
            granted: Called under the lock with what was granted, of which records.
            is_cancel: Whether it may take of what is reserved.
            claim_us: For how long its claim outlives its turn.

        Raises:
            BackendLost: It cannot be asked.
        """
        return self._call(waiter, granted, is_cancel=is_cancel, claim_us=claim_us)

    def look(self, meters: Sequence[SharedMeter]) -> list[Row]:
        """Read how meters stand.

        Raises:
            BackendLost: It cannot be asked.
        """
        with self._turn:
            with self._lock:
                self._disown()
                letter = self._post.write(
                    self._owner.seq + 1, self._monotonic_ns(), None, looked_at=meters
                )
            answer = self._owner.call(letter.call)
            with self._lock:
                self._post.told(letter, answer)
                return list(self._post.rows(letter, answer, meters))

    def _call(
        self,
        waiter: Waiter | None,
        granted: Callable[[Waiter, tuple[tuple[Tally, int], ...]], object] | None = None,
        *,
        is_cancel: bool = False,
        claim_us: int = 0,
    ) -> Answer:
        with self._turn:
            with self._lock:
                if self._owner.is_stale:
                    self._owner.renew()
                self._disown()
                now = self._monotonic_ns()
                letter = self._post.write(
                    self._owner.seq + 1,
                    now,
                    waiter,
                    is_cancel=is_cancel,
                    claim_us=claim_us,
                    ahead=self._advance.wanted(waiter.amounts, now) if waiter is not None else 0,
                )
            answer = self._owner.call(letter.call)
            with self._lock:
                parts = self._post.told(letter, answer)
                if waiter is not None and granted is not None and answer.status is Status.GRANTED:
                    granted(waiter, parts)
                    if answer.ahead:
                        self._advance.put(waiter.amounts, parts, answer.ahead)
            return answer

    def _disown(self) -> None:
        """Begin anew where the owner had to: what was open is dated by the ledger itself."""
        if self._owner.name != self.name:
            self.name = self._owner.name
            self._advance.clear()
            for tally in self._meters.tallies():
                tally.disown()
