"""The commands `hauberk halt` and `hauberk resume`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from attrs import evolve

from hauberk.cli import Answer, Options
from hauberk.command import Command, started, state_folder, whole
from hauberk.errors import Denied, HauberkError, InvalidValue, UnsafeFile
from hauberk.records import Incident, Severity
from hauberk_plugins.killswitch.folder import HALT, StateFolder, reason_of
from hauberk_plugins.killswitch.reach import ensured

#: How young a login must be to lift anything: seconds.
FRESH_S: Final = 300
_NAME: Final = "killswitch"
_DEFAULTS: Final = Options()


def halt(  # noqa: D417 - what every command takes describes itself
    *, reason: str = "halted by hand", options: Options = _DEFAULTS
) -> Answer:
    """Stop everything, in every process that shares the store or the state folder.

    It is reported as an incident of severity CRITICAL: nothing leaves any
    more, cancels neither, sessions end, keys are not handed out, and whoever
    is to know is told. Where the guard cannot be opened, or a full disk takes
    nothing else, a file HALT in the state folder halts instead. `hauberk
    resume` lifts it.

    Exits 1 if nothing outside this command is halted: it says what to do.

    For example:
        hauberk halt
        hauberk halt --reason "orders that nobody placed"

    Args:
        reason: Why; the title of the incident.
    """
    if not reason.strip():
        raise InvalidValue("--reason: say why, or leave it out")
    try:
        who = options.require("halt")
        with whole(options.config) as running:
            reported = running.guard.kernel.report
            incident = reported("hauberk", reason, Severity.CRITICAL, {"by": who})
            reach = ensured(running, incident)
    except Denied:
        raise
    except HauberkError as error:
        return _dropped(options.config, reason, error)
    if not incident.is_contained:
        return _dropped(options.config, reason, MissedError(incident))
    told = evolve(incident, outcomes=(*incident.outcomes, *reach.outcomes))
    file = None if reach.file is None else str(reach.file)
    document = {"incident": told.id, "file": file, "outcomes": told.told()["outcomes"]}
    did = "\n".join(f"  {one.plugin}: {one.did}" for one in told.outcomes)
    what = "NOT halted" if reach.problem else "halted"
    return Answer(document, f"{what}: incident {told.id}\n{did}", ok=not reach.problem)


class MissedError(HauberkError):
    """The kill switch of this process did not act."""

    def __init__(self, incident: Incident) -> None:
        failed = [f"{one.plugin} {one.did}" for one in incident.outcomes if not one.ok]
        super().__init__("; ".join(failed))


def _dropped(config: Path, reason: str, error: HauberkError) -> Answer:
    """Halt by a file, where nothing else is left."""
    state = state_folder(config)
    if state is None:
        raise error
    try:
        path = StateFolder(state).drop(reason)
    except (OSError, UnsafeFile) as unwritten:
        why = f"{error}; and {state / HALT} cannot be written either: {reason_of(unwritten)}"
        raise HauberkError(f"nothing is halted: {why}; stop the bots themselves") from None
    document: dict[str, Any] = {"incident": None, "file": str(path), "outcomes": []}
    return Answer(document, f"halted by {path}, since the guard could not be opened: {error}")


def resume(  # noqa: D417
    *, reason: str, options: Options = _DEFAULTS
) -> Answer:
    """Lift a restriction or a halt, in every process; running ones need no restart.

    Find out first what happened, and mend it: `hauberk incident list --open`.
    Needs the role for it, and a login of the last five minutes: hauberk login.
    What came meanwhile is not lifted.

    For example:
        hauberk resume --reason "key replaced, see the report of 24 November"

    Args:
        reason: Why it is safe to go on.
    """
    if not reason.strip():
        raise InvalidValue("--reason: say why it is safe to go on")
    who = options.require("resume", fresh_s=FRESH_S)
    with started(options.config, _NAME) as running:
        seen = running.plugin.seen()
        was = seen.state
        document: dict[str, Any] = {
            "was": was.level.name.lower(),
            "title": was.title,
            "incident": was.incident,
        }
        document |= {"incidents": list(was.incidents), "by": who}
        if not was.level:
            return Answer(document, "nothing is stored that stops requests")
        running.plugin.lift(seen, reason, who)
    told = f"lifted: {was}"
    if was.incident:
        told += (
            f"\nonce it is dealt with: hauberk incident resolve {was.incident} --resolution TEXT"
        )
    return Answer(document, told)


#: `halt` is one of the kernel's own: it must be there whatever the configuration says.
COMMANDS: Final = (Command("resume", resume),)
