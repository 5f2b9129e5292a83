"""What the emergency lane has under way: work on threads of its own, and what is to be recorded.

Neither holds up whoever began it: an exchange that hangs keeps nobody from being halted, and a
recorder that hangs keeps no order alive.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hauberk.records import Outcome
from hauberk.registry import EMERGENCY, FIRST, Impl
from hauberk.telling import told

if TYPE_CHECKING:
    from hauberk.kernel import Kernel

log = logging.getLogger("hauberk")

#: What is sent and not recorded yet: more than that is dropped, and logged.
_UNTOLD: Final = 1_000
#: How long closing waits for what is under way, and for what is not recorded yet.
_LAST_WORK_S: Final = 5.0
_LAST_WORDS_S: Final = 1.0
#: Incidents whose work nobody has asked for; the oldest are forgotten first.
_INCIDENTS: Final = 100


class Errands:
    """Threads, and what is to be told. Owned by the kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._lock = threading.RLock()  # a signal's handler may report
        self._begun: dict[str, list[Future[Outcome]]] = {}
        self._working: set[Future[Outcome]] = set()
        self._untold: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._teller: threading.Thread | None = None
        #: Set once every plugin is in place, and when that failed.
        self.ready = threading.Event()

    def begin(self, incident: str, work: Callable[[], Outcome]) -> None:
        """Do something about an incident on a daemon thread; what came of it is recorded there.

        It waits until every plugin is in place. Nothing is raised: where no thread is to be had,
        that is the outcome.
        """
        future: Future[Outcome] = Future()
        with self._lock:
            self._begun.setdefault(incident, []).append(future)
            while len(self._begun) > _INCIDENTS:
                del self._begun[next(iter(self._begun))]

        def run() -> None:
            self.ready.wait()
            began = self._kernel.clock.monotonic_ns()
            try:
                outcome = work()
            except BaseException as error:  # SystemExit included: it is a thread of ours
                outcome = Outcome(f"the emergency lane raised {told(error)}", False)
            took_ns = self._kernel.clock.monotonic_ns() - began
            self._done(incident, outcome)
            future.set_result(evolve(outcome, plugin=FIRST, took_ns=took_ns))
            self._working.discard(future)

        self._working.add(future)
        try:
            threading.Thread(target=run, name="hauberk-emergency", daemon=True).start()
        except RuntimeError as error:  # no more threads to be had
            self._working.discard(future)
            future.set_result(Outcome(f"not begun: {told(error)}", False, plugin=FIRST))

    def begun(self, incident: str) -> list[tuple[Impl, Future[Outcome]]]:
        """Return what was begun about an incident, as responders that were started; once."""
        with self._lock:
            futures = self._begun.pop(incident, [])
        impl = self._kernel.snapshot.hooks(FIRST).get("on_incident")
        return [] if impl is None else [(impl, future) for future in futures]

    def await_late(self, incident: str, begun: list[tuple[Impl, Future[Outcome]]]) -> None:
        """Keep what comes after the responders' deadline, in place of its absence."""
        for _, future in begun:
            future.add_done_callback(
                lambda done: self._kernel.responses.came_late(incident, done.result())
            )

    def tell(self, send: Callable[[], object]) -> None:
        """Record something on the lane's own thread, in its turn."""
        if self._untold.qsize() >= _UNTOLD:
            log.error("the emergency lane's events are not recorded: a recorder hangs")
            return
        self._untold.put(send)
        with self._lock:
            if self._teller is None:
                thread = threading.Thread(target=self._tell, name="hauberk-emergency-events",
                                          daemon=True)  # fmt: skip
                try:
                    thread.start()
                except RuntimeError:  # tried again with the next one
                    return
                self._teller = thread

    def close(self) -> None:
        """Let what is under way come to its end, within seconds, and record what is left."""
        wait(tuple(self._working), timeout=_LAST_WORK_S)
        with self._lock:
            teller, self._teller = self._teller, None
        if teller is not None:
            self._untold.put(None)
            teller.join(_LAST_WORDS_S)

    def _tell(self) -> None:
        while (send := self._untold.get()) is not None:
            try:
                send()
            except BaseException as error:
                log.error("the emergency lane could not be recorded: %s", told(error))

    def _done(self, incident: str, outcome: Outcome) -> None:
        fields = {"incident": incident, "did": outcome.did, "ok": outcome.ok}
        kernel = self._kernel
        self.tell(lambda: kernel.record(kernel.event("kernel", f"{EMERGENCY}.done", fields)))
