"""Whether whoever types a command may, asked before it runs."""

import hashlib
import os
import sys

import pytest

from hauberk.cli.access import check_access
from hauberk.cli.commands import CAPABILITIES, COMMANDS
from hauberk.command import owner_of, session_path, stored_token
from hauberk.errors import Denied
from hauberk.files import make_private_folder, write_private

#: Commands of the kernel's own that anybody may who can read the configuration: they show no
#: secret, and change nothing that is kept but what they make.
OPEN = {
    "demo", "init", "doctor", "plugins", "plugin new", "config schema", "config check",
    # Reads what it is given, and nothing of the state.
    "verify",
    # Asks by itself, where what it shows is sealed.
    "config get",
    # Asks by itself: it halts too where nobody can be asked.
    "halt",
}  # fmt: skip
SIGN = ("sign", "GET", "https://api.binance.com/api/v3/account")
PROVIDER = """
    asked = []

    class Quiet(Base):
        provides = {"access": "gate"}

        def __init__(self):
            self.gate = self

        def check(self, capability, token):
            shown = None if token is None else token.reveal()
            asked.append((capability, shown))
            ANSWER

        @hookimpl
        def on_commands(self):
            return [
                Command("quiet show", lambda: ran.append("shown") or "shown", "quiet.read"),
                Command("quiet open", lambda: "open"),
            ]

    ran = []
"""


@pytest.fixture(autouse=True)
def nobody_is_logged_in(tmp_path, monkeypatch):
    """Have a home of one's own."""
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def run(hauberk, config):
    """Run a command line with the bot's configuration."""
    return lambda *words: hauberk(*words, "--config", config)


@pytest.fixture
def provided(third_party, edit):
    """Have a plugin of others decide; what `check` does is given."""

    def install(answer='return "alice"'):
        third_party(PROVIDER.replace("ANSWER", answer))
        edit("  keys: keys", "  keys: keys\n  access: quiet")
        return lambda: sys.modules["quiet_hours"]

    return install


@pytest.fixture
def somebody_else(monkeypatch):
    """Be another user of the machine than whoever made the files."""
    mine = os.geteuid()
    monkeypatch.setattr("hauberk.command.os.geteuid", lambda: mine + 1)


def keep_token(config, token):
    path = session_path(config)
    make_private_folder(path.parent)
    write_private(path, token)


# What needs what.


def test_for_every_command_it_is_decided_what_it_needs():
    assert set(COMMANDS) - OPEN == set(CAPABILITIES) & set(COMMANDS)
    assert not OPEN & set(CAPABILITIES)
    assert all(CAPABILITIES.values())


@pytest.mark.parametrize("name", sorted(set(CAPABILITIES) & set(COMMANDS)))
def test_one_that_is_denied_does_not_run_and_help_needs_nothing(run, provided, name):
    module = provided('raise Denied("quiet", "not you: hauberk login")')
    words = {"sign": SIGN[1:], "migrate": (".",), "config set": ("mode", "shadow")}
    ran = run(*name.split(), *words.get(name, ("mode",)), "--json")
    assert ran.status == 1
    assert ran.document == {
        "error": "Denied", "message": "denied by quiet: not you: hauberk login",
        "plugin": "quiet", "reason": "not you: hauberk login", "retry_after": None,
    }  # fmt: skip
    assert module().asked == [(CAPABILITIES[name], None)]
    for line in ((*name.split(), "--help"), (name.split()[0], "--help"), ()):
        assert run(*line).status == 0
    assert len(module().asked) == 1


def test_what_is_wrong_with_the_words_is_said_without_asking(run, provided):
    module = provided()
    assert run("sign", "--unknown").status == 2
    assert not hasattr(sys.modules.get("quiet_hours"), "asked") or module().asked == []


@pytest.mark.parametrize("words", [("doctor",), ("plugins",), ("config", "schema")])
def test_what_needs_nothing_asks_nobody(run, provided, keys, words):
    module = provided('raise Denied("quiet", "not you")')
    assert run(*words).status in (0, 1)
    assert "not you" not in run(*words).err
    assert getattr(sys.modules.get("quiet_hours"), "asked", []) == []
    assert module


# Who decides.


def test_a_plugin_that_provides_access_is_asked_with_the_token_that_login_kept(
    run, provided, config, keys
):
    module = provided()
    assert run(*SIGN).status == 0
    keep_token(config, b"the-token")
    assert run(*SIGN).status == 0
    assert module().asked == [("sign", None), ("sign", b"the-token")]


def test_a_command_of_a_plugin_asks_for_its_own_capability(run, provided):
    module = provided()
    assert run("quiet", "show").out == "shown\n"
    assert module().asked == [("quiet.read", None)]
    assert run("quiet", "open").out == "open\n"
    assert len(module().asked) == 1


def test_a_command_of_a_plugin_that_is_denied_does_not_run(run, provided):
    module = provided('raise Denied("quiet", "not you", 2.5)')
    ran = run("quiet", "show", "--json")
    assert ran.status == 1
    assert (ran.document["error"], ran.document["retry_after"]) == ("Denied", 2.5)
    assert module().ran == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("return None", "NoneType is no name"),
        ("return True", "bool is no name"),
        ("return ''", "str is no name"),
        ("raise RuntimeError('boom')", "raised RuntimeError"),
        ("raise SystemExit(0)", "raised SystemExit"),
        ("1 / 0", "raised ZeroDivisionError"),
        ("raise KeyError(token)", "raised KeyError"),
    ],
)
def test_whatever_is_no_answer_is_a_refusal_that_quotes_nothing(run, provided, config, answer, why):
    module = provided(answer)
    keep_token(config, b"the-token")
    ran = run("quiet", "show", "--json")
    assert ran.status == 1
    assert ran.document["error"] == "Denied"
    assert why in ran.err
    assert "boom" not in ran.err
    assert "the-token" not in ran.out + ran.err
    assert module().ran == []


def test_whoever_runs_it_is_asked_about_where_the_kept_session_may_not(run, provided, config):
    module = provided(
        'if token is not None: raise Denied("quiet", "not you")\n            return "owner"'
    )
    keep_token(config, b"the-token")
    assert run("quiet", "show").status == 0
    assert module().asked == [("quiet.read", b"the-token"), ("quiet.read", None)]


def test_where_neither_may_the_denial_is_that_of_the_session(run, provided, config):
    provided('raise Denied("quiet", "not you" if token else "nobody")')
    keep_token(config, b"the-token")
    ran = run("quiet", "show", "--json")
    assert (ran.status, ran.document["reason"]) == (1, "not you")


def test_an_error_of_ours_is_told_as_it_is(run, provided):
    provided("raise MisuseError('the store is gone')")
    assert run("quiet", "show", "--json").document["error"] == "MisuseError"


def test_a_provider_that_does_not_start_lets_nobody_in(run, provided):
    provided('return "alice"\n\n        @hookimpl\n        def on_start(self, context): 1 / 0')
    ran = run("quiet", "show", "--json")
    assert ran.status == 2
    assert ran.document["error"] == "StartFailed"


def test_a_kept_token_that_others_can_read_lets_nobody_in(run, provided, config):
    module = provided()
    keep_token(config, b"the-token")
    session_path(config).chmod(0o640)
    ran = run("quiet", "show")
    assert ran.status == 2
    assert "chmod 600" in ran.err
    assert module().asked == []


# Where no plugin does.


def test_the_owner_of_the_state_folder_may_where_no_plugin_decides(run, keys):
    assert run(*SIGN).status == 0


def test_nobody_else_may_and_is_told_what_to_do(run, config, keys, somebody_else):
    ran = run(*SIGN, "--json")
    assert ran.status == 1
    assert ran.document["plugin"] == "kernel"
    assert f"only the owner of {config.parent / 'hauberk-state'} may" in ran.err
    assert "run it as that user" in ran.err


def test_where_there_is_no_state_folder_the_owner_of_the_configuration_may(
    config, edit, monkeypatch
):
    edit("state: hauberk-state", "state: elsewhere")
    assert check_access("sign", config) == owner_of(config)
    monkeypatch.setattr("hauberk.cli.access.owner_of", lambda path: None)
    with pytest.raises(Denied, match=r"only the owner of .*hauberk\.yml may"):
        check_access("sign", config)


def test_a_capability_of_any_name_is_the_owners(config):
    assert check_access("whatever", config) == owner_of(config)


# A configuration that cannot be used.


def test_one_that_cannot_be_used_may_be_mended_by_its_owner_and_nothing_else(
    run, provided, edit, config
):
    module = provided('raise Denied("quiet", "not you")')
    edit("mode: enforce", "mode: enfroce")
    with pytest.raises(Exception, match="enfroce"):
        check_access("vault.read", config)
    assert check_access("config.write", config) == owner_of(config)
    assert getattr(sys.modules.get("quiet_hours"), "asked", []) == []
    assert module


def test_one_that_cannot_be_used_is_not_mended_by_others(provided, edit, config, somebody_else):
    provided()
    edit("mode: enforce", "mode: enfroce")
    with pytest.raises(Denied, match="only the owner"):
        check_access("config.write", config)


@pytest.mark.parametrize("capability", ["None", "7", "('a',)", "b'a'"])
def test_a_command_whose_capability_is_no_text_is_left_out(run, third_party, capability):
    third_party(f"""
        class Quiet(Base):
            @hookimpl
            def on_commands(self):
                return [Command("bad", lambda: "ran", {capability}), Command("fine", lambda: 1)]
    """)
    ran = run("fine")
    assert "'bad' has a `capability` that is no text" in ran.err
    assert run("bad").status == 2


# Where the token is kept.


def test_the_token_is_kept_in_the_runtime_folder_if_that_is_ours_alone(tmp_path):
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    config = tmp_path / "hauberk.yml"
    environ = {"XDG_RUNTIME_DIR": str(runtime), "HOME": str(tmp_path)}
    name = hashlib.sha256(str(config).encode()).hexdigest()[:16]
    assert session_path(config, environ) == runtime / "hauberk" / name


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o1777])
def test_a_runtime_folder_that_others_may_use_is_not_used(tmp_path, mode):
    runtime = tmp_path / "run"
    runtime.mkdir()
    runtime.chmod(mode)
    environ = {"XDG_RUNTIME_DIR": str(runtime), "HOME": str(tmp_path)}
    expected = tmp_path / ".local" / "state" / "hauberk" / "sessions"
    assert session_path(tmp_path / "hauberk.yml", environ).parent == expected


@pytest.mark.parametrize(
    ("environ", "parent"),
    [
        ({"XDG_STATE_HOME": "/state"}, "/state/hauberk/sessions"),
        ({"XDG_STATE_HOME": "state"}, "/home/me/.local/state/hauberk/sessions"),
        ({"XDG_RUNTIME_DIR": "run"}, "/home/me/.local/state/hauberk/sessions"),
        ({"XDG_RUNTIME_DIR": "/nowhere"}, "/home/me/.local/state/hauberk/sessions"),
        ({}, "/home/me/.local/state/hauberk/sessions"),
    ],
)
def test_else_it_is_kept_with_the_state_of_ones_home(tmp_path, environ, parent):
    found = session_path(tmp_path / "hauberk.yml", {"HOME": "/home/me", **environ})
    assert str(found.parent) == parent


def test_a_runtime_folder_of_somebody_else_is_not_used(tmp_path, somebody_else):
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    environ = {"XDG_RUNTIME_DIR": str(runtime), "HOME": str(tmp_path)}
    assert runtime not in session_path(tmp_path / "hauberk.yml", environ).parents


def test_each_configuration_has_its_own_however_its_path_is_written(tmp_path, monkeypatch):
    (tmp_path / "bot").mkdir()
    monkeypatch.chdir(tmp_path)
    one = session_path("bot/hauberk.yml")
    assert session_path("bot/../bot/hauberk.yml") == one
    assert session_path(tmp_path / "bot" / "hauberk.yml") == one
    assert session_path("other/hauberk.yml") != one


def test_a_token_that_is_not_there_is_none(config, tmp_path):
    assert stored_token(config) is None
    (tmp_path / "home").write_text("no folder")
    assert stored_token(config) is None


# Who owns what.


def test_the_owner_of_a_file_of_ours_is_us(tmp_path):
    import pwd

    assert owner_of(tmp_path) == pwd.getpwuid(os.geteuid()).pw_name
    with pytest.raises(FileNotFoundError):
        owner_of(tmp_path / "missing")


def test_a_user_without_a_name_is_told_by_number(tmp_path, monkeypatch):
    def nobody(user):
        raise KeyError(user)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert owner_of(tmp_path) == f"uid {os.geteuid()}"


def test_what_belongs_to_somebody_else_has_no_owner_here(tmp_path, somebody_else):
    assert owner_of(tmp_path) is None
