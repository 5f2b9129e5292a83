"""What engines verify by SHA-2: which hash, whether it is an HMAC, and how keys are made ready."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from hauberk_plugins.sha2.family import SHA256, SHA384, SHA512, Hash

#: What a key's block is masked with before the message, and before the inner digest (RFC 2104, 2).
INNER: Final = 0x36
OUTER: Final = 0x5C


@frozen
class Algorithm:
    """How a signature is computed.

    Attributes:
        hash: Its hash.
        is_keyed: Whether it is an HMAC; else the signature is the digest.
        prefix: A byte before each message, or -1.
    """

    hash: Hash
    is_keyed: bool = False
    prefix: int = -1

    @property
    def least(self) -> int:
        """Bytes of the shortest signature (RFC 2104, 5: a tag may be cut to half)."""
        return self.hash.size // 2 if self.is_keyed else self.hash.size


#: By the names of `hauberk.batch.ALGORITHMS`.
SHA2: Final = {
    "hmac-sha256": Algorithm(SHA256, is_keyed=True),
    "hmac-sha384": Algorithm(SHA384, is_keyed=True),
    "hmac-sha512": Algorithm(SHA512, is_keyed=True),
    "sha256": Algorithm(SHA256),
    "rfc6962-leaf": Algorithm(SHA256, prefix=0),
    "rfc6962-node": Algorithm(SHA256, prefix=1),
}


def key_blocks(hash_: Hash, keys: Iterable[bytes]) -> bytes:
    """Return each key as a block, a longer one by its digest, end to end (RFC 2104, 2)."""
    size = hash_.family.block
    return b"".join(
        (hashlib.new(hash_.name, key).digest() if len(key) > size else key).ljust(size, b"\0")
        for key in keys
    )
