"""What is sealed: the text of a record, and a bucket's sum, each bound to its place."""

from __future__ import annotations

from typing import Final

from hauberk.errors import SealError
from hauberk.ports import Record, Vault
from hauberk.secret import Secret
from hauberk_plugins.storage.buckets import VERSION_BYTES, BadSum, Sum, place, sum_key
from hauberk_plugins.storage.errors import StoreTooRecent

_TIME_BYTES: Final = 8


class Seals:
    """Seals and opens what is kept of one namespace.

    Args:
        namespace: Whose records.
        vault: Seals and opens anything.
    """

    def __init__(self, namespace: str, vault: Vault) -> None:
        self.namespace = namespace
        #: What this is, for errors.
        self.where = f"the sealed records of {namespace!r}"
        self._vault = vault
        # With its length before it, no two namespaces and names make the same.
        self._bound = f"{len(namespace)}:{namespace}/"

    def record(self, name: str, version: int, value: Secret, written_ns: int) -> bytes:
        """Return what is stored of a record."""
        text = Secret(written_ns.to_bytes(_TIME_BYTES, "big") + value.reveal())
        return self._sealed(name, version, text)

    def open(self, name: str, stored: bytes) -> Record:
        """Return a record's value and version.

        Raises:
            SealError: It is not as it was sealed; the subclass says in which way.
        """
        version, text = self._opened(name, stored)
        return Record(text.reveal()[_TIME_BYTES:], version)

    def written(self, name: str, stored: bytes) -> tuple[int, int]:
        """Return a record's version, and when it was written, ns since the epoch; as `open`."""
        version, text = self._opened(name, stored)
        return version, int.from_bytes(text.reveal()[:_TIME_BYTES], "big")

    def again(self, name: str, stored: bytes) -> bytes | None:
        """Return the same record sealed under the present key; `None` if it is already."""
        if self.is_current(stored):
            return None
        return self._sealed(name, *self._opened(name, stored))

    def is_current(self, stored: bytes) -> bool:
        """Whether a record is sealed under the present key."""
        return self._vault.is_current(stored[VERSION_BYTES:])

    def sum(self, number: int, version: int, text: bytes) -> bytes:
        """Return what is stored of a bucket's sum."""
        return self._vault.seal(self._bound + sum_key(number), text, version=version)

    def open_sum(self, number: int, stored: Record) -> Sum:
        """Return a bucket's sum.

        Raises:
            SealError: It is not as it was sealed.
            StoreTooRecent: A later version of Hauberk wrote it.
        """
        name = self._bound + sum_key(number)
        told = f"the sum of bucket {number:02x}"
        opened = self._vault_open(name, told, stored.value, stored.version).reveal()
        try:
            return Sum.from_bytes(opened)
        except BadSum:
            pass
        raise StoreTooRecent(
            self.where, "a later version of Hauberk wrote there", "use that version"
        )

    def is_sum_current(self, stored: bytes) -> bool:
        """Whether a sum is sealed under the present key."""
        return self._vault.is_current(stored)

    def _sealed(self, name: str, version: int, text: Secret) -> bytes:
        sealed = self._vault.seal(self._bound + place(name).key, text.reveal(), version=version)
        return version.to_bytes(VERSION_BYTES, "big") + sealed

    def _opened(self, name: str, stored: bytes) -> tuple[int, Secret]:
        version = version_of(stored)
        sealed = stored[VERSION_BYTES:]
        return version, self._vault_open(self._bound + place(name).key, name, sealed, version)

    def _vault_open(self, bound: str, told: str, sealed: bytes, version: int) -> Secret:
        """Open something; what refuses tells of it by the name that its owner knows."""
        try:
            return self._vault.open(bound, sealed, version=version)
        except SealError as error:
            renamed = getattr(error, "renamed", None)
            if renamed is None:
                raise
            failure: SealError = renamed(self.namespace, told)
        raise failure


def version_of(stored: bytes) -> int:
    """Return the version that a record, or its digest, says to have: as true as that is."""
    return int.from_bytes(stored[:VERSION_BYTES], "big")
