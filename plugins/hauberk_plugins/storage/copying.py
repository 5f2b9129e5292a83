"""`Copying`: every record of every plugin, from one store into another that is empty.

Sealed records keep version and time of writing, and are sealed anew under the present key, with
sums of their own. What is not sealed is copied as it is; its versions begin again, since a store
counts them by itself, and they matter to nobody but processes that run while it is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from attrs import evolve, frozen

from hauberk.ports import Vault
from hauberk.quiet import quietly
from hauberk.secret import Secret
from hauberk_plugins.storage.claim import CLAIM
from hauberk_plugins.storage.errors import StoreDiffers
from hauberk_plugins.storage.secure_storage import APART, Restored, SecureStorage, Stores

#: How many records are written in one transaction.
_AT_ONCE: Final = 64


class _Seen(NamedTuple):
    """What tells one record from another: its content, and of a sealed one version and time."""

    digest: bytes
    version: int = 0
    written_ns: int = 0


@frozen
class Copied:
    """What came of it.

    Attributes:
        records: How many records there are.
        copied: How many of them were not there before.
    """

    records: int = 0
    copied: int = 0


class Copying:
    """Copies what one store holds into another; stopped anywhere, it may be done again.

    Args:
        source: Where the records are. Nobody else may write there meanwhile.
        target: Where they are to be; empty, or what an earlier copy has left.
        vault: Seals and opens them.
        where: What the target is, for errors.
    """

    def __init__(self, source: Stores, target: Stores, vault: Vault, where: str) -> None:
        self._source, self._target = _Side(source, vault), _Side(target, vault)
        self._where = where
        self.done = Copied()

    def begin(self) -> int:
        """Compare what stands in both; write nothing.

        Returns:
            How many records are to be copied.

        Raises:
            StoreDiffers: Something else stands in the target.
            SealError: Records are not as they were left.
            StoreError: They cannot be read.
        """
        both = {*self._source.namespaces(), *self._target.namespaces()}
        self._left = {namespace: self._missing(namespace) for namespace in sorted(both)}
        self.done = Copied(sum(len(self._source.seen(one)) for one in self._left))
        return sum(map(len, self._left.values()))

    def steps(self) -> Iterator[int]:
        """Copy what `begin` found missing, then read all of it back.

        Yields:
            How many records are left, after each step.

        Raises:
            StoreDiffers: Somebody else writes to one of the two.
            SealError, StoreError: They cannot be read, sealed or written.
        """
        copied = left = sum(map(len, self._left.values()))
        for namespace, names in self._left.items():
            records = self._source.read(namespace, set(names))
            for first in range(0, len(records), _AT_ONCE):
                some = records[first : first + _AT_ONCE]
                self._target.write(namespace, some)
                left -= len(some)
                yield left
        if self.begin():
            raise self._differs("it does not hold all that was written there")
        self.done = evolve(self.done, copied=copied)

    def _missing(self, namespace: str) -> list[str]:
        """Return the names of the records that are not in the target."""
        source, target = self._source.seen(namespace), self._target.seen(namespace)
        for name, stands in target.items():
            if source.get(name) != stands:
                whose = namespace.removeprefix(APART)
                raise self._differs(f"record {name!r} of {whose!r} there is another or none here")
        return [name for name in source if name not in target]

    def _differs(self, problem: str) -> StoreDiffers:
        return StoreDiffers(
            self._where, problem, "stop whatever uses either store, and copy into an empty one"
        )


class _Side:
    """One of the two stores, in which some namespaces are sealed."""

    def __init__(self, stores: Stores, vault: Vault) -> None:
        self._stores = stores
        self._sealed = SecureStorage(stores, vault)

    def namespaces(self) -> tuple[str, ...]:
        # Whoever writes sealed records into the target makes its own claim to it.
        return tuple(name for name in self._stores.namespaces() if name != CLAIM)

    def seen(self, namespace: str) -> dict[str, _Seen]:
        """Return what stands in a namespace, by name."""
        return quietly("comparing records", lambda: self._seen(namespace))

    def _seen(self, namespace: str) -> dict[str, _Seen]:
        if not namespace.startswith(APART):
            rows = self._stores.scoped(namespace).scan()
            return {name: _Seen(sha256(record.value).digest()) for name, record in rows}
        return {
            one.name: _Seen(sha256(one.value.reveal()).digest(), one.version, one.written_ns)
            for one in self._opened(namespace)
        }

    def read(self, namespace: str, names: set[str]) -> list[Restored]:
        """Return records of a namespace."""
        return quietly("reading records", lambda: self._read(namespace, names))

    def _read(self, namespace: str, names: set[str]) -> list[Restored]:
        if namespace.startswith(APART):
            return [one for one in self._opened(namespace) if one.name in names]
        found = self._stores.scoped(namespace).get_many(names)
        return [Restored(name, Secret(r.value), r.version, 0) for name, r in found.items()]

    def write(self, namespace: str, records: list[Restored]) -> None:
        """Write records that are not there, all or none."""
        quietly("writing records", lambda: self._write(namespace, records))

    def _write(self, namespace: str, records: list[Restored]) -> None:
        if namespace.startswith(APART):
            self._sealed.restore(namespace.removeprefix(APART), records)
            return
        with self._stores.scoped(namespace).transaction() as store:
            for one in records:
                store.put(one.name, one.value.reveal(), version=0)

    def _opened(self, namespace: str) -> Iterator[Restored]:
        store = self._sealed.scoped(namespace.removeprefix(APART))
        written = {name: at_ns for name, _, at_ns in store.written()}
        for name, record in store.scan():
            yield Restored(name, Secret(record.value), record.version, written.get(name, 0))
