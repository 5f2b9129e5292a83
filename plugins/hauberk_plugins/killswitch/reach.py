"""Whether what a command stopped is stopped outside of its own process, which ends with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from attrs import frozen

from hauberk.command import Started, state_folder
from hauberk.errors import UnsafeFile
from hauberk.records import Incident, Outcome, Severity
from hauberk_plugins.killswitch.folder import HALT, StateFolder, reason_of

_NAME: Final = "killswitch"


@frozen
class Reach:
    """How far a halt reaches.

    Attributes:
        file: The file that halts, where it had to be left; `None` where it was not needed.
        problem: Why it reaches nobody, and what to do; empty where it does.
    """

    file: Path | None = None
    problem: str = ""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What came of it, for the command's own answer.

        Not for the kernel: to a required responder's failure it answers by denying cancels too.
        """
        if self.problem:
            return (Outcome(self.problem, False, plugin=_NAME),)
        if self.file is None:
            return ()
        did = f"left {self.file}, which halts every process, since nothing else could be written"
        return (Outcome(did, plugin=_NAME),)


def ensured(running: Started, incident: Incident) -> Reach:
    """Have every process stop what an incident stops, if need be by the file that halts.

    Args:
        running: The guard that it was reported to, as long as it is open.
        incident: Which.
    """
    part = running.guard.snapshot.part(_NAME)
    plugin: Any = None if part is None else part.plugin
    if plugin is None or plugin.is_left(incident.severity):
        return Reach()
    state = state_folder(running.config)
    if state is None:
        return Reach(problem=f"{_nothing(incident)}: stop the bots themselves")
    todo = f"stop the bots themselves; once there is room: touch {state / HALT}"
    why = "neither the store nor the state folder took it"
    if incident.severity < Severity.CRITICAL:  # the file would stop cancels too
        return Reach(problem=f"{_nothing(incident)}: {why}; {todo}, which halts")
    try:
        return Reach(StateFolder(state).drop(incident.title))
    except (OSError, UnsafeFile) as error:
        why = f"{why}, and {state / HALT} cannot be written either: {reason_of(error)}"
        return Reach(problem=f"{_nothing(incident)}: {why}; {todo}")


def _nothing(incident: Incident) -> str:
    what = "halted" if incident.severity >= Severity.CRITICAL else "restricted"
    return f"nothing outside this process is {what}"
