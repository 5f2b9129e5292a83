"""Reporting a file that somebody put into the state folder: once, by one process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from hauberk.errors import StoreConflict, safe_text
from hauberk.ports import Store
from hauberk.records import Incident, Severity
from hauberk_plugins.killswitch.folder import HALT, StateFolder

log = logging.getLogger("hauberk")

#: The file that was reported last, by whichever process.
REPORTED: Final = "dropped"
TITLE: Final = f"halted by hand: the file {HALT} in the state folder"


class DropReport:
    """Reports each such file once.

    Args:
        store: Where processes agree on who reports it; `None` where there is none.
        report: Reports an incident, as `Context.report`.
    """

    def __init__(self, store: Callable[[], Store] | None, report: Callable[..., Any]) -> None:
        self._store = store
        self._report = report
        self._seen = ""

    def is_of(self, incident: Incident) -> bool:
        """Whether an incident is such a report."""
        return incident.title == TITLE

    def look(self, dropped: str, folder: StateFolder | None) -> None:
        """Report a file, on a thread of its own, unless it was seen before.

        Args:
            dropped: What tells it from another one; empty where there is none.
            folder: Where it stands.
        """
        if dropped == self._seen or folder is None:
            return
        self._seen = dropped
        if dropped:
            threading.Thread(
                target=self._reported, args=(dropped, folder), name="hauberk-halt-report",
                daemon=True,
            ).start()  # fmt: skip

    def _reported(self, dropped: str, folder: StateFolder) -> None:
        try:
            if self._is_mine(dropped):
                self._report(TITLE, Severity.CRITICAL, {"file": str(folder.path / HALT)})
        except Exception as error:  # the guard was closed meanwhile: it halts all the same
            log.warning("%s is not reported: %s", HALT, safe_text(error))

    def _is_mine(self, dropped: str) -> bool:
        """Whether this process is to report it; where nobody can tell, each does."""
        if self._store is None:
            return True
        try:
            store = self._store()
            record = store.get(REPORTED)
            if record is not None and record.value == dropped.encode():
                return False
            version = 0 if record is None else record.version
            store.put(REPORTED, dropped.encode(), version=version)
        except StoreConflict:
            return False
        except Exception as error:
            log.warning("nobody can tell who reports %s: %s", HALT, safe_text(error))
        return True
