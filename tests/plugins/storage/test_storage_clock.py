"""A clock that was set back is seen by what the store has from before."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hauberk.command import FAIL, WARN, Check
from hauberk.testing import MemoryVault
from hauberk_plugins.storage.claim import Claim
from hauberk_plugins.storage.doctor import look
from hauberk_plugins.storage.postgres import PostgresStores
from hauberk_plugins.storage.sqlite import SQLiteStores

NOW_S = 1_700_000_000


def found(stores: Any, wall_s: int) -> dict[str, Check]:
    claim = Claim(stores, MemoryVault(), "sealed/")
    return {check.what: check for check in look(stores, claim, wall_s * 10**9)}


@pytest.mark.parametrize(("ahead_s", "is_said"), [(-86_400, False), (50, False), (70, True)])
def test_a_file_from_the_future_is_said(
    sqlite: SQLiteStores, path: Path, ahead_s: int, is_said: bool
) -> None:
    assert "the clock" not in found(sqlite, 0)  # nothing was stored yet
    sqlite.scoped("one").put("a", b"")
    os.utime(path, (NOW_S + ahead_s, NOW_S + ahead_s))
    checks = found(sqlite, NOW_S)
    assert ("the clock" in checks) is is_said
    if is_said:
        check = checks["the clock"]
        assert check.status == WARN
        assert check.found == (
            f"it shows 2023-11-14T22:13:20Z, and {path} was in use at 2023-11-14T22:14:30Z"
        )
        assert "NTP" in check.remedy


def test_a_server_that_is_ahead_is_said(postgres: Any, database: str) -> None:
    with closing(PostgresStores(postgres.url(database), 5)) as stores:
        assert stores.time_ns() is None
        stores.scoped("one").put("a", b"")
        server_ns = stores.time_ns()
        assert server_ns is not None
        server_s = server_ns // 10**9
        assert "the clock" not in found(stores, server_s)
        assert found(stores, server_s - 3_600)["the clock"].status == WARN


def test_of_a_store_that_cannot_be_used_nothing_more_is_said(
    sqlite: SQLiteStores, path: Path
) -> None:
    sqlite.scoped("one").put("a", b"")
    path.write_bytes(b"x" * 5_000)
    checks = found(sqlite, 0)
    assert checks["the store"].status == FAIL
    assert set(checks) == {"the store", "the store's journal"}
