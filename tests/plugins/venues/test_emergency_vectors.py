"""What venue files say of emergencies, held against what ccxt sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hauberk import Request
from hauberk.recipes import CANCEL_ALL, DEAD_MAN, SYMBOL, recipes, values_of
from hauberk_plugins.venues.catalogue import VenueCatalogue

VECTORS = Path(__file__).parents[2] / "vectors" / "emergency"
VENUES = VenueCatalogue()
#: Where ours is right to differ.
#: - BitMEX counts in milliseconds ("Timeout in ms", its specification), and ccxt sends seconds.
#: - Of HTX's contracts, ccxt takes the second of the two hosts.
TIMEOUT_IN_MS = {("bitmex", DEAD_MAN, "all")}
OTHER_HOST = {("htx", CANCEL_ALL, "linear"), ("htx", CANCEL_ALL, "coin_swap")}
#: What ccxt adds that signing does here, or that the body only has so as not to be empty.
ADDED = {"bitstamp": {"foo"}, "hyperliquid": {"nonce"}, "mexc": {"recvWindow"}}


def vectors() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    documents = [json.loads(path.read_text("utf-8")) for path in sorted(VECTORS.glob("*.json"))]
    return [(document, asked) for document in documents for asked in document["requests"]]


def named(asked: dict[str, Any]) -> tuple[str, str, str]:
    return asked["venue"], asked["action"], asked["market"]


def ours(document: dict[str, Any], asked: dict[str, Any]) -> Request:
    venue = VENUES.venue(asked["venue"])
    recipe = recipes(venue, asked["action"])[asked["market"]]
    symbol = asked["symbol"] if recipe.by_symbol else ""
    at_ns = document["at_ms"] * 1_000_000
    values = values_of(recipe, recipe.says, symbol, document["countdown_s"], at_ns)
    return recipe.request(recipe.base or venue.bases[0], "main", recipe.says, values)


def said(venue_name: str, request: Request) -> dict[str, Any]:
    """What a request says, wherever it stands, without what signing adds."""
    venue = VENUES.venue(venue_name)
    body: Any = {}
    if request.body[:1] in (b"{", b"["):
        body = json.loads(request.body)
        body = body.get("params", body)  # of an envelope, what is in it
    elif request.body:
        body = dict(venue.body_params(request))
    query = venue.sent(request.signed(url=request.url, headers=(), body=b""))
    found = {**dict(request.params), **dict(query), **body}
    added = venue.added_params | ADDED.get(venue_name, set()) | {"signature"}
    return {name: value for name, value in found.items() if name not in added}


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: " ".join(named(vector[1])))
def test_it_asks_what_ccxt_asks(vector: tuple[dict[str, Any], dict[str, Any]]) -> None:
    document, asked = vector
    mine = ours(document, asked)
    theirs = Request(asked["method"], asked["url"], body=asked["body"])
    assert mine.method == theirs.method
    here, there = urlsplit(mine.url), urlsplit(theirs.url)
    assert here.path == there.path
    venue = VENUES.venue(asked["venue"])
    assert f"{there.scheme}://{there.netloc}" in venue.bases
    assert here.netloc == there.netloc or named(asked) in OTHER_HOST
    wanted = said(asked["venue"], theirs)
    if named(asked) in TIMEOUT_IN_MS:
        assert wanted == {"timeout": document["countdown_s"]}
        wanted = {"timeout": document["countdown_s"] * 1_000}
    assert said(asked["venue"], mine) == wanted


def test_every_request_that_ccxt_has_is_held_against_it() -> None:
    held = {named(asked) for _, asked in vectors()}
    there = {
        (name, action, market)
        for name in VENUES.names()
        for action in (CANCEL_ALL, DEAD_MAN)
        for market in recipes(VENUES.venue(name), action)
    }
    assert held <= there
    # What ccxt lists, if at all, and never calls by itself.
    assert there - held == {
        ("bitget", CANCEL_ALL, "usdc_futures"), ("bitget", CANCEL_ALL, "coin_futures"),
        ("bitget", DEAD_MAN, "unified"), ("gate", CANCEL_ALL, "usdt_delivery"),
        ("gate", DEAD_MAN, "spot"), ("gate", DEAD_MAN, "usdt_futures"),
        ("gate", DEAD_MAN, "btc_futures"), ("gate", DEAD_MAN, "options"),
        ("gemini", CANCEL_ALL, "all"), ("kucoin", DEAD_MAN, "spot"), ("okx", CANCEL_ALL, "all"),
    }  # fmt: skip


@pytest.mark.parametrize("name", VENUES.names())
def test_a_symbol_goes_into_parameters_and_bodies_alone(name: str) -> None:
    venue = VENUES.venue(name)
    for action in (CANCEL_ALL, DEAD_MAN):
        for recipe in recipes(venue, action).values():
            assert SYMBOL not in recipe.path
            assert venue.endpoint(recipe.method, recipe.path)
