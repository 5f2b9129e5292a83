"""A venue's page says in words and tables what its file says in data."""

from __future__ import annotations

import re

import pytest
import venuepages

from hauberk.yamlfile import load_yaml
from hauberk_plugins.venues.catalogue import BUILT_IN

NAMES = venuepages.venue_names()


def part(page: str, title: str) -> str:
    """Return what stands under a heading; nothing where there is none."""
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", page, re.M | re.S)
    return "" if found is None else found[1]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_printed_as_it_stands_in_the_file(name: str) -> None:
    page = venuepages.venue_page(name)
    text = re.sub(r"`[^`]*`", "", page)
    assert not re.search(r"[{}]|\[\[|True|False|\bNone\b", text)


@pytest.mark.parametrize("name", NAMES)
def test_every_cost_that_depends_has_a_line_for_each_case(name: str) -> None:
    data = load_yaml(BUILT_IN / f"{name}.yml").data
    said = part(venuepages.venue_page(name), "Limits")
    for endpoint, costs in data.get("limits", {}).get("costs", {}).items():
        if endpoint == "default":
            continue
        assert f"`{endpoint}`" in said
        for amount in costs.values():
            for case in [] if isinstance(amount, int) else amount:
                if isinstance(case, dict) and case["param"] != ".":
                    assert f"`{case['param']}`" in said


@pytest.mark.parametrize("name", NAMES)
def test_every_endpoint_whose_orders_are_read_is_told(name: str) -> None:
    orders = load_yaml(BUILT_IN / f"{name}.yml").data.get("orders", {})
    said = part(venuepages.venue_page(name), "Orders under caps")
    for endpoint in orders.get("endpoints", {}):
        assert f"| `{endpoint}` |" in said
    for contract in orders.get("contracts", {}):
        assert f"`{contract}`" in said


def test_a_cost_that_depends_reads_as_a_sentence() -> None:
    said = part(venuepages.venue_page("binance"), "Limits")
    assert "| `GET /api/v3/depth` | `limit` is at most 100 | 5 weight |" in said
    assert "|  | `symbols` is given | 4 for each item, at most 200 weight |" in said


def test_what_an_order_is_held_against_reads_as_a_sentence() -> None:
    said = part(venuepages.venue_page("okx"), "Orders under caps")
    assert "base where `tdMode` is `cash` and `tgtCcy` is `base_ccy`" in said
    closing = next(line for line in said.splitlines() if "close-position" in line)
    assert closing.endswith("| none: it closes a position |")
