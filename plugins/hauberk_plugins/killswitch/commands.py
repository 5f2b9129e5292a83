"""The command `hauberk resume`."""

from __future__ import annotations

from typing import Final

from hauberk.cli import Answer, Options
from hauberk.command import Command, started
from hauberk.errors import InvalidValue


def resume(  # noqa: D417 - options describe themselves
    *,
    reason: str,
    options: Options = Options(),  # noqa: B008 - what cyclopts reads
) -> Answer:
    """Lift a restriction or a halt, for whatever starts from here on.

    A process that runs keeps its own state: restart it. Find out first what
    happened, and mend it.

    For example:
        hauberk resume --reason "key replaced, see the report of 24 November"

    Args:
        reason: Why it is safe to go on.
    """
    if not reason.strip():
        raise InvalidValue("--reason: say why it is safe to go on")
    with started(options.config, "killswitch") as running:
        was = running.plugin.lift(reason)
    document = {"was": was.level.name.lower(), "title": was.title, "incident": was.incident}
    if not was.level:
        return Answer(document, "nothing is stored that stops requests")
    return Answer(document, f"lifted: {was}. Restart what runs.")


COMMANDS: Final = (Command("resume", resume, "resume"),)
