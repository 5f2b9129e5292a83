"""A rule as `hauberk.yml` says it."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from hauberk.records import Severity
from hauberk_plugins.monitor.rule import Counting, Per, Rule


@frozen
class RuleConfig:
    """A rule of `hauberk.yml`; one under the name of a shipped rule stands in its place.

    Attributes:
        name: Unique.
        title: Of the incident.
        on: Kinds of events, as `login.denied` or `request.*`.
        threshold: From how many on, or for a share how many percent.
        where: Fields that the event must have, each with the values that count.
        per: For whom it counts: `all`, `account`, `user` or `source`.
        counts: `events`, `unseen` or `share`.
        of: For a share, what an event of it has besides.
        window_s: For how long an event counts.
        least: For a share, of how many at least.
        severity: Of the incident.
    """

    name: str
    title: str
    on: tuple[str, ...]
    threshold: int
    where: dict[str, tuple[str, ...]] = field(factory=dict)
    per: Per = Per.ALL
    counts: Counting = Counting.EVENTS
    of: dict[str, tuple[str, ...]] = field(factory=dict)
    window_s: float = 60.0
    least: int = 1
    severity: Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"] = "MEDIUM"

    def __attrs_post_init__(self) -> None:
        self.rule()  # what could never alert is told with its line

    def rule(self) -> Rule:
        """Return the rule.

        Raises:
            InvalidValue: It could never alert, or would let an outsider stop trading.
        """
        return Rule(
            name=self.name,
            title=self.title,
            on=self.on,
            threshold=self.threshold,
            where=self.where,
            per=self.per,
            counts=self.counts,
            of=self.of,
            window_s=self.window_s,
            least=self.least,
            severity=Severity[self.severity],
        )
