"""Batches of signed messages, as columns, and what is found of each row."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from hauberk.errors import InvalidValue

#: One byte a row: a `Finding`.
Verdicts: TypeAlias = bytes | bytearray | memoryview

#: What a batch may be signed with. Of the hashes, the signature is the digest.
ALGORITHMS: Final = (
    *("hmac-sha256", "hmac-sha384", "hmac-sha512"),
    *("sha256", "rfc6962-leaf", "rfc6962-node"),
    *("ed25519", "ecdsa-p256", "ecdsa-secp256k1", "rsa-pkcs1v15"),
)


class Finding(IntEnum):
    """What was found of a row. Only `VALID` says that it was verified."""

    #: The signature is not this key's for this message.
    MISMATCH = 0
    VALID = 1
    #: Its message or signature does not lie within the column.
    OFFSETS = 2
    #: It names a key that the batch does not have.
    UNKNOWN_KEY = 3
    #: Its signature is of a length or form that the algorithm does not have.
    SIGNATURE = 4
    #: Its key is none of the algorithm's.
    KEY = 5

    @property
    def reason(self) -> str:
        """In words, for people."""
        return _REASONS[self]


_REASONS: Final = {
    Finding.MISMATCH: "the signature does not match",
    Finding.VALID: "valid",
    Finding.OFFSETS: "its bytes lie outside the column",
    Finding.UNKNOWN_KEY: "its key is not known",
    Finding.SIGNATURE: "no signature of this algorithm: wrong length or form",
    Finding.KEY: "its key is none of this algorithm",
}
#: For each byte of verdicts, 1 unless it says that the row is valid.
_REJECTED: Final = bytes(found != Finding.VALID for found in range(256))
#: The bytes of verdicts that say something.
KNOWN: Final = frozenset(Finding)


def _bytes(column: Any) -> memoryview:
    return memoryview(column).cast("B").toreadonly()


def _numbers(column: Any) -> memoryview:
    """Take a column of 64-bit integers as it is, or make one of a sequence of numbers."""
    if isinstance(column, tuple | list | range):
        try:
            column = array("q", column)
        except (TypeError, OverflowError):
            raise InvalidValue("SignedBatch: offsets and indices are 64-bit integers") from None
    view = memoryview(column)
    if view.format not in ("q", "l") or view.itemsize != 8 or view.ndim != 1:
        raise InvalidValue("SignedBatch: offsets and indices are columns of 64-bit integers")
    return view.toreadonly()


def _keys(keys: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(keys)


@frozen
class SignedBatch:
    """Messages and what is to be verified about them, in Arrow's layout.

    The columns are taken without a copy: do not change what was given. Rows whose offsets or key
    make no sense are no error; they are found to be such, and rejected.

    Attributes:
        algorithm: One of `ALGORITHMS`.
        messages: All messages, end to end: any bytes-like object.
        message_offsets: rows + 1 positions in `messages`: a sequence of numbers, or any buffer of
            64-bit integers, such as an array of numpy's.
        signatures: All signatures, end to end.
        signature_offsets: rows + 1 positions in `signatures`.
        key_indices: For each row, an index into `keys`.
        keys: Secrets, or public keys: Ed25519's of 32 bytes, the others in DER
            (SubjectPublicKeyInfo). Ignored by the hashes, which have none.

    Raises:
        InvalidValue: The columns are not as long as each other, or of the wrong kind.
    """

    algorithm: str
    messages: memoryview = field(converter=_bytes, repr=False)
    message_offsets: memoryview = field(converter=_numbers, repr=False)
    signatures: memoryview = field(converter=_bytes, repr=False)
    signature_offsets: memoryview = field(converter=_numbers, repr=False)
    key_indices: memoryview = field(converter=_numbers, repr=False)
    keys: tuple[bytes, ...] = field(converter=_keys, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise InvalidValue(
                f"SignedBatch: {self.algorithm!r} is none of {', '.join(ALGORITHMS)}"
            )
        rows = len(self.key_indices)
        for name in ("message_offsets", "signature_offsets"):
            if len(getattr(self, name)) != rows + 1:
                raise InvalidValue(f"SignedBatch: {name} must have one number more than rows")

    @classmethod
    def of(
        cls,
        algorithm: str,
        rows: Iterable[tuple[bytes | memoryview, bytes | memoryview, int]],
        keys: Sequence[bytes] = (),
    ) -> SignedBatch:
        """Make a batch of rows: message, signature, index of the key."""
        messages, signatures = bytearray(), bytearray()
        message_offsets, signature_offsets = array("q", [0]), array("q", [0])
        indices = array("q")
        for message, signature, index in rows:
            messages += message
            signatures += signature
            message_offsets.append(len(messages))
            signature_offsets.append(len(signatures))
            indices.append(index)
        return cls(
            algorithm,
            bytes(messages),
            message_offsets,
            bytes(signatures),
            signature_offsets,
            indices,
            keys,
        )

    def __len__(self) -> int:
        return len(self.key_indices)

    def row(self, number: int) -> tuple[memoryview, memoryview, bytes] | Finding:
        """Return a row's message, signature and key, or what is wrong with it."""
        message = _part(self.messages, self.message_offsets, number)
        signature = _part(self.signatures, self.signature_offsets, number)
        if message is None or signature is None:
            return Finding.OFFSETS
        if not self.has_keys:
            return message, signature, b""
        index = self.key_indices[number]
        if not 0 <= index < len(self.keys):
            return Finding.UNKNOWN_KEY
        return message, signature, self.keys[index]

    @property
    def has_keys(self) -> bool:
        """Whether its algorithm takes keys; those of hashes do not."""
        return not self.algorithm.startswith(("sha", "rfc6962"))


def _part(column: memoryview, offsets: memoryview, number: int) -> memoryview | None:
    start, end = offsets[number], offsets[number + 1]
    return column[start:end] if 0 <= start <= end <= len(column) else None


@frozen
class Verified:
    """What came of a batch.

    Attributes:
        verdicts: One byte a row, a `Finding`.
        engine: The name of the plugin whose engine verified it.
    """

    verdicts: bytes = field(repr=False)
    engine: str

    def __len__(self) -> int:
        return len(self.verdicts)

    @property
    def valid(self) -> int:
        """How many rows were verified and hold."""
        return self.verdicts.count(Finding.VALID)

    def rejected(self) -> list[int]:
        """The rows that were not found valid, in order."""
        return rejected(self.verdicts)


def rejected(verdicts: Verdicts) -> list[int]:
    """Return the rows that were not found valid, in order."""
    marks = bytes(verdicts).translate(_REJECTED)
    rows, row = [], marks.find(1)
    while row >= 0:
        rows.append(row)
        row = marks.find(1, row + 1)
    return rows
