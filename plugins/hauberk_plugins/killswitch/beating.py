"""`DeadMan`: renews timers of exchanges that cancel every order once nobody renews them.

Each is armed anew a third of its countdown after it was last armed. So two attempts may fail before
the exchange cancels, and when this process or its network dies, the exchange does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from attrs import define

from hauberk.ports import Clock
from hauberk_plugins.killswitch.answer import Judgement
from hauberk_plugins.killswitch.lane import ATTEMPT_S, Errand, attempted

_S: Final = 1_000_000_000
#: The pause after an attempt that failed, at most; of a short countdown, a twelfth.
_MOST_PAUSE_NS: Final = 5 * _S
_LEAST_STEP_NS: Final = 1_000_000

#: A timer and its countdown in seconds.
Armed: TypeAlias = tuple[Errand, int]
#: Arms one within so many seconds.
Beat: TypeAlias = Callable[[Errand, int, float], Judgement]


@define
class Heartbeat:
    """When one timer is to be armed next. Times are monotonic, in nanoseconds.

    Attributes:
        countdown_ns: How long it runs.
        due_ns: When it is to be armed, at the latest.
        until_ns: When it ends, at the earliest; 0 while it is not armed.
        is_failing: Whether the last attempt failed.
    """

    countdown_ns: int
    due_ns: int
    until_ns: int = 0
    is_failing: bool = False

    def armed(self, sent_ns: int) -> None:
        """Note that it was armed by what was sent at a time."""
        self.until_ns = sent_ns + self.countdown_ns
        self.due_ns = sent_ns + self.countdown_ns // 3
        self.is_failing = False

    def failed(self, now_ns: int, after_s: float) -> None:
        """Note that it could not be armed; it is tried again soon."""
        # A third, two attempts of a sixth, two pauses of a twelfth: the third attempt is in time.
        pause_ns = min(self.countdown_ns // 12, _MOST_PAUSE_NS)
        self.due_ns = now_ns + max(pause_ns, round(after_s * 1e9))
        self.is_failing = True

    def lapsed(self, now_ns: int) -> bool:
        """Whether it may have gone off; said once."""
        if not self.until_ns or now_ns < self.until_ns:
            return False
        self.until_ns = 0
        return True


class DeadMan:
    """Renews some timers while all is well, and leaves them alone when it is not.

    Args:
        timers: Those that there are now.
        beat: Arms one.
        is_well: Whether they may be armed.
        clock: Time, and the only way to wait.
        tell: Told what happens to a timer: `armed`, `failed` or `lapsed`, and why.
    """

    def __init__(
        self,
        timers: Callable[[], Iterable[Armed]],
        beat: Beat,
        is_well: Callable[[], bool],
        clock: Clock,
        tell: Callable[[Errand, str, str], None],
    ) -> None:
        self._timers = timers
        self._beat = beat
        self._is_well = is_well
        self._clock = clock
        self._tell = tell
        self._beats: dict[Errand, Heartbeat] = {}
        self._is_stopped = False
        self._woken = threading.Event()

    def run(self) -> None:
        """Renew them until `stop`; blocks."""
        while not self._is_stopped:
            wait_ns = self.step()
            # One for each wait: a clock may set it when the time has come.
            self._woken = threading.Event()
            if not self._is_stopped:  # it may have been stopped just before
                self._clock.wait(self._woken, wait_ns)

    def stop(self) -> None:
        """Renew no more: what is armed runs out."""
        self._is_stopped = True
        self._woken.set()

    def step(self) -> int:
        """Arm what is due.

        Returns:
            How long to wait before the next step, in nanoseconds.
        """
        timers = list(self._timers())
        for errand, countdown_s in timers:
            now_ns = self._clock.monotonic_ns()
            beat = self._beats.get(errand)
            if beat is None or beat.countdown_ns != countdown_s * _S:
                beat = self._beats[errand] = Heartbeat(countdown_s * _S, now_ns)
            if now_ns >= beat.due_ns and self._is_well() and not self._is_stopped:
                self._arm(errand, countdown_s, beat, len(timers))
            if beat.lapsed(self._clock.monotonic_ns()):
                self._tell(errand, "lapsed", f"not renewed for {countdown_s} s")
        if not timers:
            return _S
        now_ns = self._clock.monotonic_ns()
        # A timer that is due and was not armed is left alone: whether that has changed is looked at
        # as often as it would be armed.
        waits = [
            beat.due_ns - now_ns if beat.due_ns > now_ns else beat.countdown_ns // 12
            for beat in (self._beats[errand] for errand, _ in timers)
        ]
        return max(min(waits), _LEAST_STEP_NS)

    def _arm(self, errand: Errand, countdown_s: int, beat: Heartbeat, among: int) -> None:
        sent_ns = self._clock.monotonic_ns()
        # A sixth of the countdown for all of them together: one that hangs makes no other late.
        timeout_s = min(countdown_s / 6 / among, ATTEMPT_S)
        judgement = attempted(lambda e, t: self._beat(e, countdown_s, t), errand, timeout_s)
        was_armed, was_failing = bool(beat.until_ns), beat.is_failing
        if judgement.ok:
            beat.armed(sent_ns)
            if was_failing or not was_armed:
                self._tell(errand, "armed", f"for {countdown_s} s")
            return
        beat.failed(self._clock.monotonic_ns(), judgement.after_s)
        if not was_failing:
            self._tell(errand, "failed", judgement.why)
