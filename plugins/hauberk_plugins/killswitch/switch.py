"""`KillSwitch`: a state that only ever rises, and what it still permits."""

from __future__ import annotations

import json
import threading
from enum import IntEnum
from typing import Any, Final

from attrs import asdict, frozen

from hauberk.errors import HauberkError
from hauberk.request import Operation

_RESTRICTED: Final = frozenset(
    {Operation.PUBLIC, Operation.READ, Operation.CANCEL, Operation.REDUCE}
)
MAX_TITLE: Final = 200


class BadState(HauberkError):
    """What was stored as the state of a kill switch is none."""


class Level(IntEnum):
    """How much is stopped."""

    NORMAL = 0
    #: Only reading, cancelling and orders that reduce a position.
    RESTRICTED = 1
    #: Everything.
    HALTED = 2


@frozen
class State:
    """A level and the incident that it comes from.

    Attributes:
        level: How much is stopped.
        title: The incident's title, cut to `MAX_TITLE`, or another reason.
        incident: The incident's id; empty if it was none.
    """

    level: Level = Level.NORMAL
    title: str = ""
    incident: str = ""

    def __str__(self) -> str:
        incident = f" ({self.incident})" if self.incident else ""
        # repr: a title with line breaks or escapes in it forges nothing where this is shown.
        return f"{self.level.name.lower()} since {self.title!r}{incident}"

    def to_bytes(self) -> bytes:
        """Write it as a record."""
        return json.dumps({**asdict(self), "level": self.level.name.lower()}).encode()

    @classmethod
    def from_bytes(cls, record: bytes) -> State:
        """Read a record.

        Raises:
            BadState: It is not one, or has more or less in it than this version knows.
        """
        try:
            found: Any = json.loads(record)
        except (ValueError, RecursionError):
            raise BadState("it is not JSON") from None
        levels = {level.name.lower(): level for level in Level}
        is_state = type(found) is dict and set(found) == {"level", "title", "incident"}
        if not is_state or not all(type(value) is str for value in found.values()):
            raise BadState("it has other fields than level, title and incident")
        if found["level"] not in levels:
            raise BadState(f"it has the level {found['level'][:40]!r}")
        return cls(levels[found["level"]], found["title"], found["incident"])


class KillSwitch:
    """Holds a state that rises and never sinks. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may report
        self._state = State()

    @property
    def state(self) -> State:
        """As it now stands."""
        return self._state

    def rise(self, level: Level, title: str, incident: str = "") -> bool:
        """Rise to a level.

        Args:
            level: The level; a lower one than the present one, or the same, changes nothing.
            title: Why.
            incident: The incident's id.

        Returns:
            Whether it rose.
        """
        with self._lock:
            if level <= self._state.level:
                return False
            self._state = State(level, title[:MAX_TITLE], incident)
            return True

    def permits(self, operation: Operation) -> bool:
        """Whether an operation may go on: all when normal, none when halted."""
        level = self._state.level
        if level is Level.NORMAL:
            return True
        return level is Level.RESTRICTED and operation in _RESTRICTED
