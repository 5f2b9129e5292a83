"""The sealed records of one namespace in one store: each read checked, each write added up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Final

from attrs import evolve

from hauberk.errors import StoreConflict
from hauberk.ports import Record, Store
from hauberk.secret import Secret
from hauberk_plugins.storage.buckets import (
    BUCKETS,
    KEY_BYTES,
    Bucket,
    digest,
    place,
    prefix,
    read_key,
    sha256_of,
    sum_key,
)
from hauberk_plugins.storage.errors import RecordConflict
from hauberk_plugins.storage.exchange import Exchange, Exchanging
from hauberk_plugins.storage.judging import checked, judged, sorted_out, stands
from hauberk_plugins.storage.knowledge import Memory, Tentative
from hauberk_plugins.storage.seals import Seals, version_of

#: How often a read is tried while other processes write to the same buckets.
TRIES: Final = 5
_NUMBERS: Final = range(BUCKETS)


class Ledger:
    """Reads and writes sealed records.

    Args:
        bare: Where they are kept. To write, that of a transaction.
        seals: Seals and opens them.
        memory: What is known of the buckets.
        random: Returns so many random bytes.
    """

    def __init__(
        self,
        bare: Store,
        seals: Seals,
        memory: Memory,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.bare = bare
        self.seals = seals
        self.memory = memory
        self._random = random

    def within(self, bare: Store, memory: Memory) -> Ledger:
        """Return the same ledger within a transaction."""
        return Ledger(bare, self.seals, memory, self._random)

    def read(self, names: Iterable[str]) -> dict[str, Record]:
        """Return those records that are there, still sealed, as they stood at one moment.

        Raises:
            SealedStateChanged: They are not as they were left.
            SealError: One was changed.
            StoreError: They cannot be read.
        """
        return self._seen(names)[1]

    def read_one(self, name: str) -> Record | None:
        """Return one record, still sealed; the same as `read`, in half the time."""
        where = place(name)
        known = self.memory.get(where.bucket)
        if known is not None:
            found = self.bare.get_many((where.key, where.sum_key))
            if stands(known, found.get(where.sum_key)):
                return checked(self.seals, known, name, found.get(where.key))
        return self._seen([name])[1].get(name)

    def everything(self) -> dict[str, Record]:
        """Return every record by name, still sealed, as they stood at one moment; as `read`."""
        known = {number: self.memory.get(number) for number in _NUMBERS}
        newest = {number: self.memory.newest(number) for number in _NUMBERS}
        everything: dict[str, Record] = {}
        for number, found in sorted_out(_NUMBERS, self.bare.scan()).items():
            bucket = known[number]
            if bucket is None or not stands(bucket, found.sum):
                bucket = judged(self.seals, found, newest[number], self._random(KEY_BYTES))
                self.memory.learn(number, bucket)
            else:
                for name in found.records.keys() | bucket.digests.keys():
                    checked(self.seals, bucket, name, found.records.get(name))
            everything.update(found.records)
        return everything

    def look(self, number: int) -> Bucket:
        """Read a whole bucket, check it against its sum, and remember it; as `read`."""
        newest = self.memory.newest(number)
        found = sorted_out([number], self.bare.scan(prefix(number)))[number]
        bucket = judged(self.seals, found, newest, self._random(KEY_BYTES))
        self.memory.learn(number, bucket)
        return bucket

    def put(self, name: str, value: Secret, version: int | None, written_ns: int) -> int:
        """Seal and write a record; return its version."""
        bucket, stands_at, _ = self._standing(name, version)
        stored = self.seals.record(name, stands_at + 1, value, written_ns)
        self.bare.put(place(name).key, stored)
        self._advance(place(name).bucket, bucket.with_records({name: digest(stored)}))
        return stands_at + 1

    def exchange(
        self, store: Exchanging, name: str, value: Secret, version: int | None, written_ns: int
    ) -> int | None:
        """As `put`, outside of a transaction and without a look, where it is known what stands.

        The store compares in the moment of writing, so a record that was put back, added or
        removed is noticed as by a look, and what others wrote is not written over.

        Returns:
            The version; `None` where nothing was written, and `put` is to see why.
        """
        where = place(name)
        # Before anything is sealed: whoever knows a sum knows the key that sealed it. So what a
        # rotation has been through is not joined by a record under the key before.
        bucket = self.memory.get(where.bucket)
        if bucket is None or bucket.sealed is None:
            return None
        known = bucket.digests.get(name)
        stands_at = 0 if known is None else version_of(known)
        if version is not None and version != stands_at:
            return None
        stored = self.seals.record(name, stands_at + 1, value, written_ns)
        after = bucket.with_records({name: digest(stored)})
        sealed = self._sealed_sum(where.bucket, after)
        stood = None if known is None else sha256_of(known)
        sum_stood = Record(bucket.sealed, bucket.version)
        if not store.exchange(Exchange(where.key, stored, stood, where.sum_key, sealed, sum_stood)):
            return None
        self._learn(where.bucket, after, sealed)
        return stands_at + 1

    def restore(self, name: str, value: Secret, version: int, written_ns: int) -> None:
        """Write a record with a version and a time of its own, where none stands."""
        bucket, _, _ = self._standing(name, 0)
        stored = self.seals.record(name, version, value, written_ns)
        self.bare.put(place(name).key, stored)
        self._advance(place(name).bucket, bucket.with_records({name: digest(stored)}))

    def delete(self, name: str, version: int | None) -> None:
        """Remove a record if it is there."""
        bucket, _, record = self._standing(name, version)
        if record is not None:
            self.bare.delete(place(name).key)
            self._advance(place(name).bucket, bucket.with_records({name: None}))

    def names(self, number: int) -> list[str] | None:
        """Return the names of the records in a bucket; `None` if nothing was ever written there."""
        bucket = self.look(number)
        return None if bucket.sealed is None else list(bucket.digests)

    def reseal(self, number: int, names: list[str]) -> None:
        """Seal those records of a bucket, and its sum, that are not sealed under the present key.

        Their versions and times of writing stay as they are.
        """
        buckets, records = self._seen(names, [number])
        bucket = buckets[number]
        changed: dict[str, bytes | None] = {}
        for name, record in records.items():
            if (stored := self.seals.again(name, record.value)) is not None:
                self.bare.put(place(name).key, stored)
                changed[name] = digest(stored)
        if changed or not (bucket.sealed is None or self.seals.is_sum_current(bucket.sealed)):
            self._advance(number, bucket.with_records(changed))

    def outdated(self) -> int:
        """Return how many records are not sealed under the present key."""
        records = self.everything().values()
        return sum(not self.seals.is_current(record.value) for record in records)

    def is_settled(self) -> bool:
        """Whether nothing, sums included, is sealed under another key than the present one."""
        for key, record in list(self.bare.scan()):
            bucket, name = read_key(key) or (None, None)
            is_current = self.seals.is_sum_current if name is None else self.seals.is_current
            if bucket is not None and not is_current(record.value):
                return False
        return True

    def _seen(
        self, names: Iterable[str], numbers: Iterable[int] = ()
    ) -> tuple[dict[int, Bucket], dict[str, Record]]:
        """Return buckets that are sure to stand as they are known, and the records asked for.

        Args:
            names: The records.
            numbers: Buckets to look at beside theirs.
        """
        places = {name: place(name) for name in names}
        sums = {one.bucket: one.sum_key for one in places.values()}
        sums.update((number, sum_key(number)) for number in numbers)
        keys = [one.key for one in places.values()] + list(sums.values())
        for _ in range(TRIES):
            # Before the read: what is read later is never older.
            known = {number: self.memory.get(number) for number in sums}
            found = self.bare.get_many(keys)
            seen = {
                number: bucket
                for number, bucket in known.items()
                if bucket is not None and stands(bucket, found.get(sums[number]))
            }
            if len(seen) == len(sums):
                good = (
                    (name, checked(self.seals, seen[one.bucket], name, found.get(one.key)))
                    for name, one in places.items()
                )
                return seen, {name: record for name, record in good if record is not None}
            for number in sums.keys() - seen.keys():
                self.look(number)
        # Others write there again and again: have them wait.
        with self.bare.transaction() as alone:
            return self.within(alone, Tentative(self.memory))._seen(places, sums)

    def _standing(self, name: str, version: int | None) -> tuple[Bucket, int, Record | None]:
        """Return a record that is about to be changed, its version and its bucket.

        Raises:
            RecordConflict: It is not at the version that the caller saw.
        """
        buckets, records = self._seen([name])
        record = records.get(name)
        stands_at = 0 if record is None else version_of(record.value)
        if version is not None and version != stands_at:
            raise RecordConflict(name, version, stands_at)
        return buckets[place(name).bucket], stands_at, record

    def _advance(self, number: int, after: Bucket) -> None:
        """Write a bucket's sum, in the transaction that wrote its records."""
        sealed = self._sealed_sum(number, after)
        try:
            self.bare.put(sum_key(number), sealed, version=after.version)
        except StoreConflict:
            raise StoreConflict(f"{self.seals.where}: another process wrote there") from None
        self._learn(number, after, sealed)

    def _sealed_sum(self, number: int, after: Bucket) -> bytes:
        return self.seals.sum(number, after.version + 1, after.to_bytes())

    def _learn(self, number: int, after: Bucket, sealed: bytes) -> None:
        self.memory.learn(number, evolve(after, version=after.version + 1, sealed=sealed))
