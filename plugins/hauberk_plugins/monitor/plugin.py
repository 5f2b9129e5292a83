"""The plugin `monitor`: counts what happens, and reports what should not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen, validators

from hauberk.command import Command
from hauberk.context import Context
from hauberk.errors import HauberkError
from hauberk.hooks import Plugin, hookimpl
from hauberk.keypath import KeyPath
from hauberk.records import Event
from hauberk.request import Request, Response
from hauberk.spelling import nearest
from hauberk.written import Written
from hauberk_plugins.monitor.counters import MAX_KEYS
from hauberk_plugins.monitor.kept import KeptMonitor
from hauberk_plugins.monitor.packages import rules_of
from hauberk_plugins.monitor.rule_config import RuleConfig
from hauberk_plugins.monitor.security_monitor import SecurityMonitor
from hauberk_plugins.monitor.shipped import RULES, canary

#: The status of a ban, whatever code is in the answer: Binance sends that of a limit.
_BANNED: Final = 418
_UNAUTHORIZED: Final = 401


@frozen
class MonitorConfig:
    """The section `monitor` of `hauberk.yml`.

    Attributes:
        rules: Rules beside the shipped ones, or in place of one of the same name.
        packages: Distributions whose rules count too, under names that begin with theirs. They are
            data: nothing of a distribution is imported for them.
        without: Names of rules that are left out, of shipped ones and of packages.
        canaries: Accounts that are bait: whoever uses one has stolen it.
        max_keys: For how many users, sources or accounts each rule counts at once.
    """

    rules: tuple[RuleConfig, ...] = ()
    packages: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    canaries: tuple[str, ...] = ()
    max_keys: int = field(
        default=MAX_KEYS, validator=[validators.ge(100), validators.le(10_000_000)]
    )


class MonitorPlugin(Plugin):
    """Recorder and observer. Needs the grants `record` and `venues`.

    With `store`, what commands do is counted from one to the next.
    """

    interface = (1, 1)
    Config = MonitorConfig

    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        """Say which names lead nowhere."""
        names = [rule.name for rule in RULES]
        for index, name in enumerate(_listed(written.section.get("packages"))):
            try:
                names += [rule.name for rule in rules_of(str(name))]
            except HauberkError as error:
                yield (written.name, "packages", index), str(error)
        for index, name in enumerate(_listed(written.section.get("without"))):
            if name not in names:
                near = nearest(str(name), names)
                yield (written.name, "without", index), f"no rule is called so{near}"
        for index, name in enumerate(_listed(written.section.get("canaries"))):
            if name not in written.accounts:
                near = nearest(str(name), list(written.accounts))
                yield (written.name, "canaries", index), f"no account is called so{near}"

    def __init__(self, config: MonitorConfig) -> None:
        others = [rule for name in config.packages for rule in rules_of(name)]
        rules = {rule.name: rule for rule in (*RULES, *others) if rule.name not in config.without}
        rules.update((one.name, one.rule()) for one in config.rules)
        rules.update((rule.name, rule) for rule in map(canary, config.canaries))
        self.monitor = SecurityMonitor(rules.values(), config.max_keys)

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Go on with what was counted, unless other rules count."""
        self._context = context
        is_kept = not context.is_resident and context.has("store")
        self._kept = KeptMonitor(self.monitor, context.store) if is_kept else None
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
        if response.status == _BANNED:
            said = "banned"
        elif not said:
            said = "unauthorized" if response.status == _UNAUTHORIZED else "rejected"
        kind = f"answer.{said}"
        self._watch(Event(kind, self._context.clock.wall_ns(), "kernel", account=request.account))

    @hookimpl
    def on_status(self) -> Mapping[str, Any]:
        """Say which rules count."""
        return {"rules": [rule.name for rule in self.monitor.rules]}

    @hookimpl
    def on_commands(self) -> Sequence[Command]:
        """Contribute `monitor rules`."""
        # Late: it brings the command line, which a bot does not need.
        from hauberk_plugins.monitor.commands import COMMANDS

        return COMMANDS

    def _watch(self, event: Event) -> None:
        clock = self._context.clock
        if self._kept is not None:
            alerts = self._kept.observe(event, clock.wall_ns())
        else:
            alerts = self.monitor.observe(event, clock.monotonic_ns())
        for alert in alerts:
            self._context.report(alert.title, alert.rule.severity, alert.details)


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []
