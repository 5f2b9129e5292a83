"""Exchanges that sign parts with nothing between them: which, and what else verifies then."""

from __future__ import annotations

import pytest

from hauberk.ports import Credentials
from hauberk.request import Request
from hauberk.secret import Secret
from hauberk_plugins.signing.binding import run_together
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.signer import RequestSigner
from hauberk_plugins.signing.verifier import RequestVerifier, VerificationFailed
from hauberk_plugins.venues.catalogue import VenueCatalogue

CATALOGUE = VenueCatalogue()
KEYS = Credentials(Secret("the-key"), Secret("the-secret"))
AT_NS = 1_700_000_000 * 10**9
EXPIRY = {"bitmex": "api-expires", "phemex": "x-phemex-request-expiry"}
PATHS = {"bitmex": "/api/v1/order", "phemex": "/orders/activeList"}
MARKS = {"bitmex": "?", "phemex": ""}


def test_the_exchanges_that_sign_parts_without_a_separator_are_known():
    found = {}
    for name in CATALOGUE.names():
        section = CATALOGUE.venue(name).section("signing")
        if "scheme" not in section:
            found[name] = run_together(read_scheme(CATALOGUE.venue(name)).message)
    assert {name: pairs for name, pairs in found.items() if pairs} == {
        "bitfinex": (("path", "nonce"),),
        "bitmex": (("?query", "expires"),),
        "bitstamp": (("?query", "content_type"), ("content_type", "nonce"), ("nonce", "timestamp")),
        "bybit": (("window_ms", "query"),),
        "cryptocom": (("tail", "timestamp"), ("concat", "timestamp")),
        "mexccontract": (("timestamp", "query"),),
        "phemex": (("path", "query"), ("query", "expires")),
    }


def signed(name):
    venue = CATALOGUE.venue(name)
    request = Request("GET", venue.bases[0] + PATHS[name], {"symbol": "BTCUSD", "count": "12"})
    return RequestSigner(read_scheme(venue)).sign(request, KEYS, AT_NS)


def readings(name):
    """Each way to cut what was signed into path, query and expiry: (path, query, expiry)."""
    venue, request = CATALOGUE.venue(name), signed(name)
    path, _, query = request.url.removeprefix(venue.bases[0]).partition("?")
    expiry = dict(request.headers)[EXPIRY[name]]
    whole = f"{path}{MARKS[name]}{query}{expiry}"
    for second in range(1, len(whole)):
        if MARKS[name]:
            path, _, query = whole[:second].partition("?")
            yield path, query, whole[second:]
            continue
        for first in range(1, second + 1):
            yield whole[:first], whole[first:second], whole[second:]


def taken(name, at_ns):
    """Those of them that verify with the signature of the one that was signed."""
    venue, request = CATALOGUE.venue(name), signed(name)
    verifier = RequestVerifier(venue, read_scheme(venue))
    found = set()
    for path, query, expiry in readings(name):
        headers = tuple(
            (key, expiry if key == EXPIRY[name] else value) for key, value in request.headers
        )
        url = venue.bases[0] + path + (f"?{query}" if query else "")
        try:
            verifier.verify(request.signed(url=url, headers=headers, body=b""), KEYS, at_ns)
        except VerificationFailed:
            continue
        found.add((path, query, expiry))
    return found


def original(name):
    venue, request = CATALOGUE.venue(name), signed(name)
    path, _, query = request.url.removeprefix(venue.bases[0]).partition("?")
    return path, query, dict(request.headers)[EXPIRY[name]]


def test_at_bitmex_digits_move_between_query_and_expiry_and_nothing_else_does():
    path, query, expiry = original("bitmex")
    found = taken("bitmex", None)
    assert len(found) > 1
    for other_path, other_query, other_expiry in found:
        assert other_path == path
        assert other_query + other_expiry == query + expiry
        assert other_expiry.isdigit()
    assert taken("bitmex", AT_NS) == {original("bitmex")}


def test_at_phemex_path_and_query_move_too_and_the_map_leaves_few():
    path, query, expiry = original("phemex")
    venue = CATALOGUE.venue("phemex")
    at_the_time = taken("phemex", AT_NS)
    assert len(at_the_time) > 1
    for other_path, other_query, other_expiry in at_the_time:
        assert other_expiry == expiry
        assert other_path + other_query == path + query
    # The map has one that begins the other: there, the parameter's name is none that Phemex has.
    assert {one for one in at_the_time if venue.endpoint("GET", one[0])} == {
        (path, query, expiry),
        ("/orders/active", f"List{query}", expiry),
    }
    assert at_the_time < taken("phemex", None)


@pytest.mark.parametrize("name", ["okx", "kucoin", "coinbaseexchange"])
def test_an_exchange_that_marks_its_parts_has_one_reading(name):
    assert run_together(read_scheme(CATALOGUE.venue(name)).message) == ()
