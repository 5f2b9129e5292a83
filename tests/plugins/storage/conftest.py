"""A PostgreSQL server of the tests' own, and the stores that the tests run over."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path

import pytest

from hauberk.ports import Record
from hauberk.secret import Secret
from hauberk.testing import MemoryStores
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.wrapping import Given
from hauberk_plugins.storage.postgres import PostgresStores
from hauberk_plugins.storage.secure_storage import Stores
from hauberk_plugins.storage.sqlite import SQLiteStores

try:
    import psycopg
except ModuleNotFoundError:
    psycopg = None

#: Needs quoting in a connection string, and must be in no error.
PASSWORD = "c4nary/p@ss 'word"
_fresh = count()


class PostgresServer:
    """A server on a Unix socket in a folder of its own, run by somebody who is not root."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.folder = folder
        self._binaries = binaries
        self._as: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
            self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        # A locale that sorts text otherwise than by code points.
        self._run(
            *("initdb", "-D", f"{folder}/data", "--no-sync", "-U", "hauberk", "-E", "UTF8"),
            *("-A", "scram-sha-256", "--pwfile", str(secret)),
            *("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"),
        )
        self.start()

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off"
        log = f"{self.folder}/log"
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """End it; `immediate` as a crash would."""
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-w", "-m", mode, "stop")

    def url(
        self, database: str = "postgres", password: str = PASSWORD, user: str = "hauberk"
    ) -> Secret:
        """Return a connection string."""
        return Secret(
            psycopg.conninfo.make_conninfo(
                host=str(self.folder), user=user, dbname=database, password=password
            )
        )

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        url = self.url(database).reveal_text()
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def fresh(self) -> str:
        """Return the name of a database in which nothing is stored: that of the test before."""
        self.execute("DROP SCHEMA IF EXISTS hauberk CASCADE")
        return "postgres"

    def another(self) -> str:
        """Make a database that the test may set up in its own way; takes longer than `fresh`."""
        name = f"test_{next(_fresh)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as, str(self._binaries / program), *arguments]
        # No pipes: the server would inherit them, and the end of output would not come.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(command, cwd="/", stdout=output, stderr=output, timeout=60)
            output.seek(0)
            assert done.returncode == 0, output.read().decode()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if psycopg is None or not binaries:
        pytest.skip("needs PostgreSQL: apt-get install postgresql, pip install 'hauberk[postgres]'")
    # Not below pytest's folder, which only root may enter.
    folder = Path(tempfile.mkdtemp(prefix="hauberk-"))
    try:
        server = PostgresServer(binaries[-1].parent, folder)
        yield server
        server.stop("immediate")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a SQLite store is, or is to be."""
    return tmp_path / "state" / "store.sqlite"


@pytest.fixture
def sqlite(path: Path) -> Iterator[SQLiteStores]:
    """A SQLite store that waits for nobody for long."""
    with closing(SQLiteStores(path, busy_s=0.2)) as made:
        yield made


@pytest.fixture
def other(path: Path) -> Iterator[SQLiteStores]:
    """Another process's, so to speak: it shares nothing with it but the file."""
    with closing(SQLiteStores(path, busy_s=0.2)) as made:
        yield made


@pytest.fixture
def run() -> Callable[..., str]:
    """Run Python in a process of its own, and return what it prints."""

    def run(code: str, *arguments: object, **environ: str) -> str:
        command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env={**os.environ, **environ}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.fresh()


@pytest.fixture
def own_database(postgres: PostgresServer) -> str:
    return postgres.another()


@pytest.fixture
def connect(postgres: PostgresServer, database: str) -> Iterator[Callable[..., PostgresStores]]:
    """Make a provider as one more process would: it shares nothing but the database."""

    def make(busy_s: float = 5) -> PostgresStores:
        return stack.enter_context(closing(PostgresStores(postgres.url(database), busy_s)))

    with ExitStack() as stack:
        yield make


class ListedStores(MemoryStores):
    """Stores in memory that say which there are."""

    def namespaces(self) -> tuple[str, ...]:
        return tuple(sorted(self.stores))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def make_stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Stores]]:
    """Make a provider of `store` over the same place each time, in which nothing is stored yet."""
    if request.param == "memory":
        yield ListedStores
        return
    url = Secret("")
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.url(server.fresh())

    def make() -> Stores:
        if request.param == "sqlite":
            return stack.enter_context(closing(SQLiteStores(tmp_path / "state" / "store.sqlite")))
        return stack.enter_context(closing(PostgresStores(url, busy_s=5)))

    with ExitStack() as stack:
        yield make


class Attacker:
    """Reads and writes rows behind the back of a store."""

    def __init__(self, stores: Stores, namespace: str) -> None:
        self._stores = stores
        self.namespace = namespace

    def rows(self) -> dict[str, Record]:
        """Return every row as it stands."""
        return dict(self._stores.scoped(self.namespace).scan())

    def write(self, key: str, row: Record | None) -> None:
        """Put a row as it is, its version too, or remove it."""
        if isinstance(self._stores, MemoryStores):
            records = self._stores.scoped(self.namespace)._records
            records.pop(key, None)
            if row is not None:
                records[key] = row
            return
        if isinstance(self._stores, PostgresStores):
            self._write_to_postgres(self._stores, key, row)
            return
        assert isinstance(self._stores, SQLiteStores)
        with closing(sqlite3.connect(self._stores.path, isolation_level=None)) as connection:
            where = (self.namespace.encode(), key.encode())
            connection.execute("DELETE FROM records WHERE namespace = ? AND name = ?", where)
            if row is not None:
                inserted = (*where, row.version, row.value)
                connection.execute("INSERT INTO records VALUES (?, ?, ?, ?)", inserted)

    def _write_to_postgres(self, stores: PostgresStores, key: str, row: Record | None) -> None:
        with psycopg.connect(stores._url.reveal_text()) as connection:
            where = (self.namespace.encode(), key.encode())
            connection.execute(
                "DELETE FROM hauberk.records WHERE namespace = %s AND name = %s", where
            )
            if row is not None:
                connection.execute(
                    "INSERT INTO hauberk.records (namespace, name, version, value) "
                    "VALUES (%s, %s, %s, %s)",
                    (*where, row.version, row.value),
                )

    def put_back(self, rows: dict[str, Record]) -> None:
        """Have everything stand as it did."""
        for key in self.rows().keys() | rows.keys():
            self.write(key, rows.get(key))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    """A provider of `store` that an attacker can write to."""
    if request.param == "memory":
        yield ListedStores()
        return
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        with closing(PostgresStores(server.url(server.fresh()), busy_s=5)) as reached:
            yield reached
        return
    with closing(SQLiteStores(tmp_path / "state" / "store.sqlite", busy_s=30)) as made:
        yield made


@pytest.fixture
def encryption(tmp_path: Path) -> DataEncryption:
    """What really seals."""
    folder = tmp_path / "keys"
    folder.mkdir(0o700)
    return DataEncryption(KeyRing(folder, Given(Secret(bytes(32)))))


@pytest.fixture
def attacker(stores: Stores) -> Attacker:
    """Whoever has the store, at the sealed records of the plugin `one`."""
    return Attacker(stores, "sealed/one")
