"""`PostgresStores`: records in PostgreSQL, for processes on several machines.

Writes to one namespace outside of transactions keep apart by their rows; a transaction has the
namespace for itself. Both by advisory locks, which end with the transaction or the connection.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Collection, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from hauberk.command import FAIL, OK, WARN, Check
from hauberk.errors import StoreError
from hauberk.secret import Secret
from hauberk_plugins.storage import postgres_backup
from hauberk_plugins.storage.errors import (
    StoreBusy,
    StoreDamaged,
    StoreForeign,
    StoreFull,
    StoreReadOnly,
    StoreTooRecent,
    StoreTrouble,
    StoreUnreachable,
)
from hauberk_plugins.storage.marker import Marker
from hauberk_plugins.storage.names import beyond, to_key
from hauberk_plugins.storage.postgres_batch import Batch
from hauberk_plugins.storage.postgres_exchange import PostgresStore
from hauberk_plugins.storage.postgres_sql import (
    COLUMNS,
    GET_PAIR,
    INDEXED,
    LOOK,
    MAKE,
    SCHEMA_VERSION,
    SESSION,
    SQL,
    TIME,
    lock_key,
)
from hauberk_plugins.storage.sql import Rows, SqlStores

if TYPE_CHECKING:
    import psycopg

    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
else:
    try:
        import psycopg
    except ModuleNotFoundError:
        psycopg = None
    Connection = Any

_LEAST_SERVER: Final = 120_000
#: How long a process may stand still within a transaction that others wait for.
_IDLE_MS: Final = 60_000
_MAKING: Final = lock_key(b"")
_RETRY: Final = "try again"
_REACH: Final = "check that the server runs and can be reached, and the connection string"
#: What the first characters of a SQLSTATE mean, the longest first, and what to do.
_TROUBLE: Final[tuple[tuple[str, type[StoreTrouble], str, str], ...]] = (
    ("55P03", StoreBusy, "others keep it locked", _RETRY),
    ("57014", StoreBusy, "the server took too long", _RETRY),
    # What `SET`, `DROP` and an exchange raise.
    ("22012", StoreBusy, "others wrote at the same moment", _RETRY),
    ("40", StoreBusy, "others wrote at the same moment", _RETRY),
    ("25P03", StoreBusy, "a transaction stood still for too long, and was undone", _RETRY),
    ("53100", StoreFull, "the server's disk is full", "free some room"),
    ("54", StoreFull, "the record is too large", "keep it elsewhere"),
    ("25006", StoreReadOnly, "the server takes no writes", "connect to the primary"),
    ("42501", StoreReadOnly, "the role may not", "grant it the schema hauberk and what is in it"),
    ("28", StoreUnreachable, "the server refuses the role or its password", _REACH),
    ("3D", StoreUnreachable, "there is no such database", _REACH),
    ("3F", StoreForeign, "the schema hauberk is gone", "put it back from a backup"),
    ("42P01", StoreForeign, "a table of the schema hauberk is gone", "put it back from a backup"),
    ("08", StoreUnreachable, "the connection was lost", _REACH),
    ("57P", StoreUnreachable, "the server shut down", _REACH),
    ("53", StoreUnreachable, "the server has no room for another connection", _REACH),
    ("XX", StoreDamaged, "the server says that it is damaged", "put it back from a backup"),
)


class PostgresStores(SqlStores[Connection]):
    """The provider of `store` over one PostgreSQL database, in its schema `hauberk`.

    The schema is made when something is first written. Two state folders need two databases: what
    shares one shares its records.

    Args:
        url: The connection string: a URL or `key=value` pairs, as libpq takes them.
        busy_s: How long to wait for the server, and for others' locks, seconds.
        marker: Remembers that there was a store, if anything does.

    Raises:
        StoreUnreachable: psycopg is not installed, or the connection string cannot be read.
    """

    def __init__(self, url: Secret, busy_s: float, marker: Marker | None = None) -> None:
        if psycopg is None:
            raise StoreUnreachable(
                "PostgreSQL", "psycopg is not installed", "pip install 'hauberk[postgres]'"
            )
        self.driver_error = psycopg.Error
        self._url = url
        self._marker = marker
        self._busy_ms = max(1, round(busy_s * 1000))
        self._batches: dict[int, Batch] = {}
        super().__init__(_where(url), SQL, None)

    def scoped(self, plugin: str) -> PostgresStore:
        """Return the store of a plugin, which sees nothing of another's."""
        return PostgresStore(self, plugin)

    def alone(self, sql: str, parameters: Sequence[object]) -> bool:
        """Run a statement that is no part of a transaction; whether it gave a row."""
        if self._scope() is not None:
            return False  # the transaction is to know all that it has written
        return bool(self._alone(sql, parameters, making=False))

    def checks(self) -> list[Check]:
        """Say what `hauberk doctor` should tell of it."""
        try:
            self.read("SELECT 1", ())
            loan = self._pool.take(making=False)
        except StoreError as error:
            return [Check("the store", FAIL, str(error))]
        try:
            if loan.connection is None:
                return [Check("the store", OK, f"{self.where}: nothing was stored yet")]
            server, is_open = _server(loan.connection), _is_open(loan.connection)
        finally:
            self._pool.give(loan)
        found = f"{self.where}: PostgreSQL {server}"
        if not is_open:
            return [Check("the store", OK, found)]
        remedy = "add sslmode=verify-full to the connection string"
        return [Check("the store", WARN, f"{found}, reached without TLS", remedy)]

    def many(self, namespace: bytes, keys: Sequence[bytes]) -> tuple[str, Sequence[object]]:
        """Return the statement that reads several records at once, and its parameters."""
        # As digests: looked up in the index, which no planner makes of a subquery that makes them.
        digests = [sha256(key).digest() for key in keys]
        if len(digests) == 2:
            return GET_PAIR, (namespace, *digests)
        return self.sql.get_many, (namespace, digests)

    def bounds(self, namespace: bytes, first: bytes, end: bytes) -> Sequence[object]:
        """Return the parameters of `scan_from`."""
        return namespace, first[:INDEXED], beyond(first[:INDEXED]), first, end

    def time_ns(self) -> int | None:
        """Return what the server's clock shows, nanoseconds since the epoch."""
        for row in self.read(TIME, ()):
            microseconds: int = row[0]
            return microseconds * 1_000
        return None

    def back_up(self, path: Path, told: Callable[[int], object]) -> bool:
        """Write every record into a file; see `hauberk.ports.BackedUp`."""
        loan = self._pool.take(making=False)
        try:
            if loan.connection is not None:
                postgres_backup.write(loan.connection, path, told)
            return loan.connection is not None
        except self.driver_error as error:
            failure: StoreError = self.translated(error)
        except OSError as error:
            why = f"it cannot be written: {error.strerror or type(error).__name__}"
            failure = StoreUnreachable(path, why, "check that disk")
        finally:
            self._pool.drop(loan)
        # Raised here, so that what the driver says is not even the context of it.
        raise failure

    def put_back(self, path: Path, staying: Collection[str] = ()) -> None:
        """Replace every record, in one transaction; see `hauberk.ports.BackedUp`."""
        marker, self._marker = self._marker, None  # it may be gone: it is to be made again
        try:
            loan = self._pool.take(making=True)
        finally:
            self._marker = marker
        try:
            if loan.connection is None:
                raise StoreUnreachable(self.where, "it could not be made", "try again")
            postgres_backup.replace(loan.connection, path, staying)
            if marker is not None and not marker.is_set():
                marker.set(self.where, making=True)
            return
        except self.driver_error as error:
            failure = self.translated(error)
        finally:
            self._pool.drop(loan)
        raise failure

    def translated(self, error: Exception) -> StoreError:
        """Return what an error of psycopg is to the caller; its text is not shown."""
        state = getattr(error, "sqlstate", None)
        if state is None:
            problem = "it cannot be reached, or the connection was lost"
            return StoreUnreachable(self.where, problem, _REACH)
        for begins, kind, problem, remedy in _TROUBLE:
            if state.startswith(begins):
                return kind(self.where, f"{problem} ({state})", remedy)
        return StoreTrouble(self.where, f"PostgreSQL says {state}", "nothing was half-written")

    def _connect(self, making: bool) -> Connection | None:
        try:
            connection = psycopg.connect(
                self._url.reveal_text(),
                autocommit=True,
                application_name="hauberk",
                connect_timeout=max(2, self._busy_ms // 1000),
                tcp_user_timeout=self._busy_ms,
            )
        except psycopg.Error as error:
            failure = self.translated(error)
        else:
            return self._prepared(connection, making)
        # Raised here, so that what the driver says is not even the context of it.
        raise failure

    def _prepared(self, connection: Connection, making: bool) -> Connection | None:
        """Set a session up and look at what stands there; make it, if it is to be made."""
        is_kept = False
        try:
            # A lock that others keep is to be told from a server that is slow.
            limits = (2 * self._busy_ms, self._busy_ms, _IDLE_MS)
            connection.execute(SESSION, tuple(map(str, limits)))
            is_kept = self._is_there(connection) or (making and self._made(connection))
            if is_kept and self._marker is not None and not self._marker.is_set():
                self._marker.set(self.where, making=making)
            return connection if is_kept else None
        except psycopg.Error as error:
            failure = self.translated(error)
        finally:
            if not is_kept:
                connection.close()
        raise failure

    def _is_there(self, connection: Connection) -> bool:
        """Whether there is a store; if there must be, it is an error that there is none."""
        # Before the database is looked at: whoever sets it has made the store first.
        was_made = self._marker is not None and self._marker.is_set()
        if self._is_ours(connection):
            return True
        if was_made and self._marker is not None:
            raise self._marker.missing(self.where, "nothing of Hauberk's is in that database")
        return False

    def _is_ours(self, connection: Connection) -> bool:
        """Whether there is a store; `False` if there is nothing."""
        if connection.info.server_version < _LEAST_SERVER:
            problem = f"PostgreSQL {_server(connection)} is too old"
            raise StoreForeign(self.where, problem, "use 12 or later")
        row = connection.execute(LOOK).fetchone()
        if row is None or not row[1]:
            return False
        if row[2] != COLUMNS:
            raise StoreForeign(
                self.where,
                "its schema hauberk is not Hauberk's",
                "use another database; nothing was changed",
            )
        found = connection.execute("SELECT max(version) FROM hauberk.format").fetchone()
        if found != (SCHEMA_VERSION,):
            raise StoreTooRecent(
                self.where,
                f"it does not have the format {SCHEMA_VERSION}",
                "use the version of Hauberk that made it; nothing was changed",
            )
        return True

    def _made(self, connection: Connection) -> bool:
        with connection.transaction():
            connection.execute(f"SELECT pg_advisory_xact_lock({_MAKING})")
            if not self._is_ours(connection):  # another process may have been quicker
                row = connection.execute(LOOK).fetchone()
                if row is None or not row[0]:
                    connection.execute("CREATE SCHEMA hauberk")
                connection.execute(MAKE)
        return True

    def _disconnect(self, connection: Connection) -> None:
        self._batches.pop(id(connection), None)
        connection.close()

    def _is_usable(self, connection: Connection) -> bool:
        if connection.closed:
            return False
        # A server that has gone has closed its end: there is something to read, the end.
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return not poll.poll(0)

    def _run(self, connection: Connection, sql: str, parameters: Sequence[object]) -> Rows:
        batch = self._batches.get(id(connection))
        if batch is None:
            cursor = connection.execute(sql, parameters or None, binary=bool(parameters))
            return cursor.fetchall() if cursor.description else ()
        if sql == "COMMIT":
            batch.commit()
            del self._batches[id(connection)]
        elif sql == "ROLLBACK":
            del self._batches[id(connection)]
            batch.rollback()
        elif "SAVEPOINT" in sql:
            batch.savepoint(sql)
        else:
            return batch.run(sql, parameters)
        return ()

    def _begin(self, connection: Connection, namespace: str) -> None:
        self._batches[id(connection)] = Batch(connection, lock_key(to_key(namespace)))


def _where(url: Secret) -> str:
    """Name the database without its password.

    Raises:
        StoreUnreachable: The connection string cannot be read; it is not repeated.
    """
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url.reveal_text())
    except Exception:
        parts = None
    if parts is None:
        raise StoreUnreachable(
            "PostgreSQL",
            "the connection string cannot be read",
            "write for example postgresql://role:password@host/database",
        )
    host = parts.get("host") or parts.get("hostaddr") or "the local server"
    return f"PostgreSQL at {host}, database {parts.get('dbname') or parts.get('user') or ''!r}"


def _server(connection: Connection) -> str:
    version = connection.info.server_version
    return f"{version // 10_000}.{version % 10_000}"


def _is_open(connection: Connection) -> bool:
    """Whether others on the network can read what passes."""
    info = connection.info
    is_local = info.host.startswith("/") or info.hostaddr in ("127.0.0.1", "::1", "")
    return not is_local and not info.pgconn.ssl_in_use
