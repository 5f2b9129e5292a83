"""What a plugin brings to the command line: commands of its own, and what `doctor` looks at."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from attrs import evolve, frozen

from hauberk.environment import VARIABLES
from hauberk.errors import StartFailed
from hauberk.registry import EMERGENCY

if TYPE_CHECKING:
    from hauberk.guard import Guard
    from hauberk.plan import Plan
    from hauberk.secret import Secret

Status: TypeAlias = Literal["ok", "warn", "fail"]
OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"
#: Bytes; a token has fewer than a hundred.
_MAX_TOKEN: Final = 4_096


@frozen
class Command:
    """One command.

    Attributes:
        name: As typed after `hauberk`, one or two words, for example `budgets`.
        run: A function whose parameters and docstring become the usage; it may take a keyword
            parameter `options: hauberk.cli.Options` for `--config` and `--json`, and returns
            what to print (JSON-able, or `None`).
        capability: What whoever types it needs, for example `vault.write`; empty where anybody
            may who can read the configuration. For what only some uses of it need, see
            `hauberk.cli.Options.require`.
        group: One line about all commands that begin with the same word, for help; of several,
            the first that has one says it.
    """

    name: str
    run: Callable[..., Any]
    capability: str = ""
    group: str = ""


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
        plugin: The plugin's instance; `None` from `whole`.
        guard: The guard around it; it clears nothing, but for that of `whole`.
        config: The configuration.
    """

    plugin: Any
    guard: Guard
    config: Path

    def provider(self, port: str) -> Any:
        """What provides a port, itself: a command acts for the operator, not for a plugin."""
        return self.guard.kernel.crew.view.provider(port)

    def granted(self, grant: str) -> frozenset[str]:
        """Return which plugins of the configuration have a grant, started for this or not."""
        from hauberk.config import read_config

        config = read_config(self.config)
        return frozenset(name for name in config.names if grant in config.granted(name))


@contextmanager
def started(config: str | Path, name: str, *, is_recorded: bool = True) -> Iterator[Started]:
    """Start one plugin and those that provide its ports, for as long as a command runs.

    The recorders start too, so that they hear what the plugin emits.

    Args:
        config: The configuration.
        name: The plugin's name.
        is_recorded: Whether recorders are to hear of it; not where somebody only looks.

    Raises:
        ConfigError: The configuration cannot be used.
        StartFailed: The plugin, or one that it needs, did not start; or a required recorder.
    """
    from hauberk import coredumps
    from hauberk.opening import load
    from hauberk.ownloop import brief_guard

    coredumps.forbid()
    plan = load(config)
    with brief_guard(_around(plan, name, is_recorded=is_recorded)) as guard:
        part = guard.snapshot.part(name)
        if part is None:
            raise StartFailed(name, dict(guard.kernel.crew.skipped)[name])
        yield Started(part.plugin, guard, Path(config))


@contextmanager
def whole(config: str | Path) -> Iterator[Started]:
    """Open the whole guard, as for a bot, for as long as a command that clears requests runs.

    Args:
        config: The configuration.

    Raises:
        ConfigError: The configuration cannot be used.
        StartFailed: A required plugin did not start.
    """
    from hauberk.opening import open as open_guard

    with open_guard(config, transient=True) as guard:
        yield Started(None, guard, Path(config))


def _around(plan: Plan, name: str, *, is_recorded: bool) -> Plan:
    """Leave what one plugin needs, all of it required, and the recorders with what they need."""
    by_name = {planned.name: planned for planned in plan.planned}
    if name not in by_name:
        raise StartFailed(name, dict(plan.skipped).get(name, "it is not listed in `plugins:`"))
    recorders = {one.name for one in plan.planned if is_recorded and "record" in one.grants}
    needed = _with_providers(plan, {name})
    kept = needed | _with_providers(plan, recorders)
    planned = [
        # What is required may have no `async def` responder: whether it started is looked at.
        evolve(one, required=one.required or (one.name in needed and not one.is_async))
        for one in plan.planned
        if one.name in kept
    ]
    return evolve(plan, planned=planned)


def _with_providers(plan: Plan, names: set[str]) -> set[str]:
    """Return plugins and those that provide their ports, and theirs."""
    grants = {planned.name: planned.grants for planned in plan.planned}
    # The emergency lane is the kernel's, and its way out is that port.
    grants = {n: held | {"transport"} if EMERGENCY in held else held for n, held in grants.items()}
    found, waiting = set(names), list(names)
    while waiting:
        for port in grants[waiting.pop()] & plan.settings.ports.keys():
            provider = plan.settings.ports[port]
            if provider in grants and provider not in found:
                found.add(provider)
                waiting.append(provider)
    return found


def session_path(config: str | Path, environ: Mapping[str, str] = VARIABLES) -> Path:
    """Say where the token of whoever is logged in on the command line is kept, mode 0600.

    Where the system has a folder for the time that one is logged in, there, so that it is gone
    afterwards; else in one's home.

    Args:
        config: The configuration; each has a session of its own.
        environ: Environment variables.

    Returns:
        A path, whether or not anything is there; no name of its folder is a secret.
    """
    from hashlib import sha256  # late: it brings OpenSSL

    name = sha256(os.fsencode(Path(config).resolve())).hexdigest()[:16]
    runtime = Path(environ.get("XDG_RUNTIME_DIR", ""))
    if runtime.is_absolute() and _is_ours_alone(runtime):
        return runtime / "hauberk" / name
    state = Path(environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # as the XDG Base Directory Specification has it
        state = Path(environ.get("HOME") or Path.home()) / ".local" / "state"
    return state / "hauberk" / "sessions" / name


def stored_token(config: str | Path) -> Secret | None:
    """Return the token that `hauberk login` has kept, or `None`.

    Raises:
        UnsafeFile: Others may use the file, or it is not ours; says what to do.
    """
    from hauberk.files import read_private
    from hauberk.secret import Secret

    try:
        return Secret(read_private(session_path(config), _MAX_TOKEN))
    except (FileNotFoundError, NotADirectoryError):
        return None


def state_folder(config: str | Path) -> Path | None:
    """Return the state folder of a configuration, also of one that is wrong in another place.

    `None` where the file cannot be read at all.
    """
    from hauberk.config import read_config
    from hauberk.errors import ConfigError

    try:
        return read_config(config).settings.state_dir
    except ConfigError:
        return None


def owner_of(path: str | Path) -> str | None:
    """Return the name of the user that runs this, if a file or folder is theirs.

    Args:
        path: Which; of a link, what it leads to counts.

    Returns:
        A name, or `uid` and a number where the user has none; `None` where it belongs to
        somebody else.

    Raises:
        FileNotFoundError: There is none.
    """
    user = os.geteuid()
    if Path(path).stat().st_uid != user:
        return None
    from pwd import getpwuid

    try:
        return getpwuid(user).pw_name
    except KeyError:
        return f"uid {user}"


def _is_ours_alone(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return mine and not found.st_mode & 0o077
