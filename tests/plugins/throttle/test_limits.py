from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hauberk.errors import InvalidValue
from hauberk_plugins.throttle.errors import BadLimits
from hauberk_plugins.throttle.limits import Limits, read_limits
from hauberk_plugins.throttle.tariff import Tariff
from hauberk_plugins.throttle.windows import Kind, Meter, Scope, Window
from hauberk_plugins.venues.catalogue import VenueCatalogue

WEIGHT = {
    "name": "weight-1m",
    "kind": "calendar",
    "scope": "ip",
    "seconds": 60,
    "size": 6000,
    "counts": "weight",
}
ORDERS = {
    "name": "orders-10s",
    "kind": "rolling",
    "scope": "account",
    "seconds": 10,
    "size": 100,
    "counts": "orders",
}
SECTION: dict[str, Any] = {
    "windows": (WEIGHT, ORDERS),
    "costs": {
        "default": {"weight": 1},
        "POST /api/v3/order": {"weight": 1, "orders": 1},
        "GET /api/v3/depth": {"weight": 250},
        "GET /api/v3/ping": {},
    },
}


def test_windows_and_costs_are_read() -> None:
    limits = read_limits("v", SECTION)
    assert limits.windows[1] == Window("orders-10s", Kind.ROLLING, Scope.ACCOUNT, 10, 100, "orders")
    assert limits.costs == SECTION["costs"]


def test_no_section_means_that_nothing_is_paced() -> None:
    assert read_limits("v", {}) == Limits()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": ()}, r"limits: 'window' means nothing here; did you mean 'windows'\?"),
        ({"windows": {}}, "limits.windows: must be a list"),
        ({"windows": (3,)}, r"limits.windows\[0\]: must be a mapping"),
        ({"windows": ({**WEIGHT, "kind": "daily"},)}, "'daily' is none of calendar, rolling"),
        ({"windows": ({**WEIGHT, "scope": "planet"},)}, "'planet' is none of ip, account"),
        ({"windows": ({**WEIGHT, "size": 0},)}, "size must be a whole number from 1"),
        ({"windows": ({**WEIGHT, "seconds": 0.5},)}, "seconds must be a whole number from 1"),
        ({"windows": ({**WEIGHT, "size": True},)}, "size must be a whole number from 1"),
        ({"windows": ({"name": "x"},)}, "'kind' is missing"),
        ({"windows": ({**WEIGHT, "sizes": 1},)}, r"'sizes' means nothing here; did you mean"),
        ({"windows": (WEIGHT, WEIGHT), "costs": {"default": {}}}, "'weight-1m' stands twice"),
        ({"costs": {}}, "limits.costs: 'default' is missing"),
        ({"costs": {"default": {"wieght": 1}}}, "did you mean 'weight'"),
        ({"costs": {"default": {"weight": -1}}}, "must be a whole number from 0"),
        ({"costs": {"default": {"weight": "1"}}}, "must be a whole number from 0"),
        ({"costs": {"default": 1}}, r"limits.costs\['default'\]: must be a mapping"),
    ],
)
def test_what_cannot_be_used_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadLimits, match=message) as caught:
        read_limits("v", {**SECTION, **change})
    assert str(caught.value).startswith("venue 'v', ")


def test_windows_of_the_configuration_stand_in_place_of_the_venues() -> None:
    tiny = Window("tiny", Kind.ROLLING, Scope.IP, 1, 2, "weight")
    limits = read_limits("v", SECTION, [tiny])
    assert limits.windows == (tiny,)
    assert limits.costs == SECTION["costs"]


def test_a_window_of_a_wrong_kind_is_no_window() -> None:
    with pytest.raises(InvalidValue, match="kind must be a Kind"):
        Window("w", "rolling", Scope.IP, 1, 1, "weight")  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="must be text"):
        Window("", Kind.ROLLING, Scope.IP, 1, 1, "weight")


def test_a_tariff_charges_each_window_that_the_cost_names() -> None:
    tariff = Tariff(read_limits("v", SECTION), lambda window: Meter(window, 0))

    def charged(method: str, path: str) -> dict[str, int]:
        return {m.name: amount for m, amount in tariff.amounts(method, f"https://x.test{path}")}

    assert charged("POST", "/api/v3/order") == {"weight-1m": 1, "orders-10s": 1}
    assert charged("GET", "/api/v3/depth") == {"weight-1m": 250}
    assert charged("GET", "/api/v3/order") == {"weight-1m": 1}
    assert charged("GET", "/api/v3/ping") == {}


@pytest.mark.parametrize("name", VenueCatalogue().names())
def test_the_limits_of_every_built_in_venue_can_be_used(name: str) -> None:
    limits = read_limits(name, VenueCatalogue().venue(name).section("limits"))
    assert limits.windows, Path(name)
    most = {window.counts: window.size for window in limits.windows}
    for cost in limits.costs.values():
        assert all(amount <= most[counts] for counts, amount in cost.items())
