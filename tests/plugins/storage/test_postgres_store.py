"""Records in PostgreSQL: what may stand there, and a password that nothing shows."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from hauberk.errors import StoreError
from hauberk.ports import Record
from hauberk.secret import Secret
from hauberk_plugins.storage import postgres as module
from hauberk_plugins.storage.errors import (
    StoreForeign,
    StoreMisused,
    StoreReadOnly,
    StoreTooRecent,
    StoreUnreachable,
)
from hauberk_plugins.storage.postgres import PostgresStores

if TYPE_CHECKING:
    from tests.plugins.storage.conftest import PostgresServer

PASSWORD = "c4nary"


@pytest.fixture
def stores(connect: Callable[..., PostgresStores]) -> PostgresStores:
    return connect()


def test_reading_makes_nothing(
    stores: PostgresStores, postgres: PostgresServer, database: str
) -> None:
    store = stores.scoped("one")
    assert store.get("a") is None
    assert list(store.scan()) == []
    store.delete("a")
    assert stores.namespaces() == ()
    assert "nothing was stored yet" in stores.checks()[0].found
    assert postgres.execute("SELECT to_regnamespace('hauberk')", database) == [(None,)]


def test_processes_that_make_it_at_once_make_one(connect: Callable[..., PostgresStores]) -> None:
    several = [connect() for _ in range(4)]
    failures: list[BaseException] = []

    def put(stores: PostgresStores, name: str) -> None:
        try:
            stores.scoped("one").put(name, b"1")
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=put, args=(stores, f"{number}"))
        for number, stores in enumerate(several)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [name for name, _ in several[0].scoped("one").scan()] == ["0", "1", "2", "3"]


def test_a_schema_that_was_made_for_the_role_is_used(
    stores: PostgresStores, postgres: PostgresServer, database: str
) -> None:
    postgres.execute("CREATE SCHEMA hauberk", database)
    assert stores.scoped("one").get("a") is None
    assert stores.scoped("one").put("a", b"1") == 1


def test_somebody_elses_schema_is_left_as_it_is(
    stores: PostgresStores, postgres: PostgresServer, database: str
) -> None:
    postgres.execute("CREATE SCHEMA hauberk", database)
    postgres.execute("CREATE TABLE hauberk.records (name text)", database)
    for call in (lambda: stores.scoped("one").get("a"), lambda: stores.scoped("one").put("a", b"")):
        with pytest.raises(StoreForeign, match="is not Hauberk's; use another database"):
            call()


def test_a_later_versions_store_is_left_as_it_is(
    connect: Callable[..., PostgresStores], postgres: PostgresServer, database: str
) -> None:
    connect().scoped("one").put("a", b"1")
    postgres.execute("UPDATE hauberk.format SET version = 2", database)
    with pytest.raises(StoreTooRecent, match="use the version of Hauberk that made it"):
        connect().scoped("one").put("a", b"2")


def test_a_server_that_is_too_old_is_said(
    stores: PostgresStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAST_SERVER", 990_000)
    with pytest.raises(StoreForeign, match="is too old; use 12 or later"):
        stores.scoped("one").get("a")


def test_a_role_that_may_not_write_is_told_what_it_needs(
    stores: PostgresStores, postgres: PostgresServer, database: str
) -> None:
    stores.scoped("one").put("a", b"1")
    for statement in (
        "CREATE ROLE reader LOGIN PASSWORD 'reader'",
        "GRANT USAGE ON SCHEMA hauberk TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA hauberk TO reader",
    ):
        postgres.execute(statement, database)
    url = postgres.url(database, "reader", user="reader")
    with closing(PostgresStores(url, 5)) as reader:
        assert reader.scoped("one").get("a") == Record(b"1", 1)
        with pytest.raises(StoreReadOnly, match=r"the role may not \(42501\); grant it the schema"):
            reader.scoped("one").put("a", b"2")


def test_a_primary_that_became_a_standby_is_said(stores: PostgresStores) -> None:
    store = stores.scoped("one")
    store.put("a", b"1")
    loan = stores._pool.take(making=False)
    assert loan.connection is not None
    loan.connection.execute("SET default_transaction_read_only = on")
    stores._pool.give(loan)
    with pytest.raises(StoreReadOnly, match="the server takes no writes"):
        store.put("a", b"2")


def test_every_commit_is_forced_to_the_disk_whatever_the_database_says(
    postgres: PostgresServer, own_database: str
) -> None:
    for said, done in (("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")):
        postgres.execute(f"ALTER DATABASE {own_database} SET synchronous_commit = {said}")
        with closing(PostgresStores(postgres.url(own_database), 5)) as stores:
            stores.scoped("one").put("a", b"1")
            assert stores.read("SHOW synchronous_commit", ()) == [(done,)]


def test_nothing_of_a_foreign_search_path_is_called(
    postgres: PostgresServer, own_database: str
) -> None:
    postgres.execute(
        "CREATE FUNCTION public.sha256(bytea) RETURNS bytea LANGUAGE sql IMMUTABLE "
        "AS 'SELECT ''same''::bytea'",
        own_database,
    )
    postgres.execute(f"ALTER DATABASE {own_database} SET search_path = public, pg_catalog")
    with closing(PostgresStores(postgres.url(own_database), 5)) as stores:
        stores.scoped("one").put("a", b"1")
        stores.scoped("one").put("b", b"2")
        assert stores.scoped("one").get("a") == Record(b"1", 1)


def test_the_database_sorts_text_otherwise_than_the_store(postgres: PostgresServer) -> None:
    """Or the contract's rule about code points would hold here by chance."""
    found = postgres.execute("SELECT n FROM (VALUES ('Z'), ('a')) AS t(n) ORDER BY n")
    assert found == [("a",), ("Z",)]


def shown(error: BaseException) -> str:
    """All that a person could be shown of an error, with what every frame but the test's holds."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][1:]
    held = [repr(value) for frame in frames for value in frame.f_locals.values()]
    return "".join([*traceback.format_exception(error), repr(vars(error)), *held])


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://bot:{PASSWORD}@/db?host=/nowhere",
        f"postgresql://bot:{PASSWORD}@127.0.0.1:1/db?connect_timeout=2",
        f"postgresql://bot:{PASSWORD}@host:{PASSWORD}/db",
        f"postgresql://bot:{PASSWORD}%zz@host/db",
        f"host=/nowhere pasword={PASSWORD}",
        f"host=/nowhere password='{PASSWORD}",
        f"{PASSWORD}",
        f"postgresql://{PASSWORD}\udcff@host/db".encode("utf-8", "surrogateescape"),
    ],
)
def test_no_error_shows_the_password(url: str | bytes) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError) as caught:
        PostgresStores(Secret(url), 0.1).scoped("one").get("a")
    assert isinstance(caught.value, StoreUnreachable)
    assert PASSWORD not in shown(caught.value)
    assert caught.value.__context__ is None


def test_a_wrong_password_is_said_and_not_shown(postgres: PostgresServer) -> None:
    url = postgres.url(password=PASSWORD)
    with pytest.raises(StoreUnreachable) as caught:
        PostgresStores(url, 5).scoped("one").get("a")
    assert PASSWORD not in shown(caught.value)
    assert str(caught.value).startswith(f"PostgreSQL at {postgres.folder}, database 'postgres': ")


def test_no_repr_shows_the_password(stores: PostgresStores) -> None:
    stores.scoped("one").put("a", b"1")
    everything = [repr(value) for value in (stores, vars(stores), vars(stores._pool))]
    assert "c4nary" not in "".join(everything)
    assert "c4nary" not in stores.where + stores.checks()[0].found


def test_doctor_warns_of_a_connection_that_others_can_read(
    stores: PostgresStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.scoped("one").put("a", b"1")
    assert [check.status for check in stores.checks()] == ["ok"]
    monkeypatch.setattr(module, "_is_open", lambda connection: True)
    check = stores.checks()[0]
    assert (check.status, check.remedy) == (
        "warn",
        "add sslmode=verify-full to the connection string",
    )


def test_doctor_says_that_the_server_is_away() -> None:
    pytest.importorskip("psycopg")
    stores = PostgresStores(Secret("host=/nowhere dbname=x"), 0.1)
    assert [check.status for check in stores.checks()] == ["fail"]


def test_without_psycopg_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "psycopg", None)
    with pytest.raises(StoreUnreachable, match=r"pip install 'hauberk\[postgres\]'"):
        PostgresStores(Secret(""), 5)


def test_a_closed_one_is_refused(stores: PostgresStores) -> None:
    stores.close()
    with pytest.raises(StoreMisused, match="it was closed"):
        stores.scoped("one").get("a")
