"""`hauberk policy explain` and `hauberk policy reset`."""

from __future__ import annotations

import json

import pytest
from policydesk import BINANCE

from hauberk.cli.main import main
from hauberk.opening import open as open_guard

CONFIG = """\
state: state
plugins: [killswitch, policy, bots, throttle, signing]
required: [killswitch, policy]
grants: {policy: [venues, store]}
accounts:
  main: {venue: binance, key: env:NO_KEY, secret: env:NO_SECRET, allow: [read, trade, cancel]}
  okx: {venue: okx, key: env:NO_KEY, secret: env:NO_SECRET}
policy:
  symbols: [BTC*]
  max_order: 5000 USDT
  max_day: 6000 USDT
  max_orders: 2/min
  rules:
    - {match: {operation: cancel}, deny: only by hand}
"""
ORDER = ("symbol=BTCUSDT", "side=BUY", "type=LIMIT", "quantity=0.1", "price=30000")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    config = tmp_path / "hauberk.yml"
    config.write_text(CONFIG, "utf-8")
    config.chmod(0o600)
    monkeypatch.setenv("HAUBERK_CONFIG", str(config))
    (tmp_path / "state").mkdir(mode=0o700)

    def run(*words, shown=False):
        capsys.readouterr()
        status = main(["policy", *words, *(() if shown else ("--json",))])
        out, err = capsys.readouterr()
        return status, out if shown else (json.loads(out) if out else err)

    run.config = config
    return run


def rules(document):
    return [(one["rule"], one["denies"]) for one in document["asked"]]


def test_an_order_that_passes_shows_what_was_asked_in_order(run):
    status, document = run("explain", "POST", BINANCE, *ORDER)
    assert status == 0
    assert document["denied"] is False
    assert rules(document) == [
        ("accounts.main.allow", False),
        ("orders.endpoints, binance.yml", False),
        ("policy.symbols", False),
        ("policy.max_order", False),
        ("policy.max_orders", False),
        ("policy.max_day", False),
    ]
    assert document["asked"][1]["said"] == "order buy BTCUSDT 0.1 (base) at 30000"
    assert document["asked"][5]["said"].startswith("3000 of 6000 left on 20")


@pytest.mark.parametrize(
    ("words", "rule", "why"),
    [
        (("POST", BINANCE, *ORDER[:3], "quantity=1", "price=30000"), "policy.max_order",
         "order is worth 30000 USDT, above 5000 USDT"),
        (("POST", BINANCE, "symbol=XRPUSDT"), "policy.symbols", "which is none of BTC*"),
        (("POST", BINANCE, *ORDER[:3], "quantity=1e3"), "orders.endpoints, binance.yml",
         "no plain decimal number"),
        (("DELETE", BINANCE, "symbol=BTCUSDT"), "policy.rules.0.deny", "only by hand"),
        (("POST", "https://api.binance.com/sapi/v1/capital/withdraw/apply"), "accounts.main",
         "lacks the capability 'withdraw'"),
        (("POST", "https://api.binance.com/nowhere"), "accounts.main", "does not know POST"),
        (("POST", "https://evil.test/api/v3/order", *ORDER), "kernel", "none of its venue's base"),
        (("POST", BINANCE, *ORDER, "--body", "price=1"), "kernel", "in both query and body"),
    ],
)  # fmt: skip
def test_a_denial_names_the_rule_the_value_and_the_bound(run, words, rule, why):
    status, document = run("explain", *words)
    assert status == 1
    assert document["denied"] is True
    assert document["rule"] == rule
    assert why in document["why"]
    assert rules(document)[-1] == (rule, True)


def test_a_body_is_judged_item_by_item(run):
    item = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit"}
    body = json.dumps([{**item, "sz": "1", "px": "1"}, {**item, "sz": "1", "px": "6000"}])
    url = "https://www.okx.com/api/v5/trade/batch-orders"
    status, document = run("explain", "POST", url, "--account", "okx", "--body", body)
    assert status == 1
    assert document["why"] == "order 2 of 2 is worth 6000 USDT, above 5000 USDT"


def test_it_uses_up_nothing_and_sees_what_others_have_used(run):
    for _ in range(5):
        assert run("explain", "POST", BINANCE, *ORDER)[0] == 0
    with open_guard(run.config) as guard:
        plugin = guard.snapshot.part("policy").plugin
        ledger = plugin._books.ledger("main", "USDT")
        ledger.charge(400_000_000_000, 600_000_000_000, 0, plugin._context.store)
        status, document = run("explain", "POST", BINANCE, *ORDER)
        assert status == 0  # counted on the day 0, which is over
        today = guard.kernel.clock.wall_ns() // 86_400_000_000_000
        ledger.charge(400_000_000_000, 600_000_000_000, today, plugin._context.store)
        status, document = run("explain", "POST", BINANCE, *ORDER)
    assert status == 1
    assert "3000 USDT is more than is left of 6000 USDT" in document["why"]


def test_a_damaged_day_is_told_and_begun_anew(run):
    with open_guard(run.config) as guard:
        store = guard.snapshot.part("policy").plugin._context.store
        store.put("day/USDT/main", b"damaged")
    status, document = run("explain", "POST", BINANCE, *ORDER)
    assert status == 1
    assert "begin the day anew: hauberk policy reset ACCOUNT" in document["why"]
    assert run("reset", "main") == (0, {"account": "main", "currencies": ["USDT"]})
    assert run("explain", "POST", BINANCE, *ORDER)[0] == 0


def test_it_is_drawn_for_people(run):
    status, out = run("explain", "POST", BINANCE, *ORDER, shown=True)
    assert status == 0
    assert "at most 5000 USDT an order" in out
    assert out.rstrip().endswith("passes")
    status, out = run("explain", "DELETE", BINANCE, shown=True)
    assert status == 1
    assert out.rstrip().endswith("denied by policy.rules.0.deny")


@pytest.mark.parametrize("words", [("explain", "GET", BINANCE, "--account", "nobody"),
                                   ("reset", "nobody")])  # fmt: skip
def test_an_account_that_is_none_is_a_mistake_in_the_command(run, words):
    status, err = run(*words)
    assert status == 2
    assert "has no account 'nobody' (it has main, okx)" in str(err)


def test_a_parameter_that_is_none_is_not_repeated(run):
    status, err = run("explain", "GET", BINANCE, "astray-secret")
    assert status == 2
    assert "parameter 1 is no NAME=VALUE" in str(err)
    assert "astray" not in str(err)
