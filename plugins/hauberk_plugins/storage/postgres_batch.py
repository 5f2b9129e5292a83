"""A transaction that takes as few turns with the server as it can.

From its first statement on it has its namespace for itself, so what it has read stands until it
writes there itself, and the outcome of a write to such a record is known without asking. Such a
write waits, and goes to the server with the next statement that has to be asked, or with the
commit. That the outcome was as foreseen is checked there, before anything is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from hauberk_plugins.storage.postgres_sql import DROP, GET_PAIR, SET, SQL

if TYPE_CHECKING:
    from hauberk_plugins.storage.sql import Rows

#: How many writes may wait.
WAITING: Final = 64
#: Of each statement that writes, where its parameters have the name, and what it expects there.
_NAME: Final = {SQL.put: 1, SQL.create: 1, SQL.replace: 2, SQL.delete: 1, SQL.delete_at: 1}
_EXPECTED: Final[dict[str, Callable[[Sequence[Any], int], bool]]] = {
    SQL.put: lambda _, __: True,
    SQL.create: lambda _, stands: stands == 0,
    SQL.replace: lambda given, stands: given[3] == stands,
    SQL.delete: lambda _, stands: stands > 0,
    SQL.delete_at: lambda given, stands: given[2] == stands,
}
_REMOVES: Final = (SQL.delete, SQL.delete_at)


class Batch:
    """One transaction.

    Args:
        connection: A connection of psycopg, in autocommit mode.
        lock: What the advisory lock of the namespace goes by.
    """

    def __init__(self, connection: Any, lock: int) -> None:
        self._connection = connection
        self._lock = lock
        self._is_begun = False
        self._waiting: list[tuple[str, Sequence[object]]] = []
        #: The versions that stand, by the digest of the name; 0 for none.
        self._stands: dict[bytes, int] = {}
        self._at_savepoints: list[dict[bytes, int]] = []

    def run(self, sql: str, parameters: Sequence[Any]) -> Rows:
        """Run a statement, or have it wait; return its rows."""
        digest = _digest(parameters[_NAME[sql]]) if sql in _NAME else b""
        if digest in self._stands and len(self._waiting) < WAITING:
            return self._foreseen(sql, parameters, digest)
        rows = self._asked(sql, parameters)
        if digest:
            self._stands.pop(digest, None)
        elif sql == SQL.get:
            self._stands[_digest(parameters[1])] = rows[0][0] if rows else 0
        elif sql in (SQL.get_many, GET_PAIR):
            digests = parameters[1] if sql == SQL.get_many else parameters[1:]
            self._stands.update(dict.fromkeys(digests, 0))
            self._stands.update((_digest(name), version) for name, version, _ in rows)
        return rows

    def savepoint(self, sql: str) -> None:
        """Run a `SAVEPOINT`, a `RELEASE SAVEPOINT` or a `ROLLBACK TO SAVEPOINT`."""
        if sql.startswith("SAVEPOINT"):
            self._at_savepoints.append(dict(self._stands))
            self._asked(sql, ())
            return
        before = self._at_savepoints.pop()
        if sql.startswith("ROLLBACK"):
            self._waiting.clear()
            self._stands = before
        self._asked(sql, ())

    def commit(self) -> None:
        """Keep everything."""
        if self._is_begun:
            self._waiting.append(("COMMIT", ()))
            self._send()

    def rollback(self) -> None:
        """Keep nothing."""
        self._waiting.clear()
        if self._is_begun:
            self._asked("ROLLBACK", ())

    def _foreseen(self, sql: str, parameters: Sequence[Any], digest: bytes) -> Rows:
        stands = self._stands[digest]
        if not _EXPECTED[sql](parameters, stands):
            return ()
        if sql in _REMOVES:
            namespace, name = parameters[:2]
            self._waiting.append((DROP, (namespace, name, stands)))
            self._stands[digest] = 0
            return ((stands,),)
        value, namespace, name = _set_by(sql, parameters)
        self._waiting.append((SET, (namespace, name, value, stands + 1)))
        self._stands[digest] = stands + 1
        return ((stands + 1,),)

    def _asked(self, sql: str, parameters: Sequence[object]) -> Rows:
        """Run a statement after what waits, and wait for its answer."""
        if not self._is_begun:
            return self._first(sql, parameters)
        self._send()
        # Not with what waited: after a pipeline, the server (15) does not end who stands still.
        cursor = self._connection.execute(sql, parameters or None, binary=bool(parameters))
        rows: Rows = cursor.fetchall() if cursor.description else ()
        return rows

    def _first(self, sql: str, parameters: Sequence[object]) -> Rows:
        """Begin, lock the namespace and run a statement, all in one text."""
        from psycopg import ClientCursor  # which puts parameters into the text, as several need

        self._is_begun = True
        cursor = ClientCursor(self._connection)
        text = f"BEGIN; SELECT pg_advisory_xact_lock({self._lock}); {sql}"
        cursor.execute(text, parameters or None)
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else ()

    def _send(self) -> None:
        """Send what waits, all at once."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            with self._connection.pipeline():
                for sql, parameters in waiting:
                    self._connection.execute(sql, parameters or None, binary=bool(parameters))


def _set_by(sql: str, parameters: Sequence[Any]) -> tuple[bytes, bytes, bytes]:
    """Return value, namespace and name of what a statement writes."""
    if sql == SQL.replace:
        value, namespace, name, _ = parameters
    else:
        namespace, name, value = parameters
    return value, namespace, name


def _digest(name: bytes) -> bytes:
    return sha256(name).digest()
