"""The envelope: a header, which is authenticated, then the ciphertext with its tag."""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Final, NamedTuple

from hauberk.errors import InvalidValue
from hauberk_plugins.encryption.errors import Truncated, UnknownFormat, record_shown

#: The only format there is; the first byte of every envelope.
FORMAT: Final = 1
#: Bytes of a nonce: 96 bits, as AES-GCM wants them (NIST SP 800-38D, section 8.2).
NONCE: Final = 12
#: Bytes of a tag.
TAG: Final = 16
#: The largest value, bytes: what `cryptography` encrypts in one call.
MAX_VALUE: Final = 2**31 - 1

# Format, data key, version, length of the value, digest of namespace and name, nonce.
_HEADER: Final = struct.Struct(">BIQI32s12s")
#: Bytes of a header.
HEADER: Final = _HEADER.size
#: What an envelope has beyond its value, bytes.
OVERHEAD: Final = HEADER + TAG
_MAX_VERSION: Final = 2**64 - 1
_LENGTH: Final = struct.Struct(">I")


class Header(NamedTuple):
    """The header of an envelope: all that is bound to the value, and nothing secret.

    Attributes:
        format: `FORMAT`.
        key: Number of the data key.
        version: Version of the record.
        length: Length of the value, bytes.
        bound: `bound_to` its namespace and name.
        nonce: Of this encryption alone.
    """

    format: int
    key: int
    version: int
    length: int
    bound: bytes
    nonce: bytes

    def pack(self) -> bytes:
        """Return its bytes."""
        return _HEADER.pack(*self)


def bound_to(namespace: str, name: str) -> bytes:
    """Return a digest of namespace and name, each with its length before it.

    Without the lengths, `("a", "bc")` and `("ab", "c")` would be one. Any text is a name, lone
    surrogates included.
    """
    first = namespace.encode("utf-8", "surrogatepass")
    second = name.encode("utf-8", "surrogatepass")
    return sha256(_LENGTH.pack(len(first)) + first + _LENGTH.pack(len(second)) + second).digest()


def unpack(namespace: str, name: str, sealed: bytes) -> Header:
    """Read the header of an envelope, of which nothing is authenticated yet.

    Args:
        namespace: Whose the record is, for the errors.
        name: The record's name, for the errors.
        sealed: The envelope.

    Raises:
        Truncated: It ends before its value could begin.
        UnknownFormat: It is of another format.
    """
    if not sealed:
        raise Truncated(namespace, name, 0, OVERHEAD)
    if sealed[0] != FORMAT:
        raise UnknownFormat(record_shown(namespace, name), sealed[0], FORMAT, True)
    if len(sealed) < OVERHEAD:
        raise Truncated(namespace, name, len(sealed), OVERHEAD)
    return Header._make(_HEADER.unpack_from(sealed))


def key_of(sealed: bytes) -> int | None:
    """Return the number of the data key, or `None` where that cannot be read."""
    if len(sealed) < OVERHEAD or sealed[0] != FORMAT:
        return None
    return Header._make(_HEADER.unpack_from(sealed)).key


def check_sealable(namespace: str, name: str, length: int, version: int) -> None:
    """Check that an envelope can say what it is to hold.

    Raises:
        InvalidValue: The version or the length has no place in a header.
    """
    if not 0 <= version <= _MAX_VERSION:
        where = record_shown(namespace, name)
        raise InvalidValue(f"{where} has no version {version}: give one from 0 to 2^64 - 1")
    if length > MAX_VALUE:
        where = record_shown(namespace, name)
        raise InvalidValue(f"{where} has {length} bytes: one record holds at most {MAX_VALUE}")
