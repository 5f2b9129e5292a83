"""What a process remembers of the buckets that it has looked into."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Final, Protocol, TypeAlias

from hauberk_plugins.storage.buckets import Bucket

#: Namespace and number of a bucket.
Spot: TypeAlias = tuple[str, int]
#: How many records are remembered in all, unless told otherwise: some 25 MB.
RECORDS: Final = 100_000


class Knowledge:
    """Remembers buckets; of those not used for long, only how far they had come.

    May be used from any thread. A forked child begins with none.

    Args:
        records: How many records the buckets that are remembered may hold together. The one that
            was looked into last stays, whatever it holds.
    """

    def __init__(self, records: int = RECORDS) -> None:
        self._limit = records
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        # Reentrant, since a signal's handler may report, and a report is stored.
        self._lock = threading.RLock()
        self._buckets: OrderedDict[Spot, Bucket] = OrderedDict()
        self._records = 0
        self._newest: dict[Spot, tuple[int, bytes | None]] = {}

    def get(self, spot: Spot) -> Bucket | None:
        """Return a bucket as it was last seen, if that is remembered."""
        if self._pid != os.getpid():
            self._begin()  # another thread of the parent may have held the lock
        with self._lock:
            found = self._buckets.get(spot)
            if found is not None:
                self._buckets.move_to_end(spot)
            return found

    def newest(self, spot: Spot) -> tuple[int, bytes | None]:
        """Return the highest version seen of a bucket's sum, and the sum; never forgotten."""
        if self._pid != os.getpid():
            self._begin()
        return self._newest.get(spot, (0, None))

    def learn(self, spot: Spot, bucket: Bucket) -> None:
        """Remember a bucket, unless a later state of it is remembered already."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            if bucket.version < self._newest.get(spot, (0, None))[0]:
                return
            self._newest[spot] = (bucket.version, bucket.sealed)
            before = self._buckets.pop(spot, None)
            self._records += len(bucket.digests) - (0 if before is None else len(before.digests))
            self._buckets[spot] = bucket
            while self._records > self._limit and len(self._buckets) > 1:
                _, dropped = self._buckets.popitem(last=False)
                self._records -= len(dropped.digests)


class Memory(Protocol):
    """What is known of the buckets of one namespace, by their numbers; see `Knowledge`."""

    def get(self, number: int) -> Bucket | None:
        """Return a bucket as it was last seen, if that is remembered."""

    def newest(self, number: int) -> tuple[int, bytes | None]:
        """Return the highest version seen of a bucket's sum, and the sum itself."""

    def learn(self, number: int, bucket: Bucket) -> None:
        """Remember a bucket."""


class Shared:
    """What the process knows of one namespace."""

    def __init__(self, knowledge: Knowledge, namespace: str) -> None:
        self._knowledge = knowledge
        self._namespace = namespace

    def get(self, number: int) -> Bucket | None:
        """Return a bucket as it was last seen, if that is remembered."""
        return self._knowledge.get((self._namespace, number))

    def newest(self, number: int) -> tuple[int, bytes | None]:
        """Return the highest version seen of a bucket's sum, and the sum itself."""
        return self._knowledge.newest((self._namespace, number))

    def learn(self, number: int, bucket: Bucket) -> None:
        """Remember a bucket, unless a later state of it is remembered already."""
        self._knowledge.learn((self._namespace, number), bucket)


class Tentative:
    """What a transaction has seen and written, until it is known to have happened."""

    def __init__(self, outer: Memory) -> None:
        self._outer = outer
        self._own: dict[int, Bucket] = {}

    def get(self, number: int) -> Bucket | None:
        """Return a bucket as it was last seen, if that is remembered."""
        return self._own.get(number) or self._outer.get(number)

    def newest(self, number: int) -> tuple[int, bytes | None]:
        """Return the highest version seen of a bucket's sum, and the sum itself."""
        own = self._own.get(number)
        return self._outer.newest(number) if own is None else (own.version, own.sealed)

    def learn(self, number: int, bucket: Bucket) -> None:
        """Remember a bucket."""
        self._own[number] = bucket

    def happened(self) -> None:
        """Tell whoever is outside, since the transaction stands."""
        for number, bucket in self._own.items():
            self._outer.learn(number, bucket)
