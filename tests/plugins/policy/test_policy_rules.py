"""Rules, what venues and grants must have for them, and a reload."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from policydesk import BINANCE, CATALOGUE, Desk, policy, refused, spot

from hauberk import Denied, Request, Response
from hauberk.accounts import Account
from hauberk.errors import ConfigError
from hauberk.testing import FakeClock, make_guard
from hauberk.testing.guards import Providers
from hauberk_plugins.policy.plugin import PolicyPlugin
from hauberk_plugins.policy.reading import read_orders
from hauberk_plugins.policy.worth import Prices, worth
from hauberk_plugins.venues.catalogue import VenueCatalogue


@pytest.fixture
def desk(tmp_path):
    return lambda text, **options: Desk(policy(text, tmp_path), **options)


def test_a_rule_denies_what_it_is_for_and_says_why(desk):
    bot = desk("rules: [{match: {path: /sapi/*, operation: [read, trade]}, deny: no margin here}]")
    why = bot.ask(Request("GET", "https://api.binance.com/sapi/v1/margin/account"))
    assert why == "policy.rules.0.deny: GET /sapi/v1/margin/account is denied: no margin here"
    assert bot.order() == ""


def test_the_strictest_rule_wins_wherever_it_stands(desk):
    text = """\
max_order: 5000 USDT
rules:
  - {match: {symbol: BTC*}, max_order: 4000 USDT}
  - {match: {symbol: BTCUSDT, account: main}, max_order: 3500 USDT}
  - {match: {symbol: ETHUSDT}, max_order: 1 USDT}
"""
    bot = desk(text)
    assert bot.order() == ""
    assert bot.order(quantity="0.12").startswith("policy.rules.1.max_order: order is worth 3600")
    assert bot.order(account="other", quantity="0.12") == ""
    assert bot.order(account="other", quantity="0.14").startswith("policy.rules.0.max_order")
    assert bot.order(symbol="XRPUSDT", quantity="0.16") == ""


def test_a_symbol_is_denied_in_any_case_of_letters(desk):
    bot = desk("rules: [{match: {symbol: [DOGE*, SHIBUSDT]}, deny: too thin}]")
    for symbol in ("DOGEUSDT", "dogeusdt", "ShibUSDT"):
        assert bot.order(symbol=symbol).endswith("which is denied: too thin")
    assert bot.order() == ""


def test_a_rate_of_a_rule_counts_its_own_symbols_alone(desk):
    bot = desk("rules: [{match: {symbol: DOGE*}, max_orders: 1/min}]")
    assert [bot.order(), bot.order(), bot.order(symbol="DOGEUSDT")] == ["", "", ""]
    assert "policy.rules.0.max_orders" in bot.order(symbol="DOGEUSDT")
    assert bot.order() == ""


@pytest.mark.parametrize(
    ("match", "part"), [("path: /nowhere/*", "path"), ("method: PATCH", "method"),
                        ("{method: DELETE, path: /api/v3/account}", "path")]
)  # fmt: skip
def test_a_rule_for_no_endpoint_is_told(tmp_path, match, part):
    match = match if match[0] == "{" else f"{{{match}}}"
    found = refused(policy(f"rules: [{{match: {match}, deny: true}}]", tmp_path))
    assert f"policy.rules.0.match.{part}" in found
    assert "it can never match" in found


def test_a_path_with_a_name_in_it_is_matched(tmp_path):
    config = policy("rules: [{match: {path: /api/v4/spot/orders/12*}, deny: true}]", tmp_path)
    bot = Desk(config, "gate")
    url = "https://api.gateio.ws/api/v4/spot/orders/"
    assert "policy.rules.0.deny" in bot.ask(Request("GET", f"{url}123"))
    assert bot.ask(Request("GET", f"{url}423")) == ""


def guarded(config, ports, prices=None):
    providers = Providers()
    providers.venues = CATALOGUE
    return make_guard(
        ("policy", PolicyPlugin(config)), providers=providers,
        accounts={"main": Account("binance")}, grants={"policy": ports},
    )  # fmt: skip


def test_without_the_store_a_cap_of_a_day_stops_the_start(tmp_path):
    with pytest.raises(ConfigError, match=r"policy\.max_day: is kept in the store"):
        guarded(policy("max_day: 1 USDT", tmp_path), ("venues",))


def test_without_venues_nothing_that_reads_orders_starts(tmp_path):
    with pytest.raises(ConfigError, match="orders are read by venue files: grant it"):
        guarded(policy("max_order: 1 USDT", tmp_path), ())
    guarded(policy("{}", tmp_path), ()).close()


def test_a_mistake_in_a_venue_s_orders_stops_the_start_with_its_line(tmp_path):
    folder = tmp_path / "venues"
    folder.mkdir()
    (folder / "mine.yml").write_text(
        "name: mine\nbase_urls: [https://mine.test]\noperations: {POST /order: trade}\n"
        "orders:\n  endpoints:\n    POST /order: {symbol: s, unitt: base}\n    POST /x: none\n"
        "    GET /y: [nothing]\n",
        "utf-8",
    )
    providers = Providers()
    providers.venues = VenueCatalogue([folder])
    with pytest.raises(ConfigError) as caught:
        make_guard(
            ("policy", PolicyPlugin(policy("max_order: 1 USDT", tmp_path))),
            providers=providers, accounts={"main": Account("mine")}, grants={"policy": ("venues",)},
        )  # fmt: skip
    found = str(caught.value)
    assert "mine.yml:6: orders.endpoints.'POST /order'.unitt: means nothing here" in found or (
        "mine.yml:6" in found and "unitt" in found and "did you mean 'unit'?" in found
    )
    assert "mine.yml:7" in found
    assert "is none of `operations`" in found
    assert "'nothing' is none of `orders.forms`" in found


def test_a_reload_gives_nothing_back(tmp_path):
    """A changed section makes another instance, which takes the counts over."""
    first = Desk(policy("{max_day: 3500 USDT, max_orders: 9/day}", tmp_path))
    assert first.order() == ""
    changed = PolicyPlugin(policy("{max_day: 3500 USDT, symbols: [BTCUSDT]}", tmp_path))

    class Taken:
        def __init__(self, context):
            self._context = context

        predecessor = first.plugin

        def __getattr__(self, name):
            return getattr(self._context, name)

    changed.on_start(Taken(first.plugin._context))
    request = first.cleared.judged
    denied = changed.on_request(request.stamped("second", request.operation))
    assert denied is not None
    assert "is left of 3500 USDT" in denied.reason
    # It was counted by the one before, and is given back through the one after.
    changed.on_response(request, Response(400))
    assert changed.on_request(request.stamped("third", request.operation)) is None
    assert changed.on_request(request.stamped("fourth", request.operation)) is not None


def test_a_reducing_order_goes_on_when_the_day_is_spent(tmp_path):
    bot = Desk(policy("{max_order: 300 USDT, max_day: 300 USDT}", tmp_path), "bybit")
    url = "https://api.bybit.com/v5/order/create"
    said = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit",
            "qty": "1", "price": "300"}  # fmt: skip
    assert bot.ask(Request("POST", url, said)) == ""
    assert "is left" in bot.ask(Request("POST", url, said))
    assert bot.ask(Request("POST", url, {**said, "reduceOnly": "true"})) == ""
    assert bot.ask(Request("POST", url, {**said, "reduceOnly": "true", "qty": "2"})) == ""


def test_what_closes_a_position_is_held_against_the_symbols_alone(tmp_path):
    config = policy("{symbols: [BTC-*], max_order: 1 USDT, price_band: 0.1}", tmp_path)
    bot = Desk(config, "okx", {})
    url = "https://www.okx.com/api/v5/trade/close-position"
    assert bot.ask(Request("POST", url, {"instId": "BTC-USDT-SWAP", "mgnMode": "cross"})) == ""
    assert "policy.symbols" in bot.ask(Request("POST", url, {"instId": "ETH-USDT-SWAP"}))
    assert "`instId` is missing" in bot.ask(Request("POST", url, {}))


def test_a_contract_is_what_hauberk_yml_says(tmp_path):
    text = "{max_order: 300 USDT, contracts: {okx: {ABC-USDT-SWAP: 10 ABC}}}"
    bot = Desk(policy(text, tmp_path), "okx")
    said = {"instId": "ABC-USDT-SWAP", "tdMode": "cross", "side": "buy", "ordType": "limit",
            "px": "10", "sz": "3"}  # fmt: skip
    url = "https://www.okx.com/api/v5/trade/order"
    assert bot.ask(Request("POST", url, said)) == ""
    assert "is worth 400 USDT" in bot.ask(Request("POST", url, {**said, "sz": "4"}))
    why = bot.ask(Request("POST", url, {**said, "instId": "XYZ-USDT-SWAP"}))
    assert "write it into `policy.contracts`" in why


def test_policy_that_fails_denies(tmp_path):
    class Broken:
        def price(self, venue, symbol):
            raise OSError("no network")

    bot = Desk(policy("price_band: 0.1", tmp_path), prices={})
    bot.guard.kernel.crew.view.provider("reference_price").price = Broken().price
    assert bot.order() != ""


def test_a_clock_before_the_epoch_still_counts(tmp_path):
    bot = Desk(policy("max_day: 3000 USDT", tmp_path), clock=FakeClock(wall_ns=0))
    bot.clock.step_wall(-5)
    assert bot.order() == ""
    with pytest.raises(Denied):
        bot.guard.clear(Request("POST", BINANCE, spot()))


def test_the_venue_file_of_the_how_to_reads_orders(tmp_path):
    text = (Path(__file__).parents[3] / "docs/how-to/limit-an-account.md").read_text("utf-8")
    (written,) = re.findall(
        r"^:caption: venues/acme.yml\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    )
    (tmp_path / "acme.yml").write_text(written, "utf-8")
    venue = VenueCatalogue([tmp_path]).venue("acme")
    orders = read_orders(venue.section("orders"), venue.problem, venue.endpoint)
    buy = {"symbol": "BTC-EUR", "side": "buy", "type": "market", "size": "7"}
    body = json.dumps({"orders": [buy, {**buy, "type": "limit", "price": "2"}]})
    request = Request("POST", "https://api.acme.example/v1/orders/batch", body=body)
    found = orders.readers["POST /v1/orders/batch"].read(request, venue.body_params)
    assert [worth(one, Prices(None)) for one in found] == [(7, "EUR"), (14, "EUR")]
    assert orders.readers["POST /v1/quotes"] is None
