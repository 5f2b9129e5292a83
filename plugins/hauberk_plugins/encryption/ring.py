"""`KeyRing`: versioned data keys, wrapped by one wrapping key, in a file of the state folder."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from hauberk.errors import UnsafeFile
from hauberk.files import REAL, FileOperations
from hauberk.secret import Secret
from hauberk_plugins.encryption.dates import date, unused_for
from hauberk_plugins.encryption.errors import BadRing, EncryptionError, NoKey, WrongKey
from hauberk_plugins.encryption.kek import DataKey, Kek
from hauberk_plugins.encryption.ondisk import RingOnDisk, Stamp
from hauberk_plugins.encryption.ringfile import ID, MAX_KEYS, RingFile, WrappedKey
from hauberk_plugins.encryption.turn import WAIT_S
from hauberk_plugins.encryption.unlocking import Unlocking
from hauberk_plugins.encryption.wrapping import WrappingKey, fetched_first

_TRIES: Final = 64
_RETIRE: Final = "seal everything again, then forget the old ones: DataEncryption.retire()"
_NEVER: Final = (0, 0, 0)


@frozen(eq=False, repr=False)
class _Held:
    """A key ring that was unlocked.

    Attributes:
        file: What its file said.
        kek: What unlocks it.
        keys: Every data key by number, those too that another process has retired meanwhile: what
            was read before that is still to be opened.
        active: The one that seals.
        stamp: What tells whether the file has been written since.
    """

    file: RingFile
    kek: Kek
    keys: Mapping[int, DataKey]
    active: DataKey
    stamp: Stamp


class KeyRing:
    """The data keys, unlocked when one is first needed and looked at again when the file changed.

    Any number of threads and processes may use one file at once: who writes it takes a turn and
    reads it again first, and who seals sees, by the file's times, that another has written.

    Args:
        folder: The state folder.
        source: Where the wrapping key comes from.
        random: Returns that many random bytes.
        wall_ns: The time, to date keys with; nothing depends on it but for how long an old key is
            kept.
        files: The operating system.
        wait_s: How long to wait for another process that writes the ring, seconds.
    """

    def __init__(
        self,
        folder: Path,
        source: WrappingKey,
        *,
        random: Callable[[int], bytes] = os.urandom,
        wall_ns: Callable[[], int] = time.time_ns,
        files: FileOperations = REAL,
        wait_s: float = WAIT_S,
    ) -> None:
        self.source = source
        self._disk = RingOnDisk(folder, files, wait_s)
        self.path = self._disk.path
        self._random = random
        self._wall_ns = wall_ns
        self._unlocking = Unlocking(self.path)
        self._lock = threading.RLock()
        self._held: _Held | None = None

    def sealing(self) -> DataKey:
        """Return the data key that seals; makes a ring where there never was one.

        Raises:
            SealError: There is no key to seal with; says what to do.
            UnsafeFile: The ring, or the wrapping key, is kept where others may read it.
        """
        held = self._held
        if held is not None and held.stamp == self._disk.stamp():
            return held.active
        with self._lock:
            return self._present(make=True).active

    def opening(self, number: int) -> DataKey | None:
        """Return a data key to open with; `None` if the ring has none of that number.

        Raises:
            SealError: The ring cannot be unlocked; says what to do.
            UnsafeFile: The ring, or the wrapping key, is kept where others may read it.
        """
        held = self._held
        found = None if held is None else held.keys.get(number)
        if found is not None:
            return found
        with self._lock:  # perhaps another process has rotated
            return self._present().keys.get(number)

    def rotate(self) -> int:
        """Put a fresh data key in place, durably, and return its number.

        Raises:
            SealError: The ring cannot be unlocked, or not be written.
            UnsafeFile: The ring, or the wrapping key, is kept where others may read it.
        """
        with self._writing(make=True) as secret:
            if self._disk.stamp() is None:
                return self._made(secret).active.number
            held = self._unlocked(secret)
            if len(held.file.keys) >= MAX_KEYS:
                raise BadRing(self.path, f"it holds {MAX_KEYS} data keys already", _RETIRE)
            wrapped, key = self._fresh(held.kek, held.keys)
            keys = (*held.file.keys, wrapped)
            file = held.kek.authenticated(evolve(held.file, keys=keys, active=key.number))
            self._write(file, held.kek, {**held.keys, key.number: key})
            return key.number

    def retire(self, *, unused_s: float = 0) -> int:
        """Forget data keys that do not seal any more, and return how many were forgotten.

        Other processes keep those which they have loaded until they end.

        Args:
            unused_s: Only those that have not sealed for so long, seconds; with 0, all but the
                one that seals.

        Raises: as `rotate`.
        """
        with self._writing() as secret:
            held = self._unlocked(secret)
            old = unused_for(held.file, unused_s, self._wall_ns())
            if old:
                keys = tuple(key for key in held.file.keys if key.number not in old)
                file = held.kek.authenticated(evolve(held.file, keys=keys))
                self._write(file, held.kek, {key.number: held.keys[key.number] for key in keys})
            return len(old)

    def rewrap(self, source: WrappingKey) -> None:
        """Wrap every data key under another wrapping key; what is sealed stays as it is.

        Args:
            source: Where that one comes from.

        Raises:
            WeakPassphrase: It is a passphrase that is too short.
            SealError: As `rotate`, or the other wrapping key is not there.
            UnsafeFile: The ring, or a wrapping key, is kept where others may read it.
        """
        secret = fetched_first(source)  # before the turn is taken: somebody may have to type it
        with self._writing() as fetched:
            held = self._unlocked(fetched)
            kek, kdf = self._unlocking.kek_for(held.file.id, source, secret, self._random)
            keys = tuple(self._wrapped_again(key, held.kek, kek) for key in held.file.keys)
            self._write(kek.authenticated(evolve(held.file, kdf=kdf, keys=keys)), kek, held.keys)
            self.source = source

    def read(self) -> RingFile:
        """Return what the file says, without unlocking it; raises as `RingOnDisk.read`."""
        return self._disk.read()

    def unlock(self) -> None:
        """Unlock what the file says, as sealing would; makes none.

        Raises: as `opening`.
        """
        with self._lock:
            self._present()

    def has(self, number: int) -> bool:
        """Whether there is a data key of that number; unlocks nothing, and makes no ring.

        Raises:
            BadRing: The ring cannot be read, or is gone.
            UnknownFormat, UnsafeFile: As `read`.
        """
        held = self._held
        if held is not None and number in held.keys:
            return True
        return self.was_made() and any(key.number == number for key in self.read().keys)

    def was_made(self) -> bool:
        """Whether there is, or was, a ring in this folder."""
        return self._disk.was_made()

    @contextmanager
    def _writing(self, *, make: bool = False) -> Iterator[Secret | None]:
        """Take the turn to write, with the wrapping key at hand; yield what was fetched for it.

        Others wait for the turn, and somebody may take a minute to type a passphrase.
        """
        with self._lock:
            secret = self._at_hand(make)
            with self._disk.writing():
                yield secret

    # Everything below is called with the lock held.

    def _present(self, *, make: bool = False) -> _Held:
        """Return the ring as its file stands."""
        held, stamp = self._held, self._disk.stamp()
        if held is not None and held.stamp == stamp:
            return held
        if stamp is None and held is None and make:
            with self._writing(make=True) as secret:
                is_there = self._disk.stamp() is not None
                return self._unlocked(secret) if is_there else self._made(secret)
        return self._adopted()

    def _adopted(self) -> _Held:
        """Unlock the file; if it was only wrapped anew, what is held goes on sealing.

        Another process may have wrapped the ring under a key that this one is not told of until
        its configuration is loaded again. What seals is then still the same.
        """
        held = self._held
        stamp = self._disk.stamp()
        file = self._disk.read()
        try:
            opened = self._opened(file, stamp)
        except (NoKey, WrongKey, UnsafeFile):
            if held is None or (held.file.id, held.active.number) != (file.id, file.active):
                raise
            opened = evolve(held, stamp=stamp or _NEVER)
        self._disk.settle()
        self._held = opened
        return opened

    def _at_hand(self, make: bool) -> Secret | None:
        if make and not self._disk.was_made():
            return fetched_first(self.source)
        file, held = self._disk.read(), self._held
        is_held = held is not None and held.kek.fits(file)
        return None if is_held else self._unlocking.fetched(file, self.source)

    def _unlocked(self, secret: Secret | None = None) -> _Held:
        """Unlock the file, to write it anew; what is held does not do in its place."""
        stamp = self._disk.stamp()
        self._held = self._opened(self._disk.read(), stamp, secret)
        return self._held

    def _opened(self, file: RingFile, stamp: Stamp | None, secret: Secret | None = None) -> _Held:
        held = self._held
        if held is not None and held.kek.fits(file):
            kek = held.kek
        else:
            kek = self._unlocking.kek_of(file, self.source, secret)
        keys = self._unlocking.data_keys(file, kek)
        active = keys[file.active]
        if held is not None and held.file.id == file.id:
            keys = {**held.keys, **keys}
        return _Held(file, kek, keys, active, stamp or _NEVER)

    def _made(self, secret: Secret | None) -> _Held:
        """Make the first ring of this folder."""
        if self._disk.was_made():
            raise self._disk.missing()
        ring_id = self._random(ID)
        secret = fetched_first(self.source) if secret is None else secret
        kek, kdf = self._unlocking.kek_for(ring_id, self.source, secret, self._random)
        wrapped, key = self._fresh(kek, {})
        file = kek.authenticated(RingFile(ring_id, kdf, b"", key.number, (wrapped,)))
        return self._write(file, kek, {key.number: key}, replace=False)

    def _fresh(self, kek: Kek, taken: Mapping[int, DataKey]) -> tuple[WrappedKey, DataKey]:
        for _ in range(_TRIES):
            number = int.from_bytes(self._random(4), "big")
            if number and number not in taken:
                wrapped, key = kek.make(number, self._random)
                return WrappedKey(number, date(self._wall_ns()), wrapped), key
        raise EncryptionError("the source of randomness repeats itself", "mend the machine")

    def _wrapped_again(self, key: WrappedKey, old: Kek, kek: Kek) -> WrappedKey:
        wrapped = old.wrap_again(key.number, key.wrapped, kek, self._random)
        if wrapped is None:
            raise BadRing(self.path, "a data key in it cannot be unwrapped")
        return evolve(key, wrapped=wrapped)

    def _write(
        self, file: RingFile, kek: Kek, keys: Mapping[int, DataKey], *, replace: bool = True
    ) -> _Held:
        """Write the file and hold it; what was held stands if that fails."""
        stamp = self._disk.write(file, replace=replace)
        self._held = _Held(file, kek, keys, keys[file.active], stamp)
        return self._held
