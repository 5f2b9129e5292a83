"""What a plugin brings to the command line: commands of its own, and what `doctor` looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from attrs import frozen

if TYPE_CHECKING:
    from hauberk.guard import Guard

Status: TypeAlias = Literal["ok", "warn", "fail"]
OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"


@frozen
class Command:
    """One command.

    Attributes:
        name: As typed after `hauberk`, one or two words, for example `budgets`.
        run: A function whose parameters and docstring become the usage; it may take a keyword
            parameter `options: hauberk.cli.Options` for `--config` and `--json`, and returns
            what to print (JSON-able, or `None`).
        capability: What whoever types it needs, for example `vault.write`; empty where anybody
            may who can read the configuration.
    """

    name: str
    run: Callable[..., Any]
    capability: str = ""


@frozen
class Check:
    """One thing that `hauberk doctor` looked at.

    Attributes:
        what: What it is.
        status: `ok`, `warn` or `fail`.
        found: What was found.
        remedy: What to do about it; empty where nothing needs doing.
    """

    what: str
    status: Status
    found: str
    remedy: str = ""


@frozen(eq=False)
class Started:
    """A plugin that was started for a command, and what provides its ports.

    Attributes:
        plugin: The plugin's instance.
        guard: The guard around it; it clears nothing.
    """

    plugin: Any
    guard: Guard

    def provider(self, port: str) -> Any:
        """What provides a port, itself: a command acts for the operator, not for a plugin."""
        return self.guard.kernel.crew.view.provider(port)


@contextmanager
def started(config: str | Path, name: str) -> Iterator[Started]:
    """Start one plugin and those that provide its ports, for as long as a command runs.

    Args:
        config: The configuration.
        name: The plugin's name.

    Raises:
        ConfigError: The configuration cannot be used.
        StartFailed: The plugin, or one that it needs, did not start.
    """
    from hauberk.opening import open_for

    with open_for(config, name) as guard:
        plugin = next(part.plugin for part, _ in guard.snapshot.parts if part.name == name)
        yield Started(plugin, guard)
