"""The kernel's state: snapshot, epoch and lock; and what it does on events and incidents."""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import evolve

from hauberk import dispatch, frames
from hauberk.answers import HookFailed
from hauberk.counts import publish
from hauberk.dispatch import Interrupts
from hauberk.engines import Engines
from hauberk.errands import Errands
from hauberk.errors import ClosedError, Denied, MisuseError, safe_text
from hauberk.frames import Frame
from hauberk.incidents import INTERRUPTED, Book, Responses, asked
from hauberk.leftfiles import leave, take_away
from hauberk.lifecycle import Crew
from hauberk.plan import Plan
from hauberk.ports import Clock
from hauberk.process import StatusTeller, Watchdog, refuse_after_fork
from hauberk.recording import Recording
from hauberk.records import Event, Incident, Severity, to_json
from hauberk.registry import FIRST, Impl
from hauberk.request import Request
from hauberk.settings import KernelLimits, Mode, Settings
from hauberk.snapshot import Snapshot
from hauberk.telling import masked, told
from hauberk.waking import Waking
from hauberk.watch import Watch

log = logging.getLogger("hauberk")

SHADOW: Final = "mode is shadow: guards deny nothing and halts stop nothing, they are only logged"


class Kernel:
    """What a guard's drivers, contexts and plugins share.

    Args:
        plan: What it is made from.
        clock: Time.
        resident: Whether it stays, as a bot's does: it leaves counts in the state folder.

    Attributes:
        epoch: Raised, under `lock`, by whatever must stop those that have not left yet.
        is_resident: Whether it stays, or looks or signs once.
        changing: Held while plugins are registered, reloaded or closed.
        closed: Why nothing is cleared any more; empty while it is open.
    """

    def __init__(self, plan: Plan, clock: Clock, *, resident: bool = False) -> None:
        self.clock = clock
        self.is_resident = self._publishes = resident
        self.settings: Settings = plan.settings
        # Re-entrant, like every lock that a report takes: a signal's handler may report.
        self.lock = threading.RLock()
        self.changing = threading.RLock()
        self.epoch = 0
        self.closed = ""
        self.snapshot = Snapshot()
        self.id_prefix = secrets.token_hex(6)
        self.ids = itertools.count(1)
        self.waking = Waking(clock)
        self.responses = Responses(0.0, 0)
        self.errands = Errands(self)
        self.recording = Recording()
        self.engines = Engines(self)
        self.watch = Watch(clock.monotonic_ns, 0, 0)
        self._limit(plan.settings.limits)
        self.crew = Crew(self)
        if plan.settings.mode is Mode.SHADOW:
            log.warning(SHADOW)
        try:
            self.crew.start(plan)
        finally:
            self.errands.ready.set()
        self.watchdog = Watchdog(self)
        self._teller = StatusTeller(self) if resident and plan.settings.state_dir else None
        refuse_after_fork(self)

    # Epoch and snapshot.

    def swap(
        self, snapshot: Snapshot, settings: Settings, settle: Callable[[], None] | None = None
    ) -> None:
        """Put a snapshot in place, and what its plugins look things up in, in one step.

        Whoever began before is asked again, and whoever waits at once.
        """
        if settings.mode is Mode.SHADOW and settings is not self.settings:
            log.warning(SHADOW)
        with self.lock:
            self.snapshot = snapshot
            self.settings = settings
            if settle is not None:
                settle()
            self.epoch += 1
        self._limit(settings.limits)
        self.waking.wake_all()

    def _limit(self, limits: KernelLimits) -> None:
        self.timeout_ns = int(limits.timeout_s * 1e9)
        self.responses.deadline_s = limits.responders_s
        self.responses.retry_ns = round(limits.retry_s * 1e9)
        self.watch.limit(round(limits.warn_after_s * 1e9), round(limits.deny_after_s * 1e9))

    def recheck(self) -> None:
        """Raise the epoch: what has not left yet is asked again, and what waits at once."""
        with self.lock:
            self.epoch += 1
        self.waking.wake_all()

    def leave(self, epoch: int) -> bool:
        """Leave, if nothing has changed since the pass began."""
        with self.lock:
            return self.epoch == epoch

    def wake(self, request_id: str) -> None:
        """Have a waiting request asked again now."""
        self.waking.wake(request_id)

    def check_open(self) -> None:
        """Raise `ClosedError` if nothing is cleared any more."""
        if self.closed:
            raise ClosedError(self.closed)

    def close(self) -> None:
        """Stop every plugin; nothing leaves afterwards."""
        with self.changing:
            if self.closed:
                return
            with self.lock:
                self.closed = "the guard is closed"
                self.epoch += 1
            self.waking.wake_all()
            self.watchdog.stop()
            self.publish_counts()
            if self._teller is not None:
                self._teller.stop()
                self.take_status_away()
            self.errands.close()
            self.recording.close()
            self.crew.stop()

    def publish_counts(self) -> None:
        """Leave the counts for `hauberk plugins`; a folder that cannot be written stops nothing."""
        if not self._publishes or self.settings.state_dir is None:
            return
        try:
            publish(self.settings.state_dir, self.snapshot)
        except OSError as error:
            self._publishes = False
            log.warning("counts are not published: %s", error)

    def tell_status(self) -> None:
        """Leave what plugins say of themselves; what cannot be written is passed over."""
        folder = self.settings.state_dir
        if folder is None:
            return
        plugins = {impl.name: self.contained(impl) for impl in self.snapshot.impls("on_status")}
        told = {name: dict(said) for name, said in plugins.items() if isinstance(said, Mapping)}
        try:
            leave(folder, "status", {"at_ns": self.clock.wall_ns(), "plugins": told})
        except (OSError, ValueError, TypeError, RecursionError) as error:
            log.warning("what plugins say of themselves is not left: %s", safe_text(error))
        if self.closed:  # meanwhile: it took away the one before
            self.take_status_away()

    def take_status_away(self) -> None:
        """Leave nothing that would be read as the present."""
        if self.settings.state_dir is not None:
            take_away(self.settings.state_dir, "status")

    # Events.

    def event(
        self,
        source: str,
        kind: str,
        fields: Mapping[str, Any] | None,
        request: Request | None = None,
        *,
        permission: bool = False,
    ) -> Event:
        """Make an event; of a request, with what recorders may see of it."""
        now = self.clock.wall_ns()
        if request is None:
            return Event(kind, now, source, permission, fields_json=to_json(fields))
        shown = self.shown(request)
        told = {
            "method": shown.method,
            "url": masked(shown.url),
            "params": [list(pair) for pair in shown.params],
            "operation": shown.operation,
            **(fields or {}),
        }
        return Event(kind, now, source, permission, shown.id, shown.account, to_json(told))

    def shown(self, request: Request) -> Request:
        """What observers and recorders may see of a judged request."""
        binding = self.snapshot.bindings.get(request.account)
        return binding.without_credentials(request) if binding else request.amend(headers=())

    def permit(self, event: Event, recorders: Sequence[Impl]) -> None:
        """Record a permission; without every required recorder it is not given.

        Raises:
            Denied: A required recorder failed.
        """
        for impl in recorders:
            try:
                self.call(impl, event)
            except HookFailed as failure:
                if impl.part.required:
                    why = f"it could not record {event.kind}: {failure.why}"
                    raise Denied(impl.name, why, None, event.request_id) from None
                log.warning("%s.on_event %s", impl.name, failure.why)

    def record(self, event: Event, recorders: Sequence[Impl] | None = None) -> None:
        """Record what happens in any case: refusals, halts and releases.

        Raises:
            KeyboardInterrupt: A recorder was interrupted; raised after all were told.
        """
        frame = frames.current()
        if frame is not None and frame.depth + 1 >= frames.MAX_DEPTH:
            log.warning("event %s is dropped: emitted %d dispatches deep", event.kind, frame.depth)
            return
        interrupts = Interrupts()
        for impl in self.snapshot.recorders if recorders is None else recorders:
            with interrupts:
                self.contained(impl, event)
        interrupts.raise_first()

    def emit(self, source: str, kind: str, fields: Mapping[str, Any] | None) -> None:
        """Tell the recorders under a plugin's name; inside a guard, when it has returned."""
        self.tell(self.event(source, kind, fields))

    def tell(self, event: Event) -> None:
        """Record an event; inside a guard, when it has returned."""
        if not self.queue(lambda: self.record(event)):
            self.record(event)

    # Incidents.

    def report(
        self, source: str, title: str, severity: Severity, details: Mapping[str, Any] | None
    ) -> Incident:
        """Contain, record, tell; inside a guard, told when it has returned."""
        incident = self.incident(source, title, severity, details)
        if (queued := self.put_off(incident)) is not None:
            return queued
        return self.respond(self.contain(incident))

    def put_off(self, incident: Incident) -> Incident | None:
        """Inside a guard, send an incident when it has returned; else `None`.

        HIGH and CRITICAL are contained at once all the same: the hook may never return, and a
        signal's handler may run inside it.
        """
        frame = frames.current()
        if frame is None or frame.is_open:
            return None
        if incident.severity < Severity.HIGH:
            self.queue(lambda: self.respond(self.contain(incident)))
            return incident
        contained = self._contained(incident)
        # Once more then, for required responders that were not in place yet.
        self.queue(lambda: self.respond(self._contained(contained, times=0)))
        return contained

    def incident(
        self, source: str, title: str, severity: Severity, details: Mapping[str, Any] | None
    ) -> Incident:
        """Make an incident, stamped with who reports it."""
        self.check_open()
        frame = frames.current()
        if frame is not None and frame.is_open:
            frames.refuse_inside("report")  # before it is counted: it would never be contained
        if type(title) is not str or not title or type(severity) is not Severity:
            raise MisuseError("report takes a title and a hauberk.Severity")
        incident_id = f"inc-{self.id_prefix}-{next(self.ids):x}"
        now = self.clock.wall_ns()
        source = frames.attributed(source)
        told = to_json(details, masks_names=True)
        incident = Incident(incident_id, title, severity, source, now, told)
        return self.responses.folded(incident, self.book)

    @property
    def book(self) -> Book | None:
        """Where incidents last, and what halts: the kill switch's, if it brings one."""
        found = self.crew.view.parts.get(FIRST)
        return None if found is None else getattr(found[0].plugin, "incident_book", None)

    def halted(self) -> str:
        """Say why everything is halted; empty where it is not, or only in shadow."""
        if (book := self.book) is None or self.settings.mode is Mode.SHADOW:
            return ""
        return str(asked(book, "halted", default="the kill switch cannot say"))

    def pass_on(self, incident: Incident, *, again: bool = False) -> None:
        """Call the hooks of this process's bots about an incident that another process reported.

        Each runs by itself, and is not waited for. Once an incident, unless `again`.
        """
        if not self.closed and (again or not self.responses.knows(incident.id)):
            self.responses.keep(incident)
            self.responses.launch(incident, self.snapshot, only_bots=True)

    def ended(self, incident_id: str, resolution: str) -> None:
        """Remember that another process has resolved an incident."""
        if self.responses.knows(incident_id):
            self.responses.resolve(incident_id, resolution)

    def contain(self, incident: Incident) -> Incident:
        """Act in memory, before anything is stored; then nothing judged before may leave."""
        frames.refuse_inside("report")
        return self._contained(incident)

    def _contained(self, incident: Incident, times: int = 1) -> Incident:
        def stop() -> None:
            if incident.severity >= Severity.HIGH:
                self.recheck()
                self.waking.wake_all()

        try:
            now = self.clock.monotonic_ns()
            outcomes = self.responses.contain(incident, self.snapshot, now, stop)
        finally:
            stop()
        contained = all(o.ok for o in outcomes) or incident.severity < Severity.HIGH
        incident = evolve(incident, outcomes=tuple(outcomes), is_contained=contained)
        asked(self.book, "keep", self.responses.keep(incident), times)
        return incident

    def respond(self, incident: Incident) -> Incident:
        """Record a contained incident and call every other responder.

        Raises:
            KeyboardInterrupt: A recorder or a required responder was interrupted; raised when all
                have been told.
        """
        interrupts = Interrupts()
        if not self.responses.is_told(incident):
            fields: dict[str, Any] = {"incident": incident.id, "count": incident.count}
            if incident.latest != incident.details:
                fields["details"] = incident.latest
            self._record_of(incident, "incident.repeated", fields)
            return self.responses.keep(incident)
        with interrupts:
            self._record_of(incident, "incident.reported", incident.told())
        started = self.responses.launch(incident, self.snapshot)
        started += (begun := self.errands.begun(incident.id))
        outcomes = (*incident.outcomes, *self.responses.collect(started))
        incident = self.responses.keep(evolve(incident, outcomes=outcomes))
        asked(self.book, "keep", incident, 0)
        self.errands.await_late(incident.id, begun)
        with interrupts:
            self._record_of(incident, "incident.handled", incident.told())
        interrupts.raise_first()
        if any(outcome.did == INTERRUPTED for outcome in outcomes):
            raise KeyboardInterrupt
        return incident

    def _record_of(self, incident: Incident, kind: str, fields: Mapping[str, Any]) -> None:
        """Record something about an incident; of what stops trading, others hear all the same."""
        event = self.event(incident.source, kind, fields)
        if incident.severity < Severity.HIGH:
            self.record(event)
        else:
            self.recording.run(lambda: self.record(event))

    def resolve(self, source: str, incident_id: str, resolution: str) -> Incident:
        """Mark an incident as resolved."""
        self.check_open()
        incident = self._resolved(incident_id, resolution)
        fields = {"incident": incident_id, "resolution": resolution}
        self.tell(self.event(frames.attributed(source), "incident.resolved", fields))
        return incident

    def _resolved(self, incident_id: str, resolution: str) -> Incident:
        book = self.book
        if book is None or self.responses.knows(incident_id):
            incident = self.responses.resolve(incident_id, resolution)
            asked(book, "resolve", incident_id, resolution)
            return incident
        if resolution and (found := book.resolve(incident_id, resolution)) is not None:
            return found
        return self.responses.resolve(incident_id, resolution)  # which says what is wrong

    # Calling hooks, and sending what they put off.

    def call(self, impl: Impl, *args: Any, is_open: bool = False) -> Any:
        """Call a hook, then send what it reported and emitted; failures as `dispatch.call`."""
        frame = Frame(is_open=is_open, watch=self.watch)
        try:
            return dispatch.call(impl, *args, frame=frame)
        finally:
            self.flush(frame)

    def contained(self, impl: Impl, *args: Any, is_open: bool = False) -> Any:
        """The same for a hook whose failure must stop nothing."""
        frame = Frame(is_open=is_open, watch=self.watch)
        try:
            return dispatch.contained(impl, *args, frame=frame)
        finally:
            self.flush(frame)

    def queue(self, send: Callable[[], Any]) -> bool:
        """Inside a guard, put off what it reports until its dispatch has ended."""
        frame = frames.current()
        if frame is None or frame.is_open:
            return False
        frame.queue.append(send)
        if not frame.is_running:  # it has ended meanwhile, on another thread
            self.flush(frame)
        return True

    def flush(self, frame: Frame) -> None:
        """Send what hooks reported and emitted during a dispatch that has ended.

        Raises:
            KeyboardInterrupt: Sending was interrupted; raised after all was sent.
        """
        interrupted = None
        while frame.queue:
            send = frame.queue.pop(0)
            try:
                with frames.after(frame):
                    send()
            except Exception as error:
                log.error("what a hook reported could not be sent: %s", told(error))
            except KeyboardInterrupt as error:
                interrupted = error
        if interrupted is not None:
            raise interrupted
