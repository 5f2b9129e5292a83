"""`ReferenceEngine`: one row at a time, by hashlib and cryptography. What it says counts."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hauberk.batch import Finding, SignedBatch
from hauberk_plugins.batch.pool import on_all_cores

#: Of a row: its message, its signature.
Check = Callable[[bytes | memoryview, bytes | memoryview], Finding]

_HASHES: Final = {"hmac-sha256": "sha256", "hmac-sha384": "sha384", "hmac-sha512": "sha512"}
PREFIXES: Final = {"sha256": b"", "rfc6962-leaf": b"\0", "rfc6962-node": b"\1"}
_SHA256: Final = hashes.SHA256()
#: Rows that a thread takes at once.
_CHUNK: Final = 512


class ReferenceEngine:
    """Verifies row by row; public-key signatures on all cores.

    Args:
        threads: How many at once; as many as there are processors unless given.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads

    def verify(self, batch: SignedBatch, rows: Sequence[int] | None = None) -> bytes:
        """Verify rows of a batch, all unless given; return a `Finding` for each."""
        chosen = range(len(batch)) if rows is None else rows
        checks = [None if not batch.has_keys else _Late(batch.algorithm, key) for key in batch.keys]
        if not batch.has_keys:
            return bytes(_of(batch, chosen, [], check_of(batch.algorithm, b"")))
        if batch.algorithm in _HASHES:  # it holds the interpreter: threads gain nothing
            return bytes(_of(batch, chosen, checks, None))
        parts = [chosen[at : at + _CHUNK] for at in range(0, len(chosen), _CHUNK)]
        verify = partial(_part, batch, checks)
        return b"".join(on_all_cores(verify, parts, self._threads))


class _Late:
    """A key's check, made when the first row asks for it."""

    def __init__(self, algorithm: str, key: bytes) -> None:
        self._algorithm, self._key = algorithm, key
        self._check: Check | None = None

    def __call__(self, message: bytes | memoryview, signature: bytes | memoryview) -> Finding:
        if self._check is None:
            self._check = check_of(self._algorithm, self._key)
        return self._check(message, signature)


def _part(batch: SignedBatch, checks: list[Any], rows: Sequence[int]) -> bytes:
    return bytes(_of(batch, rows, checks, None))


def _of(
    batch: SignedBatch, rows: Iterable[int], checks: list[Any], keyless: Check | None
) -> Iterable[Finding]:
    for number in rows:
        row = batch.row(number)
        if isinstance(row, Finding):
            yield row
            continue
        message, signature, _ = row
        check = keyless or checks[batch.key_indices[number]]
        yield check(message, signature)


def check_of(algorithm: str, key: bytes) -> Check:
    """Return what verifies rows under one key."""
    if algorithm in _HASHES:
        return partial(_hmac, bytes(key), _HASHES[algorithm])
    if algorithm in PREFIXES:
        return partial(_digest, PREFIXES[algorithm])
    try:
        return _public(algorithm, bytes(key))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return _no_key


def least_tag(size: int) -> int:
    """Return how short a tag may be cut (RFC 2104, 5: no less than half of it)."""
    return size // 2


def _hmac(
    key: bytes, name: str, message: bytes | memoryview, signature: bytes | memoryview
) -> Finding:
    tag = hmac.digest(key, message, name)
    if not least_tag(len(tag)) <= len(signature) <= len(tag):
        return Finding.SIGNATURE
    return Finding(hmac.compare_digest(tag[: len(signature)], signature))


def _digest(prefix: bytes, message: bytes | memoryview, signature: bytes | memoryview) -> Finding:
    hashed = hashlib.sha256(prefix)
    hashed.update(message)
    if len(signature) != hashed.digest_size:
        return Finding.SIGNATURE
    return Finding(hmac.compare_digest(hashed.digest(), signature))


def _no_key(message: bytes | memoryview, signature: bytes | memoryview) -> Finding:  # noqa: ARG001
    return Finding.KEY


def _public(algorithm: str, key: bytes) -> Check:
    """Return what verifies rows under a public key.

    Raises:
        ValueError: The key is none of the algorithm's.
    """
    if algorithm == "ed25519":
        point = ed25519.Ed25519PublicKey.from_public_bytes(key)
        return partial(_verified, point.verify, _is_64)
    loaded = load_der_public_key(key)
    if algorithm == "rsa-pkcs1v15":
        if not isinstance(loaded, rsa.RSAPublicKey):
            raise ValueError("no RSA key")
        size = (loaded.key_size + 7) // 8
        verify = partial(_rsa, loaded)
        return partial(_verified, verify, lambda signature: len(signature) == size)
    curve = {"ecdsa-p256": "secp256r1", "ecdsa-secp256k1": "secp256k1"}[algorithm]
    if not isinstance(loaded, ec.EllipticCurvePublicKey) or loaded.curve.name != curve:
        raise ValueError("no key of this curve")
    return partial(_ecdsa, loaded)


def _is_64(signature: bytes) -> bool:
    return len(signature) == 64


def _rsa(key: rsa.RSAPublicKey, signature: bytes, message: bytes) -> None:
    key.verify(signature, message, padding.PKCS1v15(), _SHA256)


def _verified(
    verify: Callable[[bytes, bytes], None],
    fits: Callable[[bytes], bool],
    message: bytes | memoryview,
    signature: bytes | memoryview,
) -> Finding:
    signature = bytes(signature)
    if not fits(signature):
        return Finding.SIGNATURE
    try:
        verify(signature, bytes(message))
    except InvalidSignature:
        return Finding.MISMATCH
    return Finding.VALID


def _ecdsa(
    key: ec.EllipticCurvePublicKey, message: bytes | memoryview, signature: bytes | memoryview
) -> Finding:
    """Verify a signature in DER, or as 64 bytes of r and s, as exchanges send them."""
    forms = _in_der(bytes(signature))
    for form in forms:
        try:
            key.verify(form, bytes(message), ec.ECDSA(_SHA256))
        except InvalidSignature:
            continue
        return Finding.VALID
    return Finding.MISMATCH if forms else Finding.SIGNATURE


def _in_der(signature: bytes) -> list[bytes]:
    forms = []
    if len(signature) == 64:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        forms.append(encode_dss_signature(r, s))
    with suppress(ValueError):
        decode_dss_signature(signature)
        forms.append(signature)
    return forms
