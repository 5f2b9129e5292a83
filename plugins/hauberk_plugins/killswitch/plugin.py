"""The plugin `killswitch`: stops requests once something is wrong. Stands first, required."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from hauberk.command import OK, WARN, Check, Command
from hauberk.context import Context
from hauberk.hooks import Plugin, hookimpl
from hauberk.keypath import KeyPath
from hauberk.records import Incident, Outcome, Severity
from hauberk.request import Request
from hauberk.verdicts import Deny
from hauberk.written import Written
from hauberk_plugins.killswitch.book import A_TURN, LEVELS, UNKEPT, IncidentBook
from hauberk_plugins.killswitch.desk import EmergencyDesk
from hauberk_plugins.killswitch.dropped import DropReport
from hauberk_plugins.killswitch.emergencies import KillSwitchConfig, misnamed
from hauberk_plugins.killswitch.folder import StateFolder
from hauberk_plugins.killswitch.handler import IncidentHandler
from hauberk_plugins.killswitch.keeping import Keeping
from hauberk_plugins.killswitch.stored import Stored
from hauberk_plugins.killswitch.switch import KillSwitch, Level, State
from hauberk_plugins.killswitch.worker import Worker

log = logging.getLogger("hauberk")

#: How often a running process looks at the state folder, and at the store.
LOOK_S: Final = 0.25
#: How long an incident waits for the store, and a process that ends: seconds.
WAIT_S: Final = 1.0


class KillSwitchPlugin(Plugin):
    """Guard and responder: HIGH restricts, CRITICAL halts, and only `hauberk resume` lifts it.

    With the grant `store` and a provider of that port, its state and incidents are those of every
    process that shares it, and survive a restart; without, they are this process's alone, and a
    restart lifts it. A file `HALT` in the state folder halts in any case.
    """

    interface = (1, 1)
    Config = KillSwitchConfig

    #: What the kernel asks about incidents.
    incident_book: IncidentBook

    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        """Say which accounts of its section are none, and which symbols."""
        if isinstance(written.config, KillSwitchConfig):
            for path, message in misnamed(written.config, written.accounts):
                yield (written.name, *path), message

    def __new__(cls, config: KillSwitchConfig | None = None) -> KillSwitchPlugin:
        """Make one that is told how requests end, which costs each of them, only where it must."""
        is_plain = cls is not KillSwitchPlugin or config is None or config.is_empty
        return super().__new__(cls if is_plain else _Remembering)

    def __init__(self, config: KillSwitchConfig | None = None) -> None:
        self._config = config or KillSwitchConfig()
        self._switch = KillSwitch()
        self._desk: EmergencyDesk | None = None
        self._folder: StateFolder | None = None
        self._heard: list[State] = []
        self._told: deque[Incident] = deque(maxlen=UNKEPT)

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Take over the switch of the instance before, then what is stored."""
        self._context = context
        before = context.predecessor
        former = before if isinstance(before, KillSwitchPlugin) else None
        if former is not None:
            # Shared, not copied: an incident may come to the old instance while this one starts.
            self._switch = former._switch
        store = (lambda: context.store) if context.has("store") else None
        if context.state_dir is not None:
            self._folder = StateFolder(context.state_dir)
        self._keeping = Keeping(
            self._switch, store, self._folder, time.monotonic_ns, self._level_changed
        )
        self._watcher = Worker("hauberk-halt", LOOK_S, self._watch)
        self._keeper = Worker("hauberk-halt-store", LOOK_S, self._keep)
        # A thread of its own: however much there is to write down, the halt's store is looked at.
        self._clerk = Worker("hauberk-incidents", LOOK_S, self._write_down)
        handler = IncidentHandler(store, context.clock.wall_ns) if store is not None else None
        self.incident_book = IncidentBook(
            handler, self._switch, self._clerk.ask, self._learned, context.ended
        )
        if former is not None:
            self.incident_book.take_over(former.incident_book)
        self._drop = DropReport(store, context.report)
        self._open_desk(before)
        self._keeping.begin()
        self.incident_book.turn()
        if context.is_resident:
            self._watcher.start()
            self._keeper.start()
            self._clerk.start()

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        """Deny what the state does not permit."""
        folder = self._folder
        if folder is not None and folder.is_stirred():
            self._keeping.look()
        if self._switch.permits(request.operation):
            return None
        state = self._switch.state
        if state.level is Level.HALTED:
            return Deny(str(state))
        return Deny(f"{state}: no {request.operation.value} until it is lifted")

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome | None:
        """Rise in memory first; then have it stored, without waiting for long."""
        level = LEVELS.get(incident.severity)
        if level is None:
            return None
        is_reported_drop = self._drop.is_of(incident)
        rose = self._keeping.rise(level, incident.title, incident.id)
        self._context.recheck()  # before anything that may hang
        state = self._switch.state
        if self._desk is not None:
            self._desk.alarm(state.level, incident.id, rose=rose or is_reported_drop)
        did = state.level.name.lower() if rose else f"{state.level.name.lower()} already"
        # Not a failure to act: were it one, the kernel would deny cancels too.
        why = self._unstored()
        return Outcome(f"{did}, but a restart would lift it: not stored: {why}" if why else did)

    @hookimpl
    def on_stop(self) -> None:
        """Renew no timer any more; have the store know what this process knows."""
        if self._desk is not None:
            self._desk.stop()
        self._watcher.stop()
        self._clerk.stop()
        self._keeper.stop(WAIT_S)
        self._clerk.stop(WAIT_S)

    @hookimpl
    def on_commands(self) -> Sequence[Command]:
        """Contribute `resume` and `incident`."""
        # Late: it brings the command line, which a bot does not need.
        from hauberk_plugins.killswitch import commands, incident_commands

        return (*commands.COMMANDS, *incident_commands.COMMANDS)

    @hookimpl
    def on_doctor(self) -> Sequence[Check]:
        """Whether anything is stopped."""
        state = self._switch.state
        if not state.level:
            return [Check("kill switch", OK, "nothing is stopped")]
        remedy = "find out what happened, mend it, then: hauberk resume --reason TEXT"
        return [Check("kill switch", WARN, str(state), remedy)]

    def seen(self) -> Stored:
        """Return what may be lifted, as it stands; raises as `Keeping.seen`."""
        return self._keeping.seen()

    def is_left(self, severity: Severity) -> bool:
        """Whether what an incident of a severity stops outlasts this process, by store or file."""
        level = LEVELS.get(severity)
        return level is None or self._keeping.is_left(level)

    def lift(self, seen: Stored, reason: str, by: str = "") -> State:
        """Lift what was seen, and nothing that came later; also what cannot be read.

        Args:
            seen: As `seen` returned it.
            reason: Why; recorded.
            by: Who; recorded.

        Returns:
            What it was; halted where it could not be read.

        Raises:
            ChangedMeanwhile: Another incident came meanwhile.
            Standing: The file that halts is there.
            StoreError: It cannot be stored.
        """
        self._keeping.lift(seen, reason)
        was = State() if seen.state is None else seen.state
        self._context.emit("lifted", {"was": str(was), "reason": reason, "by": by})
        return was

    def _open_desk(self, before: object) -> None:
        former = before._desk if isinstance(before, KillSwitchPlugin) else None
        if self._config.is_empty and former is None:
            return
        self._desk = EmergencyDesk(
            self._config, self._context, lambda: self._switch.state.level is Level.HALTED, former
        )

    def _unstored(self) -> str:
        """Have the state stored; say why it is not, in which case it is tried again."""
        if not self._context.has("store"):
            return ""
        if not self._keeper.ask(WAIT_S):
            return self._keeping.problem or "the store has not answered yet"
        return self._keeping.problem

    def _level_changed(self, was: State) -> None:
        """Have those that have not left yet asked again; bots hear of it from the keeper."""
        self._context.recheck()
        if not self._context.is_resident:
            return
        log.warning("kill switch: %s, was %s", self._switch.state, was)
        if self._switch.level > was.level:
            state = self._switch.state
            self._heard.append(state)
            if self._desk is not None:  # whoever reported it may have died before it was done
                self._desk.alarm(state.level, state.incident, rose=True)
            self._keeper.ask()

    def _watch(self) -> None:
        """Look at the state folder, and whether the store answers."""
        self._keeping.look()
        self._drop.look(self._keeping.dropped, self._folder)

    def _keep(self) -> None:
        """Bring the store and this process together. May hang with the store."""
        self._pass_on()
        # What was learned before this turn: its effect, which the turn finds, is passed on first.
        learned = min(len(self._told), A_TURN)
        self._keeping.turn()
        self._pass_on()
        for _ in range(learned):
            self._context.pass_on(self._told.popleft())
        if self._told:
            self._keeper.ask()

    def _learned(self, incident: Incident) -> None:
        """Have this process's bots told of another one's incident, once its effect is known."""
        self._told.append(incident)
        self._keeper.ask()

    def _write_down(self) -> None:
        """Have the store know this process's incidents, and the other way round; may hang too."""
        self.incident_book.turn()

    def _pass_on(self) -> None:
        """Tell this process's bots of incidents that only their effect is known of yet."""
        severities = {level: severity for severity, level in LEVELS.items()}
        while self._heard:
            state = self._heard.pop(0)
            if state.incident and state.level:
                severity, now_ns = severities[state.level], self._context.clock.wall_ns()
                incident = Incident(
                    state.incident, state.title, severity, self._context.name, now_ns
                )
                self._context.pass_on(incident, again=True)


class _Remembering(KillSwitchPlugin):
    """One whose section has it cancel everything, or keep timers: by symbol, in some markets."""

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:  # noqa: ARG002
        """Remember the symbols of orders that left."""
        if left and self._desk is not None:
            self._desk.note(request)
