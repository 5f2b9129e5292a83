"""`hauberk doctor`: what it looks at; `checks` has what it finds there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import asdict

from hauberk.cli.answer import Answer, listing, printable
from hauberk.cli.checks import all_checks
from hauberk.cli.options import Options
from hauberk.command import FAIL, Check

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text


def doctor(*, options: Options = Options()) -> Answer:
    """Check the machine, the configuration, the plugins and each account's keys.

    Says what to do about whatever is wrong. Starts the plugins as a bot would,
    and stops them again; sends nothing to any exchange and shows no key. Exits 1
    if a check fails, 2 if the configuration cannot be used at all.

    For example:
        hauberk doctor
        hauberk doctor --config mybot/hauberk.yml --json
    """
    from hauberk.opening import load

    checks = list(all_checks(options.config, load(options.config)))
    ok = all(check.status != FAIL for check in checks)
    document = {"ok": ok, "checks": [asdict(check) for check in checks]}
    return Answer(document, lambda: _drawn(checks), ok)


def _drawn(checks: list[Check]) -> RenderableType:
    from rich.text import Text

    colours = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    rows: list[tuple[str | Text, ...]] = []
    for check in checks:
        rows.append((Text(check.status, style=colours[check.status]), check.what, check.found))
        if check.remedy:
            rows.append(("", "", Text(printable(f"-> {check.remedy}"), style="bold")))
    return listing(rows)
