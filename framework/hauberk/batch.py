"""Batches of signed messages, as columns."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

from attrs import frozen

from hauberk.errors import InvalidValue

#: One byte a row: 1 where the signature holds, 0 where it does not.
Verdicts: TypeAlias = bytes | bytearray | memoryview


@frozen
class SignedBatch:
    """Messages and what is to be verified about them, in Arrow's layout.

    Attributes:
        algorithm: For example `hmac-sha256`.
        messages: All messages, end to end.
        message_offsets: rows + 1 rising positions in `messages`, from 0.
        signatures: All signatures, end to end.
        signature_offsets: rows + 1 rising positions in `signatures`, from 0.
        key_indices: For each row, an index into `keys`.
        keys: Secrets or public keys, as the algorithm takes them.

    Raises:
        InvalidValue: The columns do not fit together.
    """

    algorithm: str
    messages: bytes
    message_offsets: tuple[int, ...]
    signatures: bytes
    signature_offsets: tuple[int, ...]
    key_indices: tuple[int, ...]
    keys: tuple[bytes, ...]

    def __attrs_post_init__(self) -> None:
        rows = len(self.key_indices)
        for name in ("message", "signature"):
            data, offsets = getattr(self, f"{name}s"), getattr(self, f"{name}_offsets")
            if len(offsets) != rows + 1 or offsets[0] != 0 or offsets[-1] != len(data):
                raise InvalidValue(f"SignedBatch: {name}_offsets must run from 0 to the end")
            if any(a > b for a, b in pairwise(offsets)):
                raise InvalidValue(f"SignedBatch: {name}_offsets run backwards")
        if any(not 0 <= index < len(self.keys) for index in self.key_indices):
            raise InvalidValue("SignedBatch: a key index points past the keys")

    def __len__(self) -> int:
        return len(self.key_indices)
