"""`Claim`: a sealed record that says under whose keys the records of a store are sealed.

Whoever writes into a part of the store that is empty opens nothing that stands there. So it would
not be noticed that others have sealed all the rest under keys that are not here; and with a key
ring that is made for the purpose, two would share one store, of which neither can open all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from hauberk.errors import StoreConflict
from hauberk.ports import Record, Store, Vault
from hauberk_plugins.storage.buckets import BUCKETS, read_key, sum_key
from hauberk_plugins.storage.errors import SealedElsewhere, SumMissing
from hauberk_plugins.storage.seals import Seals

if TYPE_CHECKING:
    from hauberk_plugins.storage.secure_storage import Stores

#: Where it is kept: unsealed records of the plugin that keeps the sealed ones.
CLAIM: Final = "storage"
_NAME: Final = "claim"


class Claim:
    """Makes sure, before anything is sealed, that what is sealed there already opens here.

    Of any number that claim an empty store at once, one does; the others see that.

    Args:
        stores: Where the sealed records are.
        vault: Seals and opens them.
        apart: What the names of namespaces with sealed records begin with.
    """

    def __init__(self, stores: Stores, vault: Vault, apart: str) -> None:
        self._stores = stores
        self._vault = vault
        self._apart = apart
        self._is_held = False

    def hold(self) -> None:
        """Claim the store if nobody has; call it before anything is sealed.

        Raises:
            SealedElsewhere: What is there is sealed under keys that are not here.
            SealError: It does not open, or nothing can be sealed here.
            StoreError: It cannot be read or written.
        """
        if self._is_held:
            return
        while not self.check():
            sealed = self._vault.seal(_NAME, b"", version=1)
            # Others may be quicker, perhaps with other keys: then that is to be checked.
            with suppress(StoreConflict):
                self._store().put(_NAME, sealed, version=0)
        self._is_held = True

    def check(self) -> bool:
        """Check that what is sealed there opens here; write nothing; raises as `hold`.

        Returns:
            Whether there is a claim.
        """
        claim = self._store().get(_NAME)
        if claim is not None:
            self._check_key(claim.value)
            self._vault.open(_NAME, claim.value, version=claim.version)
            return True
        for seals, number, record in self._sums():
            self._check_key(record.value)
            seals.open_sum(number, record)
            return False
        return False

    def is_recognised(self) -> bool | None:
        """Whether the key of what is sealed there is here, as far as is known without unlocking it.

        Returns:
            `None` where nothing is sealed, or the vault cannot say.

        Raises: as `hold`.
        """
        claim = self._store().get(_NAME)
        sealed = [claim.value] if claim else [record.value for _, _, record in self._sums()]
        return self._has_key(sealed[0]) if sealed else None

    def reseal(self) -> None:
        """Seal it under the present key, if it is not; raises as `hold`."""
        claim = self._store().get(_NAME)
        if claim is None or self._vault.is_current(claim.value):
            return
        self._vault.open(_NAME, claim.value, version=claim.version)
        sealed = self._vault.seal(_NAME, b"", version=claim.version + 1)
        with suppress(StoreConflict):  # another rotation was quicker
            self._store().put(_NAME, sealed, version=claim.version)

    def is_current(self) -> bool:
        """Whether it is sealed under the present key, if there is one; raises as `hold`."""
        claim = self._store().get(_NAME)
        return claim is None or self._vault.is_current(claim.value)

    def _sums(self) -> Iterator[tuple[Seals, int, Record]]:
        """Yield a sum of each namespace with sealed records: where no claim stands, they are one.

        Raises:
            SumMissing: There are records, and no sum.
        """
        numbers = {sum_key(number): number for number in range(BUCKETS)}
        for name in self._stores.namespaces():
            if not name.startswith(self._apart):
                continue
            plugin = name.removeprefix(self._apart)
            store = self._stores.scoped(name)
            for key, record in store.get_many(numbers).items():
                yield Seals(plugin, self._vault), numbers[key], record
                break
            else:
                if any(read_key(key) for key, _ in store.scan()):
                    raise SumMissing(plugin, "every bucket")

    def _check_key(self, sealed: bytes) -> None:
        if self._has_key(sealed) is False:
            raise SealedElsewhere(getattr(self._stores, "where", "the store"))

    def _has_key(self, sealed: bytes) -> bool | None:
        """Ask the vault, if it can say that without opening anything."""
        has_key_of = getattr(self._vault, "has_key_of", None)
        return None if has_key_of is None else has_key_of(sealed)

    def _store(self) -> Store:
        return self._stores.scoped(CLAIM)
