"""From a file to a running guard. Importing this loads the readers of configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hauberk import coredumps, leftfiles, process
from hauberk.config import read_config
from hauberk.discovery import configs, discover
from hauberk.errors import ConfigError, ConfigProblem, UnsafeFile
from hauberk.files import make_private_folder
from hauberk.guard import Guard
from hauberk.ownloop import brief_guard
from hauberk.plan import Plan
from hauberk.ports import Clock
from hauberk.schema import json_schema


def open(  # noqa: A001 - read as hauberk.open
    path: str | Path = "hauberk.yml", *, clock: Clock | None = None, transient: bool = False
) -> Guard:
    """Open a guard from `hauberk.yml`.

    Opened in the main thread, it reloads on SIGHUP where nothing else handles that. From here on
    the process leaves no core dump: there would be keys in it.

    Args:
        path: The configuration.
        clock: Time; the system's unless given.
        transient: For tools that look or sign once: handles no SIGHUP, and makes no state folder
            and leaves no counts there. Where no event loop runs, it brings one for the plugins
            that need it.

    Returns:
        A guard, to be closed; use it in a `with`.

    Raises:
        ConfigError: The file, or the state folder that it names, cannot be used; lists every
            problem, and nothing was started.
        StartFailed: A required plugin is missing or did not start.
        PluginRefused: A plugin breaks a rule of registration.
    """
    coredumps.forbid()
    plan = load(path)
    if transient:
        return brief_guard(plan, clock=clock, replan=lambda: load(path))
    state = plan.settings.state_dir
    if state is not None:
        _make_folder(state, str(path))
        leftfiles.forget_dead(state)
    guard = Guard(plan, clock=clock, replan=lambda: load(path), resident=True)
    process.reload_on_sighup(guard)
    return guard


def load(path: str | Path) -> Plan:
    """Read a configuration and find its plugins, starting none.

    Raises:
        ConfigError: The file cannot be used; lists every problem.
        StartFailed: A required plugin cannot be loaded.
    """
    return discover(read_config(path))


def schema_for(path: str | Path) -> dict[str, Any]:
    """Return the JSON Schema of a configuration, with sections for the plugins that it names.

    Where it cannot be read, those of the built-in plugins.
    """
    try:
        config = read_config(path)
    except ConfigError:
        config = None
    return json_schema(configs(config))


def _make_folder(state: Path, file: str) -> None:
    """Make the state folder where there is none."""
    try:
        if not state.is_dir():
            make_private_folder(state)
    except UnsafeFile as error:
        raise _no_state(state, file, error.problem) from None
    except OSError as error:
        raise _no_state(state, file, error.strerror or type(error).__name__) from None


def _no_state(state: Path, file: str, why: str) -> ConfigError:
    message = f"the state folder {state} cannot be made: {why}; name another"
    return ConfigError([ConfigProblem(file, 0, "state", message)])
