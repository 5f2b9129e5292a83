"""A third party's guard of logins, from its source to a guard with real users."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from tests.examples.distributions import install, python

OPEN = """
import hauberk, json
from hauberk import Login, Secret
from hauberk.testing import FakeClock

told = {"error": "", "denied": {}, "incidents": []}
try:
    with hauberk.open("hauberk.yml", clock=FakeClock()) as guard:

        @guard.on_incident
        def heard(incident):
            told["incidents"].append([incident.source, incident.title, incident.severity.name])

        for source in ("10.1.2.3", "203.0.113.7", "command line"):
            try:
                guard.login(Login("ada", Secret("nobody's password"), source=source))
            except hauberk.Denied as denied:
                told["denied"][source] = [denied.plugin, denied.retry_after]
except hauberk.HauberkError as error:
    told["error"] = str(error)
print(json.dumps(told))
"""
# The clock of the kit begins on Tuesday 2023-11-14 at 22:13:20 UTC.
CONFIG = """
state: state
plugins: [killswitch, policy, bots, throttle, signing, office_hours, auth]
required: [killswitch, policy, throttle, signing, office_hours]
third_party: {{hauberk-office-hours: {{plugins: [office_hours], grants: []}}}}
encryption: {{key: "file:wrapping.key"}}
accounts: {{main: {{venue: binance, key: "env:K", secret: "env:S"}}}}
office_hours: {{networks: [10.1.0.0/16], hours: "{hours}"}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution as a wheel, installed beside Hauberk and not into its environment."""
    return install("hauberk-office-hours", tmp_path_factory.mktemp("hauberk-office-hours") / "made")


def _open(site: Path, folder: Path, hours: str) -> dict[str, Any]:
    (folder / "hauberk.yml").write_text(CONFIG.format(hours=hours))
    key = folder / "wrapping.key"
    key.touch(0o600)
    key.write_text(b64encode(bytes(32)).decode() + "\n")
    shown = python("-W", "error", "-c", OPEN, cwd=folder, PYTHONPATH=str(site))
    told: dict[str, Any] = json.loads(shown)
    return told


def test_from_elsewhere_and_out_of_hours_nobody_reaches_the_authenticator(
    site: Path, tmp_path: Path
) -> None:
    told = _open(site, tmp_path, "07:00-22:00")
    assert told["error"] == ""
    assert told["denied"]["10.1.2.3"] == ["office_hours", 31_600.0]
    assert told["denied"]["203.0.113.7"] == ["office_hours", None]
    assert told["denied"]["command line"][0] == "auth"
    assert told["incidents"] == [
        ["office_hours", "A login out of hours", "LOW"],
        ["office_hours", "A login from a network that is not listed", "MEDIUM"],
    ]


def test_in_hours_the_authenticator_decides(site: Path, tmp_path: Path) -> None:
    told = _open(site, tmp_path, "07:00-23:00")
    assert told["denied"]["10.1.2.3"][0] == "auth"
    assert told["denied"]["203.0.113.7"][0] == "office_hours"


def test_a_section_that_is_wrong_stops_the_start(site: Path, tmp_path: Path) -> None:
    assert "write 07:00-20:00" in _open(site, tmp_path, "always")["error"]
