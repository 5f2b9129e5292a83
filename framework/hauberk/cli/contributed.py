"""Commands that plugins contribute through `on_commands`: asked for, checked, contained."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from hauberk import dispatch
from hauberk.command import Command
from hauberk.frames import Frame
from hauberk.opening import load
from hauberk.ownloop import made
from hauberk.plan import Planned
from hauberk.registry import implementations
from hauberk.telling import told

log = logging.getLogger("hauberk")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}(?: [a-z][a-z0-9-]{0,31})?\Z")
#: What commands of the built-ins begin with: for whoever types one of a plugin that is not listed.
BUILTIN_COMMANDS: Final = {
    "audit": ("audit",),
    "auth": ("login", "logout", "sessions", "token", "user", "whoami"),
    "keys": ("keys",),
    "monitor": ("monitor",),
    "killswitch": ("incident", "resume"),
    "notify": ("notify",),
    "policy": ("policy",),
    "recovery": ("recovery",),
    "signing": ("nonces",),
    "storage": ("storage", "vault"),
    "throttle": ("budgets",),
}


@frozen(eq=False)
class Contributed:
    """A command, and the plugin that it is from."""

    command: Command
    plugin: str


def contributed(config: Path, taken: Collection[str]) -> Iterator[Contributed]:
    """Yield what the plugins of a configuration contribute, in their order, starting none.

    What cannot be had is left out with a warning: a plugin that raises, a command that is none or
    whose name is taken.

    Args:
        config: The configuration.
        taken: Names of the commands there are.

    Raises:
        HauberkError: The configuration cannot be used.
    """
    plan = load(config)
    names = set(taken)
    for planned in plan.planned:
        for command in _asked(planned):
            if reason := _objection(command, names):
                log.warning("a command of plugin %s is left out: %s", planned.name, reason)
            else:
                names.add(command.name)
                yield Contributed(command, planned.name)


def builtin_with(word: str) -> str:
    """Return the built-in plugin that contributes commands which begin with a word, or nothing."""
    return next((name for name, words in BUILTIN_COMMANDS.items() if word in words), "")


def is_listed(name: str, config: Path) -> bool:
    """Whether a plugin is among those of a configuration, as a provider too."""
    return any(planned.name == name for planned in load(config).planned)


def _asked(planned: Planned) -> list[Any]:
    """Ask one plugin, whatever it does."""
    try:
        hooks = implementations(made(planned))
        if "on_commands" not in hooks:
            return []
        return list(dispatch.contained(hooks["on_commands"], frame=Frame()) or ())
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        log.warning("plugin %s contributes no commands: %s", planned.name, told(error))
        return []


def _objection(command: Any, names: set[str]) -> str:
    """Say why a command may not be added, or nothing."""
    if type(command) is not Command:
        return f"{type(command).__name__} is no hauberk.command.Command"
    name = command.name
    if type(name) is not str or not _NAME.match(name):
        return "its name must be one or two words of a-z, 0-9 and -"
    if not callable(command.run):
        return f"{name!r} has a `run` that cannot be called"
    if type(command.capability) is not str:
        return f"{name!r} has a `capability` that is no text"
    if type(command.group) is not str or not command.group.isprintable():
        return f"{name!r} has a `group` that is no line of text"
    if name in names:
        return f"the name {name!r} is taken"
    if name.split()[0] in names:
        return f"{name.split()[0]!r} is a command, so {name!r} cannot be"
    if any(other.split()[0] == name for other in names):
        return f"there are commands below {name!r}, so it cannot be one itself"
    return _unparsable(command)


def _unparsable(command: Command) -> str:
    """Say why arguments cannot be read for it, or nothing."""
    from cyclopts import App

    try:
        App(default_command=command.run).assemble_argument_collection(parse_docstring=True)
    except Exception as error:
        return f"its parameters cannot be read: {told(error)}"
    return ""
