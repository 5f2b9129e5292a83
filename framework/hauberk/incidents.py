"""What happens on an incident: contain in memory first, then tell, each bounded and recorded."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Any, Final, Protocol

from attrs import evolve

from hauberk import answers, dispatch, offloop
from hauberk.answers import HookFailed
from hauberk.errors import MisuseError
from hauberk.records import Incident, Outcome, Severity
from hauberk.registry import Impl
from hauberk.snapshot import Snapshot
from hauberk.telling import told

log = logging.getLogger("hauberk")

#: Incidents kept in memory; the oldest are forgotten first.
KEPT: Final = 1_000
INTERRUPTED: Final = "was interrupted"
_ABANDONED: Final = "not back by the deadline: abandoned"
_NOT_YET: Final = Outcome("not tried again yet", False)


class Book(Protocol):
    """What the kill switch may bring as its attribute `incident_book`: incidents that last.

    Nothing here may wait for long, and nothing that it raises stops anything: what it should have
    done is then known in memory alone.
    """

    def same(self, incident: Incident) -> Incident | None:
        """Return the open incident that this is another report of, of any process; in memory."""

    def is_standing(self, incident: Incident) -> bool:
        """Whether what was done about an incident still stands: nobody has lifted it since."""

    def keep(self, incident: Incident, times: int) -> None:
        """Keep an incident as it now stands, reported so many times more."""

    def resolve(self, incident_id: str, resolution: str) -> Incident | None:
        """Mark as resolved one that this process may not know; `None` if nobody knows it."""

    def halted(self) -> str:
        """Say why everything is halted; empty where it is not."""


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
        self._open: dict[tuple[str, str, Severity], str] = {}
        self._told_again: set[str] = set()
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

    def launch(
        self, incident: Incident, snapshot: Snapshot, *, only_bots: bool = False
    ) -> list[tuple[Impl, Future[Outcome]]]:
        """Start every other responder, in order, each on a daemon thread or its event loop."""
        started = []
        for impl in snapshot.impls("on_incident"):
            if impl.part.required or (only_bots and not impl.part.is_bot):
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
            else Outcome(_ABANDONED, False, plugin=impl.name)
            if future in waited
            else Outcome("under way on its event loop", plugin=impl.name)
            for impl, future in started
        ]

    def came_late(self, incident_id: str, outcome: Outcome) -> bool:
        """Put what was abandoned at the deadline in its place; return whether it was."""
        with self._lock:
            known = self._incidents.get(incident_id)
            waited = [o for o in known.outcomes if _is_abandoned(o, outcome)] if known else []
            if known is None or not waited:
                return False
            outcomes = (*(o for o in known.outcomes if o is not waited[0]), outcome)
            self._incidents[incident_id] = evolve(known, outcomes=outcomes)
            return True

    def folded(self, incident: Incident, book: Book | None) -> Incident:
        """Count another report of what is open already with it; of anything else, begin one.

        Returns:
            The incident to contain; where `count` is above 1, `is_told` says whether others than
            the required responders are to be called about it again.
        """
        with self._lock:
            known = self._incidents.get(self._open.get(incident.sameness, ""))
            if known is None:
                known = asked(book, "same", incident)
            if known is None or known.resolution or known.sameness != incident.sameness:
                self._remember(incident)
                return incident
            again = evolve(known.again(incident.details_json), count=known.count + 1)
            self._remember(again)
            if book is not None and not asked(book, "is_standing", again, default=False):
                self._told_again.add(again.id)
            return evolve(again, outcomes=())

    def is_told(self, incident: Incident) -> bool:
        """Whether every responder is to be called: the first time, and where it was lifted."""
        with self._lock:
            is_again = incident.id in self._told_again
            self._told_again.discard(incident.id)
        return incident.count == 1 or is_again

    def knows(self, incident_id: str) -> bool:
        """Whether an incident is in memory."""
        return incident_id in self._incidents

    def keep(self, incident: Incident) -> Incident:
        """Remember an incident as it now stands; it may have been resolved meanwhile."""
        with self._lock:
            was = self._incidents.get(incident.id, incident)
            outcomes = incident.outcomes
            if incident.count > 1:  # what others did the first time still stands
                fresh = {outcome.plugin for outcome in outcomes}
                outcomes += tuple(o for o in was.outcomes if o.plugin not in fresh)
            newest = incident if incident.count >= was.count else was
            kept = evolve(
                incident,
                resolution=was.resolution,
                outcomes=outcomes,
                count=newest.count,
                repeats=newest.repeats,
            )
            self._remember(kept)
            return kept

    def resolve(self, incident_id: str, resolution: str) -> Incident:
        """Mark an incident as resolved: what is reported from then on is another.

        Raises:
            MisuseError: There is none of that id, or the resolution is empty.
        """
        if type(resolution) is not str or not resolution:
            raise MisuseError("a resolution says what was done: pass text")
        with self._lock:
            if incident_id not in self._incidents:
                raise MisuseError(f"no incident {incident_id!r} is known")
            incident = evolve(self._incidents[incident_id], resolution=resolution)
            self._remember(incident)
        return incident

    def all(self) -> tuple[Incident, ...]:
        """Every incident in memory, oldest first."""
        with self._lock:
            return tuple(self._incidents.values())

    def _remember(self, incident: Incident) -> None:
        """Called under the lock."""
        self._incidents[incident.id] = incident
        if not incident.resolution:
            self._open[incident.sameness] = incident.id
        elif self._open.get(incident.sameness) == incident.id:
            del self._open[incident.sameness]
        while len(self._incidents) > KEPT:
            gone, old = self._incidents.popitem(last=False)
            if self._open.get(old.sameness) == gone:
                del self._open[old.sameness]

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
            done(_failed(impl, told(error), time.monotonic_ns()))

    def _start_on_loop(
        self, impl: Impl, incident: Incident, done: Callable[[Outcome], None]
    ) -> None:
        began = time.monotonic_ns()

        async def run() -> None:
            try:
                answer = await dispatch.acall(impl, incident)
                done(_timed(answers.outcome(impl, answer), began))
            except HookFailed as failure:
                done(_failed(impl, failure.why, began))

        if not offloop.start_on(impl.part.loop, run()):
            impl.failed()
            done(_failed(impl, "its event loop is closed", began))


def asked(book: Book | None, what: str, *args: Any, default: Any = None) -> Any:
    """Ask the book, whatever it does; what is no answer is `default`."""
    if book is None:
        return default
    try:
        return getattr(book, what)(*args)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        log.error("the book of incidents failed (%s): %s", what, told(error))
        return default


def _is_abandoned(outcome: Outcome, by: Outcome) -> bool:
    return outcome.plugin == by.plugin and outcome.did == _ABANDONED


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
