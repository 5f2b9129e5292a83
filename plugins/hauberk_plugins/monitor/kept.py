"""Counts of what commands do: each is a process of its own, so they are kept between them.

What a bot counts stays in memory, where it costs nothing; commands are few, and people type them.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final

from hauberk.errors import StoreError
from hauberk.ports import Store
from hauberk.records import Event
from hauberk_plugins.monitor.security_monitor import Alert, SecurityMonitor

RECORD: Final = "counts"


class KeptMonitor:
    """A monitor whose counts are in a store.

    Args:
        monitor: Counts.
        store: Keeps the counts.
    """

    def __init__(self, monitor: SecurityMonitor, store: Store) -> None:
        self._monitor = monitor
        self._store = store

    def observe(self, event: Event, wall_ns: int) -> list[Alert]:
        """Count an event on top of what commands before counted; return what is an alert by it.

        Args:
            event: What happened.
            wall_ns: The wall clock: others count by it too.
        """
        if not self._monitor.watches(event.kind):
            return []
        alerts: list[Alert] | None = None
        # Where the store fails it counts all the same, by what this process has seen.
        with suppress(StoreError), self._store.transaction() as inside:
            record = inside.get(RECORD)
            self._monitor.load(_read(record.value) if record is not None else {})
            alerts = self._monitor.observe(event, wall_ns)
            inside.put(RECORD, json.dumps(self._monitor.dump()).encode())
        return self._monitor.observe(event, wall_ns) if alerts is None else alerts


def _read(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if type(found) is dict else {}
