"""`MemoryRecords`: a `Store` in memory, for while the real one does not work."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from hauberk.errors import StoreConflict
from hauberk.ports import Record, Store


class MemoryRecords:
    """Forgets everything when its process ends."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._lock = threading.RLock()

    def get(self, name: str) -> Record | None:
        """Return a record, or `None`."""
        with self._lock:
            return self._records.get(name)

    def get_many(self, names: Iterable[str]) -> dict[str, Record]:
        """Return those records that are there."""
        with self._lock:
            return {name: self._records[name] for name in names if name in self._records}

    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        """Write a record and return its version."""
        with self._lock:
            stands = self._expect(name, version)
            self._records[name] = Record(value, stands + 1)
            return stands + 1

    def delete(self, name: str, *, version: int | None = None) -> None:
        """Remove a record if it is there."""
        with self._lock:
            self._expect(name, version)
            self._records.pop(name, None)

    def scan(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        """Yield records by name."""
        with self._lock:
            found = sorted(item for item in self._records.items() if item[0].startswith(prefix))
        yield from found

    @contextmanager
    def transaction(self) -> Iterator[Store]:
        """Undo everything on an exception."""
        with self._lock:
            before = dict(self._records)
            try:
                yield self
            except BaseException:
                self._records = before
                raise

    def _expect(self, name: str, version: int | None) -> int:
        record = self._records.get(name)
        stands = 0 if record is None else record.version
        if version is not None and version != stands:
            raise StoreConflict(f"record {name!r} is at version {stands}, not {version}")
        return stands
