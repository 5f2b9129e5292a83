"""`MemoryStore`: a store that forgets, for tests, and for while the real one does not work."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

from hauberk.errors import StoreConflict, StoreError
from hauberk.ports import Record, Store


class MemoryStore:
    """A `Store` that forgets. Set `error` to have every call fail, as a full disk would."""

    def __init__(self) -> None:
        self.error: StoreError | None = None
        self._records: dict[str, Record] = {}
        self._lock = threading.RLock()

    def get(self, name: str) -> Record | None:
        """Return a record, or `None`."""
        return self.get_many((name,)).get(name)

    def get_many(self, names: Iterable[str]) -> dict[str, Record]:
        """Return those records that are there."""
        with self._lock:
            wanted = [self._checked(name) for name in names]
            return {name: self._records[name] for name in wanted if name in self._records}

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
            self._checked(prefix)
            found = sorted(item for item in self._records.items() if item[0].startswith(prefix))
        yield from found

    @contextmanager
    def transaction(self) -> Iterator[Store]:
        """Undo everything on an exception; nobody else sees anything before the end."""
        with self._lock:
            before = dict(self._records)
            within = _Within(self)
            try:
                yield within
            except BaseException:
                self._records = before
                raise
            finally:
                within.end()

    def _checked(self, name: str) -> str:
        if self.error is not None:
            raise self.error
        try:
            name.encode()
        except UnicodeEncodeError:
            why = f"the name {name!a} is not valid Unicode: it has lone surrogates"
            raise StoreError(why) from None
        return name

    def _expect(self, name: str, version: int | None) -> int:
        record = self._records.get(self._checked(name))
        stands = 0 if record is None else record.version
        if version is not None and version != stands:
            raise StoreConflict(f"record {name!r} is at version {stands}, not {version}")
        return stands


class _Within:
    """A store inside a transaction, refused once that has ended."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._is_over = False

    def end(self) -> None:
        self._is_over = True

    def get(self, name: str) -> Record | None:
        return self._there().get(name)

    def get_many(self, names: Iterable[str]) -> dict[str, Record]:
        return self._there().get_many(names)

    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        return self._there().put(name, value, version=version)

    def delete(self, name: str, *, version: int | None = None) -> None:
        self._there().delete(name, version=version)

    def scan(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        return self._there().scan(prefix)

    def transaction(self) -> AbstractContextManager[Store]:
        return self._there().transaction()

    def _there(self) -> MemoryStore:
        if self._is_over:
            raise StoreError("the transaction has ended: use the store itself, or begin another")
        return self._store
