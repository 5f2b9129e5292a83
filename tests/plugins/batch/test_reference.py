"""The reference: signatures of public keys, made by cryptography itself, and what is none."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hauberk.batch import Finding, SignedBatch
from hauberk_plugins.batch.reference import ReferenceEngine

ED = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256 = ec.derive_private_key(7, ec.SECP256R1())
K256 = ec.derive_private_key(7, ec.SECP256K1())
RSA = rsa.generate_private_key(65_537, 2_048)
MESSAGES = [b"", b"a", b"x" * 200, b"\0" * 65_536]


def der(key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def raw(signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def ecdsa(key, message: bytes) -> bytes:
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


SIGNERS = {
    "ed25519": (ED.public_key().public_bytes_raw(), ED.sign),
    "ecdsa-p256": (der(P256), lambda m: ecdsa(P256, m)),
    "ecdsa-secp256k1": (der(K256), lambda m: raw(ecdsa(K256, m))),
    "rsa-pkcs1v15": (der(RSA), lambda m: RSA.sign(m, padding.PKCS1v15(), hashes.SHA256())),
}


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_what_was_signed_is_valid_and_every_change_is_not(
    reference: ReferenceEngine, algorithm: str
) -> None:
    key, sign = SIGNERS[algorithm]
    rows = [(message, sign(message), 0) for message in MESSAGES]
    assert reference.verify(SignedBatch.of(algorithm, rows, [key])) == b"\1" * len(rows)
    message, signature = MESSAGES[2], sign(MESSAGES[2])
    wrong = [(message + b"!", signature, 0)]
    for bit in range(0, 8 * len(signature), 7):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        wrong.append((message, bytes(changed), 0))
    assert Finding.VALID not in reference.verify(SignedBatch.of(algorithm, wrong, [key]))


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_signatures_of_no_length_or_form_say_so(reference: ReferenceEngine, algorithm: str) -> None:
    key, sign = SIGNERS[algorithm]
    signature = sign(b"a")
    rows = [(b"a", bad, 0) for bad in (b"", signature[:-1], signature + b"\0", b"\0" * 63)]
    assert set(reference.verify(SignedBatch.of(algorithm, rows, [key]))) == {Finding.SIGNATURE}


@pytest.mark.parametrize("algorithm", SIGNERS)
@pytest.mark.parametrize(
    "key", [b"", b"\0" * 31, b"no DER", der(ec.derive_private_key(3, ec.SECP384R1()))]
)
def test_what_is_no_key_of_the_algorithm_rejects_its_rows(
    reference: ReferenceEngine, algorithm: str, key: bytes
) -> None:
    good, sign = SIGNERS[algorithm]
    rows = [(b"a", sign(b"a"), 0), (b"a", sign(b"a"), 1), (b"a", sign(b"a"), 2)]
    found = reference.verify(SignedBatch.of(algorithm, rows, [key, good]))
    assert found == bytes([Finding.KEY, Finding.VALID, Finding.UNKNOWN_KEY])


def test_both_forms_of_ecdsa_are_taken(reference: ReferenceEngine) -> None:
    signature = ecdsa(P256, b"a")
    rows = [(b"a", signature, 0), (b"a", raw(signature), 0), (b"b", raw(signature), 0)]
    assert reference.verify(SignedBatch.of("ecdsa-p256", rows, [der(P256)])) == b"\1\1\0"


@pytest.mark.parametrize(("name", "size"), [("sha256", 32), ("sha384", 48), ("sha512", 64)])
def test_tags_may_be_cut_to_a_half_and_no_further(
    reference: ReferenceEngine, name: str, size: int
) -> None:
    tag = hmac.digest(b"k", b"m", name)
    rows = [(b"m", tag[:length], 0) for length in range(size + 1)]
    found = reference.verify(SignedBatch.of(f"hmac-{name}", rows, [b"k"]))
    assert [one == Finding.VALID for one in found] == [
        length >= size // 2 for length in range(size + 1)
    ]


def test_only_the_rows_that_are_asked_for_in_their_order(reference: ReferenceEngine) -> None:
    rows = [
        (bytes([n]), hashlib.sha256(bytes([n])).digest() if n % 2 else b"", 0) for n in range(6)
    ]
    batch = SignedBatch.of("sha256", rows)
    assert reference.verify(batch, [5, 0, 3]) == bytes(
        [Finding.VALID, Finding.SIGNATURE, Finding.VALID]
    )
