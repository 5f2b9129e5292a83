"""What signs: by what a secret is, and with a typed error where it is of no use."""

from __future__ import annotations

import hashlib
import hmac
import json
import traceback
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import SigningError
from hauberk.secret import Secret
from hauberk_plugins.signing.algorithms import (
    MACS,
    OUTPUTS,
    Mac,
    algorithm_for,
    read_output,
)

SECRETS = json.loads(
    (Path(__file__).parents[2] / "peer_signing" / "secrets.json").read_text("utf-8")
)
ALL = ("hmac-sha256", "ed25519", "rsa-sha256", "ecdsa-p256")


def pem(key, password=None):
    how = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return Secret(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    )


def told(secret, algorithms=ALL, written="text"):
    with pytest.raises(SigningError) as caught:
        algorithm_for(secret, algorithms, written, "demo")
    shown = "".join(traceback.format_exception(caught.value))
    for line in secret.reveal().decode(errors="replace").splitlines():
        assert len(line) < 12 or line.startswith("-----") or line not in shown
    return str(caught.value)


@pytest.mark.parametrize("name", MACS)
@given(key=st.binary(min_size=1, max_size=200), message=st.binary(max_size=300))
def test_a_mac_is_that_of_the_standard_library(name, key, message):
    mac = Mac(name, Secret(key))
    tag = hmac.digest(key, message, getattr(hashlib, name.partition("-")[2]))
    assert mac.sign(message) == tag
    assert mac.verify(message, tag)
    assert not mac.verify(message + b"x", tag)
    assert not mac.verify(message, tag[:-1])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("text", "hmac-sha256"),
        ("ed25519", "ed25519"),
        ("rsa", "rsa-sha256"),
        ("ecdsa", "ecdsa-p256"),
    ],
)
def test_the_secret_decides_what_signs(kind, name):
    algorithm = algorithm_for(Secret(SECRETS[kind]), ALL, "text", "demo")
    assert algorithm.name == name
    signature = algorithm.sign(b"message")
    assert algorithm.sign(b"message") == signature, "the same each time"
    assert algorithm.verify(b"message", signature)
    assert not algorithm.verify(b"another", signature)
    assert not algorithm.verify(b"message", signature[:-1])
    assert not algorithm.verify(b"message", b"")


def test_an_empty_secret_is_told():
    assert "is empty" in told(Secret(""))


def test_a_secret_that_is_not_base64_where_the_venue_gives_base64_is_told():
    assert "is not base64, as demo gives it" in told(Secret("not base64 at all!"), written="base64")


def test_a_key_of_a_kind_that_the_venue_does_not_take_is_told():
    told_of = told(Secret(SECRETS["ed25519"]), ("hmac-sha256", "rsa-sha256"))
    assert "is a key for ed25519: it takes hmac-sha256, rsa-sha256" in told_of
    assert "must be a private key" in told(Secret("text"), ("rsa-sha256",))


def test_a_key_that_signs_nowhere_is_told():
    assert "of the wrong kind" in told(pem(ec.generate_private_key(ec.SECP384R1())))


def test_an_rsa_key_that_is_too_short_is_told():
    assert "of 1024 bits" in told(pem(rsa.generate_private_key(65_537, 1_024)))  # noqa: S505


def test_an_encrypted_key_is_told():
    key = pem(ed25519.Ed25519PrivateKey.generate(), b"password of the key")
    assert "is an encrypted key" in told(key)


@pytest.mark.parametrize("cut", [40, 80, 100])
def test_a_key_that_was_cut_is_told_and_not_shown(cut):
    text = SECRETS["rsa"][:cut] + "\n-----END PRIVATE KEY-----\n"
    assert "cannot be read as one: give the whole file" in told(Secret(text))


def test_a_key_on_one_line_as_environments_have_it_is_read():
    # Whoever puts a PEM into a dotenv file often writes its line ends out.
    text = SECRETS["ed25519"].replace("\n", "\\n")
    assert algorithm_for(Secret(text), ALL, "text", "demo").name == "ed25519"


@pytest.mark.parametrize("output", OUTPUTS)
@given(st.binary(max_size=80))
def test_what_is_written_is_read_back_in_one_form_only(output, raw):
    text = OUTPUTS[output](raw)
    assert read_output(output, text) == raw
    for other in (text + "=", text + " ", " " + text, text + "A", text.upper()):
        with suppress(ValueError):
            assert OUTPUTS[output](read_output(output, other)) == other
