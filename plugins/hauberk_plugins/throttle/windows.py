"""`Window`: a limit of an exchange, as its venue file describes it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen

from hauberk.errors import InvalidValue

SECOND_NS: Final = 1_000_000_000


class Kind(StrEnum):
    """How the exchange cuts time."""

    #: From one boundary of its clock to the next, for example each minute.
    CALENDAR = "calendar"
    #: Any stretch of that length.
    ROLLING = "rolling"
    #: A counter that each request raises, and that falls evenly, all that it holds in that length.
    DECAYING = "decaying"


class Scope(StrEnum):
    """Who shares a budget."""

    #: Everybody who calls the venue from here.
    IP = "ip"
    #: One account of the exchange: all in `hauberk.yml` that name the same key.
    ACCOUNT = "account"
    #: All accounts with the same API key, told apart by their references to it.
    KEY = "key"
    #: One instrument, for all accounts with the same API key.
    INSTRUMENT = "instrument"


@frozen
class Window:
    """A limit of an exchange, as its venue file describes it.

    Attributes:
        name: Unique within the venue, for example `weight-1m`.
        kind: `calendar`, `rolling` or `decaying`.
        scope: `ip`, `account`, `key` or `instrument`.
        seconds: Its length, whole seconds; of a decaying one, in which it drains from full.
        size: What it holds.
        counts: Which figure of an endpoint's cost it adds up, for example `weight`.
        reserve: How much of the size is kept for cancels alone.

    Raises:
        InvalidValue: A value has the wrong type or lies out of range.
    """

    name: str
    kind: Kind
    scope: Scope
    seconds: int
    size: int
    counts: str
    reserve: int = 0

    def __attrs_post_init__(self) -> None:
        if not all(type(text) is str and text for text in (self.name, self.counts)):
            raise InvalidValue("a window's name and counts must be text")
        if type(self.kind) is not Kind or type(self.scope) is not Scope:
            raise InvalidValue(f"window {self.name!r}: kind must be a Kind and scope a Scope")
        for what, value in (("seconds", self.seconds), ("size", self.size)):
            if type(value) is not int or value < 1:
                raise InvalidValue(f"window {self.name!r}: {what} must be a whole number from 1")
        if type(self.reserve) is not int or not 0 <= self.reserve < self.size:
            raise InvalidValue(
                f"window {self.name!r}: reserve must be a whole number from 0, below its size"
            )
