"""What signs: HMAC with a secret text, or a private key in PEM, as the secret turns out to be."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final, Protocol

from hauberk.errors import SigningError
from hauberk.quiet import quietly
from hauberk.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

#: MACs by the name that venue files use: hash, and its block size in bytes.
MACS: Final[dict[str, tuple[Callable[..., Any], int]]] = {
    "hmac-sha256": (hashlib.sha256, 64),
    "hmac-sha384": (hashlib.sha384, 128),
    "hmac-sha512": (hashlib.sha512, 128),
}
ED25519: Final = "ed25519"
RSA: Final = "rsa-sha256"
ECDSA: Final = "ecdsa-p256"
ALGORITHMS: Final = (*MACS, ED25519, RSA, ECDSA)
#: How a secret text is written: it is the key itself, or the key in base64.
SECRETS: Final = ("text", "base64")

_INNER: Final = bytes(x ^ 0x36 for x in range(256))
_OUTER: Final = bytes(x ^ 0x5C for x in range(256))
_MIN_RSA_BITS: Final = 2_048
_P256_BYTES: Final = 32
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ED25519_BYTES: Final = 32


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


#: How a signature is written.
OUTPUTS: Final[dict[str, Callable[[bytes], str]]] = {
    "hex": bytes.hex,
    "base64": _base64,
    "base64url": _base64url,  # without padding, as RFC 7515 has it
}
_INPUTS: Final[dict[str, Callable[[str], bytes]]] = {
    "hex": bytes.fromhex,
    "base64": b64decode,
    "base64url": lambda text: urlsafe_b64decode(text + "=" * (-len(text) % 4)),
}


def read_output(output: str, text: str) -> bytes:
    """Read a written signature.

    Raises:
        ValueError: It is not written so, in the one way that `OUTPUTS` writes.
    """
    raw = _INPUTS[output](text)
    if OUTPUTS[output](raw) != text:
        raise ValueError("not in canonical form")
    return raw


class Algorithm(Protocol):
    """Something that signs and verifies under one key. Its repr shows nothing."""

    @property
    def name(self) -> str:
        """As venue files call it."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether a signature is one of this message under this key."""


class Mac:
    """HMAC (RFC 2104) with the key's two hash states kept, so that a message costs no key setup.

    `hmac.digest` sets its key up on every call, which takes about twice as long as copying the two
    states. The states are as good as the key: nothing shows them.

    Args:
        name: For example `hmac-sha256`.
        key: The key.
    """

    __slots__ = ("_inner", "_outer", "name")

    def __init__(self, name: str, key: Secret) -> None:
        hashing, block = MACS[name]
        raw = key.reveal()
        if len(raw) > block:
            raw = hashing(raw).digest()
        padded = raw.ljust(block, b"\0")
        self.name = name
        self._inner = hashing(padded.translate(_INNER))
        self._outer = hashing(padded.translate(_OUTER))

    def sign(self, message: bytes) -> bytes:
        """Return the MAC of a message."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        digest: bytes = outer.digest()
        return digest

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.sign(message), signature)


class _KeyPair:
    """A private key, read once, or a public one, which verifies only."""

    __slots__ = ("_private", "_public", "name")

    def __init__(self, name: str, private: Any, public: Any) -> None:
        self.name = name
        self._private = private
        self._public = public

    def _signing(self) -> Any:
        if self._private is None:
            raise SigningError("the secret is a public key, which signs nothing: give the private")
        return self._private


class Ed25519(_KeyPair):
    """Ed25519 (RFC 8032)."""

    __slots__ = ()
    _public: Ed25519PublicKey

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message: always the same one."""
        signature: bytes = self._signing().sign(message)
        return signature

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is one of this message."""
        return _verified(lambda: self._public.verify(signature, message))


class Rsa(_KeyPair):
    """RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2)."""

    __slots__ = ()
    _public: RSAPublicKey

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message: always the same one."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        signature: bytes = self._signing().sign(message, PKCS1v15(), SHA256())
        return signature

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is one of this message."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        return _verified(lambda: self._public.verify(signature, message, PKCS1v15(), SHA256()))


class Ecdsa(_KeyPair):
    """ECDSA on P-256 with SHA-256, nonces as RFC 6979, signatures as RFC 7518, 3.4: r then s.

    Where `s` is good, so is the order less `s`. The smaller one is given, and both are taken.
    """

    __slots__ = ()
    _public: EllipticCurvePublicKey

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message: always the same one."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
        from cryptography.hazmat.primitives.hashes import SHA256

        scheme = ec.ECDSA(SHA256(), deterministic_signing=True)
        r, s = decode_dss_signature(self._signing().sign(message, scheme))
        s = min(s, _P256_ORDER - s)
        return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is one of this message."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
        from cryptography.hazmat.primitives.hashes import SHA256

        if len(signature) != 2 * _P256_BYTES:
            return False
        r = int.from_bytes(signature[:_P256_BYTES], "big")
        s = int.from_bytes(signature[_P256_BYTES:], "big")
        encoded = encode_dss_signature(r, s)
        return _verified(lambda: self._public.verify(encoded, message, ec.ECDSA(SHA256())))


def _verified(verify: Callable[[], None]) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        verify()
    except InvalidSignature:
        return False
    return True


def algorithm_for(
    secret: Secret, algorithms: Collection[str], written: str, venue: str
) -> Algorithm:
    """Return what signs with a secret: a key in PEM says by itself which algorithm it is for.

    Where keys may be in base64 and no MAC is taken, other text is a private key for Ed25519.

    Args:
        secret: Of an account.
        algorithms: Names that the venue takes.
        written: How it writes secret texts, one of `SECRETS`.
        venue: Its name, for errors.

    Raises:
        SigningError: It is of a kind that the venue does not take, or cannot be read.
    """
    if is_pem(secret):
        found = key_pair(secret, venue)
        if found.name not in algorithms:
            takes = ", ".join(algorithms)
            raise SigningError(
                f"the secret for {venue} is a key for {found.name}: it takes {takes}"
            )
        return found
    mac = next((name for name in algorithms if name in MACS), None)
    if mac is None and written == "base64" and ED25519 in algorithms:
        return _raw_ed25519(secret, venue)
    if mac is None:
        raise SigningError(
            f"the secret for {venue} must be a private key in PEM, for {', '.join(algorithms)}"
        )
    return Mac(mac, _key_of(secret, written, venue))


def is_pem(secret: Secret) -> bool:
    """Whether a secret is, or was meant to be, a key in PEM (RFC 7468)."""
    return b"-----BEGIN " in secret.reveal()


def key_pair(secret: Secret, venue: str) -> Ed25519 | Rsa | Ecdsa:
    """Read a key in PEM.

    Raises:
        SigningError: It cannot be read, is encrypted, or of a kind that signs for no venue.
    """
    private, public = loaded(secret, venue)
    kind = type(public).__name__
    if "Ed25519" in kind:
        return Ed25519(ED25519, private, public)
    if "RSA" in kind:
        if public.key_size < _MIN_RSA_BITS:
            raise SigningError(
                f"the secret for {venue} is an RSA key of {public.key_size} bits: make one of at "
                f"least {_MIN_RSA_BITS}"
            )
        return Rsa(RSA, private, public)
    if getattr(getattr(public, "curve", None), "name", "") == "secp256r1":
        return Ecdsa(ECDSA, private, public)
    raise SigningError(
        f"the secret for {venue} is a key of the wrong kind: it must be for Ed25519, RSA or P-256"
    )


def _raw_ed25519(secret: Secret, venue: str) -> Ed25519:
    """Read a private key of 32 bytes, with or without the public key behind it, in base64."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    raw = _key_of(secret, "base64", venue).reveal()
    if len(raw) in (_ED25519_BYTES, 2 * _ED25519_BYTES):
        private = Ed25519PrivateKey.from_private_bytes(raw[:_ED25519_BYTES])
        public = private.public_key()
        if public.public_bytes_raw().startswith(raw[_ED25519_BYTES:]):
            return Ed25519(ED25519, private, public)
    raise SigningError(
        f"the secret for {venue} is neither a key in PEM nor one for Ed25519 in base64: give all "
        "of it, as the exchange gave it"
    )


def loaded(secret: Secret, venue: str) -> tuple[Any, Any]:
    """Return the private key, or `None`, and the public key of a secret in PEM.

    Raises:
        SigningError: It cannot be read, or is encrypted.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    def load() -> tuple[Any, Any]:
        # In files of JSON and in dotenv files, line ends are often written out.
        pem = secret.reveal().replace(b"\\n", b"\n").strip()
        try:
            if b"PRIVATE KEY" not in pem:
                return None, serialization.load_pem_public_key(pem)
            private = serialization.load_pem_private_key(pem, None)
        except TypeError:  # it asks for a password
            raise SigningError(
                f"the secret for {venue} is an encrypted key: give it in the clear, in the vault"
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            raise SigningError(
                f"the secret for {venue} begins like a key in PEM, and cannot be read as one: give "
                "the whole file, with its line ends"
            ) from None
        return private, private.public_key()

    return quietly(f"reading the secret for {venue}", load, SigningError)


def _key_of(secret: Secret, written: str, venue: str) -> Secret:
    if not secret:
        raise SigningError(f"the API secret for {venue} is empty")
    if written == "text":
        return secret
    try:
        return Secret(b64decode(secret.reveal(), validate=True))
    except (binascii.Error, ValueError):
        pass
    # Raised here: the error of the decoding has the secret in its frames.
    raise SigningError(
        f"the API secret for {venue} is not base64, as {venue} gives it: check what its reference "
        "leads to"
    )
