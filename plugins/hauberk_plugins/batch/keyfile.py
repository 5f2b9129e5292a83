"""The keys that an archive is verified by: a JSON file of identifiers."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from hauberk.batch import ALGORITHMS
from hauberk.errors import HauberkError
from hauberk.spelling import nearest

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


def read_keys(path: Path) -> dict[str, Key]:
    """Read keys by identifier.

    The form is `{"ID": {"algorithm": "hmac-sha256", "secret": BASE64}}`, or `"public"` for the
    algorithms of public keys: Ed25519's 32 bytes, or DER.

    Raises:
        KeysUnusable: It cannot be read, or an entry makes no sense.
    """
    # An error holds the frames that raised it, and those of reading hold secrets.
    keys, problem = _keys_or_problem(path)
    if problem:
        raise KeysUnusable(problem)
    return keys


class _Problem(Exception):
    """Keys cannot be used; says why."""


class _Twice(Exception):
    """A name stands in an object twice."""


def _keys_or_problem(path: Path) -> tuple[dict[str, Key], str]:
    try:
        return _read(path), ""
    except _Problem as error:
        return {}, str(error)


def _read(path: Path) -> dict[str, Key]:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise _Problem(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise _Problem(f"{path}: is larger than {_LARGEST} bytes")
    try:
        found = json.loads(content, object_pairs_hook=_once)
    except _Twice as error:
        raise _Problem(f"{path}: {error.args[0]!r} stands there twice") from None
    except (ValueError, RecursionError) as error:
        place = f": line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise _Problem(f"{path}{place}: is no JSON") from None
    if not isinstance(found, dict) or not found:
        raise _Problem(f'{path}: must be an object of identifiers, {{"ID": {{…}}}}')
    return {name: _key(path, name, entry) for name, entry in found.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return made


def _key(path: Path, name: str, entry: Any) -> Key:
    where = f"{path}: key {name!r}"
    if not isinstance(entry, dict):
        raise _Problem(f'{where}: must be an object, {{"algorithm": …, "secret": …}}')
    algorithm = entry.get("algorithm")
    if algorithm not in ALGORITHMS:
        # What stands there instead may be a secret in the wrong place.
        meant = nearest(str(algorithm), ALGORITHMS)
        raise _Problem(f'{where}: "algorithm" must be one of {", ".join(ALGORITHMS)}{meant}')
    wanted = "secret" if algorithm.startswith("hmac-") else "public"
    if algorithm.startswith(("sha", "rfc6962")):
        return Key(name, algorithm, b"")
    if set(entry) != {"algorithm", wanted}:
        raise _Problem(f'{where}: must have "algorithm" and "{wanted}", and nothing else')
    try:
        value = b64decode(entry[wanted], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise _Problem(f'{where}: "{wanted}" is no base64') from None
    return Key(name, algorithm, value)
