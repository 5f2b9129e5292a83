"""The members of SHA-2 as data (FIPS 180-4)."""

from __future__ import annotations

from math import isqrt
from typing import Final

from attrs import frozen


@frozen
class Family:
    """A compression function: SHA-256's or SHA-512's.

    Attributes:
        bits: Of a word.
        rounds: Of a compression.
        big: Rotations of the two capital sigmas, of `a` and of `e`.
        small: Rotations of the two small sigmas; the last of each is a shift.
        constants: One for each round.
    """

    bits: int
    rounds: int
    big: tuple[tuple[int, int, int], tuple[int, int, int]]
    small: tuple[tuple[int, int, int], tuple[int, int, int]]
    constants: tuple[int, ...]

    @property
    def word(self) -> int:
        """Bytes of a word."""
        return self.bits // 8

    @property
    def block(self) -> int:
        """Bytes of a block."""
        return 2 * self.bits


@frozen
class Hash:
    """A hash function: a family, where it starts, and how much of the end counts.

    Attributes:
        name: As `hashlib` calls it.
        family: Its compression function.
        initial: Eight words.
        size: Bytes of a digest.
    """

    name: str
    family: Family
    initial: tuple[int, ...]
    size: int


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _square_root(number: int, bits: int) -> int:
    """Return the first bits of the fractional part of a square root."""
    return isqrt(number << 2 * bits) % (1 << bits)


def _cube_root(number: int, bits: int) -> int:
    """Return the first bits of the fractional part of a cube root."""
    scaled, root = number << 3 * bits, 0
    for bit in reversed(range(bits + 4)):
        if (root | 1 << bit) ** 3 <= scaled:
            root |= 1 << bit
    return root % (1 << bits)


_PRIMES: Final = _primes(80)

SHA256_FAMILY: Final = Family(
    bits=32,
    rounds=64,
    big=((2, 13, 22), (6, 11, 25)),
    small=((7, 18, 3), (17, 19, 10)),
    constants=tuple(_cube_root(prime, 32) for prime in _PRIMES[:64]),
)
SHA512_FAMILY: Final = Family(
    bits=64,
    rounds=80,
    big=((28, 34, 39), (14, 18, 41)),
    small=((1, 8, 7), (19, 61, 6)),
    constants=tuple(_cube_root(prime, 64) for prime in _PRIMES[:80]),
)

SHA256: Final = Hash(
    "sha256", SHA256_FAMILY, tuple(_square_root(prime, 32) for prime in _PRIMES[:8]), 32
)
SHA512: Final = Hash(
    "sha512", SHA512_FAMILY, tuple(_square_root(prime, 64) for prime in _PRIMES[:8]), 64
)
SHA384: Final = Hash(
    "sha384", SHA512_FAMILY, tuple(_square_root(prime, 64) for prime in _PRIMES[8:16]), 48
)
