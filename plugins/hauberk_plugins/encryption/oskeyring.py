"""A wrapping key in the keyring of the operating system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hauberk.oskeyring import SERVICE, Entry, installed_backend, look_up
from hauberk.secret import Secret
from hauberk_plugins.encryption.errors import NoKey
from hauberk_plugins.encryption.wrapping import BACK, KEY, MAKE, decoded


class KeyringEntry:
    """An entry of the operating system's keyring, 32 bytes in base64.

    Args:
        name: The entry's name, below the service `hauberk`.
        backend: Returns the back-end.
    """

    is_passphrase = False

    def __init__(self, name: str, backend: Callable[[], Any] = installed_backend) -> None:
        self.reference = f"keyring:{name}"
        self._name = name
        self._backend = backend

    def fetch(self) -> Secret:
        """Ask for the key; raises as `WrappingKey.fetch`."""
        entry = look_up(self._name, self._backend)
        if not entry.is_there:
            remedy = "have a keyring there, or set `key: file:PATH`"
            raise NoKey(self.reference, entry.places, entry.why, remedy)
        found = None if entry.value is None else decoded(entry.value.reveal())
        if found is None:
            raise self._missing(entry)
        return found

    def _missing(self, entry: Entry) -> NoKey:
        if entry.why:
            remedy = "unlock the keyring, and try again"
            return NoKey(self.reference, entry.places, entry.why, remedy)
        why = f"there is no such entry, or it is not {KEY} bytes in base64"
        # Only where there is none: the command would write over one.
        keep = f"keep one: {MAKE} | keyring set {SERVICE} {self._name}"
        first = keep if entry.value is None else "name another entry"
        return NoKey(self.reference, entry.places, why, BACK, first)
