"""Lines of the security guide's `audit.log`, as the plugin `audit` records them: unproven."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

from attrs import frozen

from hauberk.cli.guide.takeover import State
from hauberk.cli.guide.trail import Entry, Trail, batches, entries
from hauberk.records import to_json
from hauberk_plugins.audit.index import Index, Query
from hauberk_plugins.audit.logger import AuditLogger
from hauberk_plugins.audit.record import epoch_ns, line

#: What the kind of a record begins with that was taken over.
UNPROVEN: Final = "unproven."
_SOURCE: Final = "guide"
_BATCH: Final = 500


@frozen(eq=False)
class AuditRecords:
    """The log into which they are taken over.

    Attributes:
        log: The log.
        wall_ns: The wall clock.
    """

    log: AuditLogger
    wall_ns: Callable[[], int]

    def state(self, trail: Trail) -> tuple[State, str]:
        """Say whether all lines are there, and what is in the way."""
        there = self._there(trail)
        number = -1
        is_absent = False
        for entry in entries(trail.file):
            number = entry.number
            digest = there.get(number)
            if digest is None:
                is_absent = True
            elif digest != entry.digest:
                return State.DIFFERS, f"line {number} was another one when it was taken over"
        if max(there, default=-1) > number:
            return State.DIFFERS, "it has fewer lines than were taken over"
        return (State.ABSENT, "") if is_absent else (State.THERE, "")

    def add(self, trail: Trail) -> None:
        """Record what is not there yet.

        Raises:
            AuditError: It cannot be recorded; what was stays, and doing it again goes on.
        """
        there = self._there(trail)
        missing = (entry for entry in entries(trail.file) if entry.number not in there)
        for batch in batches(missing, _BATCH):
            self.log.log(*(self._line(trail, entry) for entry in batch))

    def _there(self, trail: Trail) -> dict[int, str]:
        """Return the hashes of the lines that were taken over, by number."""
        self.log.flush()
        found = {}
        with closing(Index(self.log.folder)) as index:
            for _, record in index.find(Query(action=f"{UNPROVEN}*")):
                fields = record.fields
                if record.source == _SOURCE and fields.get("trail") == trail.name:
                    found[fields["line"]] = fields["sha256"]
        return found

    def _line(self, trail: Trail, entry: Entry) -> bytes:
        marks = {"unproven": True, "trail": trail.name, "line": entry.number}
        fields: dict[str, Any] = {**marks, "sha256": entry.digest}
        if entry.said is None:
            return line(
                f"{UNPROVEN}unreadable", self.wall_ns(), _SOURCE, {**fields, "text": entry.text}
            )
        said = json.loads(to_json(entry.said))
        fields |= {"user": said["user"], "said_at": said["timestamp"], "details": said["details"]}
        at_ns = self.wall_ns() if entry.at is None else epoch_ns(entry.at)
        return line(f"{UNPROVEN}{said['action']}", at_ns, _SOURCE, fields)
