"""A wrapping key at work on one key ring: what it wraps, unwraps, checks and authenticates."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from attrs import evolve, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hauberk.secret import Secret
from hauberk_plugins.encryption.envelope import NONCE
from hauberk_plugins.encryption.ringfile import FORMAT, RingFile

_KEY: Final = 32
_LABEL: Final = b"hauberk key ring\0"


@frozen(eq=False, repr=False)
class DataKey:
    """A data key, ready to seal and open with.

    Attributes:
        number: What envelopes name it by.
        cipher: AES-256-GCM under it.
    """

    number: int
    cipher: AESGCM


class Kek:
    """A key-encryption key, bound to the id of the ring on which it is used.

    Its three uses have keys of their own (HKDF-Expand, RFC 5869, of one block each). No method
    fails while it holds a key: a traceback with its locals would show it.

    Args:
        secret: 32 bytes of high entropy.
        ring_id: The id of the ring.
    """

    def __init__(self, secret: Secret, ring_id: bytes) -> None:
        self._id = ring_id
        self._wrapping = _wrapping(secret, ring_id)
        self._mac_key = Secret(_expand(secret, b"mac", ring_id))
        #: What a ring keeps, to tell whether this is its key.
        self.check = _expand(secret, b"check", ring_id)

    def fits(self, ring: RingFile) -> bool:
        """Whether a ring is wrapped under this key."""
        return hmac.compare_digest(self.check, ring.check)

    def is_authentic(self, ring: RingFile) -> bool:
        """Whether a ring is as the holder of this key wrote it."""
        return hmac.compare_digest(self._mac(ring), ring.mac)

    def authenticated(self, ring: RingFile) -> RingFile:
        """Return a ring with this key's check value and MAC."""
        checked = evolve(ring, check=self.check)
        return evolve(checked, mac=self._mac(checked))

    def make(self, number: int, random: Callable[[int], bytes]) -> tuple[bytes, DataKey]:
        """Make a data key.

        Args:
            number: The number that it is to have.
            random: Returns that many random bytes.

        Returns:
            The key, wrapped and ready for use.
        """
        nonce, raw = random(NONCE), random(_KEY)
        return self._wrapped(number, nonce, raw), DataKey(number, AESGCM(raw))

    def unwrap(self, number: int, wrapped: bytes) -> DataKey | None:
        """Return a data key, or `None` where this key does not open it."""
        raw = self._unwrapped(number, wrapped)
        return None if raw is None else DataKey(number, AESGCM(raw))

    def wrap_again(
        self, number: int, wrapped: bytes, other: Kek, random: Callable[[int], bytes]
    ) -> bytes | None:
        """Return a data key wrapped under another key instead; `None` as `unwrap`."""
        nonce, raw = random(NONCE), self._unwrapped(number, wrapped)
        return None if raw is None else other._wrapped(number, nonce, raw)

    def _wrapped(self, number: int, nonce: bytes, raw: bytes) -> bytes:
        return nonce + self._wrapping.encrypt(nonce, raw, self._context(number))

    def _unwrapped(self, number: int, wrapped: bytes) -> bytes | None:
        nonce, body = wrapped[:NONCE], wrapped[NONCE:]
        try:
            return self._wrapping.decrypt(nonce, body, self._context(number))
        except InvalidTag:
            return None

    def _context(self, number: int) -> bytes:
        """Associated data: no key of another ring, number or format is taken for this one."""
        return _LABEL + bytes([FORMAT]) + self._id + number.to_bytes(4, "big")

    def _mac(self, ring: RingFile) -> bytes:
        return hmac.digest(self._mac_key.reveal(), ring.authenticated(), "sha256")


def _wrapping(secret: Secret, ring_id: bytes) -> AESGCM:
    return AESGCM(_expand(secret, b"wrap", ring_id))


def _expand(secret: Secret, purpose: bytes, ring_id: bytes) -> bytes:
    return hmac.digest(secret.reveal(), _LABEL + purpose + b"\0" + ring_id + b"\x01", "sha256")
