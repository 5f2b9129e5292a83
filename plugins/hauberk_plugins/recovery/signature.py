"""A signed text: a C2SP signed note with one Ed25519 signature, written in one way only."""

from __future__ import annotations

import base64
import binascii
import re
from hashlib import sha256
from typing import Final

from attrs import field, frozen
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hauberk.errors import InvalidValue
from hauberk.secret import Secret

SEED_BYTES: Final = 32
_ED25519: Final = b"\x01"
_DASH: Final = "\u2014 "
_ID_BYTES: Final = 4
_NAME: Final = re.compile(r"[\x21-\x2a\x2c-\x7e]{1,100}\Z")


class NotSigned(Exception):
    """A text is no note, or its signature does not hold; says why."""


@frozen
class VerifierKey:
    """Who may have signed.

    Attributes:
        name: The installation's.
        public: 32 bytes.
    """

    name: str
    public: bytes = field(repr=False)

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return sha256(f"{self.name}\n".encode() + _ED25519 + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """As verifiers write it: `NAME+ID+KEY`."""
        return f"{self.name}+{self.key_id.hex()}+{_encoded(_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `NAME+ID+KEY`.

        Raises:
            InvalidValue: It is none.
        """
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        raw = _decoded(encoded)
        if raw is None or len(raw) != 33 or raw[:1] != _ED25519 or not _NAME.match(name):
            raise InvalidValue("a key is written NAME+ID+KEY, as `hauberk recovery create` says it")
        key = cls(name, raw[1:])
        if key.key_id.hex() != key_id:
            raise InvalidValue(f"the key of {name}: its id is {key.key_id.hex()}, not that one")
        return key


class Signer:
    """Signs texts.

    Args:
        name: The installation's.
        seed: 32 bytes.
    """

    def __init__(self, name: str, seed: Secret) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed.reveal())
        self.verifier = VerifierKey(name, self._key.public_key().public_bytes_raw())

    def note(self, text: str) -> str:
        """Return a text with the signature under it.

        Args:
            text: Ends in a newline.
        """
        signed = self.verifier.key_id + self._key.sign(text.encode())
        return f"{text}\n{_DASH}{self.verifier.name} {_encoded(signed)}\n"

    def __repr__(self) -> str:
        return f"<signing key {self.verifier.name}>"


def signer_of(note: str) -> tuple[str, bytes]:
    """Return name and key id of who says to have signed a note.

    Raises:
        NotSigned: It is none.
    """
    _, name, raw = _parts(note)
    return name, raw[:_ID_BYTES]


def text_of(note: str, key: VerifierKey | None) -> str:
    """Return the text of a note.

    Args:
        note: The note.
        key: Who must have signed it; with `None`, anybody may have, and nothing is vouched for.

    Raises:
        NotSigned: It is none, or that key did not sign it.
    """
    text, name, raw = _parts(note)
    if key is None:
        return text
    if (name, raw[:_ID_BYTES]) != (key.name, key.key_id):
        raise NotSigned(f"the key that signed it is {name}'s, and not the one known here")
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(raw[_ID_BYTES:], text.encode())
    except (InvalidSignature, ValueError):
        raise NotSigned("its signature does not hold: it was changed, or forged") from None
    return text


def _parts(note: str) -> tuple[str, str, bytes]:
    text, gap, under = note.rpartition("\n\n")
    if not gap:
        raise NotSigned("it has no signature: it was cut off, or is none of Hauberk's")
    name, space, encoded = under.removeprefix(_DASH).removesuffix("\n").partition(" ")
    raw = _decoded(encoded)
    is_line = under.startswith(_DASH) and under.endswith("\n") and space and _NAME.match(name)
    if not is_line or raw is None or len(raw) != _ID_BYTES + 64:
        raise NotSigned("what stands under it is no signature: it was cut off, or changed")
    return f"{text}\n", name, raw


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decoded(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if _encoded(raw) == text else None  # one spelling only
