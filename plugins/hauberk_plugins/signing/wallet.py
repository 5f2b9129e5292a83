"""A wallet on secp256k1: its private key, its address, and the libraries that both need."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from hauberk.errors import SigningError
from hauberk.ports import Credentials
from hauberk.secret import Secret
from hauberk_plugins.signing.eip712 import Keccak, address

_SECRET: Final = re.compile(rb"(?:0x)?([0-9a-fA-F]{64})\Z")
_HALF: Final = re.compile(r"0x[0-9a-f]{1,64}\Z")
_INSTALL: Final = "install them with: pip install 'hauberk[hyperliquid]'"


class Libraries(NamedTuple):
    """What other projects do better: Keccak-256, MessagePack, and secp256k1."""

    keccak: Keccak
    packb: Callable[[Any], bytes]
    secp256k1: Any


def libraries() -> Libraries:
    """Import what the extra `hyperliquid` installs.

    Raises:
        SigningError: It is not installed.
    """
    try:
        import coincurve
        import msgpack  # type: ignore[import-untyped]
        from Crypto.Hash import keccak
    except ImportError as error:
        missing = error.name
    else:
        return Libraries(
            lambda data: keccak.new(digest_bits=256, data=data).digest(), msgpack.packb, coincurve
        )
    raise SigningError(f"hyperliquid needs libraries, and {missing} is not installed: {_INSTALL}")


class Wallet:
    """A private key and the address that belongs to it. Its repr shows nothing.

    Args:
        credentials: `key` is the address, `secret` the private key, 64 hexadecimal digits.
        found: From `libraries`.

    Raises:
        SigningError: They are not that, or do not belong together.
    """

    __slots__ = ("_private", "credentials")

    def __init__(self, credentials: Credentials, found: Libraries) -> None:
        self.credentials = credentials
        self._private = _private_key(credentials.secret, found)
        public = self._private.public_key.format(compressed=False)[1:]
        mine = found.keccak(public)[-20:]
        if not hmac.compare_digest(mine, wallet_address(credentials.key)):
            raise SigningError(
                "the API key for hyperliquid is the address of another wallet than the secret's: "
                "give the address of the wallet that signs, which for an API wallet is its own"
            )

    def sign(self, data: bytes) -> tuple[str, str, int]:
        """Sign a digest: r, s (the smaller one) and the recovery id, as Ethereum has them."""
        raw: bytes = self._private.sign_recoverable(data, hasher=None)
        return f"0x{raw[:32].hex()}", f"0x{raw[32:64].hex()}", 27 + raw[64]


def wallet_address(key: Secret) -> bytes:
    """Return the address that a key is.

    Raises:
        SigningError: It is none.
    """
    found = address(key.reveal().decode("ascii", "replace"))
    if found is None:
        raise SigningError(
            "the API key for hyperliquid must be the address of the wallet that signs: 0x and 40 "
            "hexadecimal digits"
        )
    return found


def _private_key(secret: Secret, found: Libraries) -> Any:
    match = _SECRET.match(secret.reveal().strip())
    try:
        if match is not None:
            return found.secp256k1.PrivateKey(bytes.fromhex(match[1].decode()))
    except ValueError:  # zero, or beyond the curve's order
        pass
    del match
    # Raised here: the error of the decoding has the secret in its frames.
    raise SigningError(
        "the secret for hyperliquid must be the private key of a wallet: 64 hexadecimal digits"
    )


def recovered(signature: Any, data: bytes, found: Libraries) -> bytes | None:
    """Return the address of who signed a digest; `None` where nobody can have.

    Args:
        signature: As a JSON object: r, s and v.
        data: The digest.
        found: From `libraries`.

    Raises:
        ValueError: It is not of that form.
    """
    if type(signature) is not dict or signature.keys() != {"r", "s", "v"}:
        raise ValueError("it has no signature of r, s and v")
    r, s, v = signature["r"], signature["s"], signature["v"]
    if not all(type(half) is str and _HALF.match(half) for half in (r, s)) or v not in (27, 28):
        raise ValueError("its signature cannot be read")
    raw = bytes.fromhex(r[2:].rjust(64, "0") + s[2:].rjust(64, "0")) + bytes([v - 27])
    try:
        public = found.secp256k1.PublicKey.from_signature_and_message(raw, data, hasher=None)
    except Exception:  # whatever type the library gives it
        return None
    return found.keccak(public.format(compressed=False)[1:])[-20:]
