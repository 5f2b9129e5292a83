"""The keys that an archive is verified by: a JSON file of identifiers."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import field, frozen

from hauberk.batch import ALGORITHMS
from hauberk.errors import HauberkError
from hauberk.spelling import nearest

Entry = TypeVar("Entry")
#: Bytes; a hundred thousand keys take some ten million.
_LARGEST: Final = 1 << 28


class KeysUnusable(HauberkError):
    """A file of keys cannot be used; says where in it, and shows no key."""


@frozen
class Key:
    """One key.

    Attributes:
        id: Under which rows name it.
        algorithm: One of `hauberk.batch.ALGORITHMS`.
        value: The secret, or the public key.
    """

    id: str
    algorithm: str
    value: bytes = field(repr=False)


class Twice(ValueError):
    """A name stands in an object twice: whoever reads it takes one or the other."""


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object of its members.

    Raises:
        Twice: Says which name.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise Twice(next(name for name in names if names.count(name) > 1))
    return made


def read_keys(path: Path) -> dict[str, Key]:
    """Read keys by identifier.

    The form is `{"ID": {"algorithm": "hmac-sha256", "secret": BASE64}}`, or `"public"` for the
    algorithms of public keys: Ed25519's 32 bytes, or DER.

    Raises:
        KeysUnusable: It cannot be read, or an entry makes no sense.
    """
    return read_entries(path, partial(_key, path))


def read_entries(path: Path, made: Callable[[str, Any], Entry]) -> dict[str, Entry]:
    """Read a file of keys, each entry made into something.

    Args:
        path: The file.
        made: Makes an entry of its identifier and what stands there, or raises `KeysUnusable`.

    Raises:
        KeysUnusable: It cannot be read, or an entry makes no sense.
    """
    # An error holds the frames that raised it, and those of reading hold secrets.
    found, problem = _entries_or_problem(path, made)
    if problem:
        raise KeysUnusable(problem)
    return found


def _entries_or_problem(
    path: Path, made: Callable[[str, Any], Entry]
) -> tuple[dict[str, Entry], str]:
    try:
        return {name: made(name, entry) for name, entry in _read(path).items()}, ""
    except KeysUnusable as error:
        return {}, str(error)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise KeysUnusable(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise KeysUnusable(f"{path}: is larger than {_LARGEST} bytes")
    try:
        found = json.loads(content, object_pairs_hook=once)
    except Twice as error:
        raise KeysUnusable(f"{path}: {error.args[0]!r} stands there twice") from None
    except (ValueError, RecursionError) as error:
        place = f": line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise KeysUnusable(f"{path}{place}: is no JSON") from None
    if not isinstance(found, dict) or not found:
        raise KeysUnusable(f'{path}: must be an object of identifiers, {{"ID": {{…}}}}')
    return found


def _key(path: Path, name: str, entry: Any) -> Key:
    where = f"{path}: key {name!r}"
    if not isinstance(entry, dict):
        raise KeysUnusable(f'{where}: must be an object, {{"algorithm": …, "secret": …}}')
    algorithm = entry.get("algorithm")
    if algorithm not in ALGORITHMS:
        # What stands there instead may be a secret in the wrong place.
        meant = nearest(str(algorithm), ALGORITHMS)
        raise KeysUnusable(f'{where}: "algorithm" must be one of {", ".join(ALGORITHMS)}{meant}')
    wanted = "secret" if algorithm.startswith("hmac-") else "public"
    if algorithm.startswith(("sha", "rfc6962")):
        return Key(name, algorithm, b"")
    if set(entry) != {"algorithm", wanted}:
        raise KeysUnusable(f'{where}: must have "algorithm" and "{wanted}", and nothing else')
    try:
        value = b64decode(entry[wanted], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise KeysUnusable(f'{where}: "{wanted}" is no base64') from None
    return Key(name, algorithm, value)
