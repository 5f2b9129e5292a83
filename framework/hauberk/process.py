"""What the process does to guards: the watchdog's thread, forks, and SIGHUP."""

from __future__ import annotations

import logging
import os
import signal
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from hauberk.telling import told

if TYPE_CHECKING:
    from hauberk.guard import Guard
    from hauberk.kernel import Kernel

log = logging.getLogger("hauberk")

#: How often a running guard leaves its counts for `hauberk plugins`.
PUBLISH_EVERY_S: Final = 5.0
#: How often it leaves what its plugins say of themselves.
TELL_EVERY_S: Final = 2.0

_kernels: weakref.WeakSet[Kernel] = weakref.WeakSet()
_reloading: weakref.WeakSet[Guard] = weakref.WeakSet()
_FORKED = (
    "this guard belongs to the parent of a fork: its locks, waits and budgets are not shared; "
    "open one in the child"
)


class Watchdog:
    """Looks every so often at the dispatches under way; ends when its kernel is gone."""

    def __init__(self, kernel: Kernel) -> None:
        self._stop = threading.Event()
        self._published_ns = kernel.clock.monotonic_ns()
        threading.Thread(
            target=self._watch, args=(weakref.ref(kernel),), name="hauberk-watch", daemon=True
        ).start()

    def stop(self) -> None:
        """End the thread at its next turn."""
        self._stop.set()

    def turn(self, kernel: Kernel) -> None:
        """Name who overruns, and leave the counts where that is due."""
        kernel.watch.look()
        now = kernel.clock.monotonic_ns()
        if now - self._published_ns >= PUBLISH_EVERY_S * 1e9:
            self._published_ns = now
            kernel.publish_counts()

    def _watch(self, reference: weakref.ref[Kernel]) -> None:
        interval_s = 0.1
        while not self._stop.wait(interval_s):
            kernel = reference()
            if kernel is None:
                return
            interval_s = min(max(kernel.watch.warn_ns / 1e9, 0.01), PUBLISH_EVERY_S)
            self.turn(kernel)
            del kernel


class StatusTeller:
    """Leaves what plugins say of themselves; ends when its kernel is gone.

    On a thread of its own: a hook that hangs must not keep the watchdog from naming who overruns.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._stop = threading.Event()
        threading.Thread(
            target=self._tell, args=(weakref.ref(kernel),), name="hauberk-status", daemon=True
        ).start()

    def stop(self) -> None:
        """End the thread at its next turn."""
        self._stop.set()

    def _tell(self, reference: weakref.ref[Kernel]) -> None:
        while not self._stop.wait(TELL_EVERY_S):
            kernel = reference()
            if kernel is None or kernel.closed:
                return
            kernel.tell_status()
            del kernel


def refuse_after_fork(kernel: Kernel) -> None:
    """Have a child process refuse to use its parent's guard."""
    _kernels.add(kernel)


def _in_child() -> None:
    for kernel in tuple(_kernels):
        kernel.closed = _FORKED
        # Threads that the child has not got may have held these; what was being cleared here,
        # by a hook that forked, is begun again and refused.
        kernel.lock, kernel.changing = threading.RLock(), threading.RLock()
        kernel.epoch += 1


os.register_at_fork(after_in_child=_in_child)


def reload_on_sighup(guard: Guard) -> None:
    """Reload when SIGHUP arrives, where nothing else handles it: it would end the process.

    Every open guard reloads; when none is left, the signal ends the process as before.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGHUP"):
        return
    if signal.getsignal(signal.SIGHUP) not in (signal.SIG_DFL, _on_sighup):
        return
    _reloading.add(guard)
    signal.signal(signal.SIGHUP, _on_sighup)


def _on_sighup(number: int, _frame: Any) -> None:
    """Only start a thread: this may run while its own thread holds any lock."""
    guards = [guard for guard in tuple(_reloading) if not guard.kernel.closed]
    if guards:
        threading.Thread(target=_reload, args=guards, name="hauberk-reload", daemon=True).start()
        return
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _reload(*guards: Guard) -> None:
    for guard in guards:
        try:
            guard.reload()
            log.warning("configuration reloaded")
        except Exception as error:
            log.error("configuration not reloaded, nothing changed: %s", told(error))
