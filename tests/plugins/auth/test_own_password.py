"""`hauberk user passwd`: one's own with the present password, another's with the right to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyotp
import pytest
from tests.plugins.auth.conftest import World
from tests.plugins.auth.shell import OTHER, PASSWORD, Shell, add

from hauberk import Secret
from hauberk.command import session_path, started, stored_token
from hauberk.records import Login
from hauberk_plugins.auth.errors import ChangedMeanwhile
from hauberk_plugins.auth.plugin import AuthPlugin
from hauberk_plugins.auth.user_auth import UserAuth

CONFIG = Path("hauberk.yml")
ADMINS = "an egret waits for the evening tide"


@pytest.fixture
def alice(shell: Shell) -> Shell:
    """A viewer who is logged in; somebody else is the admin."""
    add(shell, "alice", "viewer")
    assert shell.piped("user add root --role admin", f"{ADMINS}\n").status == 0
    log_in(shell)
    return shell


def log_in(shell: Shell, name: str = "alice", password: str = PASSWORD, code: str = "") -> Any:
    return shell.piped(f"login {name}", f"{password}\n{code}\n")


def who(shell: Shell) -> Any:
    ran = shell.piped("whoami --json")
    return ran.document["user"] if ran.status == 0 else None


@pytest.mark.parametrize("line", ["user passwd", "user passwd alice", "user passwd ALICE"])
def test_whoever_is_logged_in_changes_his_own_with_the_present_one(alice: Shell, line: str) -> None:
    ran = alice.piped(f"{line} --json", f"{PASSWORD}\n{OTHER}\n")
    assert (ran.status, ran.document["name"]) == (0, "alice")
    assert log_in(alice).status == 1
    assert log_in(alice, password=OTHER).status == 0


def test_his_other_sessions_end_and_this_one_is_another(alice: Shell) -> None:
    elsewhere = stored_token(CONFIG)
    log_in(alice)
    here = stored_token(CONFIG)
    assert alice.piped("user passwd", f"{PASSWORD}\n{OTHER}\n").status == 0
    renewed = stored_token(CONFIG)
    assert renewed not in (elsewhere, here)
    assert session_path(CONFIG).stat().st_mode & 0o777 == 0o600
    with started(CONFIG, "auth") as auth:
        sessions = auth.plugin.sessions
        assert [sessions.validate_session(one) for one in (elsewhere, here)] == [None, None]
    assert who(alice) == "alice"


@pytest.mark.parametrize("present", [OTHER, "", f" {PASSWORD}"])
def test_without_the_present_one_nothing_changes_and_it_counts_as_a_failed_login(
    alice: Shell, present: str
) -> None:
    before = stored_token(CONFIG)
    told = []
    for _ in range(6):
        ran = alice.piped("user passwd", f"{present}\n{OTHER}\n")
        assert ran.status == 1
        told.append(ran.err.partition("denied by auth: ")[2].partition(" (")[0])
    assert told[0].strip() == "the name, the password or the code is not right"
    assert told[-1] == "too many logins failed before this one"
    assert (stored_token(CONFIG), who(alice)) == (before, "alice")


def test_another_users_is_for_who_may_change_users(alice: Shell) -> None:
    ran = alice.piped("user passwd root", f"{PASSWORD}\n{OTHER}\n")
    assert (ran.status, "user.write needs the role admin" in ran.err) == (1, True)
    log_in(alice, "root", ADMINS)
    assert alice.piped("user passwd alice", f"{OTHER}\n").status == 0
    assert who(alice) == "root"
    assert log_in(alice, password=OTHER).status == 0


def test_an_admin_gives_the_present_one_too(alice: Shell) -> None:
    log_in(alice, "root", ADMINS)
    assert alice.piped("user passwd root", f"{OTHER}\n").status == 2
    assert alice.piped("user passwd root", f"{ADMINS}\n{OTHER}\n").status == 0


def test_who_is_not_logged_in_changes_none(alice: Shell) -> None:
    alice.piped("logout")
    for line in ("user passwd", "user passwd alice"):
        ran = alice.piped(line, f"{PASSWORD}\n{OTHER}\n")
        assert (ran.status, "hauberk login" in ran.err) == (1, True)


def test_before_there_is_an_admin_the_owner_names_whose(shell: Shell) -> None:
    add(shell)
    ran = shell.piped("user passwd", f"{OTHER}\n")
    assert (ran.status, "hauberk user passwd NAME" in ran.err) == (2, True)
    assert shell.piped("user passwd alice", f"{OTHER}\n").status == 0


def test_where_a_plugin_of_others_decides_it_is_asked_about_another_users(
    alice: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        "hauberk.cli.access.check_access", lambda *words, **_: asked.append(words) or "root"
    )
    assert alice.piped("user passwd root", f"{OTHER}\n").status == 0
    assert asked == [("user.write", CONFIG)]


def test_a_weak_one_is_refused_before_the_present_one_counts(alice: Shell) -> None:
    for _ in range(5):
        ran = alice.piped("user passwd", f"{OTHER}\nhauberkhauberk1\n")
        assert (ran.status, "the password is refused" in ran.err) == (2, True)
    assert alice.piped("user passwd", f"{PASSWORD}\n{OTHER}\n").status == 0


def test_at_a_terminal_the_other_one_is_asked_for_twice(alice: Shell) -> None:
    assert alice.typed("user passwd", PASSWORD, OTHER, OTHER).status == 0
    assert alice.asked == ["present password: ", "password: ", "password again: "]


def enrol(shell: Shell) -> tuple[str, list[str]]:
    """Give alice a second factor; return its secret and its recovery codes."""
    with started(CONFIG, "auth") as auth:
        factors = auth.plugin.factors
        enrolment = factors.begin("alice")
        secret = enrolment.secret.reveal_text()
        codes = factors.enrol(enrolment, Secret(pyotp.TOTP(secret).now()))
    return secret, [code.reveal_text() for code in codes]


def test_where_there_is_a_second_factor_a_right_code_is_needed(alice: Shell) -> None:
    _, codes = enrol(alice)
    log_in(alice, code=codes[0])
    for code in ("", "000000", codes[0]):
        assert alice.piped("user passwd", f"{PASSWORD}\n{code}\n{OTHER}\n").status == 1


def test_a_right_code_lets_it_be_changed_once(alice: Shell) -> None:
    _, codes = enrol(alice)
    log_in(alice, code=codes[0])
    assert alice.piped("user passwd", f"{PASSWORD}\n{codes[1]}\n{OTHER}\n").status == 0
    assert alice.piped("user passwd", f"{OTHER}\n{codes[1]}\n{PASSWORD}\n").status == 1
    assert who(alice) == "alice"


def test_a_password_that_an_admin_has_given_meanwhile_stands(world: World) -> None:
    """Whoever has the old one is not to win it back by being in the middle of a change."""
    world.auth.create("alice", Secret(PASSWORD))
    verified = world.auth.verify("alice", Secret(PASSWORD))
    assert verified is not None
    world.twin().auth.set_password("alice", Secret(ADMINS))
    with pytest.raises(ChangedMeanwhile):
        world.auth.change_password(verified, Secret(OTHER))
    assert world.auth.verify("alice", Secret(ADMINS))


def test_who_is_disabled_at_that_moment_gets_no_session(
    alice: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = UserAuth.change_password

    def disabled_at_once(self: UserAuth, user: Any, password: Secret) -> Any:
        changed = whole(self, user, password)
        self.disable(user.name)
        return changed

    with monkeypatch.context() as patched:
        patched.setattr(UserAuth, "change_password", disabled_at_once)
        assert alice.piped("user passwd", f"{PASSWORD}\n{OTHER}\n").status == 0
    assert who(alice) is None


def test_nothing_typed_shows_in_what_goes_wrong(
    alice: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: AuthPlugin, login: Login, password: Secret) -> None:
        raise RuntimeError("no secret is in this frame but as one")

    monkeypatch.setattr(AuthPlugin, "change_password", broken)
    ran = alice.piped("user passwd", f"{PASSWORD}\n{OTHER}\n")
    assert ran.status == 3
    assert PASSWORD not in ran.err + ran.out
    assert OTHER not in ran.err + ran.out
