"""Buckets of sealed records, and the sums by which a record that was put back is noticed.

The sum is an incremental multiset hash: the keyed hashes of all records added up, modulo 2^256
(Clarke et al., "Incremental Multiset Hash Functions and Their Application to Memory Integrity
Checking", ASIACRYPT 2003). Its key is random, and both stand only in the sealed record of the sum.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from attrs import evolve, field, frozen

from hauberk_plugins.storage.names import to_key

#: How many buckets the records of a namespace fall into.
BUCKETS: Final = 64
KEY_BYTES: Final = 32
SHA256_BYTES: Final = 32
#: What a sealed record begins with.
VERSION_BYTES: Final = 8
_FORMAT: Final = b"\x01"
_MODULUS: Final = 1 << 256
_SUM_BYTES: Final = 32
_COUNT_BYTES: Final = 8
_LENGTH: Final = len(_FORMAT) + KEY_BYTES + _SUM_BYTES + _COUNT_BYTES


class BadSum(Exception):
    """What was sealed as a bucket's sum is none."""


@frozen
class Place:
    """Where a record is kept.

    Attributes:
        bucket: The number of its bucket.
        key: Its name in the store.
        sum_key: The name of its bucket's sum in the store.
    """

    bucket: int
    key: str
    sum_key: str


@lru_cache(maxsize=4096)
def place(name: str) -> Place:
    """Say where a record is kept.

    Raises:
        BadName: No store can keep the name.
    """
    bucket = hashlib.sha256(to_key(name)).digest()[0] % BUCKETS
    return Place(bucket, f"{prefix(bucket)}r/{name}", sum_key(bucket))


def prefix(bucket: int) -> str:
    """Return what the names of all that belongs to a bucket begin with."""
    return f"{bucket:02x}/"


def sum_key(bucket: int) -> str:
    """Return the name of a bucket's sum in the store."""
    return f"{bucket:02x}/s"


def read_key(key: str) -> tuple[int, str | None] | None:
    """Read a name in the store back.

    Returns:
        The bucket, and the record's name, or `None` for the sum. `None` alone if it is neither.
    """
    bucket = _BY_PREFIX.get(key[:3])
    if bucket is None:
        return None
    if key[3:] == "s":
        return bucket, None
    return (bucket, key[5:]) if key[3:5] == "r/" else None


_BY_PREFIX: Final = {prefix(bucket): bucket for bucket in range(BUCKETS)}


def digest(stored: bytes) -> bytes:
    """Return what tells one sealed record from every other: its version and its SHA-256.

    The version, so that a write need not look at a record that is known.
    """
    return stored[:VERSION_BYTES] + hashlib.sha256(stored).digest()


def sha256_of(found: bytes) -> bytes:
    """Return the SHA-256 in a digest."""
    return found[-SHA256_BYTES:]


@frozen
class Bucket:
    """What is known of a bucket: which records it holds, and how their sum stands in the store.

    Attributes:
        key: The key of the keyed hash.
        digests: The digest of each record, by name.
        total: The sum.
        version: The version of the sum's record in the store; 0 where there is none.
        sealed: That record, sealed.
    """

    key: bytes = field(default=b"", repr=False)
    digests: Mapping[str, bytes] = field(factory=dict, repr=False)
    total: int = field(default=0, repr=False)
    version: int = 0
    sealed: bytes | None = field(default=None, repr=False)

    def with_records(self, found: Mapping[str, bytes | None]) -> Bucket:
        """Return it with records in place of what stood under their names.

        Args:
            found: By name, the digest of what stands there from here on; `None` for nothing.
        """
        digests = dict(self.digests)
        total = self.total
        for name, after in found.items():
            if (before := digests.pop(name, None)) is not None:
                total -= element(self.key, name, before)
            if after is not None:
                digests[name] = after
                total += element(self.key, name, after)
        return evolve(self, digests=digests, total=total % _MODULUS)

    def to_bytes(self) -> bytes:
        """Write what is sealed as its sum."""
        total = self.total.to_bytes(_SUM_BYTES, "big")
        return _FORMAT + self.key + total + len(self.digests).to_bytes(_COUNT_BYTES, "big")


@frozen
class Sum:
    """What was sealed as a bucket's sum: the key, the sum, and how many records are in it."""

    key: bytes = field(repr=False)
    total: int = field(repr=False)
    count: int

    @classmethod
    def from_bytes(cls, text: bytes) -> Sum:
        """Read one.

        Raises:
            BadSum: It is none, or a later version's.
        """
        if len(text) != _LENGTH or text[:1] != _FORMAT:
            raise BadSum
        key, rest = text[1 : 1 + KEY_BYTES], text[1 + KEY_BYTES :]
        total, count = rest[:_SUM_BYTES], rest[_SUM_BYTES:]
        return cls(key, int.from_bytes(total, "big"), int.from_bytes(count, "big"))


def element(key: bytes, name: str, found: bytes) -> int:
    """Return what a record adds to the sum."""
    text = to_key(name)
    return int.from_bytes(
        hmac.digest(key, len(text).to_bytes(8, "big") + text + sha256_of(found), "sha256"), "big"
    )


def total_of(key: bytes, digests: Mapping[str, bytes]) -> int:
    """Return the sum of records."""
    return sum(element(key, name, found) for name, found in digests.items()) % _MODULUS
