"""The SQL of a PostgreSQL store."""

from __future__ import annotations

import hashlib
from typing import Final

from hauberk_plugins.storage.sql import Statements

#: The version that `MAKE` writes.
SCHEMA_VERSION: Final = 1
#: How much of a name the index for scans holds, bytes: PostgreSQL's may not hold 4 KiB.
INDEXED: Final = 256

# The digest is the key, since a name may be longer than a key may be. Names are bytes, so that
# no collation has a say in their order.
MAKE: Final = """\
CREATE TABLE hauberk.format (version integer NOT NULL);
INSERT INTO hauberk.format VALUES (1);
CREATE TABLE hauberk.records (
    namespace bytea NOT NULL, name bytea NOT NULL, version bigint NOT NULL, value bytea NOT NULL,
    digest bytea NOT NULL GENERATED ALWAYS AS (sha256(name)) STORED,
    PRIMARY KEY (namespace, digest)
);
ALTER TABLE hauberk.records ALTER COLUMN value SET STORAGE EXTERNAL;
CREATE INDEX records_by_name ON hauberk.records (namespace, substring(name, 1, 256));
"""
#: What stands there: whether the schema does, its tables, the columns of ours.
LOOK: Final = """\
SELECT to_regnamespace('hauberk') IS NOT NULL,
    (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('hauberk')
        AND relkind IN ('r', 'v', 'm', 'f', 'p')),
    (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = to_regclass('hauberk.records') AND attnum > 0 AND NOT attisdropped)"""
COLUMNS: Final = ["namespace", "name", "version", "value", "digest"]
#: What the server's clock shows, microseconds since the epoch.
TIME: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
#: A session that waits for nothing for ever, and forces what it commits to the disk.
SESSION: Final = """\
SELECT set_config('search_path', 'pg_catalog', false),
    set_config('default_transaction_isolation', 'read committed', false),
    set_config('statement_timeout', %s, false),
    set_config('lock_timeout', %s, false),
    set_config('idle_in_transaction_session_timeout', %s, false),
    CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
        THEN set_config('synchronous_commit', 'on', false) END"""

#: Whoever writes with one statement shares the namespace with others that do the same.
_LOCKED: Final = (
    "locked AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared("
    "('x' || encode(substring(sha256(namespace), 1, 8), 'hex'))::bit(64)::bigint) FROM given)"
)
_RECORD: Final = (
    "WITH given AS (SELECT %s::bytea AS namespace, %s::bytea AS name, %s::bytea AS value), "
)
_AT_VERSION: Final = (
    "WITH given AS (SELECT %s::bytea AS namespace, %s::bytea AS name, %s::bigint AS version), "
)
_NAMED: Final = "WITH given AS (SELECT %s::bytea AS namespace, %s::bytea AS name), "
_AFTER: Final = (
    "WITH given AS (SELECT %s::bytea AS value, %s::bytea AS namespace, %s::bytea AS name, "
    "%s::bigint AS version), "
)
_INSERT: Final = (
    " INSERT INTO hauberk.records (namespace, name, version, value) "
    "SELECT namespace, name, 1, value FROM given, locked ON CONFLICT (namespace, digest) "
)
_SAME: Final = " WHERE r.namespace = given.namespace AND r.digest = sha256(given.name)"
_STANDS: Final = " AND r.version = given.version"
_UPDATE: Final = (
    " UPDATE hauberk.records AS r SET value = given.value, version = r.version + 1 "
    "FROM given, locked"
)
_DELETE: Final = " DELETE FROM hauberk.records AS r USING given, locked"

SQL: Final = Statements(
    get="SELECT version, value FROM hauberk.records WHERE namespace = %s AND digest = sha256(%s)",
    get_many="SELECT name, version, value FROM hauberk.records WHERE namespace = %s "
    "AND digest = ANY(%s)",
    put=f"{_RECORD}{_LOCKED}{_INSERT}"
    "DO UPDATE SET value = excluded.value, version = records.version + 1 RETURNING version",
    create=f"{_RECORD}{_LOCKED}{_INSERT}DO NOTHING RETURNING version",
    replace=f"{_AFTER}{_LOCKED}{_UPDATE}{_SAME}{_STANDS} RETURNING r.version",
    delete=f"{_NAMED}{_LOCKED}{_DELETE}{_SAME} RETURNING r.version",
    delete_at=f"{_AT_VERSION}{_LOCKED}{_DELETE}{_SAME}{_STANDS} RETURNING r.version",
    scan="SELECT name, version, value FROM hauberk.records WHERE namespace = %s ORDER BY name",
    scan_from="SELECT name, version, value FROM hauberk.records WHERE namespace = %s "
    "AND substring(name, 1, 256) >= %s AND substring(name, 1, 256) < %s "
    "AND name >= %s AND name < %s ORDER BY name",
    namespaces="SELECT DISTINCT namespace FROM hauberk.records",
)

#: `get_many` of two, as each sealed read is: an array costs the client as much as the read.
GET_PAIR: Final = (
    "SELECT name, version, value FROM hauberk.records WHERE namespace = %s AND digest IN (%s, %s)"
)

#: Writes that are known to lead to a certain version: anything else ends the transaction, by a
#: division by zero. namespace, name, value, version that is to be; namespace, name, version.
SET: Final = (
    "WITH done AS (INSERT INTO hauberk.records (namespace, name, version, value) "
    "VALUES (%s, %s, 1, %s) ON CONFLICT (namespace, digest) "
    "DO UPDATE SET value = excluded.value, version = records.version + 1 RETURNING version) "
    "SELECT 1 / count(*) FROM done WHERE version = %s"
)
DROP: Final = (
    "WITH done AS (DELETE FROM hauberk.records "
    "WHERE namespace = %s AND digest = sha256(%s) AND version = %s RETURNING version) "
    "SELECT 1 / count(*) FROM done"
)


def lock_key(namespace: bytes) -> int:
    """Return what advisory locks of a namespace go by: 64 bits, as the statements make them."""
    return int.from_bytes(hashlib.sha256(namespace).digest()[:8], "big", signed=True)
