"""`SecureStorage`: records sealed on their way into a store, and opened on their way out.

A record is kept as its version (8 bytes) and its seal, which binds namespace, name and that
version. Within the seal, the time of writing (8 bytes, nanoseconds since the epoch) goes before
the value. Beside each bucket of records its sum is kept: see `buckets`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from attrs import frozen

from hauberk.ports import Store, Vault
from hauberk.secret import Secret
from hauberk_plugins.storage.buckets import BUCKETS
from hauberk_plugins.storage.claim import Claim
from hauberk_plugins.storage.knowledge import RECORDS, Knowledge, Shared
from hauberk_plugins.storage.ledger import Ledger
from hauberk_plugins.storage.sealed import Namespace, SealedStore
from hauberk_plugins.storage.seals import Seals

#: Where sealed records are kept: apart from what the same plugin keeps unsealed.
APART: Final = "sealed/"
#: How many records are sealed anew in one transaction.
_AT_ONCE: Final = 64


@frozen
class Restored:
    """A record as it was.

    Attributes:
        name: Its name.
        value: What it holds.
        version: Its version.
        written_ns: When it was written, nanoseconds since the epoch.
    """

    name: str
    value: Secret
    version: int
    written_ns: int


class Stores(Protocol):
    """What keeps the sealed records."""

    def scoped(self, plugin: str) -> Store:
        """Return the store of a namespace."""

    def namespaces(self) -> tuple[str, ...]:
        """Return each namespace that has a record."""


class SecureStorage:
    """The provider of `sealed`, over any `Store` and any `Vault`.

    What whoever has the store and not the keys cannot do: read a value; change or cut one; put
    one under another name; put a single one back as it was before; add or remove one. Each is
    refused when that record, or another of its bucket, is next looked at. Names, sizes and
    versions are not hidden, and all of a bucket put back together is not noticed by a process
    that has not seen it since.

    Args:
        stores: Keeps the sealed records.
        vault: Seals and opens them.
        wall_ns: The wall clock, nanoseconds since the epoch.
        records: How many records are remembered, see `Knowledge`.
    """

    def __init__(
        self,
        stores: Stores,
        vault: Vault,
        wall_ns: Callable[[], int] = time.time_ns,
        records: int = RECORDS,
    ) -> None:
        self._stores = stores
        self._vault = vault
        self._wall_ns = wall_ns
        #: Says whose the records are.
        self.claim = Claim(stores, vault, APART)
        self._knowledge = Knowledge(records)
        self._namespaces: dict[str, Namespace] = {}

    def scoped(self, plugin: str) -> SealedStore:
        """Return the sealed records of a plugin, which sees nothing of another's."""
        return SealedStore(self._namespace(plugin))

    def plugins(self) -> tuple[str, ...]:
        """Return each plugin that has a sealed record, sorted."""
        names = (name for name in self._stores.namespaces() if name.startswith(APART))
        return tuple(name.removeprefix(APART) for name in names)

    def restore(self, plugin: str, records: Iterable[Restored]) -> None:
        """Write records with versions and times of their own, all or none, where none stand.

        Raises:
            RecordConflict: One stands there.
            SealError, StoreError: They cannot be sealed or written.
        """
        namespace = self._namespace(plugin)
        with namespace.transaction() as block:
            for one in records:
                block.ledger.restore(one.name, one.value, one.version, one.written_ns)

    def reseal(self) -> Iterator[int]:
        """Seal every record of every plugin under the present key; may be stopped anywhere.

        Versions and times of writing stay as they are. What is sealed under the present key
        already is left alone, so that whoever begins again goes on where it ended.

        Yields:
            How many records are left to look at, after each step.

        Raises:
            SealError: Records are not as they were left.
            StoreError: They cannot be read or written.
        """
        self.claim.reseal()
        work = [
            (namespace, number, names)
            for namespace in self._all()
            for number in range(BUCKETS)
            if (names := namespace.ledger.names(number)) is not None
        ]
        left = sum(len(names) for _, _, names in work)
        for namespace, number, names in work:
            for first in range(0, max(len(names), 1), _AT_ONCE):
                some = names[first : first + _AT_ONCE]
                _resealed(namespace, number, some)
                left -= len(some)
                yield left

    def outdated(self) -> int:
        """Return how many records are sealed under another key than the present one.

        Raises:
            SealError: Records are not as they were left.
            StoreError: They cannot be read.
        """
        self.claim.check()
        return sum(namespace.ledger.outdated() for namespace in self._all())

    def is_settled(self) -> bool:
        """Whether nothing that is kept needs another key than the present one; raises the same."""
        return self.claim.is_current() and all(
            namespace.ledger.is_settled() for namespace in self._all()
        )

    def _all(self) -> list[Namespace]:
        return [self._namespace(name) for name in self.plugins()]

    def _namespace(self, plugin: str) -> Namespace:
        found = self._namespaces.get(plugin)
        if found is None:
            bare = self._stores.scoped(APART + plugin)
            ledger = Ledger(bare, Seals(plugin, self._vault), Shared(self._knowledge, plugin))
            # In one step: threads, and a signal's handler, are to have the same.
            found = self._namespaces.setdefault(
                plugin, Namespace(ledger, self._wall_ns, self.claim.hold)
            )
        return found


def _resealed(namespace: Namespace, number: int, names: list[str]) -> None:
    namespace.change(lambda ledger: ledger.reseal(number, names))
