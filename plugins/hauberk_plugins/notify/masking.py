"""Masking: what looks like a credential leaves in no message. Names decide, as in logs."""

from __future__ import annotations

import re
from typing import Any, Final

from hauberk.secret import HIDDEN

_WORDS: Final = (
    r"signature|secret|token|passw(?:or)?d|passphrase|authorization|api[-_]?key|private[-_]?key"
    r"|cookie|mnemonic|credential"
)
_NAME: Final = re.compile(rf"{_WORDS}|keys?$|^(?:sign?|auth|otp|pin|seed)$", re.IGNORECASE)
#: A name and its value within text: `signature=…`, `"secret": "…"`, `Authorization: Bearer …`.
_PAIR: Final = re.compile(
    rf"((?:{_WORDS}|(?<![a-z])key)[\w-]{{0,20}}[\"']?\s{{0,3}}(?:=|:|%3d)\s{{0,3}}"
    r"(?:(?:bearer|basic|hmac)\s{1,3})?)(\"[^\"]*\"?|'[^']*'?|[^\s\"'&,;)}\]]+)",
    re.IGNORECASE,
)
#: A password within a URL.
_USERINFO: Final = re.compile(r"(://)[^/\s@]{1,200}@")
#: Longer text is cut before it is looked through.
MAX_TEXT: Final = 2_000


def masked(value: Any, name: str = "") -> Any:
    """Return a copy of what JSON has, with credentials hidden.

    Args:
        value: Of details; nested no deeper than JSON text of an incident is.
        name: Under which it stands.
    """
    if name and _NAME.search(name):
        return HIDDEN
    if isinstance(value, dict):
        return {masked_text(key): masked(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return masked_text(value) if isinstance(value, str) else value


def masked_text(text: str) -> str:
    """Return text with the values of credentials hidden in it."""
    text = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
    return _USERINFO.sub(rf"\1{HIDDEN}@", _PAIR.sub(rf"\1{HIDDEN}", text))
