"""What a plugin brings to the command line: commands of its own, and what `doctor` looks at."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from attrs import frozen

from hauberk.environment import VARIABLES

if TYPE_CHECKING:
    from hauberk.guard import Guard
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
