"""What is worked out once signs to the byte what a close look signs, at every venue."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from hauberk import Request, Secret
from hauberk.errors import SigningError
from hauberk.ports import Credentials
from hauberk.request import MAX_URL
from hauberk_plugins.signing.offset import AGAIN_NS, FRESH_NS, STEP_NS, ExchangeClock
from hauberk_plugins.signing.route import Route
from hauberk_plugins.signing.scheme import Added, read_scheme
from hauberk_plugins.signing.signer import RequestSigner
from hauberk_plugins.signing.template import Template
from hauberk_plugins.venues.catalogue import VenueCatalogue

VECTORS = Path(__file__).parents[1] / "vectors" / "signing"
CATALOGUE = VenueCatalogue()
AT_NS = 1_700_000_000_123_456_789


def places():
    """Each venue that data describes, and each method that it takes."""
    for name in CATALOGUE.names():
        venue = CATALOGUE.venue(name)
        if "scheme" not in venue.section("signing"):
            scheme = read_scheme(venue)
            for method in dict.fromkeys(place.partition(" ")[0] for place in scheme.place):
                yield pytest.param(venue, scheme, method, id=f"{name}-{method}")


def variants():
    """What no venue does, and a venue's file may say."""
    venue = CATALOGUE.venue("binance")
    scheme = read_scheme(venue)
    expiring = (Added("expires", Template("{expires}")), *scheme.after)
    for change in (
        {"sorts": "all"},
        {"sorts": "params"},
        {"sorts": "params", "signature": ""},
        {"adds_to_query": True},
        {"adds_to_query": True, "sorts": "all"},
        {"algorithms": {"hmac-sha256": "base64"}},
        {"message": Template("{timestamp}{method}{host}{tail}{?query}{body}{content_type}")},
        {"message": Template("{raw_query}{body}")},
        {"message": Template("{query}{body}{expires}")},
        {"headers": {"X-T": Template("{key}{timestamp}{signature}")}, "signature": ""},
        {"headers": {"Content-Type": Template("text/x")}},
        {"before": expiring, "after": ()},
        {"timestamp": "iso-ms"},
        {"safe": ":,"},
        {"nonce": "ms", "before": (Added("nonce", Template("{nonce}")),)},
        {"place": {"POST": "json", "GET": "query"}},
        {"place": {"POST": "json", "GET": "query"}, "before": (), "after": (), "signature": ""},
    ):
        for method in ("GET", "POST"):
            name = "-".join([method, *change, *map(str, change.values())])[:60]
            yield pytest.param(venue, evolve(scheme, **change), method, id=name)


def credentials_of(name):
    vector = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))["vectors"][0]["credentials"]
    passphrase = Secret(vector["passphrase"]) if "passphrase" in vector else None
    return Credentials(Secret(vector["key"]), Secret(vector["secret"]), passphrase)


PLAIN = st.text("abcXYZ019-._~", min_size=1, max_size=8)
ODD = st.text('ab&=%+#?/ "\\{}:,;é\n1', max_size=6)
#: What signing adds somewhere, and what it takes for itself.
OWN = st.sampled_from(
    ["timestamp", "recvWindow", "signature", "Signature", "nonce", "request", "api_key", "expires"]
)
PARAMS = st.one_of(
    st.lists(st.tuples(PLAIN, PLAIN), max_size=6),
    st.lists(st.tuples(st.one_of(PLAIN, OWN, ODD), st.one_of(PLAIN, ODD)), max_size=4),
).map(tuple)
HEADERS = st.one_of(st.just(()), st.just((("X-Own", "1"),)))
BODIES = st.one_of(st.just(b""), st.just(b'{"a":"1"}'))


def outcome(signer, request, credentials, at_ns):
    try:
        return signer.sign(request, credentials, at_ns, lambda: "7")
    except SigningError as error:
        return str(error)


@pytest.mark.parametrize(("venue", "scheme", "method"), [*places(), *variants()])
@given(asked=st.lists(st.tuples(PARAMS, HEADERS, BODIES), min_size=2, max_size=4))
def test_a_route_signs_what_a_close_look_signs(venue, scheme, method, asked):
    credentials = credentials_of(venue.name)
    routed, close = RequestSigner(scheme), RequestSigner(scheme)
    for at, (params, headers, body) in enumerate(asked):
        request = Request(method, f"{venue.bases[0]}/x/y", params, headers, body)
        with patch.object(Route, "sign", lambda *_: None):
            expected = outcome(close, request, credentials, AT_NS + at)
        assert outcome(routed, request, credentials, AT_NS + at) == expected


def test_the_usual_orders_of_binance_need_no_close_look():
    venue = CATALOGUE.venue("binance")
    signer, credentials = RequestSigner(read_scheme(venue)), credentials_of("binance")
    for method in ("POST", "GET", "DELETE"):
        request = Request(method, f"{venue.bases[0]}/api/v3/order", {"symbol": "BTCUSDT"})
        expected = signer.sign(request, credentials, AT_NS)
        with patch.object(RequestSigner, "_checked", side_effect=AssertionError):
            assert signer.sign(request, credentials, AT_NS) == expected


@pytest.mark.parametrize(("venue", "scheme", "method"), [*places(), *variants()])
def test_a_url_may_be_as_long_by_a_route_as_by_a_close_look(venue, scheme, method):
    credentials = credentials_of(venue.name)
    routed, close = RequestSigner(scheme), RequestSigner(scheme)
    url = f"{venue.bases[0]}/api/v3/order"
    outcome(routed, Request(method, url, {"a": "1"}), credentials, AT_NS)
    for less in range(300):
        request = Request(method, url, {"a": "1" * (MAX_URL - len(url) - less)})
        with patch.object(Route, "sign", lambda *_: None):
            expected = outcome(close, request, credentials, AT_NS)
        assert outcome(routed, request, credentials, AT_NS) == expected


def test_another_key_is_signed_with_at_once():
    venue = CATALOGUE.venue("binance")
    signer, first = RequestSigner(read_scheme(venue)), credentials_of("binance")
    request = Request("POST", f"{venue.bases[0]}/api/v3/order", {"symbol": "BTCUSDT"})
    before = [signer.sign(request, first, AT_NS) for _ in range(3)]
    second = Credentials(first.key, Secret("another"))
    assert signer.sign(request, second, AT_NS).body != before[-1].body
    assert before[0] == before[1] == before[2]


@given(
    st.lists(st.tuples(st.integers(-70, 70), st.integers(0, 3)), max_size=3),
    st.one_of(st.integers(0, 2 * FRESH_NS), st.integers(0, 2 * AGAIN_NS)),
    st.sampled_from([0, 1, -1, STEP_NS, -STEP_NS, STEP_NS + 1, -STEP_NS - 1, 10**12]),
    st.booleans(),
    st.booleans(),
)
def test_a_clock_tells_at_once_nothing_but_what_it_tells_when_asked(
    answers, later, step, skew, asked
):
    clock = ExchangeClock("x")
    wall, monotonic = AT_NS, 5 * AGAIN_NS
    for off_s, trip_s in answers:
        clock.is_due(monotonic)
        clock.note(wall + off_s * 10**9, wall, trip_s * 10**9, monotonic)
        wall, monotonic = wall + AGAIN_NS, monotonic + AGAIN_NS
    if skew:
        clock.skewed(monotonic)
    wall, monotonic = wall + later + step, monotonic + later
    if asked:
        clock.is_due(monotonic)
    plain = clock.plain_ns(wall, monotonic)
    if plain is not None:
        assert not clock.may_be_due(monotonic)
        assert plain == clock.time_ns(wall, monotonic)
