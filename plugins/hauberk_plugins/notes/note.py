"""Signed notes (C2SP signed-note, version 1) with Ed25519 keys: text, and who vouches for it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from attrs import field, frozen
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hauberk.errors import HauberkError
from hauberk.secret import Secret

#: Longer notes are none, unless their reader says otherwise.
MAX_BYTES: Final = 64 * 1024
_ED25519: Final = b"\x01"
_DASH: Final = "\u2014 "
_ID_BYTES: Final = 4
_SIGNATURE_BYTES: Final = 64


class NoteError(HauberkError):
    """A note, or a key of one, is not of the form that it must have, or nobody known signed it."""


@frozen
class VerifierKey:
    """Who may have signed a note: a name and a public key.

    Attributes:
        name: No space, no `+`.
        public: 32 bytes.
    """

    name: str
    public: bytes = field(repr=False)

    def __attrs_post_init__(self) -> None:
        check_name(self.name)
        if len(self.public) != 32:
            raise NoteError(f"key {self.name!r}: an Ed25519 key has 32 bytes")

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        named = self.name.encode() + b"\n" + _ED25519 + self.public
        return sha256(named).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """As verifiers write it: `NAME+ID+KEY`."""
        return f"{self.name}+{self.key_id.hex()}+{_encoded(_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `NAME+ID+KEY`.

        Raises:
            NoteError: It is none, or its parts do not belong together.
        """
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise NoteError("a verifier's key is written NAME+ID+KEY")
        raw = _decoded(parts[2])
        if raw is None or raw[:1] != _ED25519:
            raise NoteError(f"key {parts[0][:80]!r} is not an Ed25519 key")
        key = cls(parts[0], raw[1:])
        if key.key_id.hex() != parts[1]:
            raise NoteError(
                f"key {key.name!r}: its id is {key.key_id.hex()}, not {parts[1][:16]!r}"
            )
        return key

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether a signature is this key's over a text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


class SignerKey:
    """A private key with a name.

    Args:
        name: As of the verifier's key.
        seed: 32 bytes.
    """

    def __init__(self, name: str, seed: Secret) -> None:
        check_name(name)
        self._key = Ed25519PrivateKey.from_private_bytes(seed.reveal())
        self.verifier = VerifierKey(name, self._key.public_key().public_bytes_raw())

    def sign(self, text: str) -> bytes:
        """Sign a text."""
        return self._key.sign(text.encode())

    def line(self, text: str) -> str:
        """Return the signature line over a text."""
        signed = self.verifier.key_id + self.sign(text)
        return f"{_DASH}{self.verifier.name} {_encoded(signed)}\n"

    def __repr__(self) -> str:
        return f"<signing key {self.verifier.name}>"


@frozen
class Note:
    """A text, and the signatures under it.

    Attributes:
        text: Ends in a newline.
        signatures: Name, key id and signature of each.
    """

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]

    def signed_by(self, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
        """Return which of the keys signed it.

        Raises:
            NoteError: A line that claims to be of one of them is not its signature.
        """
        found = []
        for key in keys:
            for name, key_id, signature in self.signatures:
                if (name, key_id) == (key.name, key.key_id):
                    if not key.verifies(self.text, signature):
                        raise NoteError(f"the signature of {name!r} does not hold: it was changed")
                    found.append(key)
                    break
        return tuple(found)


def sign_note(text: str, keys: Iterable[SignerKey]) -> str:
    """Return a note: the text, an empty line, a signature line of each key.

    Raises:
        NoteError: The text does not end in a newline, or holds what a note may not.
    """
    _check_text(text)
    return text + "\n" + "".join(key.line(text) for key in keys)


def read_note(content: str, limit: int = MAX_BYTES) -> Note:
    """Take a note apart, strictly.

    Args:
        content: The note.
        limit: Characters that it may have.

    Raises:
        NoteError: Says what is wrong with its form.
    """
    if len(content) > limit:
        raise NoteError("a note is not that long")
    text, gap, under = content.rpartition("\n\n")
    if not gap or not under:
        raise NoteError("a note ends in an empty line and signatures")
    text += "\n"
    _check_text(text)
    if not under.endswith("\n"):
        raise NoteError("a note ends in a newline: it was cut off")
    return Note(text, tuple(_signature(line) for line in under[:-1].split("\n")))


def check_name(name: str) -> None:
    """Refuse what is no name of a key.

    Raises:
        NoteError: It is empty, or has a space, a `+` or a control character in it.
    """
    if not name or "+" in name or any(c.isspace() or not c.isprintable() for c in name):
        raise NoteError(f"{name[:80]!r} cannot name a key: no spaces, no '+', nothing unprintable")


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteError("a note's text ends in a newline")
    if any(ord(c) < 0x20 and c != "\n" for c in text):
        raise NoteError("a note's text holds a control character")


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, space, signed = line.removeprefix(_DASH).partition(" ")
    raw = _decoded(signed)
    if not line.startswith(_DASH) or not space or raw is None or len(raw) <= _ID_BYTES:
        raise NoteError("a line under a note is no signature")
    check_name(name)
    return name, raw[:_ID_BYTES], raw[_ID_BYTES:]


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decoded(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if _encoded(raw) == text else None  # one spelling only
