"""`RequestVerifier`: what stands beside a signature and is not part of what was signed."""

from __future__ import annotations

import traceback

import pytest

from hauberk.errors import SigningError
from hauberk.ports import Credentials
from hauberk.request import Request
from hauberk.secret import Secret
from hauberk_plugins.signing.algorithms import ECDSA
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.schemes import verifier_for
from hauberk_plugins.signing.signer import RequestSigner
from hauberk_plugins.signing.verifier import RequestVerifier, VerificationFailed
from hauberk_plugins.venues.catalogue import VenueCatalogue

AT_NS = 1_700_000_000_123 * 1_000_000
CATALOGUE = VenueCatalogue()
KEYS = Credentials(Secret("the-key"), Secret("c2VjcmV0"), Secret("the-passphrase"))
SCHEMES = {
    name: read_scheme(CATALOGUE.venue(name))
    for name in CATALOGUE.names()
    if "scheme" not in CATALOGUE.venue(name).section("signing")
}
# A private key in PEM is not made up here: `test_golden_vectors` has some.
WITH_MAC = [name for name, scheme in SCHEMES.items() if ECDSA not in scheme.algorithms]
PLACED = [
    pytest.param(name, method, where, id=f"{name}-{method}")
    for name in WITH_MAC
    for method, where in SCHEMES[name].place.items()
    if (name, method) != ("cryptocom", "GET")  # public, all of them
]


def signed(name, method="POST", path="/x", params=(("a", "1"),), body="", keys=KEYS):
    venue = CATALOGUE.venue(name)
    request = Request(method, venue.bases[0] + path, params, body=body)
    return RequestSigner(SCHEMES[name]).sign(request, keys, AT_NS, lambda: "7")


def changed(request, **fields):
    kept = {"url": request.url, "headers": request.headers, "body": request.body}
    return request.signed(**(kept | fields))


def verify(name, request, bases=None, keys=KEYS):
    return RequestVerifier(CATALOGUE.venue(name), SCHEMES[name], bases).verify(request, keys, AT_NS)


def refused(name, request, bases=None):
    with pytest.raises(VerificationFailed) as caught:
        verify(name, request, bases)
    return caught.value.part


def with_type(request, *values):
    rest = tuple(header for header in request.headers if header[0].lower() != "content-type")
    return changed(request, headers=rest + tuple(("Content-Type", value) for value in values))


@pytest.mark.parametrize(("name", "method", "where"), PLACED)
def test_a_body_put_beside_a_signed_query_is_refused(name, method, where):
    request = signed(name, method)
    assert verify(name, request).is_whole
    if where == "query":
        for body in (b"symbol=EVIL&quantity=999", b'{"symbol":"EVIL"}', b" ", b"{}"):
            assert refused(name, changed(request, body=body)) == "form"


def test_what_bears_no_signature_at_all_is_refused():
    assert refused("cryptocom", signed("cryptocom", "GET")) == "signature"


@pytest.mark.parametrize(("name", "method", "where"), PLACED)
def test_a_query_of_which_nothing_is_signed_is_refused_beside_a_body(name, method, where):
    request = signed(name, method)
    if where != "query":
        sign = "&" if "?" in request.url else "?"
        assert refused(name, changed(request, url=f"{request.url}{sign}a=2")) in (
            "form",
            "signature",
        )


@pytest.mark.parametrize("body", [b"not json <html>", b'{"a":1,"a":2}', b"7", b'{"a":NaN}'])
def test_a_body_that_is_not_signed_is_read_as_strictly_as_it_is_signed(body):
    # HTX signs no body.
    request = signed("htx", path="/v1/order/orders/place")
    assert refused("htx", changed(request, body=body)) == "form"


@pytest.mark.parametrize(("name", "method", "where"), PLACED)
def test_a_body_that_says_it_is_of_another_type_is_refused(name, method, where):
    request = signed(name, method)
    if not request.body:
        return
    for values in ((), ("text/plain",), ("application/jsonp",), ("",)):
        assert refused(name, with_type(request, *values)) == "form"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("binance", "Application/X-WWW-Form-URLencoded;charset=utf-8"),
        ("okx", "application/json; charset=utf-8"),
    ],
)
def test_a_type_with_a_character_set_is_the_same_type(name, value):
    request = signed(name)
    assert verify(name, with_type(request, value)).params == (("a", "1"),)
    assert refused(name, with_type(request, value, value)) == "form"


@pytest.mark.parametrize("name", WITH_MAC)
@pytest.mark.parametrize("base", ["https://evil.example", "http://{}", "https://{}:8443"])
def test_a_host_that_is_none_of_the_venues_is_refused(name, base):
    request = signed(name, "GET")
    own = CATALOGUE.venue(name).bases[0]
    url = request.url.replace(own, base.format(own.removeprefix("https://")))
    assert refused(name, changed(request, url=url)) == "host"


def test_an_account_with_a_base_url_of_its_own_is_verified_by_that():
    url = "https://testnet.binance.vision/api/v3/order"
    request = RequestSigner(SCHEMES["binance"]).sign(Request("POST", url, {"a": "1"}), KEYS, AT_NS)
    assert refused("binance", request) == "host"
    assert verify("binance", request, ["https://testnet.binance.vision/"]).params == (("a", "1"),)
    assert refused("binance", signed("binance"), ["https://testnet.binance.vision"]) == "host"
    verifier = verifier_for(CATALOGUE.venue("binance"), ["https://testnet.binance.vision"])
    assert verifier.verify(request, KEYS, AT_NS).at_ns == AT_NS


@pytest.mark.parametrize("end", ["?", "#x", "?#x"])
def test_a_url_that_is_not_written_as_it_was_signed_is_refused(end):
    request = signed("bybit", "GET", params=())
    assert refused("bybit", changed(request, url=request.url + end)) == "form"


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("cryptocom", "/exchange/v1/private/x", '{"order_list":[{"side":"SELL"}]}'),
        ("cryptocom", "/exchange/v1/private/x", '{"a":{"b":"1"}}'),
        ("gemini", "/v1/order/new", '{"symbol":"btcusd","options":["maker-or-cancel"]}'),
        ("okx", "/api/v5/trade/batch-orders", '[{"a":"1"}]'),
        ("bitmex", "/api/v1/order", '{"a":[1]}'),
        ("htx", "/v1/order/orders/place", '{"a":{}}'),
    ],
)
def test_where_not_all_can_be_handed_back_that_is_said(name, path, body):
    found = verify(name, signed(name, path=path, params=(), body=body))
    assert (found.params, found.is_whole) == ((), False)
    flat = verify(name, signed(name, path=path, params=(), body='{"a":1.50,"b":null}'))
    assert (dict(flat.params), flat.is_whole) == ({"a": "1.50", "b": "null"}, True)


def test_an_endpoint_that_takes_the_key_alone_says_its_type_once():
    section = dict(CATALOGUE.venue("binance").section("signing"))
    section["headers"] = {**section["headers"], "Content-Type": "application/x-www-form-urlencoded"}

    class Typed:
        section = staticmethod(lambda name: section)

        def __getattr__(self, name):
            return getattr(CATALOGUE.venue("binance"), name)

    scheme = read_scheme(Typed())
    request = Request("POST", "https://api.binance.com/api/v3/userDataStream", {"a": "1"})
    made = RequestSigner(scheme).sign(request, KEYS, AT_NS)
    assert [name for name, _ in made.headers] == ["X-MBX-APIKEY", "Content-Type"]
    found = RequestVerifier(CATALOGUE.venue("binance"), scheme).verify(made, KEYS, AT_NS)
    assert (found.params, found.covers) == ((("a", "1"),), frozenset())


# An unescaped query right before the body: Bitget and KuCoin have it so.


@pytest.mark.parametrize("name", ["bitget", "kucoin"])
@pytest.mark.parametrize("body", [' {"x":1}', '\n[{"x":1}]', "\t{}"])
def test_no_query_runs_into_a_body(name, body):
    with pytest.raises(SigningError, match="let the body begin with"):
        signed(name, body=body)
    assert verify(name, signed(name, body=body.strip())).params[0] == ("a", "1")


@pytest.mark.parametrize("name", ["bitget", "kucoin"])
@pytest.mark.parametrize("query", ["a=1%7B%22x%22:1%7D", "a=1%7B%22x%22:", "a=1%7B"])
def test_what_is_cut_elsewhere_between_query_and_body_does_not_verify(name, query):
    request = signed(name, body='{"x":1}')
    cut = query.replace("%7B", "{").replace("%22", '"').replace("%7D", "}").removeprefix("a=1")
    body = request.body.removeprefix(cut.encode())
    url = request.url.partition("?")[0] + "?" + query
    assert refused(name, changed(request, url=url, body=body)) == "form"


def test_another_message_that_joins_them_elsewhere_is_found_in_a_digest_too():
    assert RequestSigner(SCHEMES["bitget"])._wording.joins_body
    assert not RequestSigner(SCHEMES["gate"])._wording.joins_body


# What is shown of a request that does not verify.


@pytest.mark.parametrize("name", ["okx", "binance", "gemini", "bitstamp", "cryptocom"])
@pytest.mark.parametrize(
    "change",
    [
        lambda one: {"headers": one.headers + one.headers[:1]},
        lambda one: {"headers": tuple((key, f"{value} x") for key, value in one.headers)},
        lambda one: {"body": one.body + b"\xff"},
        lambda one: {"body": one.body + b"&", "headers": one.headers + one.headers},
        lambda one: {"url": one.url + "?x=1"},
    ],
)
def test_no_frame_of_a_refusal_holds_a_key_or_a_signature(name, change):
    keys = Credentials(Secret("c4nary-key"), Secret("c4nary-secret"), Secret("c4nary-pass"))
    request = signed(name, path="/exchange/v1/x", keys=keys)
    verifier = RequestVerifier(CATALOGUE.venue(name), SCHEMES[name])
    with pytest.raises(VerificationFailed) as caught:
        verifier.verify(changed(request, **change(request)), keys, AT_NS)
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    own = [frame for frame in frames.stack if "test_verifier_wire" not in frame.filename]
    assert own
    assert "c4nary" not in str([frame.locals for frame in own])
    assert caught.value.__context__ is None
