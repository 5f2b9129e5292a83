"""What happens on an incident: contain in memory first, then tell, each bounded and recorded."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Final

from attrs import evolve

from hauberk import dispatch, offloop
from hauberk.dispatch import HookFailed
from hauberk.errors import MisuseError
from hauberk.records import Incident, Outcome, Severity
from hauberk.registry import Impl
from hauberk.snapshot import Snapshot

log = logging.getLogger("hauberk")

#: Incidents kept in memory; the oldest are forgotten first.
KEPT: Final = 1_000
INTERRUPTED: Final = "was interrupted"
_NOT_YET: Final = Outcome("not tried again yet", False)


class Responses:
    """The responders' side of the kernel.

    Args:
        deadline_s: What all responders but the required ones share.
        retry_ns: Pause between attempts of a required responder that failed.

    Attributes:
        owed: What each required responder has yet to act on, by name; `obstacle` tries it again.
    """

    def __init__(self, deadline_s: float, retry_ns: int) -> None:
        self.deadline_s = deadline_s
        self.retry_ns = retry_ns
        self._lock = threading.RLock()  # a signal's handler may report
        self._incidents: OrderedDict[str, Incident] = OrderedDict()
        self._busy: set[Impl] = set()
        self.owed: dict[str, Incident] = {}
        self._tried_ns: dict[str, int] = {}

    def contain(
        self, incident: Incident, snapshot: Snapshot, now_ns: int, stop: Callable[[], None]
    ) -> list[Outcome]:
        """Call the required responders inline, before anything is stored.

        After each of them, `stop` has those that have not left asked again: what the first did
        must not wait for the next.

        One that fails on HIGH or CRITICAL is owed the incident: until it succeeds, `obstacle`
        stands in the way of every request.
        """
        outcomes = [outcome for outcome in incident.outcomes if outcome.ok]
        answered = {outcome.plugin for outcome in outcomes}
        for impl in snapshot.impls("on_incident"):
            if not impl.part.required or impl.name in answered:
                continue
            outcome = _answer(impl, incident)
            outcomes.append(outcome)
            stop()
            if not outcome.ok and incident.severity >= Severity.HIGH:
                self._owe(impl, incident, now_ns)
        return outcomes

    def obstacle(self, snapshot: Snapshot, now_ns: int) -> tuple[str, str] | None:
        """Try again whoever owes an answer, each at most once in `retry_ns`.

        Returns:
            Who still stands in the way and why, the first of them, or `None`.

        Raises:
            KeyboardInterrupt: One was interrupted; raised after all were tried.
        """
        obstacle, is_interrupted = None, False
        for name, incident, is_due in self._taken_up(now_ns):
            impl = snapshot.hooks(name).get("on_incident")
            if impl is not None and impl.part.required:
                outcome = _answer(impl, incident) if is_due else _NOT_YET
                if not outcome.ok:
                    is_interrupted |= outcome.did == INTERRUPTED
                    why = f"it failed to act on incident {incident.id} ({incident.title})"
                    obstacle = obstacle or (name, why)
                    continue
            with self._lock:
                if self.owed.get(name) is incident:
                    del self.owed[name]
        if is_interrupted:
            raise KeyboardInterrupt
        return obstacle

    def launch(self, incident: Incident, snapshot: Snapshot) -> list[tuple[Impl, Future[Outcome]]]:
        """Start every other responder, in order, each on a daemon thread or its event loop."""
        started = []
        for impl in snapshot.impls("on_incident"):
            if impl.part.required:
                continue
            with self._lock:
                is_busy = impl in self._busy
                self._busy.add(impl)
            if is_busy:
                future: Future[Outcome] = Future()
                future.set_result(
                    Outcome("not called: it has not returned yet", False, plugin=impl.name)
                )
            else:
                future = self._start(impl, incident)
            started.append((impl, future))
        return started

    def collect(self, started: Sequence[tuple[Impl, Future[Outcome]]]) -> list[Outcome]:
        """Wait for them up to the shared deadline; who has not returned by then is abandoned."""
        loop = offloop.running_loop()
        # On a loop's own thread, waiting for what runs on that loop would wait for ourselves.
        waited = [f for impl, f in started if not (impl.is_async and impl.part.loop is loop)]
        wait(waited, timeout=self.deadline_s)
        return [
            future.result()
            if future.done()
            else Outcome("not back by the deadline: abandoned", False, plugin=impl.name)
            if future in waited
            else Outcome("under way on its event loop", plugin=impl.name)
            for impl, future in started
        ]

    def keep(self, incident: Incident) -> None:
        """Remember an incident as it now stands; it may have been resolved meanwhile."""
        with self._lock:
            was = self._incidents.get(incident.id, incident)
            self._incidents[incident.id] = evolve(incident, resolution=was.resolution)
            while len(self._incidents) > KEPT:
                self._incidents.popitem(last=False)

    def resolve(self, incident_id: str, resolution: str) -> Incident:
        """Mark an incident as resolved.

        Raises:
            MisuseError: There is none of that id, or the resolution is empty.
        """
        if type(resolution) is not str or not resolution:
            raise MisuseError("a resolution says what was done: pass text")
        with self._lock:
            if incident_id not in self._incidents:
                raise MisuseError(f"no incident {incident_id!r} is known")
            incident = evolve(self._incidents[incident_id], resolution=resolution)
            self._incidents[incident_id] = incident
        return incident

    def all(self) -> tuple[Incident, ...]:
        """Every incident in memory, oldest first."""
        with self._lock:
            return tuple(self._incidents.values())

    def _taken_up(self, now_ns: int) -> list[tuple[str, Incident, bool]]:
        """Return what is owed by whom, and whether it is for the caller to try it again."""
        with self._lock:
            taken = [
                (name, incident, now_ns - self._tried_ns[name] >= self.retry_ns)
                for name, incident in tuple(self.owed.items())
            ]
            self._tried_ns |= {name: now_ns for name, _, is_due in taken if is_due}
        return taken

    def _owe(self, impl: Impl, incident: Incident, now_ns: int) -> None:
        """Remember what a required responder has yet to act on: the worst, then the latest."""
        with self._lock:
            self._tried_ns[impl.name] = now_ns
            owed = self.owed.get(impl.name)
            if owed is None or incident.severity >= owed.severity:
                self.owed[impl.name] = incident

    def _start(self, impl: Impl, incident: Incident) -> Future[Outcome]:
        future: Future[Outcome] = Future()

        def done(outcome: Outcome) -> None:
            with self._lock:
                self._busy.discard(impl)
            future.set_result(outcome)

        if impl.is_async:
            self._start_on_loop(impl, incident, done)
        else:
            self._start_on_thread(impl, incident, done)
        return future

    def _start_on_thread(
        self, impl: Impl, incident: Incident, done: Callable[[Outcome], None]
    ) -> None:
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=lambda: done(context.run(_answer, impl, incident)),
            name=f"hauberk-{impl.name}",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads to be had: the others are still told
            impl.failed()
            done(_failed(impl, dispatch.told(error), time.monotonic_ns()))

    def _start_on_loop(
        self, impl: Impl, incident: Incident, done: Callable[[Outcome], None]
    ) -> None:
        began = time.monotonic_ns()

        async def run() -> None:
            try:
                answer = await dispatch.acall(impl, incident)
                done(_timed(dispatch.outcome(impl, answer), began))
            except HookFailed as failure:
                done(_failed(impl, failure.why, began))

        if not offloop.start_on(impl.part.loop, run()):
            impl.failed()
            done(_failed(impl, "its event loop is closed", began))


def _answer(impl: Impl, incident: Incident) -> Outcome:
    """Call one responder inline and turn whatever happens into an outcome."""
    began = time.monotonic_ns()
    try:
        outcome: Outcome = dispatch.respond(impl, incident)
    except HookFailed as failure:
        log.error("%s.on_incident %s", impl.name, failure.why)
        return _failed(impl, failure.why, began)
    except KeyboardInterrupt:
        # Containment is not interrupted half way: what was pressed may be the panic button.
        return _failed(impl, INTERRUPTED, began)
    return _timed(outcome, began)


def _failed(impl: Impl, why: str, began_ns: int) -> Outcome:
    return _timed(Outcome(why, False, plugin=impl.name), began_ns)


def _timed(outcome: Outcome, began_ns: int) -> Outcome:
    return evolve(outcome, took_ns=time.monotonic_ns() - began_ns)
