"""The keys that a log of requests is verified by: those of `hauberk verify`, and who bears them."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from hauberk.ports import Credentials
from hauberk.secret import Secret
from hauberk_plugins.batch.keyfile import Key, KeysUnusable, read_entries
from hauberk_plugins.signing.scheme import Scheme

#: What venue files and batches call differently.
_BATCH_NAMES: Final = {"rsa-sha256": "rsa-pkcs1v15"}


@frozen
class RequestKey:
    """One key.

    Attributes:
        key: For the engines; `None` where these do not verify the venue's signatures.
        credentials: For what reads requests.
    """

    key: Key | None
    credentials: Credentials


def read_request_keys(path: Path, venue: str, scheme: Scheme | None) -> dict[str, RequestKey]:
    """Read keys by the identifiers that a log's rows have as `key_id`.

    The form is that of `read_keys`, with two members more: `key`, the API key that requests bear,
    where it is another than the identifier, and `passphrase`, where the venue has one.

    Args:
        path: The file.
        venue: The venue's name, for errors.
        scheme: How it signs; `None` for a wallet's signatures, which say by themselves whose they
            are: an entry then has nothing but perhaps `key`, the address.

    Raises:
        KeysUnusable: It cannot be read, or an entry makes no sense; shows no key.
    """
    return read_entries(path, lambda name, entry: _Entry(path, name, entry, venue).key(scheme))


class _Entry:
    """One entry of the file."""

    def __init__(self, path: Path, name: str, members: Any, venue: str) -> None:
        self._where = f"{path}: key {name!r}"
        self._name, self._venue = name, venue
        if not isinstance(members, dict):
            raise KeysUnusable(f'{self._where}: must be an object, {{"algorithm": …, "secret": …}}')
        self._members = members

    def key(self, scheme: Scheme | None) -> RequestKey:
        bears = Secret(self._text("key") if "key" in self._members else self._name)
        if scheme is None:
            self._check_members({"key"}, set())
            return RequestKey(None, Credentials(bears, Secret("")))
        algorithm = self._algorithm(scheme)
        kind = "secret" if algorithm.startswith("hmac-") else "public"
        phrases = {"passphrase"} if _PHRASED & scheme.tokens() else set()
        self._check_members({"algorithm", "key", kind} | phrases, {kind} | phrases)
        value, written = self._decoded(kind), scheme.secret
        if kind == "public":
            secret = self._in_pem(algorithm, value)
        else:
            secret = Secret(b64encode(value) if written == "base64" else value)
        passphrase = Secret(self._text("passphrase")) if phrases else None
        key = Key(self._name, algorithm, value)
        return RequestKey(key, Credentials(bears, secret, passphrase))

    def _algorithm(self, scheme: Scheme) -> str:
        taken = [batch_name(name) for name in scheme.algorithms]
        said = self._members.get("algorithm")
        if said not in taken:
            raise KeysUnusable(
                f"{self._where}: algorithm {str(said)[:40]!r} is none that {self._venue} takes: "
                f"{', '.join(taken)}"
            )
        return str(said)

    def _check_members(self, allowed: set[str], needed: set[str]) -> None:
        for name in sorted(needed - self._members.keys()):
            raise KeysUnusable(f'{self._where}: must have "{name}", for requests to {self._venue}')
        if self._members.keys() - allowed:
            listed = ", ".join(f'"{name}"' for name in sorted(allowed))
            raise KeysUnusable(f"{self._where}: may have {listed}, and nothing else")

    def _text(self, name: str) -> str:
        value = self._members[name]
        if not isinstance(value, str) or not value.isascii():
            raise KeysUnusable(f'{self._where}: "{name}" must be text that a header can carry')
        return value

    def _decoded(self, name: str) -> bytes:
        try:
            return b64decode(self._members[name], validate=True)
        except (binascii.Error, TypeError, ValueError):
            pass
        # Raised here: the error of the decoding has the secret in its frames.
        raise KeysUnusable(f'{self._where}: "{name}" is no base64')

    def _in_pem(self, algorithm: str, value: bytes) -> Secret:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519

        load: Any = serialization.load_der_public_key
        if algorithm == "ed25519":
            load = ed25519.Ed25519PublicKey.from_public_bytes
        try:
            loaded = load(value)
        except (ValueError, UnsupportedAlgorithm):
            raise KeysUnusable(f'{self._where}: "public" is no public key of {algorithm}') from None
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return Secret(loaded.public_bytes(serialization.Encoding.PEM, form))


_PHRASED: Final = frozenset({"passphrase", "passphrase_mac"})


def batch_name(algorithm: str) -> str:
    """Return how batches call an algorithm of a venue file."""
    return _BATCH_NAMES.get(algorithm, algorithm)
