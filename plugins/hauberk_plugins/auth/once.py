"""A secret of this installation that is drawn once, whoever comes first."""

from __future__ import annotations

from typing import Final

from hauberk.errors import StoreConflict
from hauberk.ports import Store
from hauberk.secret import Secret
from hauberk_plugins.auth.parts import TokenBytes
from hauberk_plugins.auth.quiet import quietly

_BYTES: Final = 32


def made_once(sealed: Store, name: str, token_bytes: TokenBytes) -> Secret:
    """Return the secret of a name; drawn and kept if it is not there.

    Args:
        sealed: The sealed store.
        name: Of the record.
        token_bytes: Randomness.
    """
    return quietly(f"reading {name}", lambda: _found_or_made(sealed, name, token_bytes))


def _found_or_made(sealed: Store, name: str, token_bytes: TokenBytes) -> Secret:
    drawn = Secret(token_bytes(_BYTES))
    try:
        record = sealed.get(name)
        if record is None:
            sealed.put(name, drawn.reveal(), version=0)
            return drawn
    except StoreConflict:  # another process was quicker
        record = sealed.get(name)
    return drawn if record is None else Secret(record.value)
