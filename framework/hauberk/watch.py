"""Dispatches under way and how long guards may take: what the watchdog looks at."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable

from hauberk.frames import Frame
from hauberk.registry import Impl

log = logging.getLogger("hauberk")


class Watch:
    """Dispatches under way, for the watchdog, and the limits on a guard's time.

    Args:
        now: The monotonic clock, nanoseconds.
        warn_ns: A guard that takes longer is named.
        deny_ns: A request whose guard took longer is denied.
    """

    def __init__(self, now: Callable[[], int], warn_ns: int, deny_ns: int) -> None:
        self.now = now
        self.limit(warn_ns, deny_ns)
        self.active: set[Frame] = set()
        self.passes = itertools.count()
        #: Set by the first overrun: from then on every guard of every pass is timed.
        self.is_wary = False

    def limit(self, warn_ns: int, deny_ns: int) -> None:
        """Take other limits."""
        self.warn_ns = warn_ns
        self.deny_ns = deny_ns
        self.least_ns = min(warn_ns, deny_ns)

    def look(self) -> list[str]:
        """Name the guards that are overrunning right now, each once a pass."""
        names = []
        now = self.now()
        for frame in self.active.copy():
            impl = frame.impl
            if impl is None or frame.named is impl or now - frame.since_ns <= self._limit_ns(impl):
                continue
            names.append(impl.name)
            self.name(frame, impl, now - frame.since_ns)
        return names

    def _limit_ns(self, impl: Impl) -> int:
        """Checking a password is slow on purpose; one that never ends is named all the same."""
        is_slow = impl.may_authenticate and impl.hook == "on_login"
        return max(self.warn_ns, self.deny_ns) if is_slow else self.warn_ns

    def name(self, frame: Frame, impl: Impl, took_ns: int) -> None:
        """Count and log an overrun, once a pass and guard."""
        self.is_wary = True
        if frame.named is not impl:
            frame.named = impl
            impl.overran()
            log.warning(
                "%s.%s has been running for %.3f s and holds up whoever waits for it",
                impl.name,
                impl.hook,
                took_ns / 1e9,
            )
