"""Policy says and counts the same at a glance as when each order is read."""

from __future__ import annotations

import itertools
from contextlib import suppress
from decimal import Decimal
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk import Request
from hauberk.accounts import Account
from hauberk.request import Operation
from hauberk.testing import FakeClock, MemoryStore, make_guard
from hauberk.testing.guards import Providers
from hauberk.testing.ports import FixedPrices
from hauberk_plugins.policy.config import Match, PolicyConfig, Rule
from hauberk_plugins.policy.errors import Unreadable
from hauberk_plugins.policy.glance import Glance, glance_of
from hauberk_plugins.policy.plugin import PolicyPlugin
from hauberk_plugins.policy.reading import read_orders
from hauberk_plugins.policy.worth import Prices, worth
from hauberk_plugins.venues.catalogue import VenueCatalogue

CATALOGUE = VenueCatalogue()
ORDER = "https://api.binance.com/api/v3/order"
DAY_NS = 86_400 * 10**9


class Desk:
    """One account behind policy, called as the kernel calls it."""

    def __init__(self, config, venue, prices):
        providers = Providers()
        providers.venues = CATALOGUE
        self.store = providers.store.stores["policy"] = MemoryStore()
        named = {(venue, name): Decimal(price) for name, price in (prices or {}).items()}
        providers.reference_price = FixedPrices(named)
        self.clock = FakeClock()
        self.plugin = PolicyPlugin(config)
        self._guard = make_guard(
            ("policy", self.plugin),
            providers=providers,
            clock=self.clock,
            accounts={"main": Account(venue)},
            grants={"policy": ("venues", "store", *(("reference_price",) if prices else ()))},
        )

    def act(self, asked, request_id, left, again):
        request = asked.stamped(request_id, Operation.TRADE)
        said = [self.plugin.on_request(request) for _ in range(1 + again)]
        held = self.plugin._books.held.get(request_id)
        counted = held and (
            [(cap.path, units) for cap, units in held.key[1]], held.key[0], len(held.rates),
            [(charge.units, charge.day) for charge in held.charges], held.worth,
        )  # fmt: skip
        self.plugin.on_end(request, left, "")
        ledgers = self.plugin._books._ledgers
        left_of = {key: (one._day, one._cap, one._free) for key, one in ledgers.items()}
        kept = {name: record.value for name, record in self.store.scan()}
        return said, counted, left_of, kept, list(self.plugin._books._sent)


CONFIGS = [
    PolicyConfig(max_order="500 USDT"),
    PolicyConfig(max_day="3000 USDT"),
    PolicyConfig(symbols=("BTCUSDT", "ETH*"), max_order="500 USDT", max_day="3000 USDT"),
    PolicyConfig(max_order="500 USDT", max_day="1 BTC"),
    PolicyConfig(max_order="1 BTC", price_band=Decimal("0.5")),
    PolicyConfig(max_order="500 USDT", max_orders="3/min"),
    PolicyConfig(max_order="500 USDT", max_day="3000 USDT", sales_at_limit=True),
    # However the market is spelt.
    PolicyConfig(rules=(Rule(match=Match(symbol="ETH/USDT"), deny="thin"),), max_day="3000 USDT"),
]
SYMBOLS = ["BTCUSDT", "ETHUSDT", "ETHBTC", "DOGEUSDT", "btcusdt", "BTCTUSD", "", "B&", "é"]
NUMBERS = ["1", "0.5", "10", "0", "0.0", "00", "1e3", "-1", " 1", "", "99999999", "0.000000001"]
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "symbol": st.sampled_from(SYMBOLS),
        "side": st.sampled_from(["BUY", "SELL", "buy", "Sell", "", "HOLD"]),
        "type": st.sampled_from(["LIMIT", "limit", "MARKET", "LIMIT_MAKER", "STOP_LOSS", ""]),
        "quantity": st.sampled_from(NUMBERS),
        "price": st.sampled_from(NUMBERS),
        "quoteOrderQty": st.sampled_from(NUMBERS),
        "pegPriceType": st.just("PRIMARY_PEG"),
        "newClientOrderId": st.just("x"),
        "stopPrice": st.just("1"),
        "Price": st.just("7"),
        # Of which nobody says that it changes neither price nor size.
        "brandNew": st.just("1"),
    },
)
USUAL = st.builds(
    lambda symbol, side, quantity, price: {
        "symbol": symbol, "side": side, "type": "LIMIT", "quantity": quantity, "price": price,
    },
    st.sampled_from(["BTCUSDT", "ETHUSDT"]), st.sampled_from(["BUY", "SELL"]),
    st.sampled_from(["0.001", "0.5", "2"]), st.sampled_from(["100", "200.5", "1000"]),
)  # fmt: skip
ACTS = st.lists(
    st.tuples(
        st.one_of(USUAL, USUAL, PARTS),
        st.sampled_from([(), (("price", "1"),), (("symbol", "BTCUSDT"),)]),
        st.booleans(), st.integers(0, 1), st.sampled_from([0, 0, 0, 1, DAY_NS, -DAY_NS]),
    ),
    max_size=8,
)  # fmt: skip


@pytest.mark.parametrize("prices", [None, {"BTCUSDT": "300", "ETHUSDT": "100", "BTCETH": "3"}])
@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
@given(acts=ACTS)
def test_at_a_glance_policy_says_and_counts_what_it_does_when_it_reads(config, prices, acts):
    if config.price_band is not None and prices is None:
        return
    quick, slow = (Desk(config, "binance", prices) for _ in range(2))
    ids = itertools.count()
    for parts, more, left, again, later in acts:
        request = Request("POST", ORDER, (*parts.items(), *more))
        request_id = str(next(ids))
        with patch.object(Glance, "worth", lambda *_: None):
            expected = slow.act(request, request_id, left, again)
        assert quick.act(request, request_id, left, again) == expected
        for desk in (quick, slow):
            desk.clock.advance_ns(max(later, 0))
            desk.clock.step_wall(min(later, 0) / 10**9)


def test_the_usual_order_needs_but_a_glance():
    desk = Desk(CONFIGS[2], "binance", None)
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "10"}
    for at in range(2):  # of the first, the names are looked at
        assert desk.act(Request("POST", ORDER, order), f"a{at}", True, 0)[0] == [None]
    with patch("hauberk_plugins.policy.judge.Judge.read", side_effect=AssertionError):
        assert desk.act(Request("POST", ORDER, order), "b", True, 0)[0] == [None]


def readers():
    for name in CATALOGUE.names():
        venue = CATALOGUE.venue(name)
        orders = read_orders(venue.section("orders"), venue.problem, venue.endpoint)
        for endpoint, reader in orders.readers.items():
            glance = reader and glance_of(reader, (), (), Prices(None))
            if glance is not None:
                yield pytest.param(venue, reader, glance, id=f"{name} {endpoint}")


@pytest.mark.parametrize(("venue", "reader", "glance"), list(readers()))
@given(data=st.data())
def test_what_an_order_is_worth_at_a_glance_it_is_worth_when_it_is_read(
    venue, reader, glance, data
):
    form = reader.forms[0]
    names = sorted({place.name for place in form.places} | {"other"})
    words = st.sampled_from(
        ["1", "0.5", "0", "BTCUSDT", "BTC-USDT", "buy", "SELL", *form.own_price]
    )
    method, _, path = reader.endpoint.partition(" ")
    asked = data.draw(st.lists(st.tuples(st.sampled_from(names), words), max_size=7))
    usual = {form.symbol.name: "BTCUSDT"}
    usual |= {place.name: "1.5" for place in (form.quantity, *form.own_price.values()) if place}
    if form.type is not None:
        usual[form.type.name] = next(iter(form.own_price), "limit").upper()
    request = Request(method, venue.bases[0] + path, data.draw(
        st.sampled_from([asked, [*usual.items()], [*{**usual, **dict(asked)}.items()]])
    ))  # fmt: skip
    with suppress(Unreadable):
        reader.read(request, venue.body_params)  # its names are known from then on
    value = glance.worth(request)
    if value is None:
        return
    (order,) = reader.read(request, venue.body_params)
    assert worth(order, Prices(None))[0] == value
    assert order.form.counts
