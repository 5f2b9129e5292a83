"""`Owner`: one process as the ledger knows it; numbers its calls and watches the ledger's clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hauberk_plugins.throttle.shared.call import Answer, Backend, BackendLost, Call, Status

#: What the ledger's clock may gain on ours: a part of the time between two calls, and so much.
_DRIFT: Final = 1_000
_TOLERANCE_US: Final = 50_000


class Owner:
    """Calls a back-end, one call at a time.

    Args:
        backend: Keeps the ledger.
        monotonic_ns: This machine's clock.
        token: Makes names that nobody else has, of letters and digits.
        lease_us: How long the ledger takes an owner for alive that it does not hear of.
        beat_us: How often it lets itself be heard of at least.
        grace_us: How long a ledger that has just begun grants nothing; longer than a beat.
        timeout_us: How long a call may take at most: an answer that comes later is not read.
        tell: Told, in words for a person, what happened to the ledger or its clock.

    Attributes:
        name: What the ledger knows it by.
        seq: The number of its last call.
        first_ns: When the ledger first answered this process; `None` where it never did.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        monotonic_ns: Callable[[], int],
        token: Callable[[], str],
        lease_us: int,
        timeout_us: int,
        beat_us: int | None = None,
        grace_us: int = 0,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._backend = backend
        self._monotonic_ns = monotonic_ns
        self._token = token
        self._timeout_us = timeout_us
        self._tell = tell
        self._beat_us = lease_us // 8 if beat_us is None else beat_us
        self._grace_us = grace_us
        self.lease_us = lease_us
        self.first_ns: int | None = None
        self.renew()

    def renew(self) -> None:
        """Become another owner: what the one before had open is dated when its lease is over."""
        self.name = self._token()
        self.seq = self._acked = 0
        self._heard_ns: int | None = None
        self._raw_us = self._shift_us = self._sent_ns = 0

    @property
    def is_stale(self) -> bool:
        """Whether it has not been heard of for so long that it may soon be taken for dead."""
        return self._heard_ns is not None and self._unheard_us() > self.lease_us // 2

    @property
    def is_due(self) -> bool:
        """Whether it should be heard of again."""
        return self._heard_ns is None or self._unheard_us() > self._beat_us

    def _unheard_us(self) -> int:
        return (self._monotonic_ns() - (self._heard_ns or 0)) // 1_000

    def sweep(self) -> None:
        """Have the back-end forget what counts no more.

        Raises:
            BackendLost: It cannot be asked.
        """
        self._backend.sweep()

    def close(self) -> None:
        """Let go of the back-end."""
        self._backend.close()

    def call(self, call: Call) -> Answer:
        """Call the back-end until it does what the call says.

        Args:
            call: Is put under the owner's name and its next number.

        Raises:
            BackendLost: It cannot be called, or makes no sense.
        """
        is_lost, stepped_us, is_again = False, 0, False
        for _ in range(4):
            self.seq += 1
            sent = self._monotonic_ns()
            latest = 1 if stepped_us else self._latest_us(sent)
            call.owner, call.seq, call.acked = self.name, self.seq, self._acked
            call.lease_us, call.grace_us = self.lease_us, self._grace_us
            call.latest_us, call.shift_us = latest, self._shift_us
            call.stepped_us, call.is_lost = stepped_us, is_lost
            try:
                answer = self._backend.call(call)
            except BackendLost as error:
                if is_again or not error.again:
                    raise
                is_again = True
                continue
            except Exception as error:
                # Whatever it is, nothing is known to be granted.
                why = f"calling {self._backend.where} failed: {type(error).__name__}"
                raise BackendLost(why) from error
            if answer.status is Status.STEPPED:
                stepped_us = self._step(answer, sent)
                continue
            if answer.status is Status.LOST:
                is_lost = True
                continue
            if answer.status is Status.STALE:
                break
            if is_lost:
                self._tell(
                    "the ledger has forgotten what it had acknowledged: every window counts as "
                    "full from here on, for its length"
                )
            self._acked, self._heard_ns = self.seq, sent
            if self.first_ns is None:
                self.first_ns = sent
            self._raw_us, self._shift_us, self._sent_ns = answer.raw_us, answer.shift_us, sent
            return answer
        self.renew()
        raise BackendLost(
            "its answers make no sense: another copy of this process may use its name"
        )

    def _latest_us(self, sent_ns: int) -> int:
        """What the ledger's clock shows at most when it reads what is sent now."""
        if not self._raw_us:
            return 0
        passed = (sent_ns - self._sent_ns) // 1_000
        return self._raw_us + passed + passed // _DRIFT + self._timeout_us + _TOLERANCE_US

    def _step(self, answer: Answer, sent_ns: int) -> int:
        """Work out by how much the ledger's time must be held back, or learn that it was."""
        passed = (sent_ns - self._sent_ns) // 1_000
        ahead = answer.raw_us - self._raw_us - passed
        is_mended = answer.shift_us != self._shift_us
        self._raw_us, self._shift_us, self._sent_ns = answer.raw_us, answer.shift_us, sent_ns
        if is_mended:
            return 0
        self._tell(
            f"the ledger's clock went {ahead / 1e6:.1f} s ahead at once: windows end by the time "
            "that has passed, and calendar windows are kept as rolling ones for their length"
        )
        return -ahead
