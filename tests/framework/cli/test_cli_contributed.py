"""Commands that plugins contribute: used like any other, and none can do harm to the rest."""

import pytest

from hauberk.cli.commands import COMMANDS
from hauberk.cli.contributed import BUILTIN_COMMANDS, builtin_with, contributed
from hauberk.hooks import hookimpl
from hauberk_plugins.auth.plugin import AuthPlugin

GOOD = """
    class Quiet(Base):
        @hookimpl
        def on_commands(self):
            return [Command("quiet show", show), Command("budgets", budgets)]

    def show(account: str, /, *, days: int = 1, options: Options = Options()):
        '''Show the quiet hours of an account.

        Args:
            account: Whose.
            days: For how many days.
        '''
        return {"account": account, "days": days, "config": options.config.name,
                "json": options.json}

    def budgets():
        '''Show what is left.'''
        print("stray")
        return Answer({"left": 3}, "three are left", ok=False)
"""


@pytest.fixture
def run(hauberk, config):
    """Run a command line with the bot's configuration."""
    return lambda *words: hauberk(*words, "--config", config)


def contributing(*commands, body=""):
    return f"""
        class Quiet(Base):
            @hookimpl
            def on_commands(self):
                return [{", ".join(commands)}, Command("fine", lambda: "fine")]

        {body}
    """


def test_it_runs_with_its_arguments_and_what_every_command_takes(run, third_party):
    third_party(GOOD)
    ran = run("quiet", "show", "main", "--days=3", "--json")
    assert ran.status == 0
    assert ran.document == {"account": "main", "days": 3, "config": "hauberk.yml", "json": True}


def test_its_answer_decides_output_and_status_and_what_it_prints_goes_to_stderr(run, third_party):
    third_party(GOOD)
    ran = run("budgets", "--json")
    assert (ran.status, ran.document) == (1, {"left": 3})
    assert "stray" in ran.err
    ran = run("budgets")
    assert (ran.status, ran.out) == (1, "stray\nthree are left\n")


def test_it_stands_in_the_help_with_its_parameters(run, third_party):
    third_party(GOOD)
    assert "budgets" in run("--help").out
    assert "Show what is left." in run("--help").out
    assert "Show the quiet hours of an account." in run("quiet").out
    assert "For how many days." in run("quiet", "show", "--help").out


def test_its_usage_errors_are_like_any_others(run, third_party):
    third_party(GOOD)
    ran = run("quiet", "show", "main", "--days", "many", "--json")
    assert ran.status == 2
    assert "--days" in ran.document["message"]
    assert "See: hauberk quiet show --help" in ran.err


def test_it_is_not_started(run, third_party):
    third_party("""
        class Quiet(Base):
            @hookimpl
            def on_start(self, context):
                raise SystemExit("started")

            @hookimpl
            def on_commands(self):
                return [Command("fine", lambda: "fine")]
    """)
    assert run("fine").out == "fine\n"


def test_nothing_is_asked_for_a_command_of_the_kernels_own(run, third_party):
    third_party("""
        class Quiet(Base):
            @hookimpl
            def on_commands(self):
                raise SystemExit("asked")
    """)
    assert "asked" not in run("config", "schema").err
    assert "asked" in run("fine").err


def test_the_variable_names_the_configuration_too(hauberk, config, third_party, monkeypatch):
    third_party(GOOD)
    monkeypatch.setenv("HAUBERK_CONFIG", str(config))
    assert hauberk("quiet", "show", "main", "--json").status == 0


UNKNOWN = [("quiet", "show"), ("vault", "list"), ("user", "add", "alice"), ("vault", "--help")]


@pytest.mark.parametrize("words", UNKNOWN, ids=" ".join)
def test_without_a_configuration_that_is_what_is_said(hauberk, words):
    ran = hauberk(*words)
    assert ran.status == 2
    assert "hauberk.yml: cannot be read: No such file or directory" in ran.err
    assert "make one with `hauberk init`, or name another: --config FILE" in ran.err
    assert "Unknown command" not in ran.err


@pytest.mark.parametrize("words", UNKNOWN, ids=" ".join)
def test_so_it_is_where_the_configuration_is_broken_and_for_machines_too(run, config, words):
    config.write_text("plugins: [killswitch, sterage]\nstaet: here\n")
    ran = run("--json", *words)
    assert ran.status == 2
    assert ran.document["error"] == "ConfigError"
    assert {problem["line"] for problem in ran.document["problems"]} == {1, 2}
    assert "WARNING" not in ran.err


def test_what_is_near_a_command_of_the_kernels_own_is_taken_for_that(hauberk):
    ran = hauberk("docter")
    assert ran.status == 2
    assert 'Did you mean "doctor"?' in ran.err


def test_help_lists_what_there_is_and_warns_of_what_cannot_be_read(hauberk, run, config):
    assert hauberk("--help").status == 0
    assert "WARNING" not in hauberk("--help").err
    config.write_text("staet: here\n")
    ran = run("--help")
    assert ran.status == 0
    assert "doctor" in ran.out
    assert "plugins contribute no commands" in ran.err


@pytest.mark.parametrize("words", [("user", "add", "alice"), ("login",), ("whoami", "--json")])
def test_a_command_of_a_built_in_that_is_not_listed_says_what_to_list(run, config, words):
    ran = run(*words)
    assert ran.status == 2
    said = "is a command of the plugin 'auth', which is not listed: add auth to `plugins:` in"
    assert f"{said} {config}" in ran.err


def test_one_that_is_listed_and_contributes_nothing_is_not_said_to_be_missing(
    run, config, edit, monkeypatch
):
    edit("bots, throttle", "bots, auth, throttle")
    monkeypatch.setattr(AuthPlugin, "on_commands", hookimpl(lambda self: 1 / 0))
    ran = run("user", "list")
    assert 'Unknown command "user"' in ran.err
    assert "not listed" not in ran.err


def test_the_table_of_what_the_built_ins_contribute_is_exact(config):
    listed = "killswitch, policy, throttle, signing, auth, monitor, audit, notify, recovery"
    config.write_text(f"plugins: [{listed}]\n")
    found = [(one.plugin, one.command.name.split()[0]) for one in contributed(config, COMMANDS)]
    for plugin, words in BUILTIN_COMMANDS.items():
        assert set(words) <= {word for name, word in found if name == plugin}
    assert all(builtin_with(word) for _, word in found)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("'quiet show'", "str is no hauberk.command.Command"),
        ("None", "NoneType is no"),
        ("Command('sign', print)", "the name 'sign' is taken"),
        ("Command('plugin new', print)", "the name 'plugin new' is taken"),
        ("Command('sign now', print)", "'sign' is a command"),
        ("Command('plugin', print)", "there are commands below 'plugin'"),
        ("Command('--json', print)", "its name must be"),
        ("Command('', print)", "its name must be"),
        ("Command('a b c', print)", "its name must be"),
        ("Command('a\\x1b', print)", "its name must be"),
        ("Command(7, print)", "its name must be"),
        ("Command('idle', None)", "cannot be called"),
        ("Command('odd', odd)", "its parameters cannot be read"),
        ("Command('dup', len), Command('dup', len)", "the name 'dup' is taken"),
        ("Command('grp', len), Command('grp sub', len)", "'grp' is a command"),
        ("Command('grp sub', len), Command('grp', len)", "there are commands below 'grp'"),
    ],
)
def test_one_that_may_not_be_is_left_out_with_the_reason_and_the_others_stay(
    run, third_party, command, reason
):
    third_party(contributing(command, body="def odd(a: 'Nowhere'): ..."))
    ran = run("fine")
    assert ran.out == "fine\n"
    assert "a command of plugin quiet is left out: " in ran.err
    assert reason in ran.err


@pytest.mark.parametrize(
    "body",
    [
        "raise RuntimeError('boom')",
        "raise SystemExit('boom')",
        "return 7",
        "return self.boom()",
        "return (1 / 0 for _ in [1])",
    ],
)
def test_a_plugin_that_raises_contributes_none_and_breaks_nothing(run, third_party, body):
    third_party(f"""
        class Quiet(Base):
            @hookimpl
            def on_commands(self):
                {body}
    """)
    ran = run("fine", "--json")
    assert ran.status == 2
    assert 'Unknown command "fine"' in ran.document["message"]
    assert "quiet" in ran.err
    assert run("--help").status == 0


@pytest.mark.parametrize("body", ["raise RuntimeError('boom')", "raise SystemExit(0)", "1 / 0"])
def test_one_that_raises_fails_under_its_plugins_name(run, third_party, body):
    third_party(f"""
        class Quiet(Base):
            @hookimpl
            def on_commands(self):
                return [Command("quiet show", show)]

        def show():
            {body}
    """)
    ran = run("quiet", "show", "--json")
    assert ran.status == 3
    assert ran.document["error"] == "CommandFailed"
    assert ran.document["plugin"] == "quiet"
    assert "command 'quiet show' of plugin 'quiet' raised" in ran.err


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("raise Denied('quiet', 'not now')", 1),
        ("raise MisuseError('no')", 2),
        ("raise KeyboardInterrupt", 130),
        ("return float('nan')", 3),
        ("return {('a', 'b'): 1}", 3),
        ("return Answer(float('inf'))", 3),
        ("return Answer(1, lambda: 1 / 0)", 3),
        ("return object()", 0),
        ("return None", 0),
        ("return Secret('s3cr3t')", 0),
    ],
)
def test_whatever_one_answers_is_one_document(run, third_party, body, status):
    third_party(f"""
        class Quiet(Base):
            @hookimpl
            def on_commands(self):
                return [Command("show", show)]

        def show():
            {body}
    """)
    ran = run("show", "--json")
    assert ran.status == status
    assert "s3cr3t" not in ran.out + ran.err
    assert ran.document is None or ran.document
    ran = run("show")
    assert ran.status == status
    assert "s3cr3t" not in ran.out + ran.err


# Groups.


def summary(shown, word):
    (line,) = (line for line in shown.splitlines() if line.startswith(f"│ {word} "))
    return line.strip("│ ").removeprefix(word).strip()


def test_a_group_of_commands_says_what_it_is_for(run, third_party):
    third_party(
        contributing(
            'Command("quiet show", print)',
            'Command("quiet set", print, group="Quiet hours of accounts.")',
            'Command("quiet unset", print, group="Another line.")',
        )
    )
    assert summary(run("--help").out, "quiet") == "Quiet hours of accounts."
    assert "Quiet hours of accounts." in run("quiet", "--help").out


def test_a_group_of_the_kernels_own_keeps_its_line(run, third_party):
    third_party(contributing('Command("plugin show", print, group="Mine.")'))
    assert summary(run("--help").out, "plugin") == "Write a plugin."


@pytest.mark.parametrize("group", ["None", r"'a\nb'", r"'\x1b[2J'"])
def test_a_group_that_is_no_line_of_text_is_left_out(run, third_party, group):
    third_party(contributing(f'Command("quiet show", print, group={group})'))
    ran = run("--help")
    assert "'quiet show' has a `group` that is no line of text" in ran.err
    assert summary(ran.out, "fine") == ""


def test_the_groups_of_built_ins_say_what_they_are_for(run, edit):
    edit("bots, throttle", "bots, auth, throttle")
    shown = run("--help").out
    for word in ("config", "plugin", "sessions", "token", "user", "vault"):
        assert summary(shown, word)
