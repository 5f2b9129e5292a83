"""The plugin `killswitch`: stops requests once something is wrong. Stands first, required."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hauberk.command import Command
from hauberk.context import Context
from hauberk.errors import safe_text
from hauberk.hooks import Plugin, hookimpl
from hauberk.records import Incident, Outcome, Severity
from hauberk.request import Request
from hauberk.verdicts import Deny
from hauberk_plugins.killswitch.stored import RECORD, load, save
from hauberk_plugins.killswitch.switch import KillSwitch, Level, State

#: How long after a failure it is stored again, at the earliest.
STORE_AGAIN_NS: Final = 1_000_000_000
_LEVELS: Final = {Severity.HIGH: Level.RESTRICTED, Severity.CRITICAL: Level.HALTED}


class KillSwitchPlugin(Plugin):
    """Guard and responder: HIGH restricts, CRITICAL halts, and nothing lowers it here.

    With the grant `store` and a provider of that port, the state survives a restart, until
    `hauberk resume` lifts it; without, it is held in memory and a restart lifts it.
    """

    interface = (1, 1)

    def __init__(self) -> None:
        self._switch = KillSwitch()
        #: When what is not stored yet is to be stored again, monotonic; 0 when all is stored.
        self._store_again_ns = 0

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Take over the switch of the instance before, then what is stored."""
        self._context = context
        before = context.predecessor
        if isinstance(before, KillSwitchPlugin):
            # Shared, not copied: an incident may come to the old instance while this one starts.
            self._switch = before._switch
        if not context.has("store"):
            return
        try:
            stored = load(context.store)
        except Exception as error:  # whatever it is, nobody knows that all was well
            self._switch.rise(Level.HALTED, f"the stored state is unreadable: {safe_text(error)}")
            return
        self._switch.rise(stored.level, stored.title, stored.incident)
        if self._switch.state.level > stored.level:  # halted before there was a store
            save(context.store, self._switch.state)

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        """Deny what the state does not permit."""
        if self._store_again_ns and self._context.clock.monotonic_ns() >= self._store_again_ns:
            self._store()
        if self._switch.permits(request.operation):
            return None
        state = self._switch.state
        if state.level is Level.HALTED:
            return Deny(str(state))
        return Deny(f"{state}: no {request.operation.value} until it is lifted")

    @hookimpl
    def on_incident(self, incident: Incident) -> Outcome | None:
        """Rise in memory first, then store."""
        level = _LEVELS.get(incident.severity)
        if level is None:
            return None
        rose = self._switch.rise(level, incident.title, incident.id)
        state = self._switch.state
        did = state.level.name.lower() if rose else f"{state.level.name.lower()} already"
        # Not a failure to act: were it one, the kernel would deny cancels too.
        why = self._store()
        return Outcome(f"{did}, but a restart would lift it: not stored: {why}" if why else did)

    @hookimpl
    def on_commands(self) -> Sequence[Command]:
        """Contribute `resume`."""
        # Late: it brings the command line, which a bot does not need.
        from hauberk_plugins.killswitch.commands import COMMANDS

        return COMMANDS

    def lift(self, reason: str) -> State:
        """Forget the stored state, also one that cannot be read.

        Args:
            reason: Why; recorded.

        Returns:
            What it was; halted where it could not be read.

        Raises:
            StoreError: It cannot be removed.
        """
        was = self._switch.state
        if self._context.has("store"):
            self._context.store.delete(RECORD)
        self._context.emit("lifted", {"was": str(was), "reason": reason})
        return was

    def _store(self) -> str:
        """Store the state; say why not, in which case a later request has it stored again."""
        if not self._context.has("store"):
            return ""
        try:
            save(self._context.store, self._switch.state)
        except Exception as error:  # it stays risen in memory, whatever the store does
            self._store_again_ns = self._context.clock.monotonic_ns() + STORE_AGAIN_NS
            return safe_text(error)
        self._store_again_ns = 0
        return ""
