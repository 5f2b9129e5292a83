"""Records in a database: all that SQLite and PostgreSQL have in common.

A write outside a transaction is one statement, and so is every read: each is of one moment, and
whole, by itself. A transaction is its thread's: what that thread does in the same namespace
meanwhile is part of it.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

from attrs import define, field, frozen

from hauberk.command import Check
from hauberk.errors import StoreError
from hauberk_plugins.storage.errors import StoreMisused
from hauberk_plugins.storage.pool import Pool
from hauberk_plugins.storage.sqlstore import SqlStore

_C = TypeVar("_C")
Rows: TypeAlias = Sequence[tuple[Any, ...]]


@frozen
class Statements:
    """A database's SQL. Parameters stand in the order of the text; names are bytes.

    Attributes:
        get: namespace, name; gives version, value.
        get_many: namespace, names; gives name, version, value.
        put: namespace, name, value; gives the version written.
        create: namespace, name, value; gives the version written, or nothing if one stands there.
        replace: value, namespace, name, version; gives the version written, or nothing.
        delete: namespace, name; gives the version removed, if any.
        delete_at: namespace, name, version; the same.
        scan: namespace; gives name, version, value, in the order of the names.
        scan_from: namespace, first name, name after the last; the same.
        namespaces: Gives each that has a record.
    """

    get: str
    get_many: str
    put: str
    create: str
    replace: str
    delete: str
    delete_at: str
    scan: str
    scan_from: str
    namespaces: str


@define(eq=False)
class Scope(Generic[_C]):
    """One `with` block of a transaction.

    Attributes:
        namespace: Whose records.
        connection: What it runs on.
        outer: The block that this one is part of.
        failed: What went wrong in it, after which nothing of the transaction may be kept.
        is_over: Whether it has ended.
    """

    namespace: str
    connection: _C
    outer: Scope[_C] | None = None
    failed: StoreError | None = None
    is_over: bool = False
    depth: int = 0
    pid: int = field(factory=os.getpid)
    thread: int = field(factory=threading.get_ident)


class SqlStores(ABC, Generic[_C]):
    """The provider of `store` over one database.

    Args:
        where: The database, for errors; holds no password.
        sql: Its statements.
    """

    #: Everything that the driver raises.
    driver_error: type[Exception]

    def __init__(self, where: str, sql: Statements, fork_wait_s: float | None) -> None:
        self.where = where
        self.sql = sql
        self._pool: Pool[_C] = Pool(
            self._connect, self._disconnect, self._is_usable, where, fork_wait_s
        )
        self._local = threading.local()

    def scoped(self, plugin: str) -> SqlStore[_C]:
        """Return the store of a plugin, which sees nothing of another's."""
        return SqlStore(self, plugin)

    def namespaces(self) -> tuple[str, ...]:
        """Return each namespace that has a record, sorted.

        Raises:
            StoreError: They cannot be read.
        """
        return tuple(sorted(bytes(row[0]).decode() for row in self.read(self.sql.namespaces, ())))

    def close(self) -> None:
        """Close the connections; calls under way end first, later ones are refused."""
        self._pool.close()

    @abstractmethod
    def checks(self) -> list[Check]:
        """Say what `hauberk doctor` should tell of it."""

    @abstractmethod
    def time_ns(self) -> int | None:
        """Return a time, ns since the epoch, that has been for sure; `None` if none is known.

        Raises:
            StoreError: The store cannot be read.
        """

    @abstractmethod
    def back_up(self, path: Path, told: Callable[[int], object]) -> bool:
        """Write every record into a file; see `hauberk.ports.BackedUp`."""

    @abstractmethod
    def put_back(self, path: Path, staying: Collection[str] = ()) -> None:
        """Have the records of such a file stand; see `hauberk.ports.BackedUp`."""

    @abstractmethod
    def _connect(self, making: bool) -> _C | None:
        """Open a connection; `None` where there is no store, and none was to be made."""

    @abstractmethod
    def _disconnect(self, connection: _C) -> None:
        """Close a connection."""

    @abstractmethod
    def _is_usable(self, connection: _C) -> bool:
        """Whether one that was kept still leads where it should."""

    @abstractmethod
    def _run(self, connection: _C, sql: str, parameters: Sequence[object]) -> Rows:
        """Run one statement and return its rows."""

    @abstractmethod
    def _begin(self, connection: _C, namespace: str) -> None:
        """Begin a transaction in which nobody else writes to the namespace."""

    @abstractmethod
    def translated(self, error: Exception) -> StoreError:
        """Return what an error of the driver is to the caller."""

    @abstractmethod
    def many(self, namespace: bytes, keys: Sequence[bytes]) -> tuple[str, Sequence[object]]:
        """Return the statement that reads several records at once, and its parameters."""

    @abstractmethod
    def bounds(self, namespace: bytes, first: bytes, end: bytes) -> Sequence[object]:
        """Return the parameters of `scan_from`."""

    def read(self, sql: str, parameters: Sequence[object]) -> Rows:
        """Run a statement that only reads; where there is no store yet, it finds nothing."""
        scope = self._scope()
        if scope is not None:
            return self._inside(scope, sql, parameters)
        return self._alone(sql, parameters, making=False)

    def write(self, namespace: str, sql: str, parameters: Sequence[object], making: bool) -> Rows:
        """Run a statement that writes: by itself, or as part of this thread's transaction.

        Args:
            namespace: Whose records it writes.
            sql: The statement.
            parameters: Its parameters.
            making: Whether to make the store where there is none; else, there is nothing to do.
        """
        scope = self._scope()
        if scope is None:
            return self._alone(sql, parameters, making)
        if scope.namespace != namespace:
            self._refuse_other(scope)
        return self._inside(scope, sql, parameters)

    @contextmanager
    def transaction(self, namespace: str) -> Iterator[Scope[_C]]:
        """All or nothing. Within another of the same thread, a part of that one."""
        outer = self._scope()
        if outer is not None:
            if outer.namespace != namespace:
                self._refuse_other(outer)
            with self._savepoint(outer) as scope:
                yield scope
            return
        loan = self._pool.take(making=True)
        connection = loan.connection
        is_clean = False
        try:
            if connection is None:
                raise StoreMisused(self.where, "it could not be made", "try again")
            scope = Scope(namespace, connection)
            self._guarded(scope, self._begin, connection, namespace)
            self._local.scope = scope
            try:
                yield scope
                self._check(scope)
                self._guarded(scope, self._run, connection, "COMMIT", ())
                is_clean = True
            finally:
                scope.is_over = True
                self._local.scope = None
                if not is_clean and scope.pid == os.getpid():
                    is_clean = self._undone(connection)
        finally:
            (self._pool.give if is_clean else self._pool.drop)(loan)

    @contextmanager
    def _savepoint(self, outer: Scope[_C]) -> Iterator[Scope[_C]]:
        self._check(outer)
        scope = Scope(outer.namespace, outer.connection, outer, depth=outer.depth + 1)
        name = f"hauberk_{scope.depth}"
        self._inside(outer, f"SAVEPOINT {name}", ())
        self._local.scope = scope
        try:
            yield scope
            self._check(scope)
        except BaseException:
            if scope.failed is None and scope.pid == os.getpid():
                self._inside(scope, f"ROLLBACK TO SAVEPOINT {name}", ())
            raise
        finally:
            scope.is_over = True
            self._local.scope = outer
            outer.failed = outer.failed or scope.failed
        self._inside(outer, f"RELEASE SAVEPOINT {name}", ())

    def check_usable(self, scope: Scope[_C]) -> None:
        """Refuse what is done through a transaction that has ended, or by another thread."""
        if scope.is_over:
            raise StoreMisused(self.where, "the transaction has ended", "begin another")
        if scope.thread != threading.get_ident():
            raise StoreMisused(
                self.where, "the transaction is another thread's", "begin one in this thread"
            )

    def _alone(self, sql: str, parameters: Sequence[object], making: bool) -> Rows:
        loan = self._pool.take(making)
        connection = loan.connection
        try:
            rows: Rows = () if connection is None else self._run(connection, sql, parameters)
            self._pool.give(loan)
            return rows
        except self.driver_error as error:
            self._pool.drop(loan)
            failure = self.translated(error)
        except BaseException:
            self._pool.drop(loan)
            raise
        # Raised here, so that what the driver says is not even the context of it.
        raise failure

    def _inside(self, scope: Scope[_C], sql: str, parameters: Sequence[object]) -> Rows:
        self._check(scope)
        rows: Rows = self._guarded(scope, self._run, scope.connection, sql, parameters)
        return rows

    def _guarded(self, scope: Scope[_C], run: Any, *arguments: object) -> Any:
        """Run something of a transaction; if the driver fails, all of it has failed."""
        try:
            return run(*arguments)
        except self.driver_error as error:
            failure = self.translated(error)
        scope.failed = failure
        raise failure

    def _undone(self, connection: _C) -> bool:
        """Roll back; whether the connection may be used again."""
        with suppress(Exception):  # a connection that is lost has rolled back by itself
            self._run(connection, "ROLLBACK", ())
            return True
        return False

    def _scope(self) -> Scope[_C] | None:
        """This thread's transaction."""
        scope: Scope[_C] | None = getattr(self._local, "scope", None)
        return scope

    def _check(self, scope: Scope[_C]) -> None:
        if scope.pid != os.getpid():
            raise StoreMisused(
                self.where,
                "this process was forked within a transaction, which is its parent's",
                "begin the child outside of it",
            )
        if scope.failed is not None:
            raise StoreMisused(
                self.where,
                f"the transaction has failed already ({scope.failed})",
                "nothing of it is kept: leave it, and begin another",
            )

    def _refuse_other(self, scope: Scope[_C]) -> NoReturn:
        raise StoreMisused(
            self.where,
            f"this thread is in the middle of a transaction of {scope.namespace!r}",
            "write when it has ended",
        )
