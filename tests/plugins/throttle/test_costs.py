from __future__ import annotations

from typing import Any

import pytest

from hauberk import Request
from hauberk.errors import ConfigError, ConfigProblem
from hauberk.keypath import KeyPath, path_text
from hauberk_plugins.throttle.meters import Meter
from hauberk_plugins.throttle.reading import read_limits
from hauberk_plugins.throttle.tariff import Tariff
from hauberk_plugins.venues.catalogue import VenueCatalogue

WINDOW = {
    "name": "w", "kind": "rolling", "scope": "ip", "seconds": 60, "size": 6000, "counts": "weight",
}  # fmt: skip


def problem(path: KeyPath, message: str) -> ConfigProblem:
    return ConfigProblem("v.yml", 7, path_text(path), message)


def section(*cases: Any, **more: Any) -> dict[str, Any]:
    costs = {"default": {"weight": 1}, "GET /x": {"weight": cases}}
    return {"windows": (WINDOW,), "costs": costs, **more}


def cost(request: Request, *cases: Any) -> int:
    limits = read_limits(section(*cases), problem)
    tariff = Tariff(limits, lambda window, _: Meter(window, 0), body_params=lambda _: ())
    [(_, amount)] = tariff.amounts(request)
    return amount


def get(**params: str) -> Request:
    return Request("GET", "https://x.test/x", params=params)


DEPTH = ({"param": "limit", "upto": ((100, 5), (500, 25))}, {"param": "limit", "is": 250}, 5)


@pytest.mark.parametrize(
    ("limit", "amount"), [("1", 5), ("100", 5), ("101", 25), ("500", 25), ("501", 250)]
)
def test_steps_go_by_the_number(limit: str, amount: int) -> None:
    assert cost(get(limit=limit), *DEPTH) == amount


def test_what_is_not_given_costs_what_it_costs_otherwise() -> None:
    assert cost(get(), *DEPTH) == 5
    assert cost(get(limit=""), *DEPTH) == 5


@pytest.mark.parametrize("limit", ["1e3", "-1", "\uff15", "abc", " 5", "9" * 400, "1.5"])
def test_what_cannot_be_read_costs_the_most(limit: str) -> None:
    assert cost(get(limit=limit), *DEPTH) == 250


def test_a_parameter_that_stands_twice_costs_the_most() -> None:
    twice = Request("GET", "https://x.test/x", params=[("limit", "5"), ("limit", "5000")])
    assert cost(twice, *DEPTH) == 250
    other_case = Request("GET", "https://x.test/x", params=[("limit", "5"), ("LIMIT", "5000")])
    assert cost(other_case, *DEPTH) == 250


SYMBOLS = ({"param": "symbols", "items": ((2, 2), (3, 40))}, 80)


@pytest.mark.parametrize(
    ("symbols", "amount"),
    [('["A","B"]', 2), ("A,B", 2), ("A,B,C", 40), ("A,B,C,D", 80), ("[broken", 80), ('["A"', 80)],
)
def test_items_are_counted(symbols: str, amount: int) -> None:
    assert cost(get(symbols=symbols), *SYMBOLS) == amount


EACH = ({"param": "orders", "each": 8, "most": 60}, 60)


@pytest.mark.parametrize(
    ("body", "amount"),
    [
        (b'{"orders": ["a", "b"]}', 16),
        (b'{"orders": []}', 8),
        (b'{"orders": ["a", "a", "a", "a", "a", "a", "a", "a", "a"]}', 60),
        (b'{"orders": {"a": 1}}', 60),
        (b'{"orders": ["a"], "orders": ["a", "b"]}', 60),
        (b'{"orders": ["a"]', 60),
        (b"[" * 100_000, 60),
        (b'{"orders": ["' + b"a" * (1 << 20) + b'"]}', 60),
        (b"{}", 60),
    ],
)
def test_items_of_a_body_are_counted_and_what_is_odd_costs_the_most(
    body: bytes, amount: int
) -> None:
    assert cost(Request("GET", "https://x.test/x", body=body), *EACH) == amount


def test_a_body_may_be_the_list_itself_or_hold_it_deeper() -> None:
    listed = Request("GET", "https://x.test/x", body=b'[{"a": 1}, {"a": 2}]')
    assert cost(listed, {"param": ".", "items": ((1, 1), (2, 3))}, 9) == 3
    nested = Request("GET", "https://x.test/x", body=b'{"action": {"orders": [1, 2, 3]}}')
    assert cost(nested, {"param": "action.orders", "items": ((2, 1), (3, 4))}, 9) == 4


def test_a_value_may_decide() -> None:
    cases = ({"param": "type", "equals": "MINI", "is": 2}, {"param": "type", "is": 7}, 4)
    assert [cost(get(type="MINI"), *cases), cost(get(type="x"), *cases), cost(get(), *cases)] == [
        2, 7, 4,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cases", "told"),
    [
        (((),), "weight: must be cases, and last what it costs otherwise"),
        (({"param": "a", "is": 1},), "weight: must be cases, and last"),
        (({"param": "a", "is": 1}, 0), "weight.1: must be a whole number from 1: what it costs"),
        (({"param": "a"}, 1), "weight.0: must say one of is, upto, items, each"),
        (({"param": "a", "is": 1, "each": 1}, 1), "weight.0: must say one of"),
        (({"is": 1}, 1), "weight.0: 'param' must name a parameter"),
        (({"param": "a", "is": 0}, 1), "weight.0.is: must be a whole number from 1"),
        (({"param": "a", "each": 1}, 1), "weight.0: `equals` goes with `is`, and `most` with"),
        (({"param": "a", "upto": ((5, 1), (5, 2))}, 1), "weight.0.upto.1.0: must be more than"),
        (({"param": "a", "upto": ((5, -1),)}, 1), "weight.0.upto.0.1: must be a whole number"),
        (({"param": "a", "upto": (5,)}, 1), "weight.0.upto.0: must be a pair"),
        (({"param": "a", "upto": ()}, 1), "weight.0.upto: must be a list of pairs"),
        (({"parm": "a", "is": 1}, 1), "weight.0.parm: means nothing here; did you mean 'param'?"),
        ((3, 1), "weight.0: must be a mapping"),
    ],
)
def test_each_mistake_is_told_where_it_stands(cases: Any, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_limits(section(*cases), problem)
    first = caught.value.problems[0]
    assert f"{first.path}: {first.message}".startswith(f'limits.costs."GET /x".{told}')


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"instrument": "symbol"}, "limits.instrument: must be a list of names"),
        ({"headers": {"X": {"used": "v"}}}, "limits.headers.X.used.v: means nothing here"),
        ({"headers": {"X": {}}}, "limits.headers.X: must say of which windows"),
        ({"headers": {"X": {"used": "w", "of": "Y"}}}, "limits.headers.X: must say of which"),
        ({"headers": {"X": {"used": 3}}}, "limits.headers.X.used: must be a list of names"),
        ({"freeze": {"banned": {"seconds": 0}}}, "limits.freeze.banned.seconds: must be a whole"),
        ({"freeze": {"banned": {"seconds": 90_000}}}, "limits.freeze.banned.seconds: is more"),
        ({"freeze": {"band": {}}}, "limits.freeze.band: means nothing here"),
        ({"freeze": {"banned": {"scope": "instrument"}}}, "limits.freeze.banned.scope: no answer"),
        (
            {"windows": ({**WINDOW, "scope": "instrument"},)},
            "limits.windows.0.scope: nobody says which instrument a request is for",
        ),
        (
            {"windows": ({**WINDOW, "reserve": 5_999},)},
            "limits.windows.0.reserve: leaves 1, and one request may cost 2",
        ),
        ({"windows": ({**WINDOW, "reserve": 6_000},)}, "limits.windows.0: window 'w': reserve"),
    ],
)
def test_what_else_is_wrong_with_limits_is_told_where_it_stands(
    more: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_limits(section({"param": "a", "is": 2}, 1, **more), problem)
    first = caught.value.problems[0]
    assert f"{first.path}: {first.message}".startswith(told)


@pytest.mark.parametrize(
    ("path", "params", "weight"),
    [
        ("depth", {}, 5),
        ("depth", {"limit": "5000"}, 250),
        ("ticker/24hr", {"symbol": "BTCUSDT"}, 2),
        ("ticker/24hr", {}, 80),
        ("ticker/24hr", {"symbols": '["BTCUSDT","ETHUSDT"]'}, 2),
        ("ticker", {"symbols": '["BTCUSDT","ETHUSDT"]'}, 8),
        ("openOrders", {"symbol": "BTCUSDT"}, 6),
        ("openOrders", {}, 80),
        ("myTrades", {"symbol": "BTCUSDT", "orderId": "1"}, 5),
    ],
)
def test_binance_weighs_by_what_is_asked_for(
    path: str, params: dict[str, str], weight: int
) -> None:
    venue = VenueCatalogue().venue("binance")
    limits = read_limits(venue.section("limits"), venue.problem)
    tariff = Tariff(limits, lambda w, _: Meter(w, 0), None, venue.endpoint, venue.body_params)
    request = Request("GET", f"https://api.binance.com/api/v3/{path}", params=params)
    assert [amount for _, amount in tariff.amounts(request)] == [weight]


def test_each_instrument_has_a_meter_of_its_own_and_those_without_share_one() -> None:
    window = {**WINDOW, "scope": "instrument"}
    limits = read_limits({**section(1, instrument=("symbol", "instId")), "windows": (window,),
                          "costs": {"default": {"weight": 1}}}, problem)  # fmt: skip
    made: dict[str, Meter] = {}
    tariff = Tariff(limits, lambda w, name: made.setdefault(name, Meter(w, 0)))
    for params in ({"symbol": "A"}, {"instId": "B"}, {}, {"symbol": "x" * 99}, {"symbol": "A"}):
        tariff.amounts(Request("GET", "https://x.test/x", params=params))
    assert list(made) == ["A", "B", ""]
