"""What users are called, and when two names are one.

A simplification of the profile UsernameCaseMapped of RFC 8265: Unicode's NFKC and case folding
(UAX #31) in place of its width and case mapping, so that names which differ only in case, width or
compatibility forms are one; then letters, marks, digits and visible ASCII, nothing else. Its rule
for text that runs right to left is left out, and letters of two scripts that look alike are two.
"""

from __future__ import annotations

import unicodedata
from hashlib import sha256
from typing import Final

from hauberk_plugins.auth.errors import BadName

#: Bytes of UTF-8.
MAX_BYTES: Final = 256
_CATEGORIES: Final = frozenset({"Ll", "Lo", "Lm", "Lu", "Lt", "Mn", "Mc", "Nd"})
#: Folding may undo a normalisation and the other way round; Unicode's own rule takes two turns.
_TURNS: Final = 4


def normalised(name: str) -> str:
    """Return the one form of a name.

    Raises:
        BadName: No user can be called that; says why.
    """
    if not name:
        raise BadName("a user's name may not be empty")
    # Before normalising, which makes some characters eighteen times as long.
    if len(name) > MAX_BYTES:
        raise BadName(f"a user's name has at most {MAX_BYTES} bytes")
    folded = _folded(name)
    if bad := next((c for c in folded if not _is_allowed(c)), ""):
        raise BadName(
            f"a user's name has letters, digits and visible ASCII only, not U+{ord(bad):04X}"
        )
    if not 0 < len(folded.encode()) <= MAX_BYTES:
        raise BadName(f"a user's name has at most {MAX_BYTES} bytes")
    return folded


def name_at_login(typed: str) -> str:
    """Return the name to look up for what was typed at a login, whatever that is.

    What no user can be called is only a name that nobody has: it gets a form that no user's name
    has, of a fixed length, so that all that follows is the same for it.
    """
    try:
        return normalised(typed)
    except BadName:
        return "\0" + sha256(typed.encode("utf-8", "surrogatepass")).hexdigest()


def _folded(name: str) -> str:
    for _ in range(_TURNS):
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        if folded == name:
            break
        name = folded
    return name


def _is_allowed(character: str) -> bool:
    if character.isascii():
        return "!" <= character <= "~"
    return unicodedata.category(character) in _CATEGORIES
