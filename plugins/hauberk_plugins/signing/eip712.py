"""EIP-712: hashing of typed structured data, as far as flat structs need it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

_WORD: Final = 32
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}\Z")
_DOMAIN: Final = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
)
_NOBODY: Final = "0x" + "00" * 20

Keccak = Callable[[bytes], bytes]
Fields = Sequence[tuple[str, str]]


class Struct:
    """A type of message.

    Args:
        name: Of the type.
        fields: Name and type of each member, in order: `string`, `bool`, `address`, `bytes32`,
            `uint64` or `uint256`.
        keccak: Keccak-256.

    Attributes:
        names: The members' names.
    """

    def __init__(self, name: str, fields: Fields, keccak: Keccak) -> None:
        self._fields = tuple(fields)
        self.names = frozenset(field for field, _ in fields)
        self._keccak = keccak
        written = ",".join(f"{kind} {field}" for field, kind in fields)
        self._type = keccak(f"{name}({written})".encode())

    def hash(self, values: Mapping[str, Any]) -> bytes:
        """Return `hashStruct` of a message.

        Raises:
            ValueError: A member is missing or not of its type; names it.
        """
        parts = [self._type]
        for field, kind in self._fields:
            word = _word(values.get(field), kind, self._keccak)
            if word is None:
                raise ValueError(f"{field!r} must be {kind}")
            parts.append(word)
        return self._keccak(b"".join(parts))


def domain(name: str, chain_id: int, keccak: Keccak) -> bytes:
    """Return the separator of a domain of version 1 without a contract."""
    values = {"name": name, "version": "1", "chainId": chain_id, "verifyingContract": _NOBODY}
    return Struct("EIP712Domain", _DOMAIN, keccak).hash(values)


def digest(separator: bytes, struct_hash: bytes, keccak: Keccak) -> bytes:
    """Return what is signed."""
    return keccak(b"\x19\x01" + separator + struct_hash)


def address(value: Any) -> bytes | None:
    """Return the 20 bytes of an address, or `None` where it is none."""
    if type(value) is not str or not _ADDRESS.match(value):
        return None
    return bytes.fromhex(value[2:])


def _word(value: Any, kind: str, keccak: Keccak) -> bytes | None:
    """Encode a value; `None` where it is not of that type."""
    if kind == "string":
        return keccak(value.encode()) if type(value) is str else None
    if kind == "bool":
        return int(value).to_bytes(_WORD, "big") if type(value) is bool else None
    if kind == "bytes32":
        return value if type(value) is bytes and len(value) == _WORD else None
    if kind == "address":
        raw = address(value)
        return None if raw is None else raw.rjust(_WORD, b"\0")
    bits = int(kind.removeprefix("uint"))
    is_fit = type(value) is int and 0 <= value < 2**bits
    return value.to_bytes(_WORD, "big") if is_fit else None
