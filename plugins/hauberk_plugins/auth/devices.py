"""Known devices: whoever comes from one need not wait for what others failed.

A device's token is 256 random bits. Whoever takes logins, such as the command `login` or a gateway,
makes one for each of its clients, has it kept there and gives it with every login; it is known once
a login with it has passed every step, the second factor included. Only its hash is kept. It lets
nobody in: it spares the delays of the account and the source, and has one of its own instead, so a
stolen one is worth the tries of one more source.

(Compare "device cookies" at OWASP, which are signed instead of kept; a kept one can be forgotten.)
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from typing import Final

from hauberk.secret import Secret
from hauberk_plugins.auth.parts import TokenBytes

#: How many are remembered for each user; the one remembered first is forgotten.
MOST: Final = 8
_BYTES: Final = 32
#: 32 bytes in base64url without its padding.
_TOKEN: Final = re.compile(rb"[A-Za-z0-9_-]{43}")


def make_token(token_bytes: TokenBytes) -> Secret:
    """Make a token for a device."""
    return Secret(urlsafe_b64encode(token_bytes(_BYTES)).rstrip(b"="))


def hash_token(token: Secret, name: str) -> str:
    """Return what is kept of a token; empty for what is none.

    A fast hash is enough: 256 random bits are beyond trying.

    Args:
        token: The device's.
        name: The user's: several may share a device.
    """
    if not _TOKEN.fullmatch(token.reveal()):
        return ""
    return hmac.digest(token.reveal(), name.encode(), "sha256").hex()


def remembered(devices: tuple[str, ...], token_hash: str) -> tuple[str, ...]:
    """Return a user's devices with one more; as they are where it is none, or known already."""
    if not token_hash or token_hash in devices:
        return devices
    return (*devices, token_hash)[-MOST:]
