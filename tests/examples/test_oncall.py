"""A third party's responder, from its source to a page that a real webhook gets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from tests.examples.distributions import install, python

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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution as a wheel, installed beside Hauberk and not into its environment."""
    return install("hauberk-oncall", tmp_path_factory.mktemp("hauberk-oncall") / "made")


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
    shown = python(
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
