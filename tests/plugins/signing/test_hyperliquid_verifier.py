"""`HyperliquidVerifier`: what the exchange would take, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.ports import Credentials
from hauberk.request import Request
from hauberk.secret import Secret
from hauberk_plugins.signing.schemes import signer_for, verifier_for
from hauberk_plugins.signing.verdict import VerificationFailed
from hauberk_plugins.venues.catalogue import VenueCatalogue

FOLDER = Path(__file__).parents[2] / "vectors" / "hyperliquid"
PUBLISHED = json.loads((FOLDER / "published.json").read_text("utf-8"))
VENUE = VenueCatalogue().venue("hyperliquid")
SIGNER = signer_for(VENUE)
CREDENTIALS = Credentials(
    Secret(PUBLISHED["credentials"]["key"]), Secret(PUBLISHED["credentials"]["secret"])
)
URLS = {
    "Mainnet": "https://api.hyperliquid.xyz/exchange",
    "Testnet": "https://api.hyperliquid-testnet.xyz/exchange",
}
NONCE = 1_700_000_000_123
AT_NS = NONCE * 1_000_000
DAY_MS = 86_400_000
ORDER = '{"action":{"type":"order","orders":[{"a":0,"p":"1"}]}}'
SEND = {
    "type": "usdSend",
    "hyperliquidChain": "Mainnet",
    "signatureChainId": "0xa4b1",
    "destination": "0x5e9ee1089755c3435139848e47e6635505d5a13a",
    "amount": "1",
    "time": NONCE,
}


def sign(body=ORDER, url=URLS["Mainnet"]):
    return SIGNER.sign(Request("POST", url, body=body), CREDENTIALS, AT_NS, lambda: str(NONCE))


def verify(signed, at_ns=AT_NS, credentials=CREDENTIALS):
    return verifier_for(VENUE).verify(signed, credentials, at_ns)


@given(at=st.integers(0, 10**6), by=st.integers(1, 255))
def test_nothing_but_what_was_signed_verifies(at, by):
    signed = sign()
    body = bytearray(signed.body)
    body[at % len(body)] ^= by
    if bytes(body).lower() == signed.body:  # hexadecimal digits in capitals say the same
        return
    with pytest.raises(VerificationFailed):
        verify(signed.signed(url=signed.url, headers=signed.headers, body=bytes(body)))


def test_a_signature_for_one_network_is_none_for_the_other():
    signed = sign()
    other = signed.signed(url=URLS["Testnet"], headers=signed.headers, body=signed.body)
    with pytest.raises(VerificationFailed) as caught:
        verify(other)
    assert caught.value.part == "signature"


def test_a_signature_of_another_wallet_does_not_verify():
    with pytest.raises(VerificationFailed):
        verify(sign(), credentials=Credentials(Secret("0x" + "1" * 40), Secret("")))


@pytest.mark.parametrize("days", [-1, 2])
def test_a_time_that_the_exchange_refuses_does_not_verify(days):
    with pytest.raises(VerificationFailed) as caught:
        verify(sign(), AT_NS + days * 86_400 * 10**9)
    assert caught.value.part == "time"
    assert verify(sign(), AT_NS + days * 86_400 * 10**9 * 999 // 1_000).at_ns == AT_NS


@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": -1},
        {"nonce": 2**64},
        {"nonce": "1"},
        {"nonce": None},
        {"signature": {"r": "0x1", "s": "0x1"}},
        {"signature": {"r": "1", "s": "0x1", "v": 27}},
        {"signature": {"r": "0x1", "s": "0x1", "v": 29}},
        {"signature": {"r": "0x0", "s": "0x0", "v": 27}},
        {"signature": {"r": "0x" + "f" * 64, "s": "0x" + "f" * 64, "v": 28}},
        {"signature": "0x1"},
    ],
)
def test_a_signature_that_cannot_be_read_does_not_verify(changed):
    signed = sign()
    body = json.dumps({**json.loads(signed.body), **changed}).encode()
    with pytest.raises(VerificationFailed):
        verify(signed.signed(url=signed.url, headers=signed.headers, body=body))


def test_an_action_is_not_handed_back_as_parameters_and_that_is_said():
    found = verify(sign())
    assert (found.params, found.is_whole, found.covers) == ((), False, {"body"})


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"url": "https://evil.example/exchange"}, "host"),
        ({"url": "http://api.hyperliquid.xyz/exchange"}, "host"),
        ({"url": URLS["Mainnet"] + "?x=1"}, "form"),
        ({"url": URLS["Mainnet"] + "#x"}, "form"),
        ({"headers": ()}, "form"),
        ({"headers": (("Content-Type", "text/plain"),)}, "form"),
        ({"headers": (("Content-Type", "application/json"),) * 2}, "form"),
    ],
)
def test_what_the_exchange_would_not_take_does_not_verify(change, part):
    signed = sign()
    kept = {"url": signed.url, "headers": signed.headers, "body": signed.body}
    with pytest.raises(VerificationFailed) as caught:
        verify(signed.signed(**(kept | change)))
    assert caught.value.part == part


def test_base_urls_may_be_given_to_the_verifier():
    verifier = verifier_for(VENUE, ["https://api.hyperliquid.xyz"])
    assert verifier.verify(sign(), CREDENTIALS, AT_NS).at_ns == AT_NS
    with pytest.raises(VerificationFailed, match="none of the base URLs that count"):
        verifier.verify(sign(url=URLS["Testnet"]), CREDENTIALS, AT_NS)


@pytest.mark.parametrize("time", [NONCE - 2 * DAY_MS + 1, NONCE + DAY_MS - 1])
def test_a_time_that_the_exchange_takes_is_signed_and_verifies(time):
    signed = sign(json.dumps({"action": SEND | {"time": time}}))
    assert verify(signed).nonce == str(time)
