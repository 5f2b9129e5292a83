"""Every unified order of ccxt is read by the venue files: none is denied for a name it has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from policydesk import CATALOGUE

from hauberk import Request
from hauberk_plugins.policy.errors import Unreadable
from hauberk_plugins.policy.reading import read_orders

VECTORS = Path(__file__).parents[2] / "vectors" / "orders"
ORDERS = [
    order
    for file in sorted(VECTORS.glob("*.json"))
    for order in json.loads(file.read_text("utf-8"))["orders"]
]
#: What ccxt passes on as it was given where the exchange has no such thing.
LEFTOVERS = {"hedged", "marginMode", "stopLoss", "takeProfit", "stopLossPrice", "triggerPrice",
             "reduceOnly", "postOnly", "timeInForce", "clientOrderId"}  # fmt: skip
#: A size in another way than the one that is read.
OTHER_SIZES = {"valueQty"}
#: Described nowhere, and so denied under caps.
UNDESCRIBED = ("/api/v2/spot/trade/place-plan-order", "/api/v2/mix/order/place-plan-order",
               "/v5/trade/order", "/v5/algo/order", "/api/v1/st-orders",
               "/api/v1/private/planorder/place")  # fmt: skip
READERS = {}


def reader_of(venue, method, path):
    if venue.name not in READERS:
        READERS[venue.name] = read_orders(venue.section("orders"), venue.problem, venue.endpoint)
    return READERS[venue.name].readers[venue.endpoint(method, path)]


def asked(venue, order):
    said = order["params"]
    url = venue.bases[0] + order["path"]
    if venue.body == "json" and order["method"] != "GET":
        return Request(order["method"], url, body=json.dumps(said))
    given = {k: v if type(v) is str else json.dumps(v) for k, v in said.items()}
    return Request(order["method"], url, given)


@pytest.mark.parametrize(
    "order", ORDERS, ids=lambda one: f"{one['venue']} {one['symbol']} {one['asked']}"
)
def test_no_name_of_an_order_of_ccxt_is_unknown(order):
    venue = CATALOGUE.venue(order["venue"])
    if order["path"] in UNDESCRIBED:
        with pytest.raises(KeyError):
            reader_of(venue, order["method"], order["path"])
        return
    why = ""
    try:
        reader_of(venue, order["method"], order["path"]).read(
            asked(venue, order), venue.body_params
        )
    except Unreadable as error:  # else of contracts that nobody described
        why = str(error)
    if "nobody says that this changes" in why:
        assert why.split("'")[1].split(".")[0] in LEFTOVERS | OTHER_SIZES


def test_the_orders_of_ccxt_are_of_every_venue_file():
    assert {order["venue"] for order in ORDERS} == set(CATALOGUE.names())
    plain = [one for one in ORDERS if one["asked"] in ("limit buy", "limit sell", "market sell")]
    for order in plain:
        venue = CATALOGUE.venue(order["venue"])
        if order["path"] in UNDESCRIBED or order["params"] == {}:
            continue
        if (order["venue"], order["symbol"]) == ("kucoin", "BTC/USDT:USDT"):
            continue  # of its futures no host is known
        reader = reader_of(venue, order["method"], order["path"])
        assert reader.read(asked(venue, order), venue.body_params), order


def with_a_new_name(said):
    """Return what is said once for each object in it, with a name there that nobody knows."""
    if isinstance(said, dict):
        yield {**said, "brandNew": "1"}
        for name, value in said.items():
            for changed in with_a_new_name(value):
                yield {**said, name: changed}
    elif isinstance(said, list):
        for index, value in enumerate(said):
            for changed in with_a_new_name(value):
                yield [*said[:index], changed, *said[index + 1 :]]


@pytest.mark.parametrize("name", CATALOGUE.names())
def test_a_name_that_nobody_knows_is_denied_wherever_it_stands_in_an_order(name):
    venue = CATALOGUE.venue(name)
    looked_at = 0
    for order in ORDERS:
        if order["venue"] != name or order["path"] in UNDESCRIBED:
            continue
        reader = reader_of(venue, order["method"], order["path"])
        if all(form.exits for form in reader.all_forms):
            continue
        try:
            reader.read(asked(venue, order), venue.body_params)
        except Unreadable:
            continue
        for changed in with_a_new_name(order["params"]):
            with pytest.raises(Unreadable):
                reader.read(asked(venue, {**order, "params": changed}), venue.body_params)
            looked_at += 1
    assert looked_at
