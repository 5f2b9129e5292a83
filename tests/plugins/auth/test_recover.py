"""The way back for the only admin who lost the password, or the phone and the recovery codes.

The owner of the state folder has it and nobody else, and not in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.plugins.auth.shell import OTHER, PASSWORD, Shell, add
from tests.plugins.auth.test_auth_plugin import TOKEN, Made

from hauberk import Secret
from hauberk_plugins.auth.errors import NoSuchUser, NotAnAdmin, WeakPassword
from hauberk_plugins.auth.recover_command import COMMANDS


@pytest.fixture
def lost(shell: Shell) -> Shell:
    """Bob is logged in, and the password of the admin is lost."""
    add(shell, "alice", "admin")
    shell.piped("login alice", f"{PASSWORD}\n")
    add(shell, "bob", "trader")
    shell.piped("login bob", f"{PASSWORD}\n")
    assert shell.piped("user passwd alice", f"{OTHER}\n").status == 1
    return shell


def test_the_owner_of_the_state_folder_gives_the_admin_another_password(lost: Shell) -> None:
    ran = lost.piped("user recover ALICE --yes --json", f"{OTHER}\n")
    assert ran.status == 0
    assert (ran.document["user"], ran.document["sessions_ended"]) == ("alice", 1)
    assert lost.piped("whoami").status == 1, "every session ended"
    assert lost.piped("login alice", f"{PASSWORD}\n").status == 1
    assert lost.piped("login alice", f"{OTHER}\n").status == 0
    assert lost.piped("user passwd bob", f"{OTHER} too\n").status == 0, "an admin again"


def test_nobody_else_does_whatever_role_their_session_has(
    lost: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost.piped("login alice", f"{PASSWORD}\n")
    with monkeypatch.context() as patched:
        patched.setattr("hauberk_plugins.auth.entry.owner_of", lambda _: None)
        ran = lost.piped("user recover alice --yes", f"{OTHER}\n")
    assert ran.status == 1
    assert "only the owner of the state folder may" in ran.err
    assert lost.piped("login alice", f"{PASSWORD}\n").status == 0


def test_without_a_terminal_it_has_to_be_meant(lost: Shell) -> None:
    ran = lost.piped("user recover alice", f"{OTHER}\n")
    assert ran.status == 2
    assert "--yes" in ran.err
    assert lost.piped("login alice", f"{PASSWORD}\n").status == 0


def test_at_a_terminal_the_name_is_typed_again(lost: Shell) -> None:
    ran = lost.typed("user recover alice", OTHER, OTHER, name="alice\n")
    assert ran.status == 0
    assert "everybody's session ends" in ran.err
    assert lost.piped("login alice", f"{OTHER}\n").status == 0


def test_another_name_changes_nothing(lost: Shell) -> None:
    ran = lost.typed("user recover alice", OTHER, OTHER, name="bob\n")
    assert (ran.status, lost.asked) == (2, [])
    assert "nothing was changed" in ran.err
    assert lost.piped("login alice", f"{PASSWORD}\n").status == 0


def test_it_needs_no_login_and_says_so_by_asking_itself() -> None:
    assert [command.capability for command in COMMANDS] == [""]


# The core.


@pytest.fixture
def made() -> Iterator[Made]:
    one = Made()
    with one.guard:
        one.add("alice", ("admin",))
        one.add("bob")
        yield one


def test_second_factor_devices_and_what_was_disabled_are_in_nobodys_way(made: Made) -> None:
    made.add("carol", ("admin",))
    _, codes = made.enrol("alice")
    made.login("alice", code=codes[0], device=TOKEN)
    made.plugin.auth.disable("alice")
    made.plugin.recover("alice", Secret(OTHER), "root")
    user = made.plugin.auth.get("alice")
    assert (user.factor, user.devices, user.is_disabled, user.roles) == (
        None,
        (),
        False,
        ("admin",),
    )
    assert made.login("alice", Secret(OTHER))


def test_the_recorders_learn_who_did_it_to_whom(made: Made) -> None:
    made.plugin.recover("alice", Secret(OTHER), "root")
    (event,) = [event for event in made.audit.events if event.kind == "auth.user.recovered"]
    assert (event.fields["user"], event.fields["by"]) == ("alice", "root")
    assert OTHER not in repr(made.audit.events)


@pytest.mark.parametrize(
    ("name", "password", "error"),
    [
        ("bob", OTHER, NotAnAdmin),
        ("mallory", OTHER, NoSuchUser),
        ("alice", "password", WeakPassword),
        ("alice", "seven wet", WeakPassword),
    ],
)
def test_what_cannot_be_changes_nothing_and_ends_nobodys_session(
    made: Made, name: str, password: str, error: Any
) -> None:
    made.login("bob")
    before = made.plugin.auth.all()
    with pytest.raises(error):
        made.plugin.recover(name, Secret(password), "root")
    assert made.plugin.auth.all() == before
    assert len(made.sessions.live) == 1


def test_a_login_under_way_with_what_is_lost_does_not_outlast_it(made: Made) -> None:
    made.sessions.meanwhile = lambda: made.plugin.recover("alice", Secret(OTHER), "root")
    made.denied("alice")
    assert made.sessions.live == []
