from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from hauberk import Request
from hauberk.errors import ConfigError, ConfigProblem, InvalidValue
from hauberk.keypath import KeyPath, path_text
from hauberk_plugins.throttle.costs import dearest
from hauberk_plugins.throttle.feedback import Told
from hauberk_plugins.throttle.limits import Limits
from hauberk_plugins.throttle.meters import Meter
from hauberk_plugins.throttle.reading import read_limits
from hauberk_plugins.throttle.tariff import Tariff
from hauberk_plugins.throttle.windows import Kind, Scope, Window
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


def problem(path: KeyPath, message: str) -> ConfigProblem:
    """As a venue of a file makes them."""
    return ConfigProblem("v.yml", 7, path_text(path), message)


def test_windows_and_costs_are_read() -> None:
    limits = read_limits(SECTION, problem)
    assert limits.windows[1] == Window("orders-10s", Kind.ROLLING, Scope.ACCOUNT, 10, 100, "orders")
    assert limits.costs == SECTION["costs"]


def test_no_section_means_that_nothing_is_paced() -> None:
    assert read_limits({}, problem) == Limits()


def problems(section: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_limits(section, problem)
    assert {(one.file, one.line) for one in caught.value.problems} == {("v.yml", 7)}
    return [f"{one.path}: {one.message}" for one in caught.value.problems]


WEIGHTS = {"default": {"weight": 1}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": ()}, "limits.window: means nothing here; did you mean 'windows'?"),
        ({"windows": {}, "costs": {}}, "limits.windows: must be a list"),
        ({"windows": (3,), "costs": {"default": {}}}, "limits.windows.0: must be a mapping"),
        (
            {"windows": ({**WEIGHT, "kind": "calender"},), "costs": WEIGHTS},
            "limits.windows.0.kind: 'calender' is none of calendar, rolling, decaying; did you "
            "mean 'calendar'?",
        ),
        (
            {"windows": ({**WEIGHT, "scope": "planet"},), "costs": WEIGHTS},
            "limits.windows.0.scope: 'planet' is none of ip, account, key, instrument",
        ),
        (
            {"windows": ({**WEIGHT, "size": 0},), "costs": WEIGHTS},
            "limits.windows.0: window 'weight-1m': size must be a whole number from 1",
        ),
        (
            {"windows": ({**WEIGHT, "seconds": 0.5},), "costs": WEIGHTS},
            "limits.windows.0: window 'weight-1m': seconds must be a whole number from 1",
        ),
        (
            {"windows": ({**WEIGHT, "size": True},), "costs": WEIGHTS},
            "limits.windows.0: window 'weight-1m': size must be a whole number from 1",
        ),
        (
            {"windows": ({**WEIGHT, "sizes": 1},), "costs": WEIGHTS},
            "limits.windows.0.sizes: means nothing here; did you mean 'size'?",
        ),
        (
            {"windows": (WEIGHT, {**ORDERS, "name": "weight-1m"})},
            "limits.windows.1.name: the name 'weight-1m' stands twice",
        ),
        (
            {"windows": (WEIGHT, {**WEIGHT, "name": "w", "counts": "wieght"}), "costs": WEIGHTS},
            "limits.windows.1.counts: no endpoint costs any 'wieght', so nothing would be paced; "
            "did you mean 'weight'?",
        ),
        (
            {"windows": (WEIGHT,), "costs": {**WEIGHTS, "GET /a": {"wieght": 1}}},
            "limits.costs.\"GET /a\".wieght: means nothing here; did you mean 'weight'?",
        ),
        (
            {"windows": (WEIGHT,), "costs": {**WEIGHTS, "GET /a": {"weight": -1}}},
            'limits.costs."GET /a".weight: must be a whole number from 1; leave out what costs '
            "nothing",
        ),
        (
            {"windows": (WEIGHT,), "costs": {"default": {"weight": "1"}}},
            "limits.costs.default.weight: must be a whole number from 1; leave out what costs "
            "nothing",
        ),
        (
            {"windows": (WEIGHT,), "costs": {**WEIGHTS, "GET /a": 1}},
            'limits.costs."GET /a": must be a mapping',
        ),
        (
            {"windows": (WEIGHT,), "costs": {"GET /a": {"weight": 1}}},
            "limits.costs: 'default' is missing",
        ),
    ],
)
def test_each_mistake_is_one_problem_where_it_stands(change: dict[str, Any], message: str) -> None:
    assert problems({**SECTION, **change}) == [message]


def test_every_mistake_of_a_file_is_listed_at_once() -> None:
    assert [problem.split(": ")[0] for problem in problems({
        "window": (),
        "windows": ({**WEIGHT, "counts": "wieght"}, {"name": "x", "counts": "orders"}, WEIGHT),
        "costs": {"default": {"weight": 1, "ordrs": 1}, "GET /a": {"ordrs": 2, "orders": 1}},
    })] == [
        "limits.window",
        *(["limits.windows.1"] * 4),
        "limits.costs.default.ordrs",
        "limits.windows.2.name",
        "limits.windows.0.counts",
    ]  # fmt: skip


def test_a_window_of_a_figure_that_costs_nothing_anywhere_would_pace_nothing() -> None:
    costs = {"default": {"weight": 1}}
    [told] = problems({"windows": (WEIGHT, ORDERS), "costs": costs})
    assert told.startswith("limits.windows.1.counts: no endpoint costs any 'orders'")


def test_windows_of_the_configuration_stand_in_place_of_the_venues() -> None:
    tiny = Window("tiny", Kind.ROLLING, Scope.IP, 1, 2, "weight")
    limits = read_limits(SECTION, problem).replaced([tiny])
    assert limits.windows == (tiny,)
    assert limits.costs == SECTION["costs"]
    assert read_limits(SECTION, problem).replaced(None) == read_limits(SECTION, problem)


@pytest.mark.parametrize(
    ("name", "seconds", "counts", "scope", "is_told"),
    [
        ("mine", 60, "weight", Scope.IP, True),
        ("weight", 60, "weight", Scope.IP, True),
        ("mine", 30, "weight", Scope.IP, False),
        ("mine", 60, "orders", Scope.IP, False),
        ("mine", 60, "weight", Scope.KEY, False),
    ],
)
def test_a_window_under_a_name_of_ones_own_hears_what_the_exchange_tells_of_its_like(
    name: str, seconds: int, counts: str, scope: Scope, is_told: bool
) -> None:
    theirs = Window("weight-1m", Kind.CALENDAR, Scope.IP, 60, 1_200, "weight")
    told = Told("x-used", frozenset({"weight-1m"}))
    own = Window(name, Kind.ROLLING, scope, seconds, 600, counts)
    [found] = Limits((theirs,), told=(told,)).replaced([own]).told
    assert (name in found.windows) is is_told


def test_a_window_of_a_wrong_kind_is_no_window() -> None:
    with pytest.raises(InvalidValue, match="kind must be a Kind"):
        Window("w", "rolling", Scope.IP, 1, 1, "weight")  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="must be text"):
        Window("", Kind.ROLLING, Scope.IP, 1, 1, "weight")


def test_a_tariff_charges_each_window_that_the_cost_names() -> None:
    tariff = Tariff(read_limits(SECTION, problem), lambda window, _: Meter(window, 0))

    def charged(method: str, path: str) -> dict[str, int]:
        return {
            m.name: amount for m, amount in tariff.amounts(Request(method, f"https://x.test{path}"))
        }

    assert charged("POST", "/api/v3/order") == {"weight-1m": 1, "orders-10s": 1}
    assert charged("GET", "/api/v3/depth") == {"weight-1m": 250}
    assert charged("GET", "/api/v3/order") == {"weight-1m": 1}
    assert charged("GET", "/api/v3/ping") == {}


@pytest.mark.parametrize("name", VenueCatalogue().names())
def test_the_limits_of_every_built_in_venue_can_be_used(name: str) -> None:
    limits = read_limits(VenueCatalogue().venue(name).section("limits"), problem)
    assert limits.windows, Path(name)
    most = {window.counts: window.size for window in limits.windows}
    for cost in limits.costs.values():
        assert all(dearest(amount) <= most[counts] for counts, amount in cost.items())


def test_the_example_in_the_documentation_can_be_used() -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "pace-requests.md"
    block = page.read_text("utf-8").partition(":caption: my-venues/acme.yml\n")[2]
    section = YAML(typ="safe").load(block.partition("```")[0])["limits"]
    limits = read_limits(section, problem)
    assert [window.reserve for window in limits.windows] == [0, 0, 6]
    assert limits.dearest("weight") == 250
