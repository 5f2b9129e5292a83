"""A third party's responder, from its source to a page that a real webhook gets."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

SOURCE = Path(__file__).parents[2] / "examples" / "hauberk-oncall"
PATIENCE_S = 60.0
OPEN = """
import hauberk, json

told = {"error": "", "outcome": None}
try:
    with hauberk.open("hauberk.yml") as guard:
        incident = guard.report("keys are gone", hauberk.Severity.CRITICAL)
        told["outcome"] = [[one.plugin, one.did, one.ok] for one in incident.outcomes]
except hauberk.HauberkError as error:
    told["error"] = str(error)
print(json.dumps(told))
"""
CONFIG = """
state: state
plugins: [killswitch, policy, bots, throttle, signing, oncall]
required: [killswitch, policy, throttle, signing]
third_party: {{hauberk-oncall: {{plugins: [oncall], grants: [{grants}]}}}}
accounts: {{main: {{venue: binance, key: "env:K", secret: "env:S"}}}}
oncall: {{url: "{url}", key: "env:ONCALL_KEY", timeout_s: 1.5}}
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
    folder = tmp_path_factory.mktemp("oncall")
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


@pytest.fixture
def pager() -> Iterator[tuple[str, Queue[Any]]]:
    """A webhook on loopback that takes pages."""
    got: Queue[Any] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v2/enqueue", got
        server.shutdown()
        thread.join()


def _open(site: Path, folder: Path, url: str, grants: str = "transport") -> dict[str, Any]:
    (folder / "hauberk.yml").write_text(CONFIG.format(url=url, grants=grants))
    shown = _python(
        "-W", "error", "-c", OPEN, cwd=folder, PYTHONPATH=str(site), ONCALL_KEY="hunter2"
    )
    told: dict[str, Any] = json.loads(shown)
    return told


def test_an_incident_pages_a_real_webhook_after_the_kill_switch_has_acted(
    site: Path, tmp_path: Path, pager: tuple[str, Queue[Any]]
) -> None:
    url, got = pager
    told = _open(site, tmp_path, url)
    assert told["error"] == ""
    did = {plugin: (what, ok) for plugin, what, ok in told["outcome"]}
    assert did["oncall"] == ("paged whoever is on call", True)
    sent = got.get(timeout=PATIENCE_S)
    assert sent["routing_key"] == "hunter2"
    assert sent["payload"]["summary"] == "keys are gone"
    assert sent["payload"]["custom_details"]["done"][0].startswith("killswitch: halted")


def test_without_the_grant_it_has_no_way_out(
    site: Path, tmp_path: Path, pager: tuple[str, Queue[Any]]
) -> None:
    url, got = pager
    told = _open(site, tmp_path, url, grants="")
    ((what, ok),) = [(what, ok) for plugin, what, ok in told["outcome"] if plugin == "oncall"]
    assert (what, ok) == ("nobody paged: it needs the grant `transport`", False)
    assert got.empty()


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
    folder = cache.mkdir("oncall-mypy") if cache else site
    shown = _python("-m", "mypy", "--cache-dir", folder, cwd=SOURCE, MYPYPATH="src")
    assert shown.startswith("Success: no issues found")


def test_it_imports_only_what_a_third_party_may(site: Path) -> None:
    public = {"hauberk", "hauberk.errors"}
    for path in (site / "hauberk_oncall").glob("*.py"):
        for module in re.findall(
            r"^(?:from|import) (hauberk[.\w]*)", path.read_text(), re.MULTILINE
        ):
            assert module in public or module.startswith("hauberk_oncall"), path.name
