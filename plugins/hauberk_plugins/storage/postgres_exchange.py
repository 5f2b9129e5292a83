"""A sealed record and its bucket's sum, compared and set in one turn with the server."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from hauberk_plugins.storage.exchange import Exchange
from hauberk_plugins.storage.names import to_key
from hauberk_plugins.storage.postgres_sql import lock_key
from hauberk_plugins.storage.sqlstore import SqlStore

if TYPE_CHECKING:
    from hauberk_plugins.storage.postgres import PostgresStores

# Parameters again and again, and their digests: a row of them to refer to takes the server longer.
_LOCKED: Final = "WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(%s)), "
#: Whether the record stands as it must. namespace, digest of its name, SHA-256 of its value.
_AS_KNOWN: Final = (
    "looked AS (SELECT FROM hauberk.records "
    "WHERE namespace = %s AND digest = %s AND sha256(value) = %s), "
)
#: Whether there is none. namespace, digest of its name.
_NONE: Final = (
    "looked AS (SELECT WHERE NOT EXISTS "
    "(SELECT FROM hauberk.records WHERE namespace = %s AND digest = %s)), "
)
#: The sum goes first: those who write to one bucket at a time wait for each other there, and find
#: another sum when their turn comes. value; namespace, digest of its name, version, value.
_SUMMED: Final = (
    "summed AS (UPDATE hauberk.records SET value = %s, version = version + 1 FROM locked, looked "
    "WHERE namespace = %s AND digest = %s AND version = %s AND value = %s RETURNING 1), "
)
#: value; namespace, digest of its name, SHA-256 of the value.
_REPLACED: Final = (
    "written AS (UPDATE hauberk.records SET value = %s, version = version + 1 FROM summed "
    "WHERE namespace = %s AND digest = %s AND sha256(value) = %s RETURNING 1) "
)
#: namespace, name, value.
_CREATED: Final = (
    "written AS (INSERT INTO hauberk.records (namespace, name, version, value) "
    "SELECT %s, %s, 1, %s FROM summed ON CONFLICT (namespace, digest) DO NOTHING RETURNING 1) "
)
#: Gives a row if both were written. If somebody writes to the record, and not to the sum, after
#: the look at it, a division by zero ends the statement, and neither is written.
_DONE: Final = "SELECT 1 / (SELECT count(*) FROM written) FROM summed"
REPLACE: Final = f"{_LOCKED}{_AS_KNOWN}{_SUMMED}{_REPLACED}{_DONE}"
CREATE: Final = f"{_LOCKED}{_NONE}{_SUMMED}{_CREATED}{_DONE}"


class PostgresStore(SqlStore[Any]):
    """The records of one plugin in PostgreSQL, outside of a transaction; `Exchanging`."""

    def __init__(self, stores: PostgresStores, namespace: str) -> None:
        super().__init__(stores, namespace)
        self._run = stores.alone
        self._lock = lock_key(self._key)

    def exchange(self, wanted: Exchange) -> bool:
        """Write a record and its bucket's sum, if both stand as they must; else neither."""
        name, stood = to_key(wanted.key), wanted.sum_stood
        record = self._key, sha256(name).digest()
        summed_at = self._key, sha256(to_key(wanted.sum_key)).digest()
        summed = wanted.sum, *summed_at, stood.version, stood.value
        if wanted.stood is None:
            created = self._key, name, wanted.stored
            return self._run(CREATE, (self._lock, *record, *summed, *created))
        known = *record, wanted.stood
        return self._run(REPLACE, (self._lock, *known, *summed, wanted.stored, *known))
