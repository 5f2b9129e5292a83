"""`KillSwitch`: what stops requests, whoever said so, and what is still permitted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from enum import Enum, IntEnum
from typing import Any, Final

from attrs import asdict, evolve, field, frozen

from hauberk.errors import HauberkError
from hauberk.request import Operation

_RESTRICTED: Final = frozenset(
    {Operation.PUBLIC, Operation.READ, Operation.CANCEL, Operation.REDUCE}
)
MAX_TITLE: Final = 200
#: Further incidents whose ids a state names; the oldest are forgotten first.
MAX_ALSO: Final = 16


class BadState(HauberkError):
    """What was stored as the state of a kill switch is none."""


class Level(IntEnum):
    """How much is stopped."""

    NORMAL = 0
    #: Only reading, cancelling and orders that reduce a position.
    RESTRICTED = 1
    #: Everything.
    HALTED = 2


def _cut(title: str) -> str:
    return title[:MAX_TITLE]


def _newest(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(ids)[-MAX_ALSO:]


@frozen
class State:
    """A level and what it comes from.

    Attributes:
        level: How much is stopped.
        title: The incident's title, cut to `MAX_TITLE`, or another reason.
        incident: The incident's id; empty if it was none.
        also: Ids of incidents since then that would have stopped as much or less.
    """

    level: Level = Level.NORMAL
    title: str = field(default="", converter=_cut)
    incident: str = ""
    also: tuple[str, ...] = field(default=(), converter=_newest)

    def __str__(self) -> str:
        if not self.level:
            return self.level.name.lower()
        incident = f" ({self.incident})" if self.incident else ""
        more = f" and {len(self.also)} more" if self.also else ""
        # repr: a title with line breaks or escapes in it forges nothing where this is shown.
        return f"{self.level.name.lower()} since {self.title!r}{incident}{more}"

    @property
    def incidents(self) -> tuple[str, ...]:
        """The ids of all incidents that it comes from."""
        return tuple(one for one in (self.incident, *self.also) if one)

    def joined(self, other: State) -> State:
        """Return what stops as much as either; the same object where nothing is added."""
        if other.level > self.level:
            more = tuple(one for one in self.incidents if one not in other.incidents)
            return evolve(other, also=(*more, *other.also)) if self.level and more else other
        if not other.level:
            return self
        fresh = tuple(one for one in other.incidents if one not in self.incidents)
        return evolve(self, also=(*self.also, *fresh)) if fresh else self

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
        return cls.from_json(found)

    @classmethod
    def from_json(cls, found: Any) -> State:
        """Read what was parsed; as `from_bytes`."""
        if type(found) is not dict or set(found) != {"level", "title", "incident", "also"}:
            raise BadState("it has other fields than level, title, incident and also")
        also = found["also"]
        texts = (found["level"], found["title"], found["incident"])
        if type(also) is not list or not all(type(text) is str for text in (*texts, *also)):
            raise BadState("level, title, incident or also is no text")
        levels = {level.name.lower(): level for level in Level}
        if found["level"] not in levels:
            raise BadState(f"it has the level {found['level'][:40]!r}")
        return cls(levels[found["level"]], found["title"], found["incident"], also)


NORMAL: Final = State()


class Source(Enum):
    """Who says how much is stopped."""

    #: Incidents of this process that nobody else knows of yet.
    OWN = "own"
    #: Incidents of another process, from the state folder, that the store has not got yet.
    HEARD = "heard"
    #: What every process that shares the store, or the state folder, knows.
    SHARED = "shared"
    #: A file that somebody put into the state folder.
    DROPPED = "dropped"
    #: The store cannot be read, so nobody knows what it says.
    STORE_BLIND = "store"
    #: The state folder cannot be read, likewise.
    FOLDER_BLIND = "folder"


class KillSwitch:
    """Holds what each source says; the highest level of them holds. May be used from any thread.

    Attributes:
        state: What holds.
        level: Its level.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may report
        self._said = dict.fromkeys(Source, NORMAL)
        self.state = NORMAL
        self.level = Level.NORMAL

    def said(self, source: Source) -> State:
        """What a source says."""
        return self._said[source]

    def rise(self, level: Level, title: str, incident: str = "") -> bool:
        """Stop at least so much, as an incident of this process demands.

        Args:
            level: The level; a lower one than the present one stops no more.
            title: Why.
            incident: The incident's id.

        Returns:
            Whether it rose.
        """
        return self.join(State(level, title, incident))

    def join(self, state: State) -> bool:
        """The same, as a state demands."""
        with self._lock:
            was = self.level
            self._say(Source.OWN, self._said[Source.OWN].joined(state))
            return self.level > was

    def say(self, source: Source, state: State) -> bool:
        """Take over what a source says, which may be less than before.

        Returns:
            Whether another level holds.
        """
        with self._lock:
            was = self.level
            self._say(source, state)
            return self.level is not was

    def shared(self, own: State, shared: State) -> bool:
        """Take over what everybody knows, incidents of this process up to `own` among it.

        What came after `own` was looked at is still this process's alone.

        Returns:
            Whether another level holds.
        """
        with self._lock:
            was = self.level
            self._say(Source.SHARED, shared)  # first: in between it must not sink
            if self._said[Source.OWN] is own:
                self._say(Source.OWN, NORMAL)
            return self.level is not was

    def permits(self, operation: Operation) -> bool:
        """Whether an operation may go on: all when normal, none when halted."""
        level = self.level
        if level is Level.NORMAL:
            return True
        return level is Level.RESTRICTED and operation in _RESTRICTED

    def _say(self, source: Source, state: State) -> None:
        self._said[source] = state
        # The first of those that are equal: an incident says more than a file.
        self.state = max(self._said.values(), key=lambda one: one.level)
        self.level = self.state.level
