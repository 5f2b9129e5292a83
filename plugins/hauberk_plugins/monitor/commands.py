"""The command `hauberk monitor rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import asdict

from hauberk.cli import Answer, Options, table
from hauberk.command import Command, started
from hauberk_plugins.monitor.rule import Counting, Rule

if TYPE_CHECKING:
    from rich.console import RenderableType

_COLUMNS: Final = ("rule", "severity", "alerts at", "for each", "counts")


def rules(*, options: Options = Options()) -> Answer:  # noqa: B008 - what cyclopts reads
    """List the rules that count, with what each counts and from how much on it reports.

    For example:
        hauberk monitor rules
        hauberk monitor rules --json
    """
    with started(options.config, "monitor", is_recorded=False) as running:
        found: tuple[Rule, ...] = running.plugin.monitor.rules

    def drawn() -> RenderableType:
        return table("", _COLUMNS, [row(rule) for rule in found])

    return Answer({"rules": [_document(rule) for rule in found]}, drawn)


def row(rule: Rule) -> tuple[str, ...]:
    """Return what a table says of a rule."""
    kinds = ", ".join(rule.on)
    fields = "; ".join(f"{name} {' or '.join(values)}" for name, values in rule.where.items())
    what = f"{kinds} with {fields}" if fields else kinds
    if rule.counts is Counting.UNSEEN:
        what = f"the first from a place: {what}"
    threshold = str(rule.threshold)
    if rule.counts is Counting.SHARE:
        of = "; ".join(f"{name} {' or '.join(values)}" for name, values in rule.of.items())
        what = f"the share of {of} among {what}"
        threshold = f"{rule.threshold} % of {rule.least} at least"
    return rule.name, rule.severity.name, f"{threshold} in {_span(rule)}", rule.per.value, what


def _span(rule: Rule) -> str:
    minutes = rule.window_s / 60
    return f"{minutes:g} min" if minutes < 60 else f"{minutes / 60:g} h"


def _document(rule: Rule) -> dict[str, Any]:
    return {**asdict(rule), "severity": rule.severity.name}


COMMANDS: Final = (Command("monitor rules", rules, group="What is watched."),)
