"""Rules: what is counted, for whom, and how much of it is an alert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from attrs import field, frozen

from hauberk.errors import InvalidValue
from hauberk.records import Severity

#: Events that somebody may cause who has no rights here: nobody may halt trading from outside.
FROM_OUTSIDE: Final = ("login.denied", "auth.refused", "gateway.")
#: The most that such events may be.
MOST_FROM_OUTSIDE: Final = Severity.MEDIUM
_MAX_WINDOW_S: Final = 7 * 86_400


class Per(StrEnum):
    """For whom a rule counts."""

    ALL = "all"
    ACCOUNT = "account"
    USER = "user"
    SOURCE = "source"


class Counting(StrEnum):
    """What a rule counts."""

    #: Every event that matches.
    EVENTS = "events"
    #: Only the first from each pair of user and source: somebody comes from where he never did.
    UNSEEN = "unseen"
    #: The share of `of` among all that match, in percent, once there are enough of them.
    SHARE = "share"


@frozen
class Rule:
    """One rule.

    Attributes:
        name: Unique.
        title: Of the incident that it reports.
        on: Kinds of events, as `login.denied` or `request.*`.
        where: Fields that the event must have, each with one of the values.
        per: For whom it counts.
        counts: What it counts.
        of: For `share`: fields that an event of the share has besides.
        window_s: For how long an event counts.
        threshold: From how many on it is an alert; for `share`, percent.
        least: For `share`: of how many at least.
        severity: Of the incident.

    Raises:
        InvalidValue: It could never alert, or would let an outsider stop trading; says why.
    """

    name: str
    title: str
    on: tuple[str, ...]
    threshold: int
    where: Mapping[str, tuple[str, ...]] = field(factory=dict)
    per: Per = Per.ALL
    counts: Counting = Counting.EVENTS
    of: Mapping[str, tuple[str, ...]] = field(factory=dict)
    window_s: float = 60.0
    least: int = 1
    severity: Severity = Severity.MEDIUM

    def __attrs_post_init__(self) -> None:
        if not self.name or not self.title:
            raise InvalidValue("a rule has a name and a title")
        if not self.on or not all(_is_pattern(kind) for kind in self.on):
            raise InvalidValue(
                f"rule {self.name!r}: `on` lists kinds, as login.denied or request.*"
            )
        if self.threshold < 1 or self.least < 1:
            raise InvalidValue(f"rule {self.name!r}: threshold and least are 1 at least")
        if not 0 < self.window_s <= _MAX_WINDOW_S:
            raise InvalidValue(f"rule {self.name!r}: window_s lies between 0 and {_MAX_WINDOW_S}")
        is_share = self.counts is Counting.SHARE
        if is_share != bool(self.of) or (is_share and self.threshold > 100):
            raise InvalidValue(f"rule {self.name!r}: a share has `of`, and a threshold up to 100")
        if self.severity > MOST_FROM_OUTSIDE and any(map(_is_from_outside, self.on)):
            raise InvalidValue(
                f"rule {self.name!r}: what an outsider can cause is {MOST_FROM_OUTSIDE.name} at "
                "most: nobody may halt trading from outside"
            )


def is_of_kind(kind: str, patterns: Sequence[str]) -> bool:
    """Whether a kind is one of those listed."""
    return any(
        kind.startswith(pattern[:-1]) if pattern.endswith("*") else kind == pattern
        for pattern in patterns
    )


def has_fields(fields: Mapping[str, Any], wanted: Mapping[str, Sequence[str]]) -> bool:
    """Whether each field that is wanted has one of its values; `a.*` begins with `a.`."""
    for name, values in wanted.items():
        found = fields.get(name)
        text = (
            found if isinstance(found, str) else str(found).lower() if found is not None else None
        )
        if text is None or not is_of_kind(text, values):
            return False
    return True


def _is_pattern(text: object) -> bool:
    return isinstance(text, str) and bool(text) and "*" not in text[:-1]


def _is_from_outside(pattern: str) -> bool:
    beginning = pattern.removesuffix("*")
    return any(
        kind.startswith(beginning) if pattern.endswith("*") else pattern.startswith(kind)
        for kind in FROM_OUTSIDE
    ) or any(beginning.startswith(kind) for kind in FROM_OUTSIDE if kind.endswith("."))
