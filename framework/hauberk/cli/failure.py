"""What comes of an exception: exit status, document for machines, words for people.

Whose fault it is decides: 1 the answer is no, 2 what was typed or configured, 3 Hauberk, a plugin
or the machine.
"""

from __future__ import annotations

import errno
import traceback
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from hauberk.errors import (
    Altered,
    ConfigError,
    CredentialsMissing,
    Denied,
    HauberkError,
    StoreError,
)

DONE: Final = 0
NO: Final = 1
USAGE: Final = 2
FAILURE: Final = 3
#: 128 + SIGINT, as shells count.
INTERRUPTED: Final = 130
#: The machine's fault, wherever one writes, and what to do about it.
_MACHINE: Final = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room, or have your quota raised",
    errno.EIO: "check that disk",
}


class UsageError(HauberkError):
    """What was typed cannot be done, or not there."""


class DiskFailed(HauberkError):
    """A disk took no more, or failed; each file stands as it was, or is not there.

    Attributes:
        path: What was to be written; empty where that is not known.
        problem: What the operating system said.
        remedy: What to do.
    """

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        super().__init__(path, problem, remedy)
        self.path = path
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{f'{self.path}: ' if self.path else ''}{self.problem}: {self.remedy}"


class CommandFailed(HauberkError):
    """A command that a plugin contributed raised, or answered what cannot be printed.

    Attributes:
        plugin: Whose command it is.
    """

    def __init__(self, plugin: str, command: str, why: str) -> None:
        super().__init__(plugin, command, why)
        self.plugin = plugin
        self._command = command
        self._why = why

    def __str__(self) -> str:
        return f"command {self._command!r} of plugin {self.plugin!r} {self._why}"


@frozen
class Failure:
    """How an exception ends the program.

    Attributes:
        status: Exit status.
        document: What `--json` prints.
        text: What is printed on stderr.
    """

    status: int
    document: dict[str, Any]
    text: str


def failure(error: BaseException) -> Failure:
    """Say how an exception ends the program."""
    if isinstance(error, KeyboardInterrupt):
        return Failure(
            INTERRUPTED, {"error": "Interrupted", "message": "interrupted"}, "interrupted"
        )
    if isinstance(error, OSError) and is_machines(error):
        error = disk_failed(error)
    if not isinstance(error, HauberkError):
        return _defect(error)
    status = USAGE
    if isinstance(error, Denied | Altered):
        status = NO
    elif isinstance(error, StoreError | CommandFailed | DiskFailed):
        status = FAILURE
    document = {"error": type(error).__name__, "message": str(error), **_fields(error)}
    return Failure(status, document, _text(error))


def unwritable(error: OSError, advice: str) -> Exception:
    """Return what to raise where something could not be written: who typed it chose the place.

    Args:
        error: What the operating system said.
        advice: What to do.
    """
    if is_machines(error):
        return disk_failed(error, advice)
    is_file = isinstance(error, FileExistsError | NotADirectoryError)
    why = "it is no folder" if is_file else error.strerror
    return UsageError(f"{error.filename}: {why}: {advice}")


def is_machines(error: OSError) -> bool:
    """Whether it is the machine's fault, wherever one writes."""
    return error.errno in _MACHINE


def disk_failed(error: OSError, advice: str = "") -> DiskFailed:
    """Return what to raise for what is the machine's fault."""
    remedy = "; ".join(filter(None, [advice, _MACHINE.get(error.errno or 0, "check that disk")]))
    path = "" if error.filename is None else str(error.filename)
    return DiskFailed(path, error.strerror or type(error).__name__, remedy)


def is_missing(path: Path) -> bool:
    """Whether nothing is there; where that cannot be told, something may be."""
    try:
        return not path.exists()
    except OSError:
        return False


def _fields(error: HauberkError) -> dict[str, Any]:
    if isinstance(error, Denied):
        return {n: getattr(error, n) for n in ("plugin", "reason", "retry_after")}
    if isinstance(error, CredentialsMissing):
        return {n: getattr(error, n) for n in ("account", "reference", "looked_in")}
    if isinstance(error, ConfigError):
        names = ("file", "line", "path", "message")
        return {"problems": [{n: getattr(p, n) for n in names} for p in error.problems]}
    plugin = getattr(error, "plugin", None)
    return {} if plugin is None else {"plugin": plugin}


def _text(error: HauberkError) -> str:
    if not isinstance(error, ConfigError):
        return str(error)
    count = len(error.problems)
    lines = [f"the configuration cannot be used: {count} problem{'s' if count > 1 else ''}"]
    lines += [f"  {problem}" for problem in error.problems]
    if any(p.line == 0 and not p.path and is_missing(Path(p.file)) for p in error.problems):
        lines.append("make one with `hauberk init`, or name another: --config FILE")
    return "\n".join(lines)


def _defect(error: BaseException) -> Failure:
    """Whatever is not raised on purpose; the text of an operating system's error is safe to show.

    That of any other is not: it may quote a value.
    """
    name = type(error).__name__
    if isinstance(error, OSError):
        what = f": {error.strerror}" + (f": {error.filename}" if error.filename else "")
    else:
        frame = traceback.extract_tb(error.__traceback__)[-1:]
        what = "".join(f" in {Path(f.filename).name}, line {f.lineno}" for f in frame)
    message = f"internal failure: {name}{what}"
    advice = "" if isinstance(error, OSError) else "\nThis is a defect: please report it."
    return Failure(FAILURE, {"error": name, "message": message}, message + advice)
