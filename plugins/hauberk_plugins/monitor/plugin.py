"""The plugin `monitor`: counts what happens, and reports what should not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from attrs import field, frozen, validators

from hauberk.context import Context
from hauberk.hooks import Plugin, hookimpl
from hauberk.keypath import KeyPath
from hauberk.records import Event, Severity
from hauberk.request import Request, Response
from hauberk.spelling import nearest
from hauberk.written import Written
from hauberk_plugins.monitor.counters import MAX_KEYS
from hauberk_plugins.monitor.rule import Counting, Per, Rule
from hauberk_plugins.monitor.security_monitor import SecurityMonitor
from hauberk_plugins.monitor.shipped import RULES, canary


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


@frozen
class MonitorConfig:
    """The section `monitor` of `hauberk.yml`.

    Attributes:
        rules: Rules beside the shipped ones, or in place of one of the same name.
        without: Names of shipped rules that are left out.
        canaries: Accounts that are bait: whoever uses one has stolen it.
        max_keys: For how many users, sources or accounts each rule counts at once.
    """

    rules: tuple[RuleConfig, ...] = ()
    without: tuple[str, ...] = ()
    canaries: tuple[str, ...] = ()
    max_keys: int = field(
        default=MAX_KEYS, validator=[validators.ge(100), validators.le(10_000_000)]
    )


class MonitorPlugin(Plugin):
    """Recorder and observer. Needs the grants `record` and `venues`."""

    interface = (1, 1)
    Config = MonitorConfig

    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        """Say which names lead nowhere."""
        names = [rule.name for rule in RULES]
        for index, name in enumerate(_listed(written.section.get("without"))):
            if name not in names:
                near = nearest(str(name), names)
                yield (written.name, "without", index), f"no shipped rule is called so{near}"
        for index, name in enumerate(_listed(written.section.get("canaries"))):
            if name not in written.accounts:
                near = nearest(str(name), list(written.accounts))
                yield (written.name, "canaries", index), f"no account is called so{near}"

    def __init__(self, config: MonitorConfig) -> None:
        rules = {rule.name: rule for rule in RULES if rule.name not in config.without}
        rules.update((one.name, one.rule()) for one in config.rules)
        rules.update((rule.name, rule) for rule in map(canary, config.canaries))
        self.monitor = SecurityMonitor(rules.values(), config.max_keys)

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Go on with what was counted, unless other rules count."""
        self._context = context
        before = context.predecessor
        if isinstance(before, MonitorPlugin) and before.monitor.rules == self.monitor.rules:
            self.monitor = before.monitor

    @hookimpl
    def on_event(self, event: Event) -> None:
        """Count it."""
        if event.source != self._context.name:
            self._watch(event)

    @hookimpl
    def on_response(self, request: Request, response: Response) -> None:
        """Count what the exchange says."""
        account = self._context.accounts.get(request.account)
        if account is None:
            return
        said = self._context.venues.venue(account.venue).said(response)
        if not said and response.status < 400:
            return
        kind = f"answer.{said or 'rejected'}"
        self._watch(Event(kind, self._context.clock.wall_ns(), "kernel", account=request.account))

    @hookimpl
    def on_status(self) -> Mapping[str, Any]:
        """Say which rules count."""
        return {"rules": [rule.name for rule in self.monitor.rules]}

    def _watch(self, event: Event) -> None:
        for alert in self.monitor.observe(event, self._context.clock.monotonic_ns()):
            self._context.report(alert.rule.title, alert.rule.severity, alert.details)


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []
