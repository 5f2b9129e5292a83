"""HMAC (RFC 2104) with the key's two hash states kept, so that each message costs no key setup."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from hauberk.secret import Secret

#: By the name that venue files use: hash and block size in bytes.
MACS: Final[dict[str, tuple[Callable[[bytes], Any], int]]] = {
    "hmac-sha256": (hashlib.sha256, 64),
}

_INNER: Final = bytes(x ^ 0x36 for x in range(256))
_OUTER: Final = bytes(x ^ 0x5C for x in range(256))


class Mac:
    """The MAC of messages under one key.

    `hmac.digest` sets its key up on every call, which takes about twice as long as copying the two
    states. The states are as good as the key: nothing shows them.

    Args:
        name: For example `hmac-sha256`.
        key: The key.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, name: str, key: Secret) -> None:
        hashing, block = MACS[name]
        raw = key.reveal()
        if len(raw) > block:
            raw = hashing(raw).digest()
        padded = raw.ljust(block, b"\0")
        self._inner = hashing(padded.translate(_INNER))
        self._outer = hashing(padded.translate(_OUTER))

    def hex(self, message: bytes) -> str:
        """Return the MAC of a message in lower-case hexadecimal."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        digits: str = outer.hexdigest()
        return digits
