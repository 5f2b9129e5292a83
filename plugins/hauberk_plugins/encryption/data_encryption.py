"""`DataEncryption`: seals values under a name and a version, and opens nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hauberk.secret import Secret
from hauberk_plugins.encryption.envelope import (
    FORMAT,
    HEADER,
    NONCE,
    TAG,
    Header,
    bound_to,
    check_sealable,
    key_of,
    unpack,
)
from hauberk_plugins.encryption.errors import (
    RecordError,
    Replayed,
    Swapped,
    Tampered,
    Truncated,
    UnknownKey,
)
from hauberk_plugins.encryption.kek import DataKey
from hauberk_plugins.encryption.wrapping import WrappingKey


class DataKeys(Protocol):
    """Where data keys come from: a `KeyRing`."""

    @property
    def path(self) -> object:
        """The ring's file, for messages."""

    def sealing(self) -> DataKey:
        """Return the key that seals."""

    def opening(self, number: int) -> DataKey | None:
        """Return a key to open with."""

    def has(self, number: int) -> bool:
        """Say whether there is one of that number."""

    def rotate(self) -> int:
        """Put a fresh key in place."""

    def retire(self, *, unused_s: float = 0) -> int:
        """Forget others."""

    def rewrap(self, source: WrappingKey) -> None:
        """Wrap all under another wrapping key."""


class DataEncryption:
    """AES-256-GCM under the keys of a ring; the provider of the port `vault`.

    Each value is bound to a namespace, a name and a version: what was sealed under others does
    not open. May be used from any number of threads.

    Args:
        ring: The data keys.
        random: Returns that many random bytes, of which nonces are made: never the same twice,
            also not in a process that was forked.
    """

    def __init__(self, ring: DataKeys, random: Callable[[int], bytes] = os.urandom) -> None:
        self._ring = ring
        self._random = random

    def seal(self, namespace: str, name: str, value: bytes, version: int = 0) -> bytes:
        """Encrypt a value under a namespace, a name and a version.

        Raises:
            SealError: There is no key to seal with; says what to do.
            UnsafeFile: A key is kept where others may read it.
            InvalidValue: The value or the version is too large.
        """
        try:
            check_sealable(namespace, name, len(value), version)
            key = self._ring.sealing()
            nonce = self._random(NONCE)
            bound = bound_to(namespace, name)
            header = Header(FORMAT, key.number, version, len(value), bound, nonce).pack()
            return header + key.cipher.encrypt(nonce, value, header)
        except BaseException:
            del value  # a traceback that shows locals shows those of this frame
            raise

    def open(self, namespace: str, name: str, sealed: bytes, version: int = 0) -> Secret:
        """Decrypt what was sealed under this namespace, name and version.

        Raises:
            Swapped: It was sealed under another name or namespace.
            Replayed: It was sealed as another version.
            Truncated: It is cut off.
            Tampered: It was changed.
            UnknownKey: Its data key is not in the ring.
            UnknownFormat: Its first byte says that a later version of Hauberk wrote it.
            SealError: The ring cannot be unlocked.
            UnsafeFile: A key is kept where others may read it.
        """
        header = unpack(namespace, name, sealed)
        key = self._ring.opening(header.key)
        if key is None:
            raise UnknownKey(namespace, name, header.key, self._ring.path)
        missing = HEADER + header.length + TAG - len(sealed)
        value = None if missing else _decrypted(key.cipher, header.nonce, sealed)
        if value is None:
            raise _why_not(key.cipher, header, namespace, name, sealed)
        # Only what is authentic says under which name and version it was sealed.
        if header.bound != bound_to(namespace, name):
            del value
            raise Swapped(namespace, name)
        if header.version != version:
            del value
            raise Replayed(namespace, name, header.version, version)
        return Secret(value)

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed under the key that seals today, if it was sealed at all.

        Raises:
            SealError: The ring cannot be unlocked.
            UnsafeFile: A key is kept where others may read it.
        """
        number = key_of(sealed)
        return number is not None and number == self._ring.sealing().number

    def has_key_of(self, sealed: bytes) -> bool | None:
        """Whether the data key under which it was sealed is in the ring; unlocks nothing.

        Returns:
            `None` where it does not say which key that is: it was not sealed, or was changed.

        Raises:
            SealError: The ring cannot be read, or is gone.
            UnsafeFile: It is kept where others may read it.
        """
        number = key_of(sealed)
        return None if number is None else self._ring.has(number)

    def rotate(self) -> int:
        """Put a fresh data key in place, to seal with from here on; return its number.

        Raises:
            SealError: The ring cannot be unlocked, or not be written.
            UnsafeFile: A key is kept where others may read it.
        """
        return self._ring.rotate()

    def retire(self, *, unused_s: float = 0) -> int:
        """Forget data keys that do not seal any more; return how many were forgotten.

        What was sealed under them can then be opened by nobody but processes that have loaded them
        before: seal it again first.

        Args:
            unused_s: Only those that have not sealed for so long, seconds; with 0, all but the
                one that seals.

        Raises: as `rotate`.
        """
        return self._ring.retire(unused_s=unused_s)

    def rewrap(self, source: WrappingKey) -> None:
        """Put the ring under another wrapping key or passphrase.

        Raises:
            WeakPassphrase: It is a passphrase that is too short.
            SealError: As `rotate`, or the other wrapping key is not there.
            UnsafeFile: As `rotate`.
        """
        self._ring.rewrap(source)

    def scoped(self, plugin: str) -> ScopedVault:
        """Return the `Vault` of one namespace."""
        return ScopedVault(self, plugin)


class ScopedVault:
    """The port `Vault` in one namespace.

    Args:
        encryption: What seals and opens.
        namespace: For example a plugin's name.
    """

    def __init__(self, encryption: DataEncryption, namespace: str) -> None:
        self._encryption = encryption
        self._namespace = namespace

    def seal(self, name: str, value: bytes, *, version: int = 0) -> bytes:
        """Encrypt under a name and a version; raises as `DataEncryption.seal`."""
        try:
            return self._encryption.seal(self._namespace, name, value, version)
        except BaseException:
            del value
            raise

    def open(self, name: str, sealed: bytes, *, version: int = 0) -> Secret:
        """Decrypt what was sealed under them; raises as `DataEncryption.open`."""
        return self._encryption.open(self._namespace, name, sealed, version)

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed under the key that seals today."""
        return self._encryption.is_current(sealed)

    def has_key_of(self, sealed: bytes) -> bool | None:
        """Whether the key that it was sealed under is here; as `DataEncryption.has_key_of`."""
        return self._encryption.has_key_of(sealed)


def _decrypted(cipher: AESGCM, nonce: bytes, sealed: bytes) -> bytes | None:
    try:
        return cipher.decrypt(nonce, sealed[HEADER:], sealed[:HEADER])
    except InvalidTag:
        return None


def _why_not(
    cipher: AESGCM, header: Header, namespace: str, name: str, sealed: bytes
) -> RecordError:
    """Say why something does not open.

    Of a record that is shorter than it says, either its end is gone or its length was changed: it
    opens under its true length in the second case alone.
    """
    whole = HEADER + header.length + TAG
    if whole <= len(sealed):
        return Tampered(namespace, name)
    true = header._replace(length=len(sealed) - HEADER - TAG)
    if _decrypted(cipher, header.nonce, true.pack() + sealed[HEADER:]) is not None:
        return Tampered(namespace, name)
    return Truncated(namespace, name, len(sealed), whole)
