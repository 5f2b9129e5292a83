"""Where a value stands in a file, as parts and as text: `accounts."my.acct".venue`."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from hauberk.errors import InvalidValue

KeyPath: TypeAlias = tuple[str | int, ...]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_INDEX: Final = re.compile(r"(?:0|[1-9][0-9]{0,8})\Z")
#: What is written escaped. Nothing else may ever be: sealed values are bound to this text, and
#: what counts as printable differs between versions of Python.
_ESCAPED: Final = re.compile(r'[\x00-\x1f\x7f\ud800-\udfff"\\]')
_PART: Final = re.compile(r"""(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^.'"]+))(\.|\Z)""", re.S)
_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.S
)
_LETTERS: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "\\": "\\"}


def path_text(path: KeyPath) -> str:
    """Write a path so that no two are written alike; `parse_path` reads it back."""
    return ".".join(_part_text(part) for part in path)


def parse_path(text: str) -> KeyPath:
    r"""Read a path: parts between dots, a number alone for an index, quotes around anything else.

    Args:
        text: For example `throttle.jitter_ms`, `plugins.2`, `accounts.'my.acct'.venue`. Within
            quotes of either kind, `\n`, `\x41` and `\u20ac` are read as YAML reads them.

    Raises:
        InvalidValue: It is no path; says what is wrong and where.
    """
    parts: list[str | int] = []
    at = 0
    while at < len(text) or not parts or text[at - 1] == ".":
        if not (found := _PART.match(text, at)):
            raise InvalidValue(
                f"{text[:80]!r} is no path: nothing to be read at its character {at + 1}; write "
                "it as throttle.jitter_ms, plugins.2 or accounts.'my.acct'.venue"
            )
        double, single, bare, _ = found.groups()
        if bare is None:
            parts.append(_unescaped(double if single is None else single))
        else:
            parts.append(int(bare) if _INDEX.match(bare) else bare)
        at = found.end()
    return tuple(parts)


def _part_text(part: str | int) -> str:
    if isinstance(part, int):
        return str(part)
    if _BARE.match(part) and not _INDEX.match(part):
        return part
    return '"' + _ESCAPED.sub(lambda found: _escaped(found[0]), part) + '"'


def _escaped(char: str) -> str:
    return "\\" + char if char in '"\\' else f"\\u{ord(char):04x}"


def _unescaped(text: str) -> str:
    def char(found: re.Match[str]) -> str:
        digits = found[1] or found[2] or found[3]
        try:
            return chr(int(digits, 16)) if digits else _LETTERS[found[4]]
        except (KeyError, ValueError, OverflowError):
            raise InvalidValue(f"{text[:80]!r} holds no escape that a path may have") from None

    return _ESCAPE.sub(char, text)
