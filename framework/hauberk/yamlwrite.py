"""Plain data as YAML on one line, such as reads back as exactly what it was."""

from __future__ import annotations

import math
from typing import Any, Final

from hauberk.errors import ConfigError, InvalidValue
from hauberk.sealed import TAG, Sealed
from hauberk.yamlfile import inspect_yaml

_MAX_DEPTH: Final = 64
_ESCAPES: Final = {'"': '"', "\\": "\\", "\n": "n", "\r": "r", "\t": "t"}


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value as plain data, as it will be read back.

    Raises:
        InvalidValue: It is of a type that YAML's core schema has not.
    """
    kind = type(value)
    if value is None or kind in (bool, int, float, str, Sealed):
        return value
    if depth < _MAX_DEPTH:
        if kind in (list, tuple):
            return [plain(item, depth + 1) for item in value]
        if kind is dict and all(type(key) is str for key in value):
            return {key: plain(item, depth + 1) for key, item in value.items()}
    raise InvalidValue(
        f"a configuration takes text, numbers, true, false, null, lists and mappings of these by "
        f"text, not {kind.__name__}"
    )


def on_one_line(value: Any, style: str = "") -> str:
    """Write plain data on one line.

    Args:
        value: The data.
        style: The quotes that text is put into where it can be; nothing where it needs none.
    """
    if isinstance(value, str):
        return _text(value, style)
    if isinstance(value, Sealed):
        return f"{TAG} {value.text()}"
    if isinstance(value, list):
        return f"[{', '.join(on_one_line(item) for item in value)}]"
    if isinstance(value, dict):
        pairs = (f"{key_text(key)}: {on_one_line(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else _not_finite(value)
    return "null" if value is None else str(value).lower()


def key_text(key: str) -> str:
    """Write a key."""
    return key if _reads_as(f"{key}: 1", {key: 1}) and _unquoted(key) else _quoted(key, "'")


def _text(value: str, style: str) -> str:
    if style not in ("'", '"') and _unquoted(value):
        return value
    return _quoted(value, style or "'")


def _unquoted(value: str) -> bool:
    """Whether text is read as itself without quotes, in brackets or out of them."""
    if not value.isprintable():
        return False
    return _reads_as(f"k: {value}", {"k": value}) and _reads_as(
        f"k: {{k: {value}, l: [{value}]}}", {"k": {"k": value, "l": [value]}}
    )


def _reads_as(text: str, data: dict[str, Any]) -> bool:
    try:
        document, problems = inspect_yaml(text, "")
    except ConfigError:
        return False
    return not problems and document.data == data


def _quoted(value: str, style: str) -> str:
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return '"' + "".join(_escaped(char) for char in value) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return "\\" + _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\U{code:08x}" if code > 0xFFFF else f"\\u{code:04x}"


def _not_finite(value: float) -> str:
    return ".nan" if math.isnan(value) else (".inf" if value > 0 else "-.inf")
