"""The plugin `monitor` in a guard: what is reported, how bad, and what its section may say."""

from __future__ import annotations

import pytest

import hauberk
from hauberk.errors import ConfigError, Denied
from hauberk.records import Severity
from hauberk.request import Request, Response

CONFIG = """
plugins: [killswitch, policy, bots, throttle, signing, monitor]
grants: {{policy: [], throttle: [venues], killswitch: [], signing: [sign, keys, venues]}}
accounts:
  main: {{venue: binance, key: env:BINANCE_KEY, secret: env:BINANCE_SECRET}}
  bait: {{venue: binance, key: env:BINANCE_KEY, secret: env:BINANCE_SECRET}}
monitor: {monitor}
"""
BASE = "https://api.binance.com"
READ = Request("GET", f"{BASE}/api/v3/account", account="main")
OUT = Request("POST", f"{BASE}/sapi/v1/capital/withdraw/apply", account="main")


@pytest.fixture
def opened(tmp_path, monkeypatch):
    monkeypatch.setenv("BINANCE_KEY", "k")
    monkeypatch.setenv("BINANCE_SECRET", "s")
    guards = []

    def make(monitor="{}"):
        path = tmp_path / "hauberk.yml"
        path.write_text(CONFIG.format(monitor=monitor))
        path.chmod(0o600)
        guards.append(hauberk.open(path))
        return guards[-1]

    yield make
    for guard in guards:
        guard.close()


def reported(guard):
    return [(incident.title, incident.severity) for incident in guard.incidents]


def test_a_withdrawal_that_was_denied_restricts_the_account(opened):
    guard = opened()
    with pytest.raises(Denied):
        guard.clear(OUT)
    assert reported(guard) == [("Funds or rights were to be moved: main", Severity.HIGH)]


def test_what_another_account_does_is_another_incident_and_everybody_hears_of_it(opened):
    guard, told = opened(), []
    guard.on_incident(lambda incident: told.append(incident.details["account"]))
    for account in ("main", "bait", "main"):
        with pytest.raises(Denied):
            guard.clear(Request("POST", OUT.url, OUT.params, account=account))
    assert told == ["main", "bait"]
    assert [one.details["account"] for one in guard.incidents] == ["main", "bait"]


def test_a_canary_halts_everything(opened):
    guard = opened("{canaries: [bait]}")
    guard.clear(READ)
    assert reported(guard) == []
    with pytest.raises(Denied, match="halted"):
        guard.clear(Request("GET", READ.url, account="bait"))
    assert [severity for _, severity in reported(guard)] == [Severity.CRITICAL]


def test_a_key_that_the_exchange_does_not_know_is_reported_once(opened):
    guard = opened()
    for _ in range(5):
        cleared = guard.clear(READ)
        guard.settle(cleared, Response(401, body=b'{"code":-2015}'))
    titles = [title for title, _ in reported(guard)]
    assert titles == ["The exchange does not know a key any more: main"]


def test_rules_of_the_configuration_are_added_and_replaced_and_left_out(opened):
    guard = opened("""
  without: [denied-withdrawals]
  rules:
    - {name: any-left, title: Something left, on: [request.left], threshold: 1, severity: LOW}
""")
    with pytest.raises(Denied):
        guard.clear(OUT)
    guard.clear(READ)
    assert reported(guard) == [("Something left", Severity.LOW)]


@pytest.mark.parametrize(
    ("monitor", "told"),
    [
        ("{without: [skwe]}", r"monitor\.without\.0: no rule is called so.*skew"),
        ("{canaries: [bate]}", r"monitor\.canaries\.0: no account is called so.*bait"),
        ("{rules: [{name: r, title: R, on: [k], threshold: 0}]}", r"monitor\.rules\.0.*threshold"),
        ("{rules: [{name: r, title: R, on: [login.denied], threshold: 1, severity: HIGH}]}",
         r"monitor\.rules\.0.*from outside"),
        ("{rules: [{name: r, title: R, on: [k], threshold: 1, severity: high}]}", "severity"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(opened, monitor, told):
    with pytest.raises(ConfigError, match=told):
        opened(monitor)
