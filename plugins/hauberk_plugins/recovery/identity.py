"""Which installation this is, and the key that signs its points: one sealed record."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from hauberk.errors import SealError, StoreConflict, StoreError
from hauberk.ports import Store
from hauberk.secret import Secret
from hauberk_plugins.notes.note import SignerKey, VerifierKey
from hauberk_plugins.recovery.errors import RecoveryError
from hauberk_plugins.recovery.signature import SEED_BYTES
from hauberk_plugins.recovery.surroundings import NAME, Opened, Surroundings

KEY: Final = "key"
_ID_BYTES: Final = 8


def signer(sealed: Store, random: Callable[[int], bytes]) -> SignerKey:
    """Return what signs; the first who asks makes it.

    Args:
        sealed: The sealed records of the plugin.
        random: Random bytes, so many.
    """
    record = sealed.get(KEY)
    if record is None:
        with suppress(StoreConflict):  # somebody else was first
            sealed.put(KEY, random(_ID_BYTES + SEED_BYTES), version=0)
        return signer(sealed, random)
    return _signer_of(record.value)


def key_in(opened: Opened) -> VerifierKey | None:
    """Return the key of state that was opened; `None` where no point of it was ever made."""
    return key_kept(opened.sealed(NAME))


def key_kept(sealed: Store) -> VerifierKey | None:
    """Return the key among the sealed records of the plugin; `None` where no point was made."""
    record = sealed.get(KEY)
    return None if record is None else _signer_of(record.value).verifier


def known_key(around: Surroundings) -> VerifierKey | None:
    """Return this installation's key, if it has one that can be read."""
    with suppress(SealError, StoreError, RecoveryError), around.live() as opened:
        return key_in(opened)
    return None


def _signer_of(record: bytes) -> SignerKey:
    name = f"hauberk-recovery/{record[:_ID_BYTES].hex()}"
    return SignerKey(name, Secret(record[_ID_BYTES:]))
