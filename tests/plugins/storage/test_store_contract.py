"""Every store keeps the same contract, sealed or not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hauberk.ports import Scoped
from hauberk.testing import MemoryVault
from hauberk.testing.storecontract import STORE_RULES, StoreRule, check_store
from hauberk_plugins.storage.secure_storage import SecureStorage, Stores


@pytest.fixture(params=["bare", "sealed"])
def make(request: pytest.FixtureRequest, make_stores: Callable[[], Stores]) -> Callable[[], Scoped]:
    if request.param == "bare":
        return make_stores
    return lambda: SecureStorage(make_stores(), MemoryVault())


@pytest.mark.parametrize("rule", STORE_RULES, ids=lambda rule: rule.__name__)
def test_it_keeps_the_contract_of_a_store(rule: StoreRule, make: Callable[[], Scoped]) -> None:
    check_store(make, [rule])
