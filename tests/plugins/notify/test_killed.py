"""A process that is killed, or whose disk is full, loses nothing that it has taken up."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from notify_servers import PATIENCE_S, Misbehaving, Webhook

from hauberk.command import started
from hauberk_plugins.notify.delivery import Delivery

PROCESS = Path(__file__).with_name("_process.py")
HOUR_NS = 3_600 * 10**9
KILLS = 60 if os.environ.get("HAUBERK_SWEEP") == "full" else 6
CONFIG = """\
state: state
plugins: [killswitch, policy, bots, throttle, signing, notify]
required: [killswitch]
notify: {routes: [{name: pager, to: env:PAGER_URL}]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir(mode=0o700)
    path = tmp_path / "hauberk.yml"
    path.write_text(CONFIG)
    path.chmod(0o600)
    return path


@contextmanager
def process(what: str, config: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, PROCESS, what, config],
        env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        try:
            yield running
        finally:
            running.kill()


def test_what_was_being_sent_when_it_was_killed_is_sent_by_the_next(
    config: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Misbehaving("hangs") as hung, process("report", config, PAGER_URL=hung.url()) as running:
        assert hung.asked.wait(PATIENCE_S)
        running.kill()
    monkeypatch.setenv("PAGER_URL", webhook.url())
    with started(config, "notify") as next_:
        plugin = next_.plugin
        assert len(plugin.durable.outbox.entries()) == 1

        def later() -> int:
            return time.time_ns() + HOUR_NS  # when nobody has a lease on it any more

        delivery = Delivery(
            plugin.durable.outbox, plugin.routes, plugin.attempt, later, lambda *_: None
        )
        delivery.send_due()
        assert webhook.take()["title"] == "Hauberk CRITICAL: keys are gone"
        assert delivery.is_idle(PATIENCE_S)
        assert plugin.durable.outbox.entries() == []


def test_a_disk_that_is_full_keeps_nobody_from_being_told(config: Path, webhook: Webhook) -> None:
    with process("full", config, PAGER_URL=webhook.url()) as running:
        assert webhook.take()["title"] == "Hauberk CRITICAL: keys are gone"
        said = running.communicate(timeout=PATIENCE_S)[0]
    assert said.startswith("sent to pager; a restart would lose it: not stored: ")


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_any_moment_what_it_has_said_is_in_there_is(config: Path, seed: int) -> None:
    after = random.Random(seed).randrange(1, 40)
    taken, sent = set(), set()
    with process("write", config, PAGER_URL="json://127.0.0.1:9") as running:
        assert running.stdout is not None
        for number, line in enumerate(running.stdout):
            word, entry = line.split()
            (taken if word == "in" else sent).add(entry)
            if number == after:
                running.kill()
    with started(config, "notify", is_recorded=False) as next_:
        kept = {one.id for one in next_.plugin.durable.outbox.entries()}
    assert taken - sent <= kept
    # The last that it has said to be sent may not be removed yet; of those before, all are.
    assert len(kept & sent) <= 1
