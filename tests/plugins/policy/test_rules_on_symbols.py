"""A rule on a market holds however the market is spelt, or the file is refused."""

from __future__ import annotations

import pytest
from policydesk import Desk, policy, refused

from hauberk import Request
from hauberk.request import Operation
from hauberk_plugins.policy.judge import counted

KRAKEN = "https://api.kraken.com/0/private/AddOrder"
SAID = {"type": "buy", "ordertype": "limit", "volume": "1", "price": "60000"}


@pytest.mark.parametrize("spelt", ["XBTUSD", "XXBTZUSD", "XBT/USD", "xbtzusd"])
def test_no_other_spelling_of_a_market_passes_a_rule_on_it(tmp_path, spelt):
    order = Request("POST", KRAKEN, {"pair": spelt, **SAID})
    for name in ("XBTUSD", "BTC/USD", "XBT*"):
        denied = policy(f"{{rules: [{{match: {{symbol: {name}}}, deny: thin}}]}}", tmp_path)
        assert "policy.rules.0.deny" in Desk(denied, "kraken").ask(order)
        capped = policy(f"{{rules: [{{match: {{symbol: {name}}}, max_order: 200 USD}}]}}", tmp_path)
        assert "policy.rules.0.max_order" in Desk(capped, "kraken").ask(order)
        rated = policy(f"{{rules: [{{match: {{symbol: {name}}}, max_orders: 1/min}}]}}", tmp_path)
        judge = Desk(rated, "kraken").plugin.judge("main")
        bench = judge.bench(order.stamped("id", Operation.TRADE))
        assert counted(bench, judge.read(bench, order))[0][1] == 1


def test_a_market_that_cannot_be_told_is_denied_where_one_is(tmp_path):
    bot = Desk(policy("{rules: [{match: {symbol: XBTUSD}, deny: thin}]}", tmp_path), "kraken")
    order = {"pair": "XBTODD", **SAID}
    why = bot.ask(Request("POST", KRAKEN, order))
    assert "may be one that is denied: thin: what 'XBTODD' is quoted in cannot be told" in why
    assert bot.ask(Request("POST", KRAKEN, {**order, "pair": "ETHUSD"})) == ""


def test_a_rule_on_the_spelling_of_another_exchange_holds(tmp_path):
    bot = Desk(policy("{rules: [{match: {symbol: DOGE/USDT}, deny: thin}]}", tmp_path))
    assert "thin" in bot.order(symbol="DOGEUSDT")
    assert bot.order() == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{symbols: [BTCUSDT, BTCUSDTT]}", "policy.symbols: BTCUSDTT is no symbol at the venue"),
        ("{accounts: {main: {symbols: [BTC/X]}}}", "policy.accounts.main.symbols: BTC/X is no"),
        ("{rules: [{match: {symbol: NO}, deny: true}]}", "policy.rules.0.match.symbol: NO is no"),
        ("{rules: [{match: {venue: binance, symbol: NO}, max_orders: 1/s}]}", "match.symbol: NO"),
        ("{max_order: 5000 USDTT}", "policy.max_order: nothing is quoted in USDTT at the venue"),
        ("{max_order: 5000 USDTT}", "did you mean 'USDT'?"),
        ("{accounts: {main: {max_day: 1 XYZ}}}", "policy.accounts.main.max_day: nothing is quoted"),
        ("{rules: [{match: {symbol: B*}, max_order: 1 XYZ}]}", "policy.rules.0.max_order: nothing"),
    ],
)
def test_what_no_market_can_have_is_refused_at_load(tmp_path, text, told):
    assert told in refused(policy(text, tmp_path))


def test_an_amount_in_another_currency_is_taken_where_somebody_knows_prices(tmp_path):
    Desk(policy("{max_order: 5000 CHF}", tmp_path), "binance", {"USDTCHF": "0.9"})
    Desk(policy("{max_order: 5000 CHF}", tmp_path), "okx")  # where markets are quoted in anything
