"""Commands, as an operator types them: each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from typing import Any, Final

from attrs import frozen

#: No command of the demo takes this long, whatever else the machine does.
_TIMEOUT_S: Final = 120.0
#: Characters of what went wrong that are repeated.
_WIDTH: Final = 84
#: What commands get to see of the environment: a shell's may hold keys.
_PASSED: Final = ("PATH", "PYTHONPATH", "TMPDIR", "TZ", "LANG", "LC_ALL")


@frozen
class Ran:
    """What came of a command.

    Attributes:
        status: Its exit status.
        document: What it printed.
    """

    status: int
    document: dict[str, Any]

    @property
    def error(self) -> str:
        """What it said was wrong, in one line; empty if nothing was."""
        found = [one["text"] for one in self.document.get("findings", ())]
        return " ".join(str(self.document.get("message") or ", ".join(found)).split())

    @property
    def plugin(self) -> str:
        """Which plugin it was that said no; empty if none did."""
        return str(self.document.get("plugin") or "")


class Terminal:
    """Runs commands with a configuration, and a home of their own.

    Args:
        config: The configuration.
        home: Where they keep what they keep outside the state folder, such as a session.
        say: Is told what is typed.
    """

    def __init__(self, config: Path, home: Path, say: Callable[[str], object]) -> None:
        inherited = {name: os.environ[name] for name in _PASSED if name in os.environ}
        runtime = home / "run"
        runtime.mkdir(0o700)
        self._environ = {
            **inherited,
            "HAUBERK_CONFIG": str(config),
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(runtime),
        }
        self._say = say

    def run(self, *words: str, typed: str = "") -> Ran:
        """Run one.

        Args:
            words: What follows `hauberk`.
            typed: What standard input holds.
        """
        self._say(f"  $ hauberk {' '.join(map(_quoted, words))}")
        done = subprocess.run(  # noqa: S603 - this interpreter, this program
            [sys.executable, "-P", "-m", "hauberk.cli", *words, "--json"],
            input=typed,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=self._environ,
            timeout=_TIMEOUT_S,
            check=False,
        )
        try:
            document = json.loads(done.stdout)
        except ValueError:
            document = {"message": done.stderr[-500:]}
        ran = Ran(done.returncode, document)
        if ran.status:
            self._say(f"    exit {ran.status}: {shorten(ran.error, _WIDTH, placeholder=' …')}")
        return ran


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word
