"""A third party's guard of logins, from its source to a guard with real users."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[2] / "examples" / "hauberk-office-hours"
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


def _python(*args: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution as a wheel, installed beside Hauberk and not into its environment."""
    folder = tmp_path_factory.mktemp("office-hours")
    source, wheels, installed = folder / "source", folder / "wheels", folder / "site"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns(".*", "build", "dist"))
    _python("-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, cwd=source)
    (wheel,) = wheels.iterdir()
    _python(
        *("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", installed),
        wheel,
        cwd=folder,
        PIP_DISABLE_PIP_VERSION_CHECK="1",
    )
    return installed


def _open(site: Path, folder: Path, hours: str) -> dict[str, Any]:
    (folder / "hauberk.yml").write_text(CONFIG.format(hours=hours))
    key = folder / "wrapping.key"
    key.touch(0o600)
    key.write_text(b64encode(bytes(32)).decode() + "\n")
    shown = _python("-W", "error", "-c", OPEN, cwd=folder, PYTHONPATH=str(site))
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


def test_it_passes_its_own_tests_against_the_installed_wheel(site: Path, tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    shutil.copytree(SOURCE / "tests", tests, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SOURCE / "pyproject.toml", tmp_path)
    shown = _python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider"),
        "--hypothesis-profile=ci",  # without deadlines: a busy machine is no failure
        cwd=tmp_path,
        PYTHONPATH=str(site),
    )
    assert re.search(r"^\d+ passed", shown, re.MULTILINE)


def test_it_passes_mypy_strict(site: Path, pytestconfig: pytest.Config) -> None:
    cache = pytestconfig.cache
    folder = cache.mkdir("office-hours-mypy") if cache else site
    shown = _python("-m", "mypy", "--cache-dir", folder, cwd=SOURCE, MYPYPATH="src")
    assert shown.startswith("Success: no issues found")


def test_it_imports_only_what_a_third_party_may(site: Path) -> None:
    public = {"hauberk"}
    for path in (site / "hauberk_office_hours").glob("*.py"):
        for module in re.findall(
            r"^(?:from|import) (hauberk[.\w]*)", path.read_text(), re.MULTILINE
        ):
            assert module in public or module.startswith("hauberk_office_hours"), path.name
