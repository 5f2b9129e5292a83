"""The section `policy` of hauberk.yml: nonsense is told, with its line, before anything starts."""

from __future__ import annotations

import pytest

from hauberk.errors import ConfigError
from hauberk.opening import load

BASE = """\
plugins: [killswitch, policy, bots, signing]
required: [killswitch, policy]
grants: {policy: [venues, store]}
accounts:
  main: {venue: binance, key: env:K, secret: env:S}
  spare: {venue: kraken, key: env:K, secret: env:S}
policy:
"""


def told(tmp_path, section):
    path = tmp_path / "hauberk.yml"
    path.write_text(BASE + "".join(f"  {line}\n" for line in section.splitlines()), "utf-8")
    path.chmod(0o600)
    try:
        load(path)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("section", "line", "path", "why"),
    [
        ("max_order: 0 USDT", 8, "policy.max_order", "above zero"),
        ("max_order: -5 USDT", 8, "policy.max_order", "as 5000 USDT"),
        ("max_order: 5000", 8, "policy.max_order", "expected text"),
        ("max_day: 5000 usdt", 8, "policy.max_day", "a currency in capitals"),
        ("max_day: 5000 U$D", 8, "policy.max_day", "a currency in capitals"),
        ("price_band: 1.5", 8, "policy.price_band", "at most 1, as 0.05"),
        ("price_band: 0", 8, "policy.price_band", "above 0"),
        ("price_band: -0.1", 8, "policy.price_band", "above 0"),
        ("price_band: 5 %", 8, "policy.price_band", "expected a number"),
        ("max_orders: 60", 8, "policy.max_orders", "expected text"),
        ("max_orders: 0/min", 8, "policy.max_orders", "as 60/min"),
        ("symbols: []", 8, "policy.symbols", "an empty list would deny every order"),
        ("symbols: [BTC USDT]", 8, "policy.symbols", "item 0 is no symbol"),
        ("symbols: [BTCUSDT, btcusdt]", 8, "policy.symbols", "item 1 stands there twice"),
        ("max_ordr: 1 USDT", 8, "policy.max_ordr", "did you mean 'max_order'?"),
        ("accounts: {mian: {max_order: 1 USDT}}", 8, "policy.accounts.mian", "'main'"),
        ("max_order: 5 USDT\naccounts: {main: {max_order: 6 USDT}}", 9,
         "policy.accounts.main.max_order", "is above `policy.max_order`, 5 USDT"),
        ("max_day: 5 USDT\naccounts: {main: {max_day: 6 USDT}}", 9,
         "policy.accounts.main.max_day", "is above `policy.max_day`"),
        ("price_band: 0.1\naccounts: {main: {price_band: 0.2}}", 9,
         "policy.accounts.main.price_band", "wider than"),
        ("max_orders: 5/s\naccounts: {main: {max_orders: 6/s}}", 9,
         "policy.accounts.main.max_orders", "is above"),
        ("symbols: [BTCUSDT]\naccounts: {main: {symbols: [ETHUSDT]}}", 9,
         "policy.accounts.main.symbols", "ETHUSDT is not in `policy.symbols`"),
        ("contracts: {okx: {BTC-USDT-SWAP: 0.01 BTC}}", 8, "policy.contracts.okx", "no account"),
        ("contracts: {kraken: {X: 1}}", 8, "policy.contracts.kraken.X", "expected text"),
        ("rules: [{match: {account: main}}]", 8, "policy.rules.0", "says nothing"),
        ("rules: [{match: {account: main}, deny: false}]", 8, "policy.rules.0", "says nothing"),
        ("rules: [{match: {}, deny: true, max_order: 1 USDT}]", 8, "policy.rules.0.deny",
         "make two rules of it"),
        ("rules: [{match: {account: nobody}, deny: true}]", 8, "policy.rules.0.match.account",
         "it can never match"),
        ("rules: [{match: {account: []}, deny: true}]", 8, "policy.rules.0.match.account",
         "must name at least one"),
        ("rules: [{match: {venue: okx}, deny: true}]", 8, "policy.rules.0.match.venue",
         "it can never match"),
        ("rules: [{match: {account: main, venue: kraken}, deny: true}]", 8,
         "policy.rules.0.match.venue", "it can never match"),
        ("rules: [{match: {operation: unknown}, deny: true}]", 8,
         "policy.rules.0.match.operation", "it can never match"),
        ("rules: [{match: {operation: cancel, symbol: X}, deny: true}]", 8,
         "policy.rules.0.match.operation", "it can never match"),
        ("rules: [{match: {operation: read}, max_order: 1 USDT}]", 8,
         "policy.rules.0.match.operation", "only trade and reduce place orders"),
        ("symbols: [BTC*]\nrules: [{match: {symbol: DOGEUSDT}, deny: true}]", 9,
         "policy.rules.0.match.symbol", "it never decides"),
        ("rules: [{match: {method: post}, deny: true}]", 8, "policy.rules.0.match.method",
         "capitals"),
        ("rules: [{match: {path: sapi}, deny: true}]", 8, "policy.rules.0.match.path",
         "begins with /"),
        ("rules: [{deny: true}]", 8, "policy.rules.0", "missing key 'match'"),
    ],
)  # fmt: skip
def test_nonsense_is_told_with_its_line(tmp_path, section, line, path, why):
    found = told(tmp_path, section)
    assert f":{line}: {path}" in found
    assert why in found


def test_what_makes_sense_is_taken(tmp_path):
    assert not told(
        tmp_path,
        """\
symbols: [BTCUSDT, ETH*]
max_order: 5000 USDT
max_day: 20000 USDT
price_band: 0.05
max_orders: 60/min
accounts:
  main: {max_order: 500 USDT, symbols: [BTCUSDT], max_day: 1 BTC}
rules:
  - {match: {symbol: ETH*, account: [main, spare]}, max_order: 100 USDT, price_band: 0.01}
  - {match: {venue: binance, method: POST, path: /sapi/*}, deny: no margin}
  - {match: {operation: [read, cancel]}, deny: true}
contracts: {kraken: {X: 1 BTC}}""",
    )
