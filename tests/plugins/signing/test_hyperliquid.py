"""The scheme `hyperliquid`: published examples, golden vectors, and what is refused."""

from __future__ import annotations

import builtins
import json
from pathlib import Path

import pytest

from hauberk.errors import ConfigError, SigningError
from hauberk.ports import Credentials
from hauberk.request import Request
from hauberk.secret import Secret
from hauberk_plugins.signing.hyperliquid import HyperliquidSigner
from hauberk_plugins.signing.schemes import signer_for, verifier_for
from hauberk_plugins.signing.verifier import VerificationFailed
from hauberk_plugins.venues.catalogue import VenueCatalogue

FOLDER = Path(__file__).parents[2] / "vectors" / "hyperliquid"
PUBLISHED = json.loads((FOLDER / "published.json").read_text("utf-8"))
GOLDEN = json.loads((FOLDER / "ccxt.json").read_text("utf-8"))["vectors"]
VENUE = VenueCatalogue().venue("hyperliquid")
SIGNER = signer_for(VENUE)
KEY, SECRET = PUBLISHED["credentials"]["key"], PUBLISHED["credentials"]["secret"]
CREDENTIALS = Credentials(Secret(KEY), Secret(SECRET))
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


def request(body=ORDER, url=URLS["Mainnet"], **parts):
    return Request("POST", url, body=body, **parts)


def sign(body=ORDER, credentials=CREDENTIALS, **parts):
    return SIGNER.sign(request(body, **parts), credentials, AT_NS, lambda: str(NONCE))


def verify(signed, at_ns=AT_NS, credentials=CREDENTIALS):
    return verifier_for(VENUE).verify(signed, credentials, at_ns)


def padded(signature):
    """The SDK writes numbers without leading zeros."""
    return {
        name: f"0x{int(part, 16):064x}" if name in "rs" else part
        for name, part in signature.items()
    }


@pytest.mark.parametrize("vector", PUBLISHED["vectors"])
def test_it_signs_as_the_exchanges_own_sdk_has_published(vector):
    members = {"action": vector["action"], "vaultAddress": vector["vaultAddress"]}
    asked = request(json.dumps(members), URLS[vector["network"]])
    at_ns = vector["action"].get("time", 0) * 1_000_000
    signed = json.loads(SIGNER.sign(asked, CREDENTIALS, at_ns, lambda: "0").body)
    assert signed["signature"] == padded(vector["signature"])


@pytest.mark.parametrize("vector", GOLDEN)
def test_it_is_signed_to_the_byte_and_verifies(vector):
    asked = request(vector["request"]["body"], vector["request"]["url"])
    before = tuple(asked)
    signed = SIGNER.sign(asked, CREDENTIALS, vector["time_ns"], lambda: vector["nonce"])
    assert signed.body.decode() == vector["signed"]["body"]
    assert signed.headers == tuple(map(tuple, vector["signed"]["headers"]))
    assert signed.url == vector["signed"]["url"]
    assert tuple(asked) == before
    assert verify(signed, None).nonce == vector["nonce"]


def test_the_callers_body_stands_there_to_the_byte():
    body = '  {"expiresAfter" : 9,\n "action": {"type":"noop", "x": "\\u00e9é"} }\n'
    signed = sign(body).body.decode()
    assert signed.startswith(body.strip()[:-1] + ',"nonce":1700000000123,"signature":{"r":"0x')
    assert VENUE.carries(body.encode(), sign(body))


def test_an_action_with_a_time_of_its_own_keeps_it():
    def never():
        raise AssertionError

    body = json.dumps({"action": SEND | {"time": NONCE - 5}})
    signed = SIGNER.sign(request(body), CREDENTIALS, AT_NS, never)
    assert json.loads(signed.body)["nonce"] == NONCE - 5


@pytest.mark.parametrize(
    "time", [1, NONCE // 1_000, NONCE - 2 * DAY_MS, NONCE + DAY_MS, NONCE * 1_000]
)
def test_a_time_that_the_exchange_would_refuse_is_not_signed(time):
    with pytest.raises(SigningError, match="its time must be the present, in milliseconds"):
        sign(json.dumps({"action": SEND | {"time": time}}))


@pytest.mark.parametrize("name", ["extra", "fromSubAccount", "nonce"])
def test_a_member_that_would_not_be_signed_is_refused_by_signer_and_verifier(name):
    with pytest.raises(SigningError, match=f"'{name}' in the action is nothing that is signed"):
        sign(json.dumps({"action": SEND | {name: 1}}))
    signed = sign(json.dumps({"action": SEND}))
    body = signed.body.replace(b'"amount"', f'"{name}":1,"amount"'.encode())
    with pytest.raises(VerificationFailed, match="is nothing that is signed"):
        verify(signed.signed(url=signed.url, headers=signed.headers, body=body))


def test_an_agent_needs_no_name():
    action = {
        "type": "approveAgent",
        "hyperliquidChain": "Mainnet",
        "signatureChainId": "0xa4b1",
        "agentAddress": "0x" + "1" * 40,
        "nonce": NONCE,
    }
    assert verify(sign(json.dumps({"action": action}))).nonce == str(NONCE)


def test_a_public_question_leaves_as_it_is():
    asked = Request("POST", "https://api.hyperliquid.xyz/info", body='{"type": "meta"}')
    made = SIGNER.unsigned(asked)
    assert (made.url, made.body) == (asked.url, asked.body)
    assert made.headers == (("Content-Type", "application/json"),)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "must be a JSON object"),
        ("[]", "must be a JSON object"),
        ("{" * 100_000, "must be a JSON object"),
        ('{"action":{"type":"order"},"action":{"type":"order"}}', "each name once"),
        ('{"action":{"type":"a","x":{"b":1,"b":2}}}', "each name once"),
        ('{"action":{"type":"a","x":1.5}}', "numbers whole"),
        ('{"action":{"type":"a","x":NaN}}', "must be a JSON object"),
        ('{"action":{"type":"a","x":18446744073709551616}}', "too large"),
        ('{"action":{"type":"a","x":"\\ud800"}}', "no Unicode"),
        ('{"vaultAddress":null}', "no action"),
        ('{"action":{"type":1}}', "no action with a type"),
        ('{"action":{"type":"a"},"isFrontend":true}', "'isFrontend' is none of"),
        ('{"action":{"type":"a"},"nonce":1}', "'nonce' is set by signing"),
        ('{"action":{"type":"a"},"signature":{}}', "'signature' is set by signing"),
        ('{"action":{"type":"a"},"vaultAddress":"0x12"}', "must be an address"),
        ('{"action":{"type":"a"},"expiresAfter":-1}', "'expiresAfter' must be a whole number"),
        ('{"action":{"type":"a"},"expiresAfter":true}', "'expiresAfter' must be a whole number"),
    ],
)
def test_a_body_that_cannot_be_signed_is_refused(body, why):
    with pytest.raises(SigningError, match=why):
        sign(body)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"hyperliquidChain": "Testnet"}, "'hyperliquidChain' must be 'Mainnet'"),
        ({"signatureChainId": 42161}, "'signatureChainId' must be"),
        ({"signatureChainId": "a4b1"}, "'signatureChainId' must be"),
        ({"time": "1"}, "'time' must be a whole number"),
        ({"time": 2**64}, "'time' must be a whole number"),
        ({"amount": 1}, "'amount' must be string"),
        ({"destination": None}, "'destination' must be string"),
    ],
)
def test_a_message_of_its_own_is_refused_where_a_member_is_not_of_its_type(changed, why):
    with pytest.raises(SigningError, match=why):
        sign(json.dumps({"action": SEND | changed}))


def test_a_message_of_its_own_takes_nothing_that_it_would_not_sign():
    body = json.dumps({"action": SEND, "vaultAddress": "0x" + "1" * 40})
    with pytest.raises(SigningError, match="goes without vaultAddress"):
        sign(body)


def test_nothing_is_signed_for_a_network_that_is_not_known():
    with pytest.raises(SigningError, match="which network is https://proxy"):
        sign(url="https://proxy.example/exchange")
    with pytest.raises(SigningError, match="POST /exchange and nothing else"):
        sign(url="https://api.hyperliquid.xyz/other")


def test_what_stands_beside_the_body_is_refused():
    with pytest.raises(SigningError, match="leave params empty"):
        sign(params={"a": "1"})
    with pytest.raises(SigningError, match="header content-type is set"):
        sign(headers={"content-type": "text/plain"})
    with pytest.raises(SigningError, match="not UTF-8"):
        sign(b"\xff")


def test_a_nonce_is_wanted():
    with pytest.raises(SigningError, match="wants a nonce"):
        SIGNER.sign(request(), CREDENTIALS, AT_NS)


@pytest.mark.parametrize(
    ("key", "secret", "why"),
    [
        ("a-name", SECRET, "must be the address of the wallet"),
        (KEY + "0", SECRET, "must be the address of the wallet"),
        ("0x" + "1" * 40, SECRET, "another wallet than the secret's"),
        (KEY, "s3cret", "must be the private key"),
        (KEY, "0x" + "0" * 64, "must be the private key"),
        (KEY, "f" * 64, "must be the private key"),
    ],
)
def test_credentials_that_do_not_belong_together_are_refused_without_showing_them(key, secret, why):
    with pytest.raises(SigningError, match=why) as caught:
        sign(credentials=Credentials(Secret(key), Secret(secret)))
    assert secret not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_address_is_known_in_whatever_case_it_is_written():
    upper = Credentials(Secret("0x" + KEY[2:].upper()), Secret(SECRET[2:]))
    assert sign(credentials=upper) == sign()


def test_new_credentials_are_used_from_the_next_request_on():
    other = Credentials(Secret("0x" + "1" * 40), Secret(SECRET))
    sign()
    with pytest.raises(SigningError):
        sign(credentials=other)


def test_without_the_libraries_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name == "coincurve":
            raise ModuleNotFoundError("no", name="coincurve")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(SigningError, match=r"coincurve.*hauberk\[hyperliquid\]"):
        HyperliquidSigner(VENUE)


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ({"scheme": "hyperliqid"}, "signing.scheme: must be one of hyperliquid"),
        ({"scheme": "hyperliquid"}, "signing.networks: must be a mapping"),
        (
            {"scheme": "hyperliquid", "networks": {"https://x.example": "mainnet"}},
            "must be one of Mainnet, Testnet",
        ),
        ({"scheme": "hyperliquid", "networks": {}, "place": {}}, "signing.place: unknown field"),
    ],
)
def test_a_section_that_is_wrong_is_told_with_its_place(section, why):
    class Changed:
        problem = staticmethod(VENUE.problem)

        @staticmethod
        def section(name):
            return section

    for make in (signer_for, verifier_for):
        with pytest.raises(ConfigError, match=why):
            make(Changed)
