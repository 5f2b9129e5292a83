"""The nonces of every key that signs, made when a key is first used."""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections.abc import Callable
from typing import Final

from hauberk.context import Context
from hauberk.secret import Secret
from hauberk_plugins.signing.nonces import UNITS, Nonces

_MOST: Final = 256


class NonceBook:
    """Keeps one `Nonces` a key. Accounts that share a key share its nonces."""

    def __init__(self) -> None:
        self._nonces: dict[tuple[str, str], Nonces] = {}
        #: The same by the object that holds the key, which is quicker than to hash it.
        self._known: dict[tuple[int, str], tuple[Secret, Nonces]] = {}
        self._lock = threading.Lock()

    def taker(self, context: Context, venue: str, kind: str, key: Secret) -> Callable[[], str]:
        """Return what gives the next nonce of a key.

        Args:
            context: Of the plugin: its clock, state folder and, if granted, store.
            venue: Where the key is for.
            kind: `uuid`, or a unit of rising ones.
            key: The API key, the same object until it is rotated.
        """
        if kind not in UNITS:
            return random_nonce
        known = self._known.get((id(key), kind))
        if known is None or known[0] is not key:
            known = (key, self._found(context, venue, kind, key))
        return known[1].take

    def close(self) -> None:
        """Let go of keys and files; which nonces were used stays known."""
        with self._lock:
            self._known = {}
            for nonces in self._nonces.values():
                nonces.close()

    def _found(self, context: Context, venue: str, kind: str, key: Secret) -> Nonces:
        name = (nonce_name(venue, key), kind)
        with self._lock:
            nonces = self._nonces.get(name)
            if nonces is None:
                nonces = self._nonces[name] = open_nonces(context, venue, kind, key)
            if len(self._known) >= _MOST:  # keys that were rotated away
                self._known = {}
            self._known[id(key), kind] = (key, nonces)
            return nonces


def open_nonces(context: Context, venue: str, kind: str, key: Secret) -> Nonces:
    """Return the nonces of a key, kept where a plugin's context keeps them."""
    folder = context.state_dir
    if folder is not None and not folder.is_dir():
        folder = None
    store = context.store if context.has("store") else None
    return Nonces(
        nonce_name(venue, key),
        kind,
        context.clock.wall_ns,
        None if folder is None else folder / "nonces",
        store,
    )


def nonce_name(venue: str, key: Secret) -> str:
    """Return what stands for a key: it tells nobody the key, and no two keys have the same."""
    return hashlib.sha256(venue.encode() + b"\0" + key.reveal()).hexdigest()[:32]


def random_nonce() -> str:
    """Return a random UUID (RFC 9562, version 4)."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4))
