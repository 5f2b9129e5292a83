"""The key ring's file: JSON in one strict form, read before any of it can be authenticated."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from attrs import evolve, frozen

from hauberk_plugins.encryption.errors import BadRing, UnknownFormat
from hauberk_plugins.encryption.scrypt import SALT, Scrypt

#: The only format there is.
FORMAT: Final = 1
#: How many data keys a ring holds; rotating ten times as often as is wise fills it in decades.
MAX_KEYS: Final = 1_024
#: Bytes of a ring's id, of a check value and MAC, and of a wrapped data key (nonce, key, tag).
ID: Final = 16
DIGEST: Final = 32
WRAPPED: Final = 12 + 32 + 16

_FIELDS: Final = frozenset({"format", "id", "kdf", "check", "active", "keys", "mac", "sum"})
_KDF_FIELDS: Final[dict[str, set[str]]] = {
    "none": {"name"},
    "scrypt": {"name", "salt", "n", "r", "p"},
}
_KEY_FIELDS: Final = frozenset({"number", "made", "wrapped"})
_MAX_MADE: Final = 32
_DIGITS: Final = frozenset("0123456789abcdef")


@frozen
class WrappedKey:
    """One data key as the file holds it.

    Attributes:
        number: What envelopes name it by: random, so that two rings have none in common.
        made: When it was made, by the clock of then; for people, nothing depends on it.
        wrapped: Nonce, encrypted key and tag.
    """

    number: int
    made: str
    wrapped: bytes


@frozen
class RingFile:
    """What a key ring's file says.

    Attributes:
        id: Random, for as long as the ring exists.
        kdf: How the wrapping key is made of a passphrase; `None` where it is a key already.
        check: Tells whether a wrapping key is the right one.
        active: Number of the data key that seals.
        keys: All data keys, oldest first.
        mac: Over all the rest, under the wrapping key.
    """

    id: bytes
    kdf: Scrypt | None
    check: bytes
    active: int
    keys: tuple[WrappedKey, ...]
    mac: bytes = b""

    def authenticated(self) -> bytes:
        """Return what the MAC is over: everything but itself, in canonical form."""
        return _canonical(evolve(self, mac=b"")._plain())

    def to_bytes(self) -> bytes:
        """Return the file, which ends with a sum: it tells damage from a wrong key."""
        plain = self._plain()
        plain["sum"] = sha256(_canonical(plain)).hexdigest()
        return json.dumps(plain, indent=1).encode() + b"\n"

    def _plain(self) -> dict[str, Any]:
        kdf = self.kdf
        return {
            "format": FORMAT,
            "id": self.id.hex(),
            "kdf": {"name": "none"}
            if kdf is None
            else {"name": "scrypt", "salt": _text(kdf.salt), "n": kdf.n, "r": kdf.r, "p": kdf.p},
            "check": _text(self.check),
            "active": self.active,
            "keys": [
                {"number": key.number, "made": key.made, "wrapped": _text(key.wrapped)}
                for key in self.keys
            ],
            "mac": _text(self.mac),
        }


def read_ring(path: object, content: bytes) -> RingFile:
    """Read a key ring's file.

    Args:
        path: The file, for the errors.
        content: Its content.

    Raises:
        UnknownFormat: A later version of Hauberk wrote it.
        BadRing: It is cut off, damaged, or asks for what is not given.
    """
    plain = _parsed(content)
    found = plain.get("format")
    if type(found) is int and found > FORMAT:
        raise UnknownFormat(f"key ring {path}", found, FORMAT)
    try:
        return _ring(plain)
    except _Bad as bad:
        why = bad.why
    raise BadRing(path, why)


class _Bad(Exception):
    """The file is not as it must be; says why, and quotes nothing of it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def _parsed(content: bytes) -> dict[str, Any]:
    """Return the file as plain data; empty where it is no JSON object."""
    try:
        plain = json.loads(content, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return {}
    return plain if type(plain) is dict else {}


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice")
    return made


def _ring(plain: Mapping[str, Any]) -> RingFile:
    if plain.get("format") != FORMAT or plain.keys() != _FIELDS or not _sum_holds(plain):
        raise _Bad("it is no key ring, or is cut off or damaged")
    _must(type(plain["keys"]) is list and len(plain["keys"]) <= MAX_KEYS)
    _must(type(plain["id"]) is str and len(plain["id"]) == 2 * ID)
    _must(_DIGITS.issuperset(plain["id"]) and _is_number(plain["active"]))
    ring = RingFile(
        bytes.fromhex(plain["id"]),
        _kdf(plain["kdf"]),
        _bytes(plain["check"], DIGEST),
        plain["active"],
        tuple(map(_key, plain["keys"])),
        _bytes(plain["mac"], DIGEST),
    )
    numbers = [key.number for key in ring.keys]
    _must(len(set(numbers)) == len(numbers) and ring.active in numbers)
    return ring


def _kdf(plain: Any) -> Scrypt | None:
    _must(type(plain) is dict and type(plain.get("name")) is str)
    _must(plain.keys() == _KDF_FIELDS.get(plain["name"]))
    if plain["name"] == "none":
        return None
    numbers = [plain[name] for name in ("n", "r", "p")]
    _must(all(type(number) is int for number in numbers))
    scrypt = Scrypt(_bytes(plain["salt"], SALT), *numbers)
    if problem := scrypt.problem():
        raise _Bad(problem)
    return scrypt


def _key(plain: Any) -> WrappedKey:
    _must(type(plain) is dict and plain.keys() == _KEY_FIELDS)
    made = plain["made"]
    _must(type(made) is str and len(made) <= _MAX_MADE and made.isprintable())
    _must(_is_number(plain["number"]))
    return WrappedKey(plain["number"], made, _bytes(plain["wrapped"], WRAPPED))


def _must(holds: bool) -> None:
    if not holds:
        raise _Bad("it holds what no key ring holds")


def _sum_holds(plain: Mapping[str, Any]) -> bool:
    rest = {name: value for name, value in plain.items() if name != "sum"}
    try:
        return bool(plain["sum"] == sha256(_canonical(rest)).hexdigest())
    except (ValueError, RecursionError):  # NaN, for example, has no canonical form
        return False


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**32


def _canonical(plain: Mapping[str, Any]) -> bytes:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _bytes(text: Any, length: int) -> bytes:
    """Read base64 of a known length, in its one form."""
    try:
        value = b64decode(text, validate=True) if type(text) is str else b""
    except ValueError:
        value = b""
    _must(len(value) == length and _text(value) == text)
    return value
