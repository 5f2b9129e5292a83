from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyotp
import pytest
from attrs import define, field
from tests.plugins.auth.shell import OTHER, PASSWORD, Shell, Terminal, add

from hauberk import Secret
from hauberk.cli.main import main
from hauberk.command import session_path, started
from hauberk_plugins.auth.commands import COMMANDS
from hauberk_plugins.auth.kept import device_path
from hauberk_plugins.auth.plugin import AuthPlugin


def test_every_command_but_login_and_passwd_needs_a_capability_of_its_own() -> None:
    assert {command.name: command.capability for command in COMMANDS} == {
        "user add": "user.write", "user list": "user.read", "user disable": "user.write",
        "user enable": "user.write", "user roles": "user.write", "user passwd": "",
        "user second-factor": "user.write", "user rotate-pepper": "user.write", "login": "",
    }  # fmt: skip


def test_a_user_is_added_from_a_pipe(shell: Shell) -> None:
    ran = shell.piped("user add Alice --role trader --role operator --json", f"{PASSWORD}\n")
    assert ran.status == 0
    assert ran.document == {
        "name": "alice", "roles": ["trader", "operator"], "disabled": False,
        "second_factor": False, "recovery_codes": 0,
    }  # fmt: skip
    assert shell.piped("user list").out == "alice  trader, operator\n"


def test_at_a_terminal_the_password_is_asked_for_twice(shell: Shell) -> None:
    assert shell.typed("user add alice", PASSWORD, PASSWORD).status == 0
    assert shell.asked == ["password: ", "password again: "]
    assert shell.users[0]["roles"] == ["viewer"]
    ran = shell.typed("user add bob", PASSWORD, OTHER)
    assert ran.status == 2
    assert "nothing was changed" in ran.err
    assert len(shell.users) == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("user add alice", "there is a user 'alice' already"),
        ("user add ALICE", "there is a user 'alice' already"),
        ("user add bob --role root", "there is no role 'root'"),
        ("user passwd bob", "there is no user 'bob'"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_typed(shell: Shell, line: str, why: str) -> None:
    add(shell)
    ran = shell.typed(line)
    assert (ran.status, shell.asked) == (2, [])
    assert why in ran.err


@pytest.mark.parametrize("line", ["user add bob", "user passwd alice", "login alice"])
@pytest.mark.parametrize("ends", [KeyboardInterrupt(), EOFError()])
def test_ctrl_c_and_the_end_of_input_leave_nothing_half_done(
    shell: Shell, line: str, ends: BaseException
) -> None:
    add(shell)
    before = shell.users
    for answers in ([ends], [OTHER, ends]):
        assert shell.typed(line, *answers).status in (2, 130)
    assert shell.piped(line, "").status == 2
    assert shell.users == before
    assert shell.piped("login alice", f"{PASSWORD}\n").status == 0


def test_a_weak_password_is_refused_with_the_reason(shell: Shell) -> None:
    ran = shell.piped("user add alice --json", "hauberkhauberk1\n")
    assert ran.status == 2
    assert ran.document["error"] == "WeakPassword"
    assert "words that belong to trading" in ran.err
    assert "hauberkhauberk1" not in ran.out + ran.err


def test_a_user_is_disabled_enabled_and_given_roles_and_a_password(shell: Shell) -> None:
    add(shell)
    assert shell.piped("user disable alice").status == 0
    assert shell.piped("user list").out == "alice  trader  disabled\n"
    assert shell.piped("login alice", f"{PASSWORD}\n").status == 1
    assert shell.piped("user enable alice --json").document["disabled"] is False
    assert shell.piped("user roles alice viewer operator --json").document["roles"] == [
        "viewer", "operator"
    ]  # fmt: skip
    assert shell.piped("user passwd alice", f"{OTHER}\n").status == 0
    assert shell.piped("login alice", f"{PASSWORD}\n").status == 1
    assert shell.piped("login alice", f"{OTHER}\n").status == 0


def test_a_fresh_pepper_is_put_in_place_and_each_login_takes_it_up(shell: Shell) -> None:
    add(shell)
    add(shell, "bob")
    ran = shell.piped("user rotate-pepper")
    told = "A fresh pepper is in place: 2 users' hashes are made anew at the next login.\n"
    assert (ran.status, ran.out) == (0, told)
    with started(Path("hauberk.yml"), "auth") as auth:
        old = auth.plugin.auth.get("alice").password.pepper
    assert shell.piped("login alice", f"{OTHER}\n").status == 1
    assert shell.piped("login alice", f"{PASSWORD}\n").status == 0
    with started(Path("hauberk.yml"), "auth") as auth:
        users = {user.name: user.password.pepper for user in auth.plugin.auth.all()}
    assert users["alice"] != old == users["bob"]
    # Twice in a row: bob's is two behind.
    assert shell.piped("user rotate-pepper --json").document == {"users": 2}
    assert shell.piped("login bob", f"{PASSWORD}\n").status == 0
    assert shell.piped("login alice", f"{PASSWORD}\n").status == 0


def test_without_users_the_list_says_so(shell: Shell) -> None:
    assert shell.piped("user list").out == "There are no users.\n"
    assert shell.piped("user list --json").document == {"users": []}


# The second factor.


@define
class Screen:
    """A terminal whose authenticator reads the URI off it."""

    err: Terminal = field(factory=Terminal)
    codes: list[str] = field(factory=list)

    def ask(self, _: str) -> str:
        (uri,) = (word for word in self.err.getvalue().split() if word.startswith("otpauth://"))
        return pyotp.parse_uri(uri).now()

    def enrol(self, shell: Shell, words: str = "") -> int:
        shell.capsys.readouterr()
        with shell.patch.context() as patch:
            patch.setattr(sys, "stdin", Terminal())
            patch.setattr(sys, "stderr", self.err)
            patch.setattr("getpass.getpass", self.ask)
            status = main(["user", "second-factor", "alice", *words.split()])
        out = shell.capsys.readouterr().out
        self.codes = json.loads(out)["recovery_codes"] if "--json" in words else out.split()[-10:]
        return status


@pytest.mark.parametrize("words", ["", "--json"])
def test_a_second_factor_is_given_at_a_terminal(shell: Shell, words: str) -> None:
    add(shell)
    screen = Screen()
    assert screen.enrol(shell, words) == 0
    assert len(screen.codes) == 10
    assert shell.piped("user list").out == "alice  trader  second factor\n"
    assert shell.users[0]["recovery_codes"] == 10
    assert shell.piped("login alice", f"{PASSWORD}\n").status == 1
    assert shell.piped("login alice", f"{PASSWORD}\n{screen.codes[0]}\n").status == 0
    assert shell.users[0]["recovery_codes"] == 9


def test_a_wrong_code_gives_none(shell: Shell) -> None:
    add(shell)
    ran = shell.typed("user second-factor alice --reveal", "000000")
    assert ran.status == 2
    assert "the code is wrong" in ran.err
    assert shell.users[0]["second_factor"] is False
    for ends in (KeyboardInterrupt(), EOFError()):
        assert shell.typed("user second-factor alice --reveal", ends).status in (2, 130)
    assert shell.users[0]["second_factor"] is False


def test_in_a_pipe_or_a_file_a_second_factor_is_shown_only_if_asked_to(shell: Shell) -> None:
    add(shell)
    # At a terminal, whose errors go elsewhere.
    for ran in (
        shell.piped("user second-factor alice", "000000\n"),
        shell.typed("user second-factor alice"),
    ):
        assert ran.status == 2
        assert "--reveal" in ran.err
        assert "otpauth" not in ran.out + ran.err
    assert "otpauth" in shell.piped("user second-factor alice --reveal", "000000\n").err


# Login.


class Sessions:
    """One token for every login."""

    def draw(self, user: str) -> Secret:
        return Secret(f"session of {user}")

    def create(self, user: str, roles: tuple[str, ...], source: str, token: Secret) -> Secret:
        return token

    def end(self, user: str) -> int:
        return 0

    def end_all(self) -> int:
        return 0

    def end_session(self, token: Secret, why: str) -> bool:
        return False


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    real = AuthPlugin.on_start

    def on_start(self: AuthPlugin, context: Any) -> None:
        real(self, context)
        self.sessions = Sessions()

    monkeypatch.setattr(AuthPlugin, "on_start", _like(real, on_start))


def _like(real: Any, function: Any) -> Any:
    function.__dict__.update(real.__dict__)
    return function


def test_a_login_keeps_the_session_for_the_commands_after_it(shell: Shell, sessions: None) -> None:
    add(shell)
    ran = shell.typed("login", PASSWORD, "", name="alice\n")
    assert ran.out == "logged in as alice\n"
    at = session_path("hauberk.yml")
    assert at.read_text() == "session of alice"
    assert at.stat().st_mode & 0o777 == 0o600
    ran = shell.piped("login alice --json", f"{PASSWORD}\n")
    assert ran.document == {"user": "alice", "roles": ["trader"]}


def test_a_refused_login_keeps_nothing_and_says_one_thing(shell: Shell, sessions: None) -> None:
    add(shell)
    told = set()
    for name, password in (("alice", OTHER), ("mallory", PASSWORD), ("a\u200bb", PASSWORD)):
        ran = shell.piped(f"login {name} --json", f"{password}\n")
        assert ran.status == 1
        told.add(ran.out)
    assert len(told) == 1
    assert not (shell.folder / "home").exists()


def test_after_a_login_this_machine_is_a_known_device(shell: Shell, sessions: None) -> None:
    add(shell)
    shell.piped("login alice", f"{PASSWORD}\n")
    at = device_path(Path("hauberk.yml"), {}, shell.folder / "home")
    token = at.read_text()
    from ports_in_memory import SEALED  # type: ignore[import-not-found]

    records = dict(SEALED.scoped("auth").scan("device/"))
    assert len(records) == 1
    assert token not in str(records)
    shell.piped("login alice", f"{PASSWORD}\n")
    assert at.read_text() == token


def test_without_a_terminal_the_name_must_be_given(shell: Shell) -> None:
    ran = shell.piped("login", f"{PASSWORD}\n")
    assert ran.status == 2
    assert "hauberk login NAME" in ran.err


@pytest.mark.parametrize("line", ["user add --help", "login --help", "user --help"])
def test_help_shows_how(shell: Shell, line: str) -> None:
    ran = shell.piped(line)
    assert ran.status == 0
    assert "password" in ran.out
