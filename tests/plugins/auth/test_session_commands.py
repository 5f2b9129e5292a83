from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define
from tests.ran import Ran

from hauberk import Secret
from hauberk.builtins import BUILTINS, Builtin
from hauberk.cli.main import main
from hauberk.command import session_path, stored_token
from hauberk.files import make_private_folder, write_private
from hauberk.hooks import Plugin, hookimpl
from hauberk.testing import MemoryStores
from hauberk_plugins.auth import session_commands, token_commands
from hauberk_plugins.auth.entry import Entry
from hauberk_plugins.auth.session_record import SessionLimits

if TYPE_CHECKING:
    from hauberk.command import Command
    from hauberk.context import Context

CONFIG = """\
plugins: [killswitch, policy, bots, auth]
ports: {venues: venues, keys: keys, sealed: ports_in_memory, store: ports_in_memory, access: auth}
third_party: {ports-in-memory: {plugins: [ports_in_memory], grants: []}}
accounts: {main: {venue: binance, signer: auth}}
grants: {auth: [sealed, sign], policy: []}
"""
PORTS = """\
from hauberk.hooks import Plugin
from hauberk.testing import MemoryStores

SEALED, STORE = MemoryStores(), MemoryStores()


class Ports(Plugin):
    interface = (1, 1)
    provides = {"sealed": "sealed", "store": "store"}
    sealed, store = SEALED, STORE
"""


class Entrance(Plugin):
    """The plugin `auth` without passwords: everybody named is a user."""

    interface = (1, 1)
    provides = {"access": "access"}
    has_admin = False

    @hookimpl
    def on_start(self, context: Context) -> None:
        self.entry = Entry.of(
            context, SessionLimits(), secrets.token_bytes, lambda: Entrance.has_admin
        )
        self.access = self.entry.access
        self.auth = SimpleNamespace(get=lambda name: name)

    @hookimpl
    def sign_request(self, request: Any) -> Any:
        return request

    @hookimpl
    def on_commands(self) -> tuple[Command, ...]:
        return (*session_commands.COMMANDS, *token_commands.COMMANDS)


@define
class Shell:
    """Types commands; state lasts from one to the next."""

    capsys: pytest.CaptureFixture[str]
    config: Path

    def __call__(self, line: str) -> Ran:
        self.capsys.readouterr()
        status = main(line.split())
        return Ran(status, *self.capsys.readouterr())

    def log_in(self, user: str, *roles: str) -> Secret:
        """Begin a session and keep its token, as `hauberk login` does."""
        from hauberk.command import started

        with started(self.config, "auth") as auth:
            token: Secret = auth.plugin.entry.sessions.create(user, roles, "command line")
        path = session_path(self.config)
        make_private_folder(path.parent)
        write_private(path, token.reveal())
        return token


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    site = tmp_path / "site"
    info = site / "ports_in_memory-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ports-in-memory\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hauberk]\nports_in_memory = ports_in_memory:Ports\n")
    (site / "ports_in_memory.py").write_text(PORTS)
    (tmp_path / "hauberk.yml").write_text(CONFIG)
    for name in ("HAUBERK_CONFIG", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr("hauberk_plugins.auth.entry.Entrance", Entrance, raising=False)
    monkeypatch.setattr(Entrance, "has_admin", False)
    monkeypatch.setitem(BUILTINS, "auth", Builtin("hauberk_plugins.auth.entry:Entrance"))
    yield Shell(capsys, tmp_path / "hauberk.yml")
    sys.modules.pop("ports_in_memory", None)


def test_every_command_names_what_it_needs() -> None:
    commands = (*session_commands.COMMANDS, *token_commands.COMMANDS)
    assert {command.name: command.capability for command in commands} == {
        "sessions list": "sessions.read", "sessions revoke": "sessions.write", "whoami": "",
        "logout": "", "token create": "token.write", "token rotate": "token.write",
        "token list": "token.read", "token revoke": "token.write",
    }  # fmt: skip


def test_the_list_shows_who_is_logged_in_and_no_token(shell: Shell) -> None:
    assert shell("sessions list").out == "Nobody is logged in.\n"
    token = shell.log_in("alice", "operator")
    ran = shell("sessions list --json")
    (one,) = ran.document["sessions"]
    assert one.keys() == {"id", "user", "roles", "source", "created", "seen"}
    assert (one["user"], one["roles"], one["source"]) == ("alice", ["operator"], "command line")
    assert one["created"].endswith("Z")
    assert one["id"] in shell("sessions list --user alice").out
    assert shell("sessions list --user bob --json").document == {"sessions": []}
    assert token.reveal_text() not in ran.out


def test_sessions_end_by_id_by_user_and_all_at_once(shell: Shell) -> None:
    for user in ("alice", "bob", "bob", "carol", "carol"):
        shell.log_in(user, "admin")
    listed = shell("sessions list --json").document["sessions"]
    assert shell(f"sessions revoke {listed[0]['id']} --json").document == {"revoked": 1}
    assert shell("sessions revoke --user bob").out == "2 sessions ended\n"
    assert shell("sessions revoke --all --json").document == {"revoked": 2}
    assert shell("sessions list --json").document == {"sessions": []}


@pytest.mark.parametrize(
    "line", ["", "--all --user bob", "0123456789ab --all", "0123456789ab --user bob", "a b"]
)
def test_it_must_be_said_which_sessions_end(shell: Shell, line: str) -> None:
    shell.log_in("alice", "admin")
    assert shell(f"sessions revoke {line}").status == 2
    assert len(shell("sessions list --json").document["sessions"]) == 1


def test_an_id_that_nobody_has_is_told(shell: Shell) -> None:
    ran = shell("sessions revoke 0123456789ab --json")
    assert ran.status == 2
    assert ran.document["error"] == "NoSuchSession"
    assert "hauberk sessions list" in ran.err


def test_whoami_tells_user_roles_and_session(shell: Shell) -> None:
    shell.log_in("alice", "viewer", "trader")
    document = shell("whoami --json").document
    assert (document["user"], document["roles"]) == ("alice", ["viewer", "trader"])
    assert document["session"]["source"] == "command line"
    assert shell("whoami").out.startswith("alice: viewer, trader; logged in since ")


def test_whoami_tells_the_owner_until_there_is_an_admin(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell("whoami --json").document["session"] is None
    assert "while there is no admin" in shell("whoami").out
    monkeypatch.setattr(Entrance, "has_admin", True)
    ran = shell("whoami --json")
    assert ran.status == 1
    assert ran.document["error"] == "Denied"
    assert "hauberk login" in ran.err


def test_logging_out_ends_the_session_and_removes_the_token(shell: Shell) -> None:
    token = shell.log_in("alice", "admin")
    assert shell("logout --json").document == {"ended": True}
    assert stored_token(shell.config) is None
    write_private(session_path(shell.config), token.reveal())
    assert "while there is no admin" in shell("whoami").out
    assert shell("logout --json").document == {"ended": False}
    assert shell("logout").out == "nobody was logged in\n"


def test_logging_out_can_be_tried_again_where_the_store_fails(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hauberk import StoreError

    token = shell.log_in("alice", "admin")
    stores: MemoryStores = sys.modules["ports_in_memory"].SEALED
    stores.stores["auth"].error = StoreError("the disk is gone")
    assert shell("logout").status == 3
    assert stored_token(shell.config) == token
    stores.stores["auth"].error = None
    assert shell("logout").out == "logged out\n"


def test_a_kept_token_that_others_can_read_is_not_used(shell: Shell) -> None:
    shell.log_in("alice", "admin")
    session_path(shell.config).chmod(0o644)
    for line in ("whoami", "logout", "sessions list"):
        ran = shell(line)
        assert ran.status == 2
        assert "chmod 600" in ran.err


# What is denied.


def test_from_the_first_admin_on_every_command_needs_a_session_with_a_role_for_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Entrance, "has_admin", True)
    lines = [
        "sessions list",
        "sessions revoke --all",
        "token create maker --account main --allow read --days 30",
        "token list",
        "token revoke maker",
        "token rotate maker",
    ]
    for line in lines:
        assert shell(line).status == 1, line
    shell.log_in("alice", "trader")
    for line in lines:
        ran = shell(f"{line} --json")
        assert ran.status == 1, line
        assert ran.document["plugin"] == "auth"
        assert "'alice' may not" in ran.err
    shell.log_in("bob", "operator")
    assert shell("sessions list").status == 0
    assert shell("token list").status == 0
    assert shell("token create maker --account main --allow read --days 30").status == 1
    shell.log_in("carol", "admin")
    assert shell("token create maker --account main --allow read --days 30").status == 0


def test_the_owner_is_not_locked_out_by_a_session_of_their_own_before_there_is_an_admin(
    shell: Shell,
) -> None:
    shell.log_in("alice", "viewer")
    assert shell("token list").status == 0
    assert shell("sessions revoke --all").status == 0
    assert shell("token list").status == 0
    assert shell("whoami").status == 0


def test_revoking_all_ends_ones_own_session_too(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Entrance, "has_admin", True)
    shell.log_in("alice", "admin")
    assert shell("sessions revoke --all").status == 0
    assert shell("sessions list").status == 1


# Bot tokens.


def test_a_bot_token_is_printed_once_when_it_is_made(shell: Shell) -> None:
    shell.log_in("alice", "admin")
    ran = shell("token create maker --account main --allow read --allow trade --days 30 --json")
    document = ran.document
    token = document["token"]
    assert token.startswith("hbt_")
    assert (document["accounts"], document["allow"]) == (["main"], ["read", "trade"])
    assert document["by"] == "alice"
    assert "only time" in ran.err
    for line in ("token list", "token list --json", "token revoke maker --json"):
        assert token not in shell(line).out


def test_without_json_a_bot_token_stands_alone_on_stdout(shell: Shell) -> None:
    ran = shell("token create maker --account main --allow read --days 30")
    assert ran.out.startswith("hbt_")
    assert ran.out.count("\n") == 1


def test_bot_tokens_are_listed_rotated_and_revoked(shell: Shell) -> None:
    assert shell("token list").out == "There are no bot tokens.\n"
    first = shell("token create maker --account main --allow cancel --days 30 --json").document
    second = shell("token rotate maker --overlap-hours 2 --json").document
    assert second["token"] != first["token"]
    assert first["old_until"] is None
    assert second["old_until"] > second["created"]
    (one,) = shell("token list --json").document["tokens"]
    assert one == {key: value for key, value in second.items() if key != "token"}
    assert shell("token list").out.startswith("maker  main: cancel  until ")
    assert shell("token revoke maker --json").document == {"name": "maker", "revoked": True}
    assert shell("token list --json").document == {"tokens": []}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("create maker --account mian --allow read --days 30", "did you mean 'main'"),
        ("create maker --account main --allow raed --days 30", "did you mean 'read'"),
        ("create maker --account main --allow read --days 401", "from 1 to 400 days"),
        ("create maker --account main --allow read", "--days"),
        ("create maker --allow read --days 30", "--account"),
        ("create maker --account main --days 30", "--allow"),
        ("create Maker --account main --allow read --days 30", "a token's name"),
        ("rotate maker", "there is no bot token"),
        ("rotate maker --overlap-hours 721", "0 to 720 hours"),
        ("revoke maker", "there is no bot token"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_made(shell: Shell, line: str, why: str) -> None:
    ran = shell(f"token {line}")
    assert ran.status == 2
    assert why in ran.err
    assert shell("token list --json").document == {"tokens": []}
