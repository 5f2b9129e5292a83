from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.accounts import DEFAULT_ALLOW
from hauberk.request import Operation
from hauberk_plugins.policy.capabilities import NEEDS, objection


@pytest.mark.parametrize("operation", ["read", "trade", "reduce", "cancel", "public"])
def test_by_default_an_account_reads_trades_and_cancels(operation: str) -> None:
    assert objection("main", DEFAULT_ALLOW, Operation(operation)) == ""


@pytest.mark.parametrize("operation", ["transfer", "withdraw", "admin"])
def test_by_default_an_account_moves_neither_funds_nor_rights(operation: str) -> None:
    why = objection("main", DEFAULT_ALLOW, Operation(operation))
    assert f"account 'main' lacks the capability '{operation}'" in why
    assert "it has: read, trade, cancel" in why


def test_an_order_that_only_reduces_needs_the_capability_to_trade() -> None:
    why = objection("main", (Operation.READ,), Operation.REDUCE)
    assert "lacks the capability 'trade', which 'reduce' needs" in why


def test_an_account_without_capabilities_may_do_what_is_public() -> None:
    assert objection("main", (), Operation.PUBLIC) == ""
    assert "it has: none" in objection("main", (), Operation.READ)


@given(st.sets(st.sampled_from(Operation)))
def test_what_is_unknown_nobody_may_do_whatever_is_allowed(allow: set[Operation]) -> None:
    assert objection("main", allow, Operation.UNKNOWN)


@given(st.sets(st.sampled_from(Operation)), st.sampled_from(Operation))
def test_nothing_is_permitted_but_what_is_public_or_allowed(
    allow: set[Operation], operation: Operation
) -> None:
    permitted = not objection("main", allow, operation)
    needed = NEEDS.get(operation, Operation.UNKNOWN)
    assert permitted == (operation in NEEDS and (needed is None or needed in allow))


def test_every_operation_but_unknown_has_a_line() -> None:
    assert set(Operation) - set(NEEDS) == {Operation.UNKNOWN}
