"""Random lives of stores, sealed and not, beside a dict that lives the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

import pytest
from hypothesis import given

from hauberk.testing import MemoryStores, MemoryVault
from hauberk.testing.storecontract.machine import live, lives
from hauberk_plugins.storage.secure_storage import SecureStorage
from hauberk_plugins.storage.sqlite import SQLiteStores

_fresh = count()


@pytest.fixture(params=["memory", "sqlite", "sealed memory", "sealed sqlite"], scope="module")
def stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """One provider for all lives; each has a namespace of its own."""
    file = tmp_path_factory.mktemp("store") / "state" / "store.sqlite"
    with closing(SQLiteStores(file)) as sqlite:
        bare = sqlite if "sqlite" in request.param else MemoryStores()
        yield SecureStorage(bare, MemoryVault()) if "sealed" in request.param else bare


@given(life=lives())
def test_a_store_lives_like_a_dict(stores: Any, life: list[Any]) -> None:
    live(stores.scoped(f"life_{next(_fresh)}"), life)
