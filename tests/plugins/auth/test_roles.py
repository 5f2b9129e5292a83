from __future__ import annotations

import re
from pathlib import Path

import pytest

from hauberk_plugins.auth import commands, session_commands, token_commands
from hauberk_plugins.auth.errors import UnknownRole
from hauberk_plugins.auth.parts import ADMIN
from hauberk_plugins.auth.roles import (
    CAPABILITIES,
    FOR_BOTS,
    NO_ROLE_HAS,
    ROLES,
    check_for_bot,
    check_role,
    holds,
    who_holds,
)
from hauberk_plugins.auth.session_errors import UnknownCapability

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "roles.md"


def test_there_are_four_roles_and_each_has_what_a_viewer_has() -> None:
    assert tuple(ROLES) == ("viewer", "trader", "operator", ADMIN)
    assert all(ROLES["viewer"] <= held for held in ROLES.values())


def test_every_capability_that_a_role_has_is_one() -> None:
    for held in ROLES.values():
        assert held <= CAPABILITIES.keys()
    assert NO_ROLE_HAS | set(FOR_BOTS) <= CAPABILITIES.keys()


def test_every_capability_that_a_command_of_this_plugin_needs_is_one() -> None:
    for module in (commands, session_commands, token_commands):
        for command in module.COMMANDS:
            assert command.capability in {"", *CAPABILITIES}, command.name


def test_an_admin_has_everything_but_what_moves_funds_out() -> None:
    assert ROLES[ADMIN] == CAPABILITIES.keys() - {"transfer", "withdraw"}


@pytest.mark.parametrize("capability", ["transfer", "withdraw"])
def test_no_role_moves_funds_out(capability: str) -> None:
    assert who_holds(capability) == ()
    assert not holds(tuple(ROLES), capability)


@pytest.mark.parametrize(
    "capability", ["vault.read", "vault.write", "user.write", "config.write", "token.write"]
)
def test_what_gives_rights_or_keys_is_an_admins_alone(capability: str) -> None:
    assert who_holds(capability) == (ADMIN,)


def test_whoever_trades_may_stop_and_may_not_lift_it() -> None:
    assert holds(("trader",), "halt")
    assert not holds(("trader",), "resume")


def test_one_of_several_roles_is_enough() -> None:
    assert holds(("viewer", "operator"), "resume")


@pytest.mark.parametrize("capability", ["", "vault", "vault.read.all", "quiet.write", "READ"])
def test_a_capability_that_is_not_known_is_an_admins_alone(capability: str) -> None:
    assert not holds(("viewer", "trader", "operator"), capability)
    assert holds((ADMIN,), capability)


def test_a_role_that_is_not_known_has_nothing() -> None:
    assert not any(holds(("root", "", "Admin"), capability) for capability in CAPABILITIES)


def test_an_unknown_role_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownRole, match=r"'oprator'.*viewer, trader.*did you mean 'operator'"):
        check_role("oprator")
    with pytest.raises(UnknownRole) as caught:
        check_role("x" * 10_000)
    assert len(str(caught.value)) < 200
    assert check_role("operator") == "operator"


def test_an_unknown_capability_of_a_bot_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownCapability, match="did you mean 'trade'"):
        check_for_bot("trad")
    for capability in ("vault.read", "user.write", "resume", "admin"):
        with pytest.raises(UnknownCapability):
            check_for_bot(capability)


def test_the_table_of_the_reference_is_what_holds() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    table = {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}
    assert list(table) == list(CAPABILITIES)
    for name, (meaning, *marks, bots) in table.items():
        assert meaning == CAPABILITIES[name]
        assert marks == ["yes" if holds((role,), name) else "" for role in ROLES], name
        assert bots == ("yes" if name in FOR_BOTS else ""), name
