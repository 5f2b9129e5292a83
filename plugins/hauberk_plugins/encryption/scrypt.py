"""From a passphrase to a wrapping key: scrypt (RFC 7914), with bounds on what it may cost."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from hauberk.secret import Secret

#: Bytes of a salt, and of the key that comes out.
SALT: Final = 16
KEY: Final = 32

_MIN_N: Final = 2**14
_MAX_N: Final = 2**20
_MAX_R: Final = 32
_MAX_P: Final = 16
# A ring is read before it can be authenticated: what it asks for must be affordable.
_MAX_MEMORY: Final = 2**30
_MAX_WORK: Final = 2**24


@frozen
class Scrypt:
    """The parameters of one derivation; the defaults take 128 MiB and about half a second.

    Attributes:
        salt: Random, of this ring alone.
        n: Cost, a power of two.
        r: Block size.
        p: Parallelisation.
    """

    salt: bytes
    n: int = 2**17
    r: int = 8
    p: int = 1

    def problem(self) -> str:
        """Say why these parameters are not used, or nothing."""
        if len(self.salt) != SALT:
            return f"its salt has not {SALT} bytes"
        if not _MIN_N <= self.n <= _MAX_N or self.n & (self.n - 1):
            return f"scrypt's n is no power of two from {_MIN_N} to {_MAX_N}"
        if not 1 <= self.r <= _MAX_R or not 1 <= self.p <= _MAX_P:
            return f"scrypt's r is not from 1 to {_MAX_R}, or its p not from 1 to {_MAX_P}"
        if 128 * self.n * self.r > _MAX_MEMORY or self.n * self.r * self.p > _MAX_WORK:
            return "scrypt would take more than a GiB, or more than a minute"
        return ""

    def derive(self, passphrase: Secret) -> Secret:
        """Derive the wrapping key.

        Raises:
            MemoryError: There is not as much memory as it takes.
        """
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt as Derivation

        return Secret(
            Derivation(self.salt, KEY, self.n, self.r, self.p).derive(passphrase.reveal())
        )
