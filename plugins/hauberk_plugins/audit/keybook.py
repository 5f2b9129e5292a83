"""The keys that sign checkpoints: one an epoch, each vouched for by the one before.

The seeds are kept sealed, away from the log. Each key is announced in the log by a record, and all
but the first are certified there by their predecessor; so whoever knows the first knows them all.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from hauberk.errors import StoreConflict
from hauberk.ports import Store
from hauberk.secret import Secret
from hauberk_plugins.notes.note import NoteError, SignerKey, VerifierKey

#: The kinds of records that announce keys.
BEGIN: Final = "audit.begin"
KEY: Final = "audit.key"
_ORIGIN: Final = "origin"
#: The newest epoch whose key stands in the log.
_ANNOUNCED: Final = "announced"
#: The newest checkpoint's note, behind its size.
_NEWEST: Final = "newest"
_SEED: Final = "key/{:06}"
_NAMED: Final = re.compile(r"hauberk/[0-9a-f]{16}\Z")


class KeyBook:
    """The keys of one log.

    Args:
        store: Where they are kept; one that seals.
        draw: Random bytes, so many.
    """

    def __init__(self, store: Store, draw: Callable[[int], bytes]) -> None:
        self._store = store
        self._draw = draw

    def origin(self) -> str:
        """Return the log's name; the first who asks makes it."""
        return self._kept(_ORIGIN, lambda: f"hauberk/{self._draw(8).hex()}".encode()).decode()

    def signer(self, epoch: int) -> SignerKey:
        """Return the key of an epoch; that of epoch 0 is made by the first who asks."""
        name = _SEED.format(epoch)
        if epoch == 0:
            return SignerKey(self.origin(), Secret(self._kept(name, lambda: self._draw(32))))
        record = self._store.get(name)
        if record is None:
            raise NoteError(f"there is no key of epoch {epoch}")
        return SignerKey(self.origin(), Secret(record.value))

    def current(self) -> tuple[int, SignerKey]:
        """Return the newest epoch and its key."""
        names = [name for name, _ in self._store.scan("key/")]
        epoch = int(names[-1].rpartition("/")[2]) if names else 0
        return epoch, self.signer(epoch)

    def turn(self) -> int:
        """Make the key of another epoch; return its number.

        Raises:
            StoreConflict: Somebody else has made it.
        """
        epoch, _ = self.current()
        self._store.put(_SEED.format(epoch + 1), self._draw(32), version=0)
        return epoch + 1

    def unannounced(self) -> list[tuple[int, VerifierKey, str]]:
        """Return the epochs that the log may not tell of yet: number, key and certificate."""
        record = self._store.get(_ANNOUNCED)
        newest, _ = self.current()
        told = []
        for epoch in range(1 + (int(record.value) if record else 0), newest + 1):
            key = self.signer(epoch).verifier
            told.append((epoch, key, certificate(self.signer(epoch - 1), epoch, key)))
        return told

    def mark(self, epoch: int) -> None:
        """Note that the log tells of an epoch's key."""
        self._store.put(_ANNOUNCED, str(epoch).encode())

    def remembered(self) -> str:
        """Return the note of the largest checkpoint that was signed; empty where none was."""
        record = self._store.get(_NEWEST)
        return "" if record is None else record.value.decode().partition("\n")[2]

    def remember(self, size: int, note: str) -> None:
        """Remember the note of a checkpoint of so many records, unless a larger one is."""
        while True:
            record = self._store.get(_NEWEST)
            if record is not None and int(record.value.partition(b"\n")[0]) >= size:
                return
            version = 0 if record is None else record.version
            try:
                self._store.put(_NEWEST, f"{size}\n{note}".encode(), version=version)
            except StoreConflict:  # somebody else signed meanwhile
                continue
            return

    def forget(self) -> None:
        """Forget everything, so that another log begins with other keys."""
        with self._store.transaction() as inside:
            for name in [name for name, _ in inside.scan()]:
                inside.delete(name)

    def _kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        record = self._store.get(name)
        if record is None:
            try:
                made = make()
                self._store.put(name, made, version=0)
            except StoreConflict:  # somebody else was first
                return self._kept(name, make)
            return made
        return record.value


def certificate(old: SignerKey, epoch: int, key: VerifierKey) -> str:
    """Have the key of one epoch vouch for that of the next."""
    return base64.b64encode(old.sign(_statement(epoch, key))).decode()


def announced(first: VerifierKey, records: Iterable[tuple[str, Any]]) -> list[VerifierKey]:
    """Return the keys of all epochs, as a log's records announce them.

    Args:
        first: The key of epoch 0, known from elsewhere.
        records: Kind and fields of the records that announce keys, in order.

    Raises:
        NoteError: One is not announced as it must be; says which.
    """
    keys = [first]
    for kind, fields in records:
        if kind == BEGIN:
            if fields.get("key") != str(first):
                raise NoteError("the log begins with another key than the one that is known")
            continue
        epoch = len(keys)
        try:
            key = VerifierKey.parse(str(fields.get("key")))
            signature = base64.b64decode(str(fields.get("certified")), validate=True)
        except (NoteError, binascii.Error, ValueError):
            raise NoteError(f"the record of the key of epoch {epoch} cannot be read") from None
        if fields.get("epoch") == epoch - 1 and key == keys[-1]:
            continue  # said again, after a crash
        if fields.get("epoch") != epoch or key.name != first.name:
            raise NoteError(f"a record announces a key out of turn: epoch {epoch} comes next")
        if not keys[-1].verifies(_statement(epoch, key), signature):
            raise NoteError(f"the key of epoch {epoch} is not certified by the one before")
        keys.append(key)
    return keys


def is_origin(text: str) -> bool:
    """Whether it is the name of a log of ours."""
    return _NAMED.match(text) is not None


def _statement(epoch: int, key: VerifierKey) -> str:
    return f"hauberk audit key\n{epoch}\n{key}\n"
