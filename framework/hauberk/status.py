"""What the plugins of running guards say of themselves, for commands in other processes.

A plugin says it through the hook `on_status`; `statuses` reads it, as old as the last few seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from hauberk.leftfiles import is_running, left

_MAX_PLUGINS = 1_000


@frozen
class Status:
    """What the plugins of one process said.

    Attributes:
        pid: The process.
        at_ns: When they said it, on its wall clock, nanoseconds since the epoch.
        plugins: What each said, by its name in `hauberk.yml`; only as good as the folder.
    """

    pid: int
    at_ns: int
    plugins: Mapping[str, Mapping[str, Any]] = field(repr=False)


def statuses(folder: Path | None) -> Iterator[Status]:
    """Yield what every running guard left in a state folder, by process id.

    Args:
        folder: As `context.state_dir` says; with `None` there is none.
    """
    if folder is None:
        return
    for pid, document in left(folder, "status"):
        if (
            not is_running(pid)
            or type(document) is not dict
            or set(document) != {"at_ns", "plugins"}
        ):
            continue
        at_ns, plugins = document["at_ns"], document["plugins"]
        if type(at_ns) is not int or type(plugins) is not dict or len(plugins) > _MAX_PLUGINS:
            continue
        yield Status(pid, at_ns, {k: v for k, v in plugins.items() if type(v) is dict})
