"""`RequestVerifier`: what an exchange would take, and nothing else."""

from __future__ import annotations

import json
import re
import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import SigningError
from hauberk.ports import Credentials
from hauberk.request import Request
from hauberk.secret import Secret
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.signer import RequestSigner
from hauberk_plugins.signing.validity import AHEAD_NS
from hauberk_plugins.signing.verifier import RequestVerifier, VerificationFailed
from hauberk_plugins.venues.catalogue import VenueCatalogue

MS = 1_000_000
AT = 1_700_000_000_123 * MS
CATALOGUE = VenueCatalogue()
SECRETS = json.loads(
    (Path(__file__).parents[2] / "peer_signing" / "secrets.json").read_text("utf-8")
)
KEYS = Credentials(Secret("the-key"), Secret("the-secret"), Secret("the-passphrase"))
ORDER = {"symbol": "BTCUSDT", "side": "BUY"}
BINANCE, KUCOIN = CATALOGUE.venue("binance"), CATALOGUE.venue("kucoin")


def signed(venue, method="POST", path="/api/v3/order", params=ORDER, keys=KEYS, at=AT):
    request = Request(method, venue.bases[0] + path, params)
    return RequestSigner(read_scheme(venue)).sign(request, keys, at)


def verify(venue, request, keys=KEYS, at=AT):
    return RequestVerifier(venue, read_scheme(venue)).verify(request, keys, at)


def refused(venue, request, keys=KEYS, at=AT):
    with pytest.raises(VerificationFailed) as caught:
        verify(venue, request, keys, at)
    assert "the-key" not in str(caught.value)
    return caught.value.part


def changed(request, **fields):
    kept = {"url": request.url, "headers": request.headers, "body": request.body}
    return request.signed(**(kept | fields))


def test_what_a_signed_request_says_is_handed_back():
    found = verify(BINANCE, signed(BINANCE))
    assert (found.params, found.at_ns, found.nonce) == (tuple(ORDER.items()), AT, "")
    assert found.covers == {"query", "body"}, "Binance signs no path"
    assert "BTCUSDT" not in repr(found)


@pytest.mark.parametrize("late_ns", [0, 5_000 * MS, -AHEAD_NS])
def test_it_is_good_for_as_long_as_the_exchange_takes_it(late_ns):
    assert verify(BINANCE, signed(BINANCE), at=AT + late_ns).at_ns == AT


@pytest.mark.parametrize("late_ns", [5_001 * MS, -AHEAD_NS - MS, 3_600_000 * MS])
def test_before_and_after_it_is_not(late_ns):
    assert refused(BINANCE, signed(BINANCE), at=AT + late_ns) == "time"
    assert verify(BINANCE, signed(BINANCE), at=None).at_ns == AT, "an archive has no clock"


def test_a_longer_window_of_the_callers_own_counts():
    request = signed(BINANCE, params={**ORDER, "recvWindow": "60000"})
    assert verify(BINANCE, request, at=AT + 59_000 * MS).at_ns == AT


def test_another_key_or_secret_is_refused():
    other = Credentials(Secret("another-key"), KEYS.secret, KEYS.passphrase)
    assert refused(BINANCE, signed(BINANCE), other) == "key"
    other = Credentials(KEYS.key, Secret("another"), KEYS.passphrase)
    assert refused(BINANCE, signed(BINANCE), other) == "signature"


def test_another_passphrase_is_refused():
    request = signed(KUCOIN, path="/api/v1/orders")
    other = Credentials(KEYS.key, KEYS.secret, Secret("another"))
    assert refused(KUCOIN, request, other) == "key"


@pytest.mark.parametrize(
    "change",
    [
        lambda one: {"headers": ()},
        lambda one: {"headers": one.headers + one.headers},
        lambda one: {"headers": (("X-MBX-APIKEY", "the-kez"), *one.headers[1:])},
        lambda one: {"body": one.body + b"&x=1"},
        lambda one: {"body": b"x=1&" + one.body},
        lambda one: {"body": one.body.replace(b"BUY", b"SELL")},
        lambda one: {
            "body": one.body.replace(b"symbol=BTCUSDT&side=BUY", b"side=BUY&symbol=BTCUSDT")
        },
        lambda one: {"body": one.body.replace(b"timestamp=1", b"timestamp=2")},
        lambda one: {"body": one.body.rpartition(b"&")[0]},
        lambda one: {"body": one.body.upper()},
        lambda one: {"body": one.body + b"&signature=" + one.body.rpartition(b"=")[2]},
        lambda one: {"body": b"signature=0"},
        lambda one: {"body": b""},
        lambda one: {"body": b"\xff"},
        lambda one: {"body": b"%zz"},
        lambda one: {"url": one.url + "?" + one.body.decode(), "body": b""},
        lambda one: {"url": one.url + "?symbol=ETHUSDT"},
    ],
)
def test_whatever_is_changed_is_refused(change):
    request = signed(BINANCE)
    verify(BINANCE, request)
    assert refused(BINANCE, changed(request, **change(request))) in ("form", "key", "signature")


def test_what_is_not_signed_is_refused():
    assert refused(BINANCE, Request("POST", f"{BINANCE.bases[0]}/api/v3/order", ORDER)) == "form"


@given(st.binary(max_size=80))
def test_no_body_makes_it_fail_in_another_way(body):
    refused(BINANCE, changed(signed(BINANCE), body=body))


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=80))
def test_no_query_and_no_header_makes_it_fail_in_another_way(text):
    request = signed(KUCOIN, "GET", "/api/v1/orders")
    refused(KUCOIN, changed(request, url=f"{request.url}{text or '&'}"))
    headers = tuple(
        (name, text if name == "KC-API-SIGN" else value) for name, value in request.headers
    )
    refused(KUCOIN, changed(request, headers=headers))


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_the_public_half_of_a_key_verifies_and_signs_nothing(kind):
    private = Secret(SECRETS[kind])
    request = signed(BINANCE, keys=Credentials(KEYS.key, private))
    loaded = serialization.load_pem_private_key(private.reveal(), None)
    public = loaded.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    half = Credentials(KEYS.key, Secret(public))
    assert verify(BINANCE, request, half).params == tuple(ORDER.items())
    with pytest.raises(SigningError, match="is a public key, which signs nothing"):
        signed(BINANCE, keys=half)
    assert refused(BINANCE, changed(request, body=request.body.replace(b"BUY", b"SELL")), half) == (
        "signature"
    )


@pytest.mark.parametrize("name", ["gate", "kucoin"])
@pytest.mark.parametrize("query", ["a=1%26b%3D2", "a%3D1%26b=2"])
def test_a_query_that_would_be_signed_alike_is_not_taken_for_another(name, query):
    venue = CATALOGUE.venue(name)
    path = "/api/v4/spot/orders" if name == "gate" else "/api/v1/orders"
    request = signed(venue, "GET", path, {"a": "1", "b": "2"})
    assert (
        refused(venue, changed(request, url=request.url.partition("?")[0] + "?" + query)) == "form"
    )


@pytest.mark.parametrize("window", ["999999999999", "5_000", " 5000 ", "+7", "\u0667", "05000"])
def test_no_request_is_good_for_ever(window):
    request = signed(BINANCE, params={**ORDER, "recvWindow": window})
    assert refused(BINANCE, request, at=AT) in ("time", "form")


def test_an_endpoint_that_takes_the_key_alone_verifies_and_covers_nothing():
    request = signed(BINANCE, path="/api/v3/userDataStream", params={})
    found = verify(BINANCE, request)
    assert (found.covers, found.at_ns) == (frozenset(), None)
    other = Credentials(Secret("another-key"), KEYS.secret)
    assert refused(BINANCE, request, other) == "key"


def test_parameters_that_are_not_all_of_it_say_so():
    gate = CATALOGUE.venue("gate")
    flat = signed(gate, path="/api/v4/spot/orders")
    assert verify(gate, flat).is_whole
    for body in ('{"initial":{"size":5}}', '[{"side":"buy"}]'):
        request = Request("POST", f"{gate.bases[0]}/api/v4/spot/orders", body=body)
        made = RequestSigner(read_scheme(gate)).sign(request, KEYS, AT)
        found = verify(gate, made)
        assert (found.params, found.is_whole) == ((), False)


@pytest.mark.parametrize("body", ["[" * 100_000, '{"id":' + "[" * 100_000])
def test_json_without_end_is_refused_like_any_other(body):
    venue = CATALOGUE.venue("cryptocom")
    request = signed(venue, path="/exchange/v1/private/user-balance", params={})
    with pytest.raises(VerificationFailed):
        RequestVerifier(venue, read_scheme(venue)).verify(
            changed(request, body=body.encode()), KEYS, None
        )


@pytest.mark.parametrize("body", ["garbage", '{"x":NaN}', '{"side":"buy","side":"sell"}', '"text"'])
def test_a_body_that_has_no_one_meaning_is_not_signed(body):
    gate = CATALOGUE.venue("gate")
    request = Request("POST", f"{gate.bases[0]}/api/v4/spot/orders", body=body)
    with pytest.raises(SigningError, match="with every name once"):
        RequestSigner(read_scheme(gate)).sign(request, KEYS, AT)


@pytest.mark.parametrize(
    ("name", "keys", "params"),
    [
        ("kucoin", Credentials(Secret("c4nary-key"), Secret("c4nary-secret")), ORDER),
        ("okx", Credentials(Secret("c4nary-key"), Secret("s"), Secret("c4nary passphrase")), ORDER),
        ("coinbase", Credentials(Secret("c4nary-key"), Secret("YzRuYXJ5" * 4)), ORDER),
        ("binance", Credentials(Secret("c4nary-key"), Secret("c4nary")), {"a": "x" * 8_100}),
    ],
)
def test_no_frame_of_an_error_holds_a_key_or_a_signature(name, keys, params):
    venue = CATALOGUE.venue(name)
    method = "GET" if name == "binance" else "POST"
    request = Request(method, f"{venue.bases[0]}/api/v3/order", params)
    with pytest.raises(SigningError) as caught:
        RequestSigner(read_scheme(venue)).sign(request, keys, AT, lambda: "7")
    shown = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    inner = shown[shown.index("signer.py") :]
    assert "c4n" not in inner
    assert re.search(r"signature=[0-9a-f]{20}", inner) is None
