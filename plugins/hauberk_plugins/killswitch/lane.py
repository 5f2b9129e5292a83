"""`EmergencyLane`: cancelling every order of some accounts, whatever hangs, refuses or fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Final, TypeAlias

from attrs import field, frozen

from hauberk.errors import Denied, safe_text
from hauberk.ports import Clock
from hauberk.records import Outcome
from hauberk_plugins.killswitch.answer import Judgement

#: The pause after the first attempt; twice as long after each further one.
FIRST_PAUSE_S: Final = 0.25
#: How long one request may take.
ATTEMPT_S: Final = 5.0
TRIES: Final = 6
_TOLD: Final = 5
_NO_TIME: Final = Judgement(False, "not asked: no time was left")


@frozen(order=True)
class Errand:
    """One thing to ask for: a market of an account, or a symbol in it."""

    account: str
    market: str
    symbol: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.account, self.market, self.symbol) if part)


#: Sends the request of an errand within so many seconds; raises a `HauberkError` if it cannot.
Send: TypeAlias = Callable[[Errand, float], Judgement]


@frozen
class EmergencyLane:
    """Cancels everything: accounts side by side, each errand until it is done or the time is over.

    An errand that fails waits for the next round, so that one symbol holds up no other. Whoever
    does not come back in time is abandoned.

    Args:
        send: Does one errand.
        clock: Time, and the only way to wait.
        deadline_s: How long all of it may take.
        attempt_s: How long one request may take.
    """

    _send: Send
    _clock: Clock
    _deadline_s: float
    _attempt_s: float = ATTEMPT_S
    #: One run after another: a second alarm may follow orders that the first run did not see.
    _turn: threading.Lock = field(init=False, factory=threading.Lock, repr=False)

    def cancel_all(self, errands: Sequence[Errand]) -> Outcome:
        """Do every errand; blocks until the deadline at most.

        Returns:
            How many were done, and what is wrong with the others. Nothing is raised.
        """
        if not self._turn.acquire(timeout=self._deadline_s):
            return Outcome("cancelling all: the run before has not come back", False)
        try:
            found = self._run(errands)
        finally:
            self._turn.release()
        failed = [f"{errand}: {found[errand].why}" for errand in errands if not found[errand].ok]
        if not failed:
            return Outcome(f"all orders cancelled ({', '.join(map(str, errands[:_TOLD]))})")
        more = f" and {len(failed) - _TOLD} more" if len(failed) > _TOLD else ""
        done = len(errands) - len(failed)
        told = "; ".join(failed[:_TOLD]) + more
        return Outcome(f"orders cancelled for {done} of {len(errands)}; not for {told}", False)

    def _run(self, errands: Sequence[Errand]) -> dict[Errand, Judgement]:
        end_ns = self._clock.monotonic_ns() + round(self._deadline_s * 1e9)
        found = dict.fromkeys(errands, Judgement(False, "no answer by the deadline"))
        accounts = dict.fromkeys(errand.account for errand in errands)
        started = [
            _start(lambda mine=[e for e in errands if e.account == account]: self._rounds(  # type: ignore[misc]
                mine, end_ns, found
            ))
            for account in accounts
        ]  # fmt: skip
        # Real time, as a hook that hangs does not heed a clock that is injected.
        wait(started, timeout=self._deadline_s)
        return dict(found)

    def _rounds(self, errands: list[Errand], end_ns: int, found: dict[Errand, Judgement]) -> None:
        for turn in range(TRIES):
            for errand in errands:
                found[errand] = self._tried(errand, end_ns)
            errands = [errand for errand in errands if found[errand].again]
            if not errands:
                return
            pause_s = max(FIRST_PAUSE_S * 2**turn, *(found[one].after_s for one in errands))
            if self._clock.monotonic_ns() + round(pause_s * 1e9) >= end_ns:
                return
            self._clock.wait(threading.Event(), round(pause_s * 1e9))

    def _tried(self, errand: Errand, end_ns: int) -> Judgement:
        left_s = (end_ns - self._clock.monotonic_ns()) / 1e9
        if left_s <= 0:
            return _NO_TIME
        return attempted(self._send, errand, min(self._attempt_s, left_s))


def attempted(send: Send, errand: Errand, timeout_s: float) -> Judgement:
    """Do an errand once; what is raised is a failure that may pass."""
    try:
        return send(errand, timeout_s)
    except Denied as denied:
        # What the kernel denies it would deny again; a signer may find its key the next time.
        return Judgement(False, str(denied), again=denied.plugin != "kernel")
    except BaseException as error:  # SystemExit included: it is a thread of ours
        return Judgement(False, safe_text(error), again=True)


def _start(work: Callable[[], None]) -> Future[None]:
    future: Future[None] = Future()

    def run() -> None:
        try:
            work()
        finally:
            future.set_result(None)

    try:
        threading.Thread(target=run, name="hauberk-cancel-all", daemon=True).start()
    except RuntimeError:  # no more threads to be had: then one after the other
        run()
    return future
