"""`RequestVerifier.statement`: what was signed, for somebody else to verify."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import pytest

from hauberk.errors import SigningError
from hauberk.ports import Credentials
from hauberk.request import Request
from hauberk.secret import Secret
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.signer import RequestSigner
from hauberk_plugins.signing.verdict import VerificationFailed
from hauberk_plugins.signing.verifier import RequestVerifier
from hauberk_plugins.venues.catalogue import VenueCatalogue

CATALOGUE = VenueCatalogue()
AT = 1_700_000_000_123_000_000
KEYS = Credentials(Secret("the-key"), Secret("the-secret"), Secret("the-passphrase"))
ED25519 = Credentials(
    Secret("the-key"),
    Secret(
        json.loads(
            (Path(__file__).parents[2] / "vectors/signing/coinbase.json").read_text("utf-8")
        )["vectors"][0]["credentials"]["secret"]
    ),
)
ORDER = {"symbol": "BTCUSDT", "side": "BUY"}


def signed_by(name, method="POST", path="/api/v3/order", params=ORDER, keys=KEYS):
    venue = CATALOGUE.venue(name)
    scheme = read_scheme(venue)
    request = Request(method, venue.bases[0] + path, params)
    return (
        RequestVerifier(venue, scheme),
        RequestSigner(scheme).sign(request, keys, AT, lambda: "0" * 32),
    )


def with_token(signed, token):
    return signed.signed(url=signed.url, headers=(("Authorization", f"Bearer {token}"),), body=b"")


def test_it_holds_the_bytes_that_were_signed_and_shows_neither():
    verifier, signed = signed_by("binance")
    stated = verifier.statement(signed, KEYS)
    body, _, written = signed.body.partition(b"&signature=")
    assert (stated.message, stated.signature.hex().encode()) == (body, written)
    assert stated.algorithm == verifier.algorithm("main", KEYS) == "hmac-sha256"
    assert "BTCUSDT" not in repr(stated)


def test_it_holds_a_signature_that_is_wrong_and_verify_refuses_it():
    verifier, signed = signed_by("binance")
    other = Credentials(KEYS.key, Secret("another"), KEYS.passphrase)
    assert verifier.statement(signed, other) == verifier.statement(signed, KEYS)
    with pytest.raises(VerificationFailed):
        verifier.verify(signed, other, None)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_tag_of_another_length_is_none(length):
    verifier, signed = signed_by("binance")
    body, _, written = signed.body.partition(b"&signature=")
    tag = (written * 2)[: 2 * length]
    cut = signed.signed(url=signed.url, headers=signed.headers, body=body + b"&signature=" + tag)
    with pytest.raises(VerificationFailed) as caught:
        verifier.statement(cut, KEYS)
    assert caught.value.part == "signature"


def test_another_accounts_key_or_passphrase_has_no_statement():
    verifier, signed = signed_by("kucoin", path="/api/v1/orders")
    for other in (
        Credentials(Secret("another"), KEYS.secret, KEYS.passphrase),
        Credentials(KEYS.key, KEYS.secret, Secret("another")),
    ):
        with pytest.raises(VerificationFailed) as caught:
            verifier.statement(signed, other)
        assert caught.value.part == "key"


def test_where_a_key_alone_is_sent_nothing_is_signed():
    verifier, signed = signed_by("binance", path="/api/v3/userDataStream", params=())
    assert verifier.verify(signed, KEYS, AT).covers == frozenset()
    with pytest.raises(VerificationFailed) as caught:
        verifier.statement(signed, KEYS)
    assert caught.value.part == "signature"


def test_a_window_that_no_exchange_has_is_refused_as_by_verify():
    verifier, signed = signed_by("binance", params={**ORDER, "recvWindow": "99999999"})
    for read in (
        lambda: verifier.statement(signed, KEYS),
        lambda: verifier.verify(signed, KEYS, None),
    ):
        with pytest.raises(VerificationFailed) as caught:
            read()
        assert caught.value.part == "time"


def test_credentials_of_no_use_are_said_to_be():
    verifier, signed = signed_by("binance")
    with pytest.raises(SigningError):
        verifier.statement(signed, Credentials(Secret("k"), Secret("")))


@pytest.mark.parametrize(
    "change",
    [
        lambda claims: {**claims, "uri": claims["uri"].replace("accounts", "orders")},
        lambda claims: {**claims, "uri": claims["uri"].replace("GET", "DELETE")},
        lambda claims: {**claims, "more": "x"},
        lambda claims: dict(reversed(claims.items())),
    ],
)
def test_a_token_that_says_something_else_than_was_signed_is_refused(change):
    verifier, signed = signed_by("coinbase", "GET", "/api/v3/brokerage/accounts", (), ED25519)
    head, claims, signature = dict(signed.headers)["Authorization"].split()[1].split(".")
    verifier.verify(signed, ED25519, AT)
    read = json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    text = json.dumps(change(read), separators=(",", ":")).encode()
    written = urlsafe_b64encode(text).rstrip(b"=").decode()
    changed = with_token(signed, f"{head}.{written}.{signature}")
    for asked in (verifier.statement, lambda *given: verifier.verify(*given, AT)):
        with pytest.raises(VerificationFailed) as caught:
            asked(changed, ED25519)
        assert caught.value.part == "signature"
