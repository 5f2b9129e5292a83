from __future__ import annotations

import pytest

from hauberk import Denied, Operation, Request
from hauberk.accounts import Account
from hauberk.testing import DEFAULT_URL, GuardFactory, check_plugin
from hauberk_plugins.policy.plugin import PolicyPlugin

BASE = "https://api.open.test"


def test_it_keeps_the_contract() -> None:
    check_plugin(PolicyPlugin, examples=5)


def test_an_order_passes_and_a_withdrawal_does_not(guard: GuardFactory) -> None:
    made = guard(PolicyPlugin())
    made.clear(Request("POST", DEFAULT_URL))
    with pytest.raises(Denied, match=r"'main' lacks the capability 'withdraw'") as caught:
        made.clear(Request("POST", f"{BASE}/withdraw/apply"))
    assert caught.value.plugin == "policyplugin"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "HEAD"])
def test_an_endpoint_that_the_map_does_not_know_is_denied_whatever_its_method(
    guard: GuardFactory, method: str
) -> None:
    accounts = {"main": Account("open", allow=tuple(Operation))}
    made = guard(PolicyPlugin(), accounts=accounts)
    with pytest.raises(Denied, match=f"venue 'open' does not know {method} /nowhere/at-all"):
        made.clear(Request(method, f"{BASE}/nowhere/at-all"))


def test_each_account_has_capabilities_of_its_own(guard: GuardFactory) -> None:
    reader = Account("open", allow=(Operation.READ,))
    made = guard(PolicyPlugin(), accounts={"main": Account("open"), "reader": reader})
    made.clear(Request("POST", DEFAULT_URL, account="main"))
    with pytest.raises(Denied, match="account 'reader' lacks the capability 'trade'"):
        made.clear(Request("POST", DEFAULT_URL, account="reader"))


def test_a_disabled_account_is_denied_everything_at_once(guard: GuardFactory) -> None:
    off = Account("open", disabled=True)
    made = guard(PolicyPlugin(), accounts={"main": Account("open"), "off": off})
    made.clear(Request("POST", DEFAULT_URL, account="main"))
    for path in ("public/time", "read/account", "cancel/order"):
        with pytest.raises(Denied, match=r"account 'off' is disabled in hauberk\.yml"):
            made.clear(Request("GET", f"{BASE}/{path}", account="off"))
