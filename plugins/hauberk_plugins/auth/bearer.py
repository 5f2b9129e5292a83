"""Bearer tokens: whoever has one is let in, so only its hash is kept.

A token is its kind, eight bytes that say whose it is, so that it is found without looking through
all of them, and 256 random bits. What is kept is the SHA-256 of the whole. A fast hash is enough:
a slow one makes guessing a password dear, and 2^256 tokens are beyond guessing at any price. For
the same reason it may be looked up in a dictionary: how long that takes tells something about the
hash, and nobody can choose a token for its hash.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Final

from attrs import frozen

from hauberk.secret import Secret
from hauberk_plugins.auth.parts import TokenBytes

#: Random bytes in a token.
RANDOM_BYTES: Final = 32
_OWNER_BYTES: Final = 8
#: Both in base64url, without padding: 40 bytes are 54 characters.
_LENGTH: Final = 54
#: With the prefix, which is as long for every kind.
_WHOLE: Final = _LENGTH + 4
_TEXT: Final = re.compile(rb"[A-Za-z0-9_-]{%d}" % _LENGTH)


@frozen
class Kind:
    """A kind of token.

    Attributes:
        prefix: What its tokens begin with, so that whoever finds one knows what it is.
    """

    prefix: bytes


SESSION: Final = Kind(b"hbs_")
BOT: Final = Kind(b"hbt_")


@frozen
class Known:
    """What may be known of a token: no secret.

    Attributes:
        owner: Whose it is, 16 hexadecimal digits; see `owner_key`.
        digest: The SHA-256 of the token, 64 hexadecimal digits.
    """

    owner: str
    digest: str


def owner_key(name: str) -> str:
    """Return what stands in a token for whoever has a name, 16 hexadecimal digits."""
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[: 2 * _OWNER_BYTES]


def make(kind: Kind, owner: str, token_bytes: TokenBytes) -> tuple[Secret, Known]:
    """Make a token.

    Args:
        kind: Which.
        owner: Whose; as `owner_key` gives it.
        token_bytes: Randomness.

    Returns:
        The token, the only copy, and what is to be kept of it.
    """
    token = Secret(kind.prefix + _encoded(bytes.fromhex(owner) + token_bytes(RANDOM_BYTES)))
    return token, Known(owner, digest(token))


def read(kind: Kind, token: Secret, found: str | None = None) -> Known | None:
    """Return what is known of a token; `None` for what is none of that kind, whatever it is.

    Args:
        kind: Which.
        token: As given.
        found: Its `digest`, where the caller has it already.
    """
    found = digest(token) if found is None else found
    if not found or not token.reveal().startswith(kind.prefix):
        return None
    if not _TEXT.fullmatch(token.reveal(), len(kind.prefix)):
        return None
    owner = urlsafe_b64decode(token.reveal()[len(kind.prefix) :] + b"==")[:_OWNER_BYTES]
    return Known(owner.hex(), found)


def digest(token: Secret) -> str:
    """Return what is kept of a token; empty for what is too long or too short to be one."""
    text = token.reveal()
    return sha256(text).hexdigest() if len(text) == _WHOLE else ""


def _encoded(value: bytes) -> bytes:
    return urlsafe_b64encode(value).rstrip(b"=")
