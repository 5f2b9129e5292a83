"""The command `hauberk audit begin`."""

from __future__ import annotations

from typing import Final

from hauberk.cli import Answer, Options, UsageError
from hauberk.command import started

_NAME: Final = "audit"


def begin(  # noqa: D417 - options describe themselves
    *,
    reason: str,
    options: Options = Options(),  # noqa: B008 - what cyclopts reads
) -> Answer:
    """Set the log aside as it is, and begin another.

    For when a start refuses the log, and you have found out what happened to it. Stop every bot
    first. Nothing of the old log is changed: its folder gets another name, and the record that
    begins the other log tells of it. Move what witnesses hold aside too: it is of the old log.

    For example:
        hauberk audit begin --reason "disk of 3 May was lost, see the report"

    Args:
        reason: Why.
    """
    if not reason.strip():
        raise UsageError("--reason: say why another log is begun")
    who = options.require("config.write")
    with started(options.config, _NAME, is_recorded=False) as audit:
        aside = audit.plugin.begin(reason, who)
        folder = audit.plugin.folder
    told = f"The log is in {aside} now. " if aside else ""
    document = {"aside": str(aside) if aside else None, "folder": str(folder)}
    return Answer(document, f"{told}Another begins in {folder}.")
