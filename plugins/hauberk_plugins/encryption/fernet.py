"""Reading Fernet tokens, for what the security guide's code left; nothing here writes one."""

from __future__ import annotations

import re
from typing import Final

from cryptography.fernet import Fernet, InvalidToken

from hauberk.secret import Secret
from hauberk_plugins.encryption.errors import NoKey, Tampered

# base64url, padded, and nothing after it: `cryptography` reads past what it does not know.
_TOKEN: Final = re.compile(rb"(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?\Z")


def open_fernet(
    token: bytes,
    key: Secret,
    *,
    name: str = "token",
    ttl_s: int | None = None,
    at_s: int | None = None,
) -> Secret:
    """Open a Fernet token (version 0x80, https://github.com/fernet/spec).

    A token bears no name: one that was put in another's place opens all the same.

    Args:
        token: In base64url, as it was stored.
        key: The key in base64url, as the guide's `.encryption_key` holds it.
        name: What it is, for the errors.
        ttl_s: How old it may be, seconds; any age if not given.
        at_s: The time of now, seconds since the epoch; needed with `ttl_s`.

    Raises:
        Tampered: It does not open under the key: it was changed, is too old, or is none.
        NoKey: The key is none.
    """
    cipher = _cipher(key)
    if cipher is None:
        raise NoKey(name, (), "it is no Fernet key", "give 32 bytes in base64url")
    found = _opened(cipher, token, ttl_s, at_s) if _TOKEN.match(token) else None
    if found is None:
        raise Tampered("fernet", name)
    return found


def _cipher(key: Secret) -> Fernet | None:
    try:
        return Fernet(key.reveal())
    except ValueError:
        return None


def _opened(cipher: Fernet, token: bytes, ttl_s: int | None, at_s: int | None) -> Secret | None:
    try:
        if ttl_s is None or at_s is None:
            return Secret(cipher.decrypt(token))
        return Secret(cipher.decrypt_at_time(token, ttl_s, at_s))
    except InvalidToken:
        return None
