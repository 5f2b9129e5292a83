"""The operator of `hauberk demo`: logs in, lifts, proves, restores, all by typing commands."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from hauberk.cli.demo_terminal import Ran, Terminal

OPERATOR: Final = "ada"
_PASSWORD: Final = "a heron stands in cold water"  # noqa: S105 - of nobody
#: How often, and how long apart, one tries to log in where somebody's guesses slow that down.
_LOGINS, _LOGIN_S = 10, 1.0


class Operator:
    """Types commands, each of which runs in a process of its own.

    Args:
        terminal: Where.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._run = terminal.run

    def enrol(self) -> Ran:
        """Become the first user: from here on, what changes something needs a login."""
        return self._run("user", "add", OPERATOR, "--role", "admin", typed=f"{_PASSWORD}\n")

    def log_in(self) -> Ran:
        """Log in; where the answer is no, again after a while."""
        ran = self._log_in()
        for _ in range(_LOGINS):
            if ran.status != 1:
                break
            time.sleep(_LOGIN_S)
            ran = self._log_in()
        return ran

    def resume(self, reason: str) -> Ran:
        """Lift what is stopped."""
        return self._run("resume", "--reason", reason)

    def make_point(self) -> Ran:
        """Make a recovery point."""
        return self._run("recovery", "create", "--reason", "all is well")

    def restore(self) -> Ran:
        """Go back to it, and say that one knows what was recorded since."""
        return self._run("recovery", "restore", "latest", "--accept-rollback")

    def incidents(self) -> Ran:
        """List the incidents."""
        return self._run("incident", "list")

    def verify(self, folder: Path | None = None) -> Ran:
        """Verify the audit's log, or a copy of it."""
        where = () if folder is None else ("--folder", str(folder))
        return self._run("audit", "verify", *where)

    def left(self) -> Ran:
        """Ask the audit which requests have left."""
        return self._run("audit", "show", "--action", "request.left")

    def _log_in(self) -> Ran:
        return self._run("login", OPERATOR, typed=f"{_PASSWORD}\n")
