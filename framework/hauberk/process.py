"""What the process does to guards: the watchdog's thread, forks, and SIGHUP."""

from __future__ import annotations

import logging
import os
import signal
import threading
import weakref
from typing import TYPE_CHECKING, Any

from hauberk.dispatch import Watch, told

if TYPE_CHECKING:
    from hauberk.guard import Guard
    from hauberk.kernel import Kernel

log = logging.getLogger("hauberk")

_kernels: weakref.WeakSet[Kernel] = weakref.WeakSet()
_FORKED = (
    "this guard belongs to the parent of a fork: its locks, waits and budgets are not shared; "
    "open one in the child"
)


class Watchdog:
    """Looks every so often at the dispatches under way; ends when its watch is gone."""

    def __init__(self, watch: Watch) -> None:
        self._stop = threading.Event()
        threading.Thread(
            target=_look, args=(weakref.ref(watch), self._stop), name="hauberk-watch", daemon=True
        ).start()

    def stop(self) -> None:
        """End the thread at its next turn."""
        self._stop.set()


def _look(reference: weakref.ref[Watch], stop: threading.Event) -> None:
    interval_s = 0.1
    while not stop.wait(interval_s):
        watch = reference()
        if watch is None:
            return
        interval_s = max(watch.warn_ns / 1e9, 0.01)
        watch.look()
        del watch


def refuse_after_fork(kernel: Kernel) -> None:
    """Have a child process refuse to use its parent's guard."""
    _kernels.add(kernel)


def _in_child() -> None:
    for kernel in tuple(_kernels):
        kernel.closed = _FORKED


os.register_at_fork(after_in_child=_in_child)


def reload_on_sighup(guard: Guard) -> None:
    """Reload when SIGHUP arrives, where nothing else handles it: it would end the process.

    The handler itself only starts a thread: it may run while its thread holds any lock.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if not hasattr(signal, "SIGHUP") or signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        return
    reference = weakref.ref(guard)

    def reload() -> None:
        if (target := reference()) is None:
            return
        try:
            target.reload()
            log.warning("configuration reloaded")
        except Exception as error:
            log.error("configuration not reloaded, nothing changed: %s", told(error, 2_000))

    def on_signal(_number: int, _frame: Any) -> None:
        threading.Thread(target=reload, name="hauberk-reload", daemon=True).start()

    signal.signal(signal.SIGHUP, on_signal)
