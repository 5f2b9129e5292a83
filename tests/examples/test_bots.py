"""The bots of `examples/` run as they stand; the one on ccxt in its own environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, *args):
    environment = {key: value for key, value in os.environ.items() if key != "HAUBERK_CONFIG"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *args],
        capture_output=True, text=True, timeout=120, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


@pytest.mark.parametrize("name", ["mm_httpx.py", "mm_aiohttp.py"])
def test_a_market_maker_quotes_and_flattens(name):
    out = run(name)
    assert "round 3: quoted on both sides" in out
    assert "maker: cancelled 2 orders" in out
    assert "the bot stopped: denied by killswitch" in out


def test_a_pool_of_bots_gets_every_answer():
    out = run("bot_pool.py", "memory")
    assert "4 bots got 40 answers to 40 calls" in out
    assert "turned away 0 of them" in out


def test_every_bot_is_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text("utf-8").splitlines()) < 100
