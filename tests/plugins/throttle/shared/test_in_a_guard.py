"""One budget of several guards, as `hauberk.yml` says it: in the store, and in a Redis."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import ExitStack

import pytest

import hauberk
from hauberk.errors import ConfigError, Denied
from hauberk.records import Severity
from hauberk.request import Request

CONFIG = """
state: state
plugins: [killswitch, policy, bots, throttle, signing]
encryption: {{key: "file:key"}}
signing: {{sample_clock: false}}
grants:
  throttle: [venues, store]
accounts:
  main: {{venue: binance, key: env:BINANCE_KEY, secret: env:BINANCE_SECRET}}
throttle:
  store: {store}
  shared: {shared}
  reserve: 0
  windows:
    binance:
      - {{name: w, kind: rolling, scope: ip, seconds: 3600, size: 200, counts: weight}}
"""
ORDER = Request("POST", "https://api.binance.com/api/v3/order", {"symbol": "BTCUSDT"})
READ = Request("GET", "https://api.binance.com/api/v3/account")  # 20 of weight


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("BINANCE_KEY", "k")
    monkeypatch.setenv("BINANCE_SECRET", "s")
    (tmp_path / "key").write_bytes(b64encode(bytes(32)))
    (tmp_path / "key").chmod(0o600)

    def write(store, shared="{}"):
        path = tmp_path / "hauberk.yml"
        path.write_text(CONFIG.format(store=store, shared=shared))
        path.chmod(0o600)
        return path

    return write


def cleared(guards, timeout_s=20):
    """How many are let through by all of them in turn, until all refuse."""
    count, refusing = 0, set()
    while len(refusing) < len(guards):
        for number, guard in enumerate(guards):
            try:
                guard.clear(READ, timeout_s=timeout_s)
                count += 1
            except Denied:
                refusing.add(number)
    return count


def test_two_guards_share_one_budget_in_the_store(config):
    path = config("store")
    with ExitStack() as stack:
        guards = [stack.enter_context(hauberk.open(path)) for _ in range(2)]
        assert cleared(guards) == 10
        (part,) = [guard.snapshot.part("throttle") for guard in guards[:1]]
        (row,) = [row for row in part.plugin.on_status()["budgets"] if row["window"] == "w"]
        assert row["used"] == 200
    with hauberk.open(path) as guard:
        assert cleared([guard]) == 0, "a restart gives nothing back"


def test_two_guards_share_one_budget_in_a_redis(config, server, monkeypatch):
    monkeypatch.setenv("BUDGET_URL", server.url.reveal_text())
    path = config("redis", "{url: env:BUDGET_URL, prefix: in-a-guard, timeout_ms: 400}")
    with ExitStack() as stack:
        guards = [stack.enter_context(hauberk.open(path)) for _ in range(2)]
        assert cleared(guards) == 10


def test_a_redis_that_is_gone_denies_and_says_so_once(config, make_redis, monkeypatch):
    redis = make_redis()
    monkeypatch.setenv("BUDGET_URL", redis.url.reveal_text())
    path = config("redis", "{url: env:BUDGET_URL, timeout_ms: 400}")
    with hauberk.open(path) as guard:
        guard.clear(READ, timeout_s=20)
        redis.kill()
        for _ in range(3):
            cleared([guard], timeout_s=0)  # what was granted in advance may leave yet
        titles = [(incident.title, incident.severity) for incident in guard.incidents]
        assert titles == [("The shared budget cannot be asked", Severity.MEDIUM)]


def test_asking_elsewhere_does_not_hold_up_the_loop(config):
    async def clear(guard):
        return await guard.aclear(READ)

    with hauberk.open(config("store")) as guard:
        (impl,) = [impl for impl in guard.snapshot.guards if impl.name == "throttle"]
        assert impl.is_blocking
        assert asyncio.run(clear(guard)).request.method == "GET"


def test_orders_whose_cost_depends_on_what_they_say_are_paced_too(config):
    path = config("store")
    path.write_text(path.read_text().split("  windows:")[0])
    with hauberk.open(path) as guard:
        for _ in range(3):
            guard.clear(ORDER, timeout_s=20)
        used = {row["window"]: row["used"] for row in guard.snapshot.part("throttle").plugin
                .on_status()["budgets"]}  # fmt: skip
    assert used == {"weight-1m": 3, "orders-10s": 3, "orders-1d": 3}


def test_a_reload_keeps_what_was_used(config):
    path = config("store")
    with hauberk.open(path) as guard:
        for _ in range(5):
            guard.clear(READ, timeout_s=20)
        path.write_text(path.read_text().replace("reserve: 0", "reserve: 0.0\n  lease_s: 2.0"))
        guard.reload()
        assert cleared([guard]) == 5


@pytest.mark.parametrize(
    ("store", "shared", "told"),
    [
        ("redis", "{}", r"throttle\.shared\.url: `store: redis` needs .*env:REDIS_URL"),
        ("redis", "{url: env:NOBODY_SET_THIS}", r"throttle\.shared\.url: env:NOBODY_SET_THIS: set"),
        ("memory", "{url: env:NOBODY_SET_THIS}", r"throttle\.shared: .*`store` is memory"),
        ("redis", "{url: 'redis://:secret@host'}", r"throttle\.shared\.url.*env:NAME"),
    ],
)
def test_what_is_missing_is_told_with_its_place(config, store, shared, told):
    with pytest.raises(ConfigError, match=told) as raised:
        hauberk.open(config(store, shared))
    assert "secret@" not in str(raised.value)
