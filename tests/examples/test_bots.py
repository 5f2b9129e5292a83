"""The bots of `examples/` run as they stand; the one on ccxt in its own environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hauberk_plugins import sandbox

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


def test_a_bot_sells_what_it_holds_while_trading_is_restricted():
    out = run("flatten.py", "HIGH")
    assert "killswitch: restricted" in out
    assert "holder: sold 0.00300000 BTCUSDT" in out
    assert "it buys no more: denied by killswitch" in out
    assert out.endswith("holds 0.00000000 BTCUSDT\n")


def test_once_everything_is_halted_it_keeps_it_and_says_so():
    out = run("flatten.py", "CRITICAL")
    assert "holder: still holds 0.00300000 BTCUSDT: halted since 'a drill'" in out
    assert out.endswith("holds 0.00300000 BTCUSDT\n")


def test_a_venue_that_maps_sales_is_else_as_the_sandbox_says():
    ours = (EXAMPLES / "venues" / "holdings.yml").read_text("utf-8").partition("name: holdings")
    shipped = Path(sandbox.__file__).parent / "venues" / "sandbox.yml"
    theirs = shipped.read_text("utf-8").partition("name: sandbox")
    changed = set(ours[2].splitlines()) ^ set(theirs[2].splitlines())
    assert changed == {
        "  POST /api/v3/order: trade",
        "  POST /api/v3/order: {otherwise: trade, when: {side: {SELL: reduce}}}",
    }


def test_a_pool_of_bots_gets_every_answer():
    out = run("bot_pool.py", "memory")
    assert "4 bots got 40 answers to 40 calls" in out
    assert "turned away 0 of them" in out


def test_every_bot_is_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text("utf-8").splitlines()) < 100
