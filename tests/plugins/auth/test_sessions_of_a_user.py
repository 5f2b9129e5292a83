"""Ending the sessions of a user who is named: as the name is typed, or loudly not at all."""

from __future__ import annotations

import pytest
from tests.plugins.auth.shell import PASSWORD, Shell, add

from hauberk.command import session_path


@pytest.fixture
def logged_in(shell: Shell) -> Shell:
    add(shell, "bob", "admin")
    assert shell.piped("login bob", f"{PASSWORD}\n").status == 0
    return shell


@pytest.mark.parametrize("name", ["bob", "Bob", "BOB", "\uff42ob"])
def test_a_name_in_any_form_is_the_user(logged_in: Shell, name: str) -> None:
    assert len(logged_in.piped(f"sessions list --user {name} --json").document["sessions"]) == 1
    ran = logged_in.piped(f"sessions revoke --user {name}")
    assert (ran.status, ran.out) == (0, "1 session ended\n")
    assert logged_in.piped("whoami").status == 1


@pytest.mark.parametrize("command", ["list", "revoke"])
def test_a_name_that_is_nobodys_is_an_error_and_not_nothing_done(
    logged_in: Shell, command: str
) -> None:
    ran = logged_in.piped(f"sessions {command} --user robert")
    assert ran.status == 2
    assert ran.err == "hauberk: there is no user 'robert': see `hauberk user list`\n"


@pytest.mark.parametrize("command", ["list", "revoke"])
def test_so_is_what_nobody_can_be_called(logged_in: Shell, command: str) -> None:
    ran = logged_in.piped(f"sessions {command} --user=")
    assert ran.status == 2
    assert "a user's name may not be empty" in ran.err


def test_a_user_who_is_not_logged_in_has_none_to_end(logged_in: Shell) -> None:
    assert logged_in.piped("user add eve", f"{PASSWORD} too\n").status == 0
    assert logged_in.piped("sessions revoke --user eve").out == "0 sessions ended\n"
    assert logged_in.piped("sessions list --user eve").out == "Nobody is logged in.\n"


def test_another_login_on_the_same_command_line_ends_the_session_before(logged_in: Shell) -> None:
    for _ in range(3):
        assert logged_in.piped("login bob", f"{PASSWORD}\n").status == 0
    assert len(logged_in.piped("sessions list --json").document["sessions"]) == 1


def test_so_does_one_of_somebody_else(logged_in: Shell) -> None:
    assert logged_in.piped("user add eve --role admin", f"{PASSWORD} too\n").status == 0
    assert logged_in.piped("login eve", f"{PASSWORD} too\n").status == 0
    users = [one["user"] for one in logged_in.piped("sessions list --json").document["sessions"]]
    assert users == ["eve"]


def test_one_that_fails_ends_nothing(logged_in: Shell) -> None:
    assert logged_in.piped("login bob", "not the password at all\n").status == 1
    assert logged_in.piped("whoami").status == 0


def test_a_kept_session_that_others_could_read_is_replaced_all_the_same(logged_in: Shell) -> None:
    session_path("hauberk.yml").chmod(0o644)
    assert logged_in.piped("login bob", f"{PASSWORD}\n").status == 0
    assert logged_in.piped("whoami").status == 0
