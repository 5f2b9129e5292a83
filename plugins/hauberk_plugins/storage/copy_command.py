"""The command `hauberk storage copy`."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any, Final, Literal

from hauberk.cli import Answer, Options
from hauberk.command import Command, started
from hauberk.errors import InvalidValue
from hauberk_plugins.storage.copying import Copied
from hauberk_plugins.storage.progress import progress

_NAME: Final = "storage"
_AGAIN: Final = "nothing was changed where the records are. Do it again to go on"


def copy(  # noqa: D417
    to: Literal["sqlite", "postgres"],
    /,
    *,
    url: str = "",
    options: Options = Options(),  # noqa: B008
) -> Answer:
    """Copy every record of every plugin into another store, to use that from then on.

    Stop whatever uses this configuration first: what it writes meanwhile would be left behind.
    The records stay where they are, too. All is read back before it says that it is done. It may
    be stopped at any moment, and done again.

    For example:
        hauberk storage copy postgres --url env:HAUBERK_DATABASE

    Args:
        to: Where to.
        url: For postgres, where its connection string is: env:NAME.
    """
    section = {"backend": to, **({"url": url} if url else {})}
    with started(options.config, _NAME) as running:
        here = running.plugin.stores.where
        with closing(running.plugin.stores_of(section)) as target:
            if target.where == here:
                raise InvalidValue(f"{here} is where the records are already")
            fields = {"from": here, "to": target.where, "by": options.require("vault.write")}
            running.plugin.tell("copied", fields)
            copying = running.plugin.copying(target)
            with progress(copying.begin(), "copying", _AGAIN) as show:
                for left in copying.steps():
                    show(left)
            there = target.where
    done: Copied = copying.done
    document = {"records": done.records, "copied": done.copied, "to": there, "section": section}
    return Answer(document, _told(done, here, there, section))


def _told(done: Copied, here: str, there: str, section: dict[str, Any]) -> str:
    values = ", ".join(f"{name}: {json.dumps(value)}" for name, value in section.items())
    records = "1 record is" if done.records == 1 else f"{done.records} records are"
    return "\n".join(
        [
            f"{records} in {there}, {done.copied} of them copied, and all read back.",
            "Put this into hauberk.yml, then start what you stopped:",
            "",
            f"  storage: {{{values}}}",
            "",
            f"What is in {here} stays: remove it when all is well.",
        ]
    )


#: What the plugin contributes.
COMMANDS: Final = (Command("storage copy", copy, "vault.write", "See to where records are kept."),)
