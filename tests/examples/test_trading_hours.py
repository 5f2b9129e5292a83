"""A third party's distribution, from its source to a guard: built, installed, and let in or not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.examples.distributions import install, python

OPEN = """
import hauberk, json, sys
from hauberk.testing import FakeClock

told = {"error": "", "denied": "", "plugins": []}
order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": 1}
try:
    with hauberk.open("hauberk.yml", clock=FakeClock()) as guard:
        told["plugins"] = [[part.name, part.origin] for part, _ in guard.snapshot.parts]
        url = "https://api.binance.com/api/v3/order"
        try:
            guard.clear(hauberk.Request("POST", url, order))
        except hauberk.Denied as denied:
            told["denied"] = [denied.plugin, denied.reason, denied.retry_after]
except hauberk.HauberkError as error:
    told["error"] = [type(error).__name__, str(error)]
told["imported"] = sorted(name for name in sys.modules if name.startswith("hauberk_trading"))
print(json.dumps(told))
"""

CONFIG = """
state: state
plugins: [{plugins}]
required: [killswitch, policy, throttle, signing]
accounts: {{main: {{venue: binance, key: "env:K", secret: "env:S"}}}}
"""
BUILT_IN = "killswitch, policy, bots, throttle, signing"
WITH = "killswitch, policy, trading_hours, bots, throttle, signing"
ALLOWED = "third_party: {hauberk-trading-hours: {plugins: [trading_hours], grants: []}}\n"
# The clock of the kit begins on Tuesday 2023-11-14 at 22:13:20 UTC.
HOURS = """
trading_hours:
  timezone: America/New_York
  weekly: {mon: ["09:30-16:00"], wed: ["09:30-16:00"]}
  blackouts: ["2023-11-15", 2023-11-16..2023-11-19, "2023-11-20T09:30..2023-11-20T11:00"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution as a wheel, installed beside Hauberk and not into its environment."""
    return install(
        "hauberk-trading-hours", tmp_path_factory.mktemp("hauberk-trading-hours") / "made"
    )


def _open(site: Path, folder: Path, plugins: str, *sections: str) -> dict[str, object]:
    (folder / "hauberk.yml").write_text(CONFIG.format(plugins=plugins) + "\n".join(sections))
    shown = python("-W", "error", "-c", OPEN, cwd=folder, PYTHONPATH=str(site), K="key", S="secret")
    told: dict[str, object] = json.loads(shown)
    return told


def test_it_is_loaded_and_judges_when_it_is_allow_listed(site: Path, tmp_path: Path) -> None:
    told = _open(site, tmp_path, WITH, ALLOWED, HOURS)
    assert told["error"] == ""
    assert ["trading_hours", "hauberk-trading-hours 0.1.0"] in told["plugins"]  # type: ignore[operator]
    plugin, reason, retry_after = told["denied"]  # type: ignore[misc]
    assert plugin == "trading_hours"
    assert "which begin Mon 2023-11-20 11:00:00 America/New_York" in reason
    assert retry_after == 496_000  # from 22:13:20 UTC to 16:00 UTC, six days on


def test_it_is_not_even_imported_when_it_is_not_named(site: Path, tmp_path: Path) -> None:
    told = _open(site, tmp_path, BUILT_IN)
    assert (told["error"], told["denied"], told["imported"]) == ("", "", [])
    assert "trading_hours" not in str(told["plugins"])


def test_it_is_refused_unimported_when_it_is_listed_and_not_allowed(
    site: Path, tmp_path: Path
) -> None:
    told = _open(site, tmp_path, WITH)
    kind, message = told["error"]  # type: ignore[misc]
    assert kind == "ConfigError"
    assert "plugins" in message
    assert "'trading_hours' is no built-in and of no distribution in third_party" in message
    assert told["imported"] == []


def test_allowing_another_distribution_does_not_let_it_in(site: Path, tmp_path: Path) -> None:
    other = ALLOWED.replace("hauberk-trading-hours", "hauberk-other-hours")
    told = _open(site, tmp_path, WITH, other)
    assert told["imported"] == []
    assert "trading_hours" not in str(told["plugins"])


def test_its_section_is_checked_with_line_and_what_to_write(site: Path, tmp_path: Path) -> None:
    wrong = HOURS.replace("America/New_York", "America/New_Yrok").replace("mon:", "monday:")
    kind, message = _open(site, tmp_path, WITH, ALLOWED, wrong)["error"]  # type: ignore[misc]
    assert kind == "ConfigError"
    assert re.search(
        r"hauberk\.yml:\d+: trading_hours\.timezone: .*did you mean America/New_York", message
    )
    assert re.search(r"hauberk\.yml:\d+: trading_hours\.weekly: .*no day of the week", message)
