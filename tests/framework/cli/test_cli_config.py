"""`hauberk config get|set|unset|check`: one value at a time, the whole checked before."""

import difflib
import io
import os
import sys

import pytest

from hauberk.builtins import DEFAULT_PORTS

ALERTS = """
    from attrs import frozen
    from hauberk.sealed import Sealed

    @frozen
    class Alerts:
        '''Where alerts go.'''

        token: Sealed | None = None
        host: str = ""
        by_name: dict[str, Sealed] = {}

    class Quiet(Base):
        Config = Alerts

        def __init__(self, config):
            self.config = config

        @hookimpl
        def on_start(self, context):
            if self.config.token is not None:
                self.token = context.unseal(self.config.token)
"""
OWN_VAULT = """
    from hauberk.testing import MemoryVault

    class Sealing(Quiet):
        provides = {"vault": "vault"}

        def __init__(self, config):
            super().__init__(config)
            self.vault = MemoryVault()

    Quiet = Sealing
"""


@pytest.fixture
def stdin(monkeypatch):
    """Have something come in on stdin."""

    def give(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give


@pytest.fixture
def run(hauberk, config, monkeypatch):
    """Run `hauberk config …`; return what came of it, and what became of the file."""
    monkeypatch.setenv("HAUBERK_CONFIG", str(config))

    def run(*words):
        before = config.read_text("utf-8")
        ran = hauberk("config", *words)
        lines = difflib.unified_diff(
            before.split("\n"), config.read_text("utf-8").split("\n"), n=0, lineterm=""
        )
        return ran, [line for line in lines if not line.startswith(("---", "+++", "@@"))]

    return run


@pytest.fixture
def alerts(third_party):
    """Have a plugin `quiet` that takes sealed values."""
    third_party(ALERTS)


@pytest.fixture
def own(third_party, config):
    """Have the plugin `quiet` and little else, with the providers of ports that are given."""

    def write(source, ports):
        third_party(source)
        config.write_text(
            "plugins: [killswitch, quiet]\ngrants: {killswitch: [], keys: []}\n"
            f"third_party: {{quiet-hours: {{plugins: [quiet]}}}}\nports: {ports}\n"
        )

    return write


def test_setting_one_value_changes_one_line(run, config):
    ran, diff = run("set", "accounts.main.allow", "[read, trade]")
    assert (ran.status, ran.err) == (0, "")
    assert diff == ["-    allow: [read, trade, cancel]", "+    allow: [read, trade]"]
    line = config.read_text().split("\n").index(diff[1][1:]) + 1
    assert ran.out == f"{config}:{line}: accounts.main.allow is set.\n"


def test_a_key_is_added_and_removed_again(run, config):
    before = config.read_bytes()
    ran, diff = run("set", "throttle.jitter_ms", "700", "--json")
    assert diff == ["+throttle:", "+  jitter_ms: 700"]
    assert ran.document == {
        "config": str(config),
        "path": "throttle.jitter_ms",
        "line": len(before.splitlines()) + 2,
        "sealed": False,
    }
    ran, diff = run("unset", "throttle", "--json")
    assert ran.status == 0
    assert ran.document["line"] == len(before.splitlines()) + 1
    assert config.read_bytes() == before


def test_what_would_be_wrong_is_told_as_a_whole_and_not_written(run, config):
    config.write_text(config.read_text() + "throttle:\n  jitter_ms: x\n")
    ran, diff = run("set", "mode", "shado", "--json")
    assert ran.status == 2
    assert diff == []
    assert [problem["path"] for problem in ran.document["problems"]] == [
        "mode",
        "throttle.jitter_ms",
    ]
    assert f"{config} stays as it is; with this change:" in ran.err


def test_a_value_of_the_wrong_type_is_not_written(run):
    for value in ("x", "'\"5\"'", "true", "-5", "[5]"):
        ran, diff = run("set", "throttle.jitter_ms", value)
        assert (ran.status, diff) == (2, [])


def test_a_required_plugin_cannot_be_unset_away(run):
    ran, diff = run("unset", "plugins.0")
    assert (ran.status, diff) == (2, [])
    assert "killswitch must be the first of `plugins:`" in ran.err


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("500", "500"),
        ("-5", "-5"),
        ("1.5", "1.5"),
        ("true", "true"),
        ("null", "null"),
        ('"5"', "'5'"),
        ("5000 USDT", "5000 USDT"),
        ("env:KEY", "env:KEY"),
        ("yes", "yes"),
        ("'a: b'", "'a: b'"),
        ("[a, {b: 1}]", "[a, {b: 1}]"),
        ("", None),
        (" ", None),
        ("a: b", None),
        ("a # b", None),
        ("[a", None),
        ("- a", None),
        ("&x a", None),
        ("[a, {b: &x c}]", None),
        ("!!str 5", None),
        ("*x", None),
        ("!sealed AAAA", None),
        ("a\nmode: shadow", None),
    ],
)
def test_a_value_is_read_as_yaml_reads_it_or_refused(
    hauberk, tmp_path, monkeypatch, typed, written
):
    from hauberk.cli import config_set

    monkeypatch.setattr(config_set, "check", lambda content, file: None)
    path = tmp_path / "any.yml"
    path.write_text("a: 1\n")
    ran = hauberk("config", "set", "--config", path, "a", typed)
    if written is None:
        assert ran.status == 2
        assert "VALUE is no value as YAML has it" in ran.err
        assert path.read_text() == "a: 1\n"
    else:
        assert (ran.status, ran.err) == (0, "")
        assert path.read_text() == f"a: {written}\n"


def test_what_cannot_be_edited_by_itself_says_so(run, edit):
    edit("required: [", "required: [ # all of these\n  ")
    ran, diff = run("set", "required", "[killswitch]")
    assert (ran.status, diff) == (2, [])
    assert "required: cannot be changed by itself: comments stand within it" in ran.err


def test_mode_owner_and_a_link_to_the_file_stay(run, config, tmp_path, hauberk):
    config.chmod(0o640)
    link = tmp_path / "link.yml"
    link.symlink_to(config)
    assert hauberk("config", "set", "--config", link, "mode", "shadow").status == 0
    assert link.is_symlink()
    assert "mode: shadow\n" in config.read_text()
    assert config.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(run, config):
    config.parent.chmod(0o500)
    ran, diff = run("set", "mode", "shadow")
    config.parent.chmod(0o700)
    assert (ran.status, diff) == (2, [])
    assert "nothing was written" in ran.err


def test_a_value_is_printed_as_text_and_as_json(run):
    assert run("get", "mode")[0].out == "enforce\n"
    assert run("get", "plugins.0")[0].out == "killswitch\n"
    assert run("get", "accounts.main.allow")[0].out == "[read, trade, cancel]\n"
    ran, diff = run("get", "accounts.main.allow", "--json")
    assert diff == []
    assert ran.document == {
        "path": "accounts.main.allow",
        "found": True,
        "value": ["read", "trade", "cancel"],
        "sealed": [],
    }


def test_what_is_absent_is_no_answer_unless_there_is_a_default(run, config):
    ran, _ = run("get", "accounts.other.venue")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == f"hauberk: {config}: nothing stands at accounts.other.venue\n"
    ran, _ = run("get", "accounts.other.venue", "--default", "binance")
    assert (ran.status, ran.out, ran.err) == (0, "binance\n", "")
    ran, _ = run("get", "nowhere", "--json")
    assert ran.status == 1
    assert ran.document == {"path": "nowhere", "found": False, "value": None, "sealed": []}
    ran, _ = run("get", "nowhere", "--default", "5", "--json")
    assert (ran.status, ran.document["value"]) == (0, "5")


def test_unsetting_what_is_absent_is_no_answer(run):
    ran, diff = run("unset", "accounts.other", "--json")
    assert (ran.status, diff) == (1, [])
    assert ran.document["line"] is None


@pytest.mark.parametrize("words", [["get", "a..b"], ["set", "a..b", "1"], ["unset", "'a"]])
def test_what_is_no_path_is_a_usage_error(run, words):
    ran, diff = run(*words)
    assert (ran.status, diff) == (2, [])
    assert "is no path" in ran.err


@pytest.mark.parametrize("words", [["get", "a"], ["set", "a", "1"], ["unset", "a"], ["check"]])
def test_a_missing_file_is_told_with_what_to_do(hauberk, words):
    ran = hauberk("config", *words, "--config", "nowhere.yml")
    assert ran.status == 2
    assert "hauberk init" in ran.err


def test_a_value_is_sealed_from_stdin_and_shown_only_when_asked_for(run, stdin, alerts, config):
    stdin(b"hunter2\n")
    ran, diff = run("set", "quiet.token", "--sealed", "--json")
    assert (ran.status, ran.document["sealed"]) == (0, True)
    assert diff[0] == "+quiet:"
    assert diff[1].startswith("+  token: !sealed ")
    assert len(diff) == 2
    assert "hunter2" not in ran.out + ran.err + config.read_text()
    assert run("get", "quiet.token")[0].out == "[sealed]\n"
    ran, _ = run("get", "quiet", "--json")
    assert ran.document["value"] == {"token": "[sealed]"}
    assert ran.document["sealed"] == ["quiet.token"]
    assert run("get", "quiet.token", "--reveal")[0].out == "hunter2\n"
    assert run("get", "quiet.token", "--reveal", "--json")[0].document["value"] == "hunter2"
    ran, _ = run("check", "--json")
    assert ran.document == {"config": str(config), "ok": True, "sealed": ["quiet.token"]}


def test_only_who_may_read_it_is_shown_what_is_sealed(run, stdin, alerts, config, monkeypatch):
    from hauberk.errors import Denied

    stdin(b"hunter2\n")
    run("set", "quiet.token", "--sealed")
    asked = []

    def refuse(capability, file):
        asked.append((capability, file))
        raise Denied("auth", "nobody is logged in")

    monkeypatch.setattr("hauberk.cli.access.check_access", refuse)
    for path in ("quiet.token", "quiet"):
        ran, _ = run("get", path, "--reveal")
        assert (ran.status, ran.out) == (1, "")
        assert "hunter2" not in ran.err
    assert asked == [("config.read", config)] * 2
    assert run("get", "quiet.token")[0].out == "[sealed]\n"
    assert run("get", "mode", "--reveal")[0].out == "enforce\n"
    assert len(asked) == 2


def test_a_plugin_opens_it_when_it_starts(run, stdin, alerts, config, keys):
    from hauberk.opening import open as open_guard

    stdin(b"hunter2")
    run("set", "quiet.token", "--sealed")
    with open_guard(config, transient=True) as guard:
        [quiet] = [part.plugin for part, _ in guard.snapshot.parts if part.name == "quiet"]
        assert quiet.token.reveal() == b"hunter2"


def test_on_a_terminal_it_is_asked_for(run, alerts, monkeypatch):
    asked = []
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("getpass.getpass", lambda p: asked.append(p) or "hunter2")
    assert run("set", "quiet.token", "--sealed")[0].status == 0
    assert asked == ["value of quiet.token: "]
    assert run("get", "quiet.token", "--reveal")[0].out == "hunter2\n"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"a\nb\n", "a\nb"),
        (b"a\r\n", "a"),
        (b" a \n\n", " a \n"),
        ("ü".encode(), "ü"),
        (b"x" * 65_536, "x" * 65_536),
    ],
)
def test_all_that_comes_in_is_the_value_but_for_the_last_line_end(run, stdin, alerts, given, kept):
    stdin(given)
    assert run("set", "quiet.token", "--sealed")[0].status == 0
    assert run("get", "quiet.token", "--reveal", "--json")[0].document["value"] == kept


@pytest.mark.parametrize(
    ("given", "words"),
    [(b"", "empty"), (b"\n", "empty"), (b"\xff", "UTF-8"), (b"x" * 65_537, "more than")],
)
def test_what_is_no_value_is_refused(run, stdin, alerts, given, words):
    stdin(given)
    ran, diff = run("set", "quiet.token", "--sealed")
    assert (ran.status, diff) == (2, [])
    assert words in ran.err


def test_what_is_to_be_sealed_is_never_an_argument(run, alerts):
    for words in (["quiet.token", "hunter2", "--sealed"], ["quiet.token", "--sealed", "hunter2"]):
        ran, diff = run("set", *words)
        assert (ran.status, diff) == (2, [])
        assert "is no argument" in ran.err
        assert "hunter2" not in ran.err


def test_nobody_is_asked_for_what_could_not_stand_there(run, alerts, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)  # reading it would say that the value is empty
    for path, words in (("quiet.host", "expected text, not a sealed value"), ("quiet.tokn", "did")):
        ran, diff = run("set", path, "--sealed")
        assert (ran.status, diff) == (2, [])
        assert words in ran.err


def test_plain_text_where_a_sealed_value_belongs_is_refused_unseen(run, alerts):
    ran, diff = run("set", "quiet.token", "hunter2")
    assert (ran.status, diff) == (2, [])
    assert "quiet.token: must be sealed: run `hauberk config set quiet.token --sealed`" in ran.err
    assert "hunter2" not in ran.err


def test_a_sealed_value_that_was_moved_or_changed_is_an_error_never_the_default(
    run, stdin, alerts, config
):
    for name in ("a", "b"):
        stdin(name.encode())
        assert run("set", f"quiet.by_name.{name}", "--sealed")[0].status == 0
    text = config.read_text()
    was = text.partition("    b: !sealed ")[2].partition("\n")[0]
    text = text.replace("    a: ", "    c: ").replace(was, f"{was[:-8]}AAAA{was[-4:]}")
    config.write_text(text)
    for name, why in (("b", "it was changed since it was sealed"), ("c", "under another name")):
        ran, _ = run("get", f"quiet.by_name.{name}", "--default", "x", "--reveal")
        assert (ran.status, ran.out) == (2, "")
        assert f": quiet.by_name.{name}: record 'quiet.by_name.{name}' of 'config'" in ran.err
        assert why in ran.err
    ran, _ = run("check", "--json")
    assert ran.status == 2
    assert [p["path"] for p in ran.document["problems"]] == ["quiet.by_name.c", "quiet.by_name.b"]


def test_without_the_wrapping_key_it_is_an_error_too(run, stdin, alerts, config):
    stdin(b"hunter2")
    assert run("set", "quiet.token", "--sealed")[0].status == 0
    run("set", "encryption", "{key: 'file:nowhere.key'}")
    for words in (["get", "quiet.token", "--default", "x"], ["check"]):
        ran, _ = run(*words)
        assert (ran.status, ran.out) == (2, "")
        assert "quiet.token: no wrapping key from file:" in ran.err


def test_check_lists_what_is_wrong_and_what_does_not_open_together(
    run, stdin, alerts, config, edit
):
    stdin(b"hunter2")
    run("set", "quiet.token", "--sealed")
    edit("  token: !sealed ", "  token: !sealed AAAA")
    edit("mode: enforce", "mode: enforced")
    ran, _ = run("check", "--json")
    assert ran.status == 2
    assert [problem["path"] for problem in ran.document["problems"]] == ["mode", "quiet.token"]


def test_a_plugin_of_others_may_seal(run, stdin, own):
    own(ALERTS + OWN_VAULT, "{vault: quiet}")
    stdin(b"hunter2")
    assert run("set", "quiet.token", "--sealed")[0].status == 0
    assert run("get", "quiet.token", "--reveal")[0].out == "hunter2\n"
    assert run("check")[0].status == 0


def test_without_a_vault_it_says_what_to_do(run, stdin, own, monkeypatch, config):
    ports = {port: name for port, name in DEFAULT_PORTS.items() if port != "vault"}
    for module in ("config", "cli.config_file"):
        monkeypatch.setattr(f"hauberk.{module}.DEFAULT_PORTS", ports)
    own(ALERTS, "{}")
    stdin(b"hunter2")
    ran, diff = run("set", "quiet.token", "--sealed")
    assert (ran.status, diff) == (2, [])
    assert "quiet.token: is sealed, and no plugin opens it: name one" in ran.err
    config.write_text(config.read_text() + "quiet: {token: !sealed AAAA}\n")
    ran, _ = run("get", "quiet.token")
    assert ran.status == 2
    assert "no plugin seals values: name one that does, `ports: {vault: PLUGIN}`" in ran.err
    ran, _ = run("check")
    assert ran.status == 2
    assert ran.err.count("no plugin opens it") == 1


def test_a_vault_that_does_not_start_is_told(run, own, config):
    own(ALERTS, "{vault: quiet}")
    config.write_text(config.read_text() + "quiet: {token: !sealed AAAA}\n")
    ran, _ = run("check")
    assert ran.status == 2
    assert "quiet.token: is sealed, and what opens it did not start: plugin 'quiet'" in ran.err


def test_a_file_that_is_well_is_said_to_be(run, config):
    ran, _ = run("check")
    assert (ran.status, ran.out) == (0, f"{config}: nothing is wrong with it.\n")


def test_check_lists_every_problem(run, edit):
    edit("mode: enforce", "mode: enforced")
    edit("allow: [read,", "allow: [reed,")
    ran, _ = run("check", "--json")
    assert ran.status == 2
    assert [problem["path"] for problem in ran.document["problems"]] == [
        "mode",
        "accounts.main.allow.0",
    ]
