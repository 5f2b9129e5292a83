"""The port `store` as a plugin sees it, over a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from hauberk.ports import Record
from hauberk_plugins.storage.errors import RecordConflict, StoreDamaged
from hauberk_plugins.storage.names import beyond, to_key

if TYPE_CHECKING:
    from hauberk_plugins.storage.sql import Rows, Scope, SqlStores

_C = TypeVar("_C")
#: What fits a signed integer of 64 bits.
MAX_VERSION: Final = (1 << 63) - 1


class SqlStore(Generic[_C]):
    """The records of one plugin; see `hauberk.ports.Store`."""

    def __init__(
        self, stores: SqlStores[_C], namespace: str, scope: Scope[_C] | None = None
    ) -> None:
        self._stores = stores
        self._sql = stores.sql
        self._namespace = namespace
        self._key = to_key(namespace)
        self._scope = scope

    def get(self, name: str) -> Record | None:
        """Return a record, or `None`."""
        for version, value in self._read(self._sql.get, (self._key, to_key(name))):
            return self._record(version, value)
        return None

    def get_many(self, names: Iterable[str]) -> dict[str, Record]:
        """Return those records that are there, as they stood at one moment."""
        keys = {to_key(name): name for name in names}
        if not keys:
            return {}
        rows = self._read(*self._stores.many(self._key, tuple(keys)))
        record = self._record
        return {keys[key]: record(version, value) for key, version, value in rows if key in keys}

    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        """Write a record and return its version."""
        if not isinstance(value, bytes):
            raise TypeError(f"a record's value is bytes, not {type(value).__name__}")
        key = to_key(name)
        if version is None:
            rows = self._write(self._sql.put, (self._key, key, value), making=True)
        elif version == 0:
            rows = self._write(self._sql.create, (self._key, key, value), making=True)
        elif 0 < version < MAX_VERSION:
            rows = self._write(self._sql.replace, (value, self._key, key, version))
        else:
            rows = ()
        return self._written(rows, name, version)

    def delete(self, name: str, *, version: int | None = None) -> None:
        """Remove a record if it is there."""
        key = to_key(name)
        if version is None:
            self._write(self._sql.delete, (self._key, key))
        elif 0 < version <= MAX_VERSION:
            rows = self._write(self._sql.delete_at, (self._key, key, version))
            self._written(rows, name, version)
        elif version or self.get(name) is not None:
            self._written((), name, version)

    def scan(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        """Yield records by name, all as they stood at one moment."""
        first = to_key(prefix)
        end = beyond(first)
        if end is None:
            rows = self._read(self._sql.scan, (self._key,))
        else:
            rows = self._read(self._sql.scan_from, self._stores.bounds(self._key, first, end))
        return ((self._name(key), self._record(version, value)) for key, version, value in rows)

    @contextmanager
    def transaction(self) -> Iterator[SqlStore[_C]]:
        """All or nothing, on an exception nothing."""
        self._check()
        with self._stores.transaction(self._namespace) as scope:
            yield SqlStore(self._stores, self._namespace, scope)

    def _read(self, sql: str, parameters: Sequence[object]) -> Rows:
        self._check()
        return self._stores.read(sql, parameters)

    def _write(self, sql: str, parameters: Sequence[object], making: bool = False) -> Rows:
        self._check()
        return self._stores.write(self._namespace, sql, parameters, making)

    def _check(self) -> None:
        if self._scope is not None:
            self._stores.check_usable(self._scope)

    def _written(self, rows: Rows, name: str, version: int | None) -> int:
        for row in rows:
            written: int = row[0]
            return written
        record = self.get(name)
        raise RecordConflict(name, version or 0, 0 if record is None else record.version)

    def _record(self, version: Any, value: Any) -> Record:
        # A database may hold what was never put there through this.
        if type(value) is not bytes or type(version) is not int:
            raise self._damaged()
        return Record(value, version)

    def _name(self, key: Any) -> str:
        try:
            return str(key, "utf-8")
        except (TypeError, UnicodeDecodeError):
            pass
        raise self._damaged()

    def _damaged(self) -> StoreDamaged:
        problem = f"what is kept of {self._namespace!r} is not what Hauberk writes"
        return StoreDamaged(self._stores.where, problem, "put it back from a backup")
