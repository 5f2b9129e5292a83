"""Masking: what looks like a credential does not get into a log, and nothing forges a line.

Names decide, not values: a key looks like any other text. So a secret under a name of its own
invention is not found; that is why secrets live in `Secret`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from hauberk.secret import HIDDEN, Secret

#: Longer text is cut: a log is no place for a body, and patterns stay quick.
MAX_TEXT: Final = 2_000
_MAX_DEPTH: Final = 20

_WORDS: Final = (
    r"signature|secret|token|passw(?:or)?d|passphrase|authorization|api[-_]?key|private[-_]?key"
    r"|cookie|mnemonic"
)
_NAME: Final = re.compile(
    rf"{_WORDS}|(?:credential|key)s?$|^(?:sign?|auth|otp|pin|seed)$", re.IGNORECASE
)
_STEM: Final = rf"(?:{_WORDS}|(?<![a-z])key)"
# A plural, a key's own kind, or a part set off; so not `TokenExpired` or `tokenizer`.
_ENDING: Final = r"(?:s|\d{1,3}|[-_]?(?:key|value|hash|id)|[-_][\w-]{1,19})?"
_QUOTE: Final = r"\\?[\"']"
_IS: Final = rf"(?:{_QUOTE})?\s{{0,3}}(?:=|%3d)"
_COMMA: Final = rf",(?=\s?{_QUOTE})"
# A name, then = : or %3D (or, in the repr of a pair, a comma), then a value, perhaps in quotes.
# Prose has colons and commas too: before one, a name without quotes is a whole credential word,
# and `credentials`, of which errors speak, is none.
_PAIR: Final = re.compile(
    rf"((?:{_STEM}[\w-]{{0,20}}(?:{_IS}|{_QUOTE}\s{{0,3}}:)"
    rf"|{_STEM}{_ENDING}(?:{_QUOTE})?\s{{0,3}}(?::|{_COMMA})"
    rf"|credentials?(?:{_IS}|{_QUOTE}\s{{0,3}}(?::|{_COMMA})))\s{{0,3}}"
    r"(?:(?:bearer|basic|hmac)\s{1,3})?)"
    r"(\\?\"[^\"]*\"?|\\?'[^']*'?|[^\s\"'&,;)}\]]+)",
    re.IGNORECASE,
)

# One of them stands in every text that the pattern can match: found out quickly.
_STEMS: Final = (
    *("key", "secret", "signature", "token", "pass", "authorization", "credential", "cookie"),
    "mnemonic",
)


@lru_cache(maxsize=4_096)
def is_credential(name: str) -> bool:
    """Whether a name is one under which credentials stand, for example `X-MBX-APIKEY`."""
    return _NAME.search(name) is not None


def masked(value: Any, depth: int = 0) -> Any:
    """Return a copy fit for a log: credentials hidden, text cut and without controls.

    Args:
        value: Anything; mappings, sequences and pairs of (name, value) are looked into.
        depth: Of the nesting so far.
    """
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, Secret):
        return HIDDEN
    if isinstance(value, str):
        return clean(value)
    if depth >= _MAX_DEPTH:
        return "[too deep]"
    if isinstance(value, Mapping):
        return {
            clean(str(name)): HIDDEN if is_credential(str(name)) else masked(item, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        if len(value) == 2 and isinstance(value[0], str) and is_credential(value[0]):
            return [clean(value[0]), HIDDEN]
        return [masked(item, depth + 1) for item in value]
    return clean(repr(value))


def clean(text: str) -> str:
    """Return text with credentials hidden and everything that is not printable written out.

    That takes in line breaks of every kind, escapes, what reorders shown text, and surrogates.
    """
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}... ({len(text) - MAX_TEXT} more)"
    folded = text.casefold()
    if any(stem in folded for stem in _STEMS):
        text = _PAIR.sub(rf"\1{HIDDEN}", text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
