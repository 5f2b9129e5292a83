"""`IncidentBook`: what the kernel asks about incidents, answered from memory; kept by a worker."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias

from hauberk.errors import safe_text
from hauberk.records import Incident, Severity
from hauberk_plugins.killswitch.handler import IncidentHandler, Incidents, NoSuchIncident
from hauberk_plugins.killswitch.incident_record import BadIncident, Kept
from hauberk_plugins.killswitch.switch import KillSwitch, Level

log = logging.getLogger("hauberk")

#: What each severity stops.
LEVELS: Final = {Severity.HIGH: Level.RESTRICTED, Severity.CRITICAL: Level.HALTED}
#: Incidents that are not in the store yet, of those that stop something and of the others.
UNKEPT: Final = 1_000
#: How many are kept in one turn.
A_TURN: Final = 50

#: Incidents by id, and how often each was reported since it was kept last.
_Queue: TypeAlias = OrderedDict[str, tuple[Incident, int]]


class IncidentBook:
    """Satisfies `hauberk.incidents.Book`.

    Args:
        handler: Keeps incidents; `None` where there is no store.
        switch: What is stopped.
        ask: Has `turn` called soon, on another thread.
        pass_on: Is given each incident that another process reported from here on.
        ended: Is given the id of each incident that is resolved, and how.
    """

    def __init__(
        self,
        handler: IncidentHandler | None,
        switch: KillSwitch,
        ask: Callable[[], object],
        pass_on: Callable[[Incident], object],
        ended: Callable[[str, str], object],
    ) -> None:
        self.handler = handler
        self._switch = switch
        self._ask = ask
        self._pass_on = pass_on
        self._ended = ended
        self._lock = threading.RLock()
        self._writing = threading.RLock()  # held as long as the store takes, by no report
        # Two queues: however many incidents there are that stop nothing, none crowds out a halt.
        self._grave: _Queue = OrderedDict()
        self._minor: _Queue = OrderedDict()
        #: Incidents that were left out since there were too many at once.
        self.left_out = 0
        self._stamp: int | None = None
        self._listed = Incidents()
        #: Why incidents are not in the store; empty where they are.
        self.problem = ""

    def take_over(self, before: IncidentBook) -> None:
        """Keep what the book before this one has not kept yet."""
        with before._lock:
            self._grave.update(before._grave)
            self._minor.update(before._minor)

    # What the kernel asks.

    def same(self, incident: Incident) -> Incident | None:
        """Return the open incident that this is another report of."""
        found = self._listed.same(incident)
        return None if found is None else found.incident

    def is_standing(self, incident: Incident) -> bool:
        """Whether as much is stopped as an incident of its severity stops."""
        return self._switch.level >= LEVELS.get(incident.severity, Level.NORMAL)

    def keep(self, incident: Incident, times: int) -> None:
        """Have an incident kept soon; while too many wait, what stops nothing is only counted."""
        if self.handler is None:
            return
        with self._lock:
            queue = self._queue(incident)
            if queue is self._minor and incident.id not in queue and len(queue) >= UNKEPT:
                self._leave_out(times)
                return
            waiting = queue.pop(incident.id, (incident, 0))[1]
            queue[incident.id] = incident, waiting + times
            while len(queue) > UNKEPT:
                self._leave_out(queue.popitem(last=False)[1][1])
        self._ask()

    def _queue(self, incident: Incident) -> _Queue:
        return self._grave if incident.severity in LEVELS else self._minor

    def _leave_out(self, times: int) -> None:
        if not self.left_out and times:
            log.error("too many incidents at once: some are not kept, only recorded")
        self.left_out += times

    def resolve(self, incident_id: str, resolution: str) -> Incident | None:
        """Mark an incident as resolved, in the store.

        Raises:
            StoreError: It cannot be.
        """
        if self.handler is None:
            return None
        try:
            self._hasten(self.handler, incident_id)
            return self.handler.resolve(incident_id, resolution).incident
        except NoSuchIncident:
            return None

    def halted(self) -> str:
        """Say why everything is halted."""
        return str(self._switch.state) if self._switch.level is Level.HALTED else ""

    # What a worker does.

    def turn(self) -> None:
        """Keep what is not kept, and learn what other processes did. May hang with the store."""
        if self.handler is None:
            return
        try:
            self._keep(self.handler)
            self._learn(self.handler)
            self.problem = ""
        except Exception as error:  # whatever a store raises: it is tried again
            if not self.problem:
                log.error("incidents are not kept: %s", safe_text(error))
            self.problem = safe_text(error)

    def _keep(self, handler: IncidentHandler) -> None:
        for _ in range(A_TURN):
            with self._lock:
                queue = self._grave or self._minor
                waiting = next(iter(queue), None)
            if waiting is None:
                break
            self._keep_one(handler, queue, waiting)
        with self._lock:
            if self._grave or self._minor:
                self._ask()
            elif self.left_out:
                log.error("%d incidents were not kept, only recorded", self.left_out)
                self.left_out = 0

    def _hasten(self, handler: IncidentHandler, incident_id: str) -> None:
        """Keep one before its turn."""
        for queue in (self._grave, self._minor):
            self._keep_one(handler, queue, incident_id)

    def _keep_one(self, handler: IncidentHandler, queue: _Queue, incident_id: str) -> None:
        with self._writing:  # or whoever resolves it would see it come again
            with self._lock:
                waiting = queue.get(incident_id)
            if waiting is None:
                return
            incident, times = waiting
            try:
                handler.keep(incident, times)
            except BadIncident as error:
                log.error("%s", error)
            with self._lock:
                stands = queue.get(incident_id)
                if stands is None:
                    return
                if stands[0] is incident and stands[1] == times:
                    del queue[incident_id]
                else:  # reported again meanwhile
                    queue[incident_id] = stands[0], stands[1] - times

    def _learn(self, handler: IncidentHandler) -> None:
        stamp = handler.stamp()
        if stamp == self._stamp:
            return
        was, is_first = self._listed, self._stamp is None
        self._listed, self._stamp = handler.listed(stamp), stamp
        if is_first:
            return
        known = {one: kept for kept in was.kept for one in kept.ids}
        for kept in self._listed.kept:
            self._tell(kept, known)

    def _tell(self, kept: Kept, known: dict[str, Kept]) -> None:
        incident = kept.incident
        if incident.resolution:
            for one in kept.ids:
                self._ended(one, incident.resolution)
        elif incident.id not in known:
            self._pass_on(incident)
