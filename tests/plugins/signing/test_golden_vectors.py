"""Signing against golden vectors, made where ccxt signed the same to the byte.

`tests/peer_signing` makes them and `docs/reference/signing-vectors.md` describes them.
"""

from __future__ import annotations

import json
import runpy
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hauberk.ports import Credentials
from hauberk.request import Request
from hauberk.secret import Secret
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.signer import RequestSigner
from hauberk_plugins.signing.verifier import RequestVerifier, VerificationFailed
from hauberk_plugins.venues.catalogue import VenueCatalogue

FOLDER = Path(__file__).parents[2] / "vectors" / "signing"
FILES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
CASES = [
    pytest.param(name, vector, id=f"{name}-{number}")
    for name, file in FILES.items()
    for number, vector in enumerate(file["vectors"])
]
CATALOGUE = VenueCatalogue()
#: As the vectors were made; `tests/peer_signing` holds programs, and is no package.
OVERLAY = Path(__file__).parents[2] / "peer_signing" / "overlay.py"
Overlaid = runpy.run_path(str(OVERLAY))["Overlaid"]


def venue_of(name):
    file = FILES[name]
    return Overlaid(CATALOGUE.venue(file["venue"]), file["overlay"])


def credentials_of(vector):
    held = vector["credentials"]
    passphrase = Secret(held["passphrase"]) if "passphrase" in held else None
    return Credentials(Secret(held["key"]), Secret(held["secret"]), passphrase)


def signed_as_written(vector):
    asked, signed = vector["request"], vector["signed"]
    headers = tuple(map(tuple, signed["headers"]))
    return Request(asked["method"], asked["url"]).signed(
        url=signed["url"], headers=headers, body=signed["body"].encode()
    )


def test_every_venue_has_vectors():
    schemed = {
        n for n in CATALOGUE.names() if "scheme" not in CATALOGUE.venue(n).section("signing")
    }
    assert schemed == {file["venue"] for file in FILES.values()}


@pytest.mark.parametrize(("name", "vector"), CASES)
def test_it_is_signed_to_the_byte(name, vector):
    asked = vector["request"]
    request = Request(
        asked["method"],
        asked["url"],
        tuple(map(tuple, asked["params"])),
        body=asked.get("body", ""),
    )
    before = tuple(request)
    signed = RequestSigner(read_scheme(venue_of(name))).sign(
        request, credentials_of(vector), vector["time_ns"], lambda: vector["nonce"]
    )
    assert signed == signed_as_written(vector)
    assert tuple(request) == before


@pytest.mark.parametrize(("name", "vector"), CASES)
def test_it_verifies_and_nothing_else_does(name, vector):
    venue, credentials = venue_of(name), credentials_of(vector)
    verifier = RequestVerifier(venue, read_scheme(venue))
    signed = signed_as_written(vector)
    found = verifier.verify(signed, credentials, vector["time_ns"])
    params = tuple(map(tuple, vector["request"]["params"]))
    assert sorted(found.params) == sorted(params)
    other = Credentials(Secret("another"), credentials.secret, credentials.passphrase)
    with pytest.raises(VerificationFailed):
        verifier.verify(signed, other, vector["time_ns"])
    for changed in _changed(signed, found.covers):
        with pytest.raises(VerificationFailed):
            verifier.verify(changed, credentials, None)


def test_ecdsa_is_as_the_page_says_and_needs_nothing_of_ours_to_be_made():
    page = (Path(__file__).parents[3] / "docs" / "reference" / "signing-vectors.md").read_text()
    told = " ".join(page.split())
    assert '"low s"' in told
    assert "`r` followed by `s`, 32 bytes each, big-endian" in told
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # NIST P-256
    halves = []
    for vector in FILES["coinbase"]["vectors"]:
        if "EC PRIVATE" not in vector["credentials"]["secret"]:
            continue
        pem = vector["credentials"]["secret"].encode()
        token = dict(vector["signed"]["headers"])["Authorization"].split()[1]
        signed, _, written = token.rpartition(".")
        r, s = decode_dss_signature(
            load_pem_private_key(pem, None).sign(
                signed.encode(), ec.ECDSA(SHA256(), deterministic_signing=True)
            )
        )
        low = min(s, order - s)
        halves.append(low == s)
        raw = r.to_bytes(32, "big") + low.to_bytes(32, "big")
        assert urlsafe_b64encode(raw).rstrip(b"=").decode() == written
    assert {True, False} == set(halves), "both halves are there, so that the rule is seen"


def _changed(signed, covers):
    """The request with one character of each part that the exchange has signed changed."""
    url, headers, body = signed.url, signed.headers, signed.body
    if "?" in url and "query" in covers:
        yield signed.signed(url=_flipped(url), headers=headers, body=body)
    if body and "body" in covers:
        flipped = _flipped(body.decode()).encode()
        yield signed.signed(url=url, headers=headers, body=flipped)


def _flipped(text):
    at = max(text.rfind("="), text.rfind('"', 0, text.rfind('"'))) + 1
    at = min(at, len(text) - 1)
    return text[:at] + ("b" if text[at] == "a" else "a") + text[at + 1 :]
