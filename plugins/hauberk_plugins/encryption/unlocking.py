"""From the place that a wrapping key is in to the data keys of a ring."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hauberk.secret import Secret
from hauberk_plugins.encryption.errors import BadRing, NoKey, WrongKey
from hauberk_plugins.encryption.kek import DataKey, Kek
from hauberk_plugins.encryption.ringfile import RingFile
from hauberk_plugins.encryption.scrypt import SALT, Scrypt
from hauberk_plugins.encryption.wrapping import WrappingKey, check_strength


class Unlocking:
    """Makes wrapping keys of what their sources hold, and tells a wrong one from a changed ring.

    Scrypt is dear: what came of it last is kept for who asks for the same again.

    Args:
        path: The key ring's file, for the errors.
    """

    def __init__(self, path: object) -> None:
        self._path = path
        self._derived: tuple[Secret, Scrypt, Secret] | None = None

    def kek_of(self, file: RingFile, source: WrappingKey, secret: Secret | None = None) -> Kek:
        """Make the wrapping key of a ring.

        Args:
            file: The ring.
            source: Where its key, or passphrase, is.
            secret: What that holds, if it has been fetched.

        Raises:
            NoKey: It is not there.
            WrongKey: It is another one.
            UnsafeFile: It is kept where others may read it.
        """
        secret = self.fetched(file, source) if secret is None else secret
        if file.kdf is not None:
            secret = self._derive(secret, file.kdf, source.reference)
        kek = Kek(secret, file.id)
        if not kek.fits(file):
            what = "passphrase" if source.is_passphrase else "key"
            raise WrongKey(self._path, source.reference, f"it is another {what}")
        return kek

    def fetched(self, file: RingFile, source: WrappingKey) -> Secret:
        """Fetch what the wrapping key of a ring is made of, or its passphrase; as `kek_of`."""
        if source.is_passphrase == (file.kdf is None):
            under = "a key" if source.is_passphrase else "a passphrase"
            raise WrongKey(self._path, source.reference, f"it is wrapped under {under}")
        return source.fetch()

    def kek_for(
        self, ring_id: bytes, source: WrappingKey, secret: Secret, random: Callable[[int], bytes]
    ) -> tuple[Kek, Scrypt | None]:
        """Make a wrapping key for a ring that is to be put under it.

        Args:
            ring_id: The ring's id.
            source: Where the secret is from.
            secret: What it holds.
            random: Returns that many random bytes.

        Raises:
            WeakPassphrase: It is a passphrase that is too short.
            NoKey: There is no memory for scrypt.
        """
        if not source.is_passphrase:
            return Kek(secret, ring_id), None
        check_strength(secret)
        kdf = Scrypt(random(SALT))
        return Kek(self._derive(secret, kdf, source.reference), ring_id), kdf

    def data_keys(self, file: RingFile, kek: Kek) -> Mapping[int, DataKey]:
        """Return every data key of a ring by number.

        Raises:
            BadRing: It is not as the holder of the wrapping key wrote it.
        """
        if not kek.is_authentic(file):
            raise BadRing(self._path, "it was changed by somebody without the wrapping key")
        keys = {key.number: kek.unwrap(key.number, key.wrapped) for key in file.keys}
        whole = {number: key for number, key in keys.items() if key is not None}
        if len(whole) != len(keys):
            raise BadRing(self._path, "a data key in it cannot be unwrapped")
        return whole

    def _derive(self, passphrase: Secret, kdf: Scrypt, reference: str) -> Secret:
        known = self._derived
        if known is not None and known[:2] == (passphrase, kdf):
            return known[2]
        derived = _derived(passphrase, kdf)
        if derived is None:
            need = f"scrypt needs {128 * kdf.n * kdf.r >> 20} MiB of memory"
            raise NoKey(reference, (), need, "make room for it")
        self._derived = (passphrase, kdf, derived)
        return derived


def _derived(passphrase: Secret, kdf: Scrypt) -> Secret | None:
    try:
        return kdf.derive(passphrase)
    except MemoryError:
        return None
