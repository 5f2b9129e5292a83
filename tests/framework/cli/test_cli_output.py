"""One JSON document on stdout whatever happens; what people read goes nowhere else."""

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hauberk.cli import answer as answers
from hauberk.cli.answer import Answer, printable, to_json
from hauberk.cli.failure import failure
from hauberk.cli.main import main
from hauberk.errors import (
    Altered,
    ConfigError,
    ConfigProblem,
    CredentialsMissing,
    Denied,
    InvalidValue,
    PluginRefused,
    SealError,
    StartFailed,
    StoreError,
)
from hauberk.secret import Secret

ACCOUNT = "https://api.binance.com/api/v3/account"

FAILING = [
    ["nonsense"],
    ["doctr"],
    ["sign"],
    ["sign", "GET"],
    ["sign", "GET", ACCOUNT],
    ["sign", "GET", ACCOUNT, "--account", "nobody"],
    ["sign", "GET", ACCOUNT, "--venue", "kraken"],
    ["sign", "GET", ACCOUNT, "--at", "noon"],
    ["sign", "GET", ACCOUNT, "--at"],
    ["sign", "GET", ACCOUNT, "symbol"],
    ["sign", "GET", ACCOUNT, "--nonsense"],
    ["sign", "GET", "https://evil.example/api"],
    ["sign", "POST", "https://api.binance.com/sapi/v1/capital/withdraw/apply", "coin=BTC"],
    ["doctor"],
    ["doctor", "surplus"],
    ["plugins", "--nonsense=1"],
    ["init", "bot"],
    ["plugin", "nonsense"],
    ["config", "nonsense"],
    ["doctor", "--config"],
    ["doctor", "--config", "missing.yml"],
]


def as_json(words, where):
    end = words.index("--") if "--" in words else len(words)
    return ["--json", *words] if where == "before" else [*words[:end], "--json", *words[end:]]


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("words", FAILING, ids=" ".join)
def test_a_failure_is_one_document_on_stdout_and_words_on_stderr(
    hauberk, config, monkeypatch, words, where
):
    monkeypatch.setenv("HAUBERK_CONFIG", str(config))
    ran = hauberk(*as_json(words, where))
    assert ran.status in (1, 2)
    assert type(ran.document) is dict
    if words != ["doctor"]:
        assert ran.document["error"]
        assert ran.document["message"]
        assert ran.err.strip()


@pytest.mark.parametrize("words", FAILING, ids=" ".join)
def test_without_json_a_failure_leaves_stdout_empty(hauberk, config, monkeypatch, words):
    monkeypatch.setenv("HAUBERK_CONFIG", str(config))
    ran = hauberk(*words)
    if words != ["doctor"]:
        assert ran.out == ""
        assert "hauberk: " in ran.err


def test_what_looks_like_json_behind_two_dashes_is_a_parameter(hauberk, config, keys):
    ran = hauberk("sign", "--config", config, "GET", ACCOUNT, "--", "--json=1")
    assert ran.status == 0
    assert "--json=1" in ran.out
    assert not ran.out.startswith("{")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Denied("policy", "no"), 1),
        (InvalidValue("bad"), 2),
        (StartFailed("policy", "gone"), 2),
        (PluginRefused("p", "why"), 2),
        (CredentialsMissing("main", "env:K", ("the environment",)), 2),
        (ConfigError([ConfigProblem("h.yml", 3, "mode", "bad")]), 2),
        (StoreError("torn"), 3),
        (Altered("swapped"), 1),
        (SealError("no key"), 2),
        (OSError(28, "No space left on device"), 3),
        (RuntimeError("boom"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_whose_fault_it_is_decides_the_exit_status(error, status):
    assert failure(error).status == status


def test_a_denial_says_who_and_why_and_when_again():
    document = failure(Denied("throttle", "full", 2.5)).document
    assert document["plugin"] == "throttle"
    assert document["reason"] == "full"
    assert document["retry_after"] == 2.5


def test_missing_credentials_say_which_of_whom_and_where():
    document = failure(CredentialsMissing("main", "env:K", ("the environment", ".env"))).document
    assert (document["account"], document["reference"]) == ("main", "env:K")
    assert json.loads(to_json(document))["looked_in"] == ["the environment", ".env"]


def test_every_problem_of_a_configuration_is_listed_with_its_place(hauberk, config, edit):
    edit("mode: enforce", "mode: enforced")
    edit("    venue: binance", "    venu: binance")
    ran = hauberk("doctor", "--config", config, "--json")
    assert ran.status == 2
    assert {p["path"] for p in ran.document["problems"]} >= {"mode", "accounts.main.venu"}
    assert all(p["file"] == str(config) and p["line"] for p in ran.document["problems"])
    for problem in ran.document["problems"]:
        assert f"{config}:{problem['line']}: {problem['path']}: " in ran.err


def test_a_missing_configuration_says_how_to_make_one(hauberk):
    ran = hauberk("doctor")
    assert ran.status == 2
    assert "hauberk.yml" in ran.err
    assert "hauberk init" in ran.err


def test_a_configuration_in_a_folder_that_is_closed_to_us_is_told(hauberk, monkeypatch):
    def closing(real):
        def closed(path, *args, **kwargs):
            if "closed" in str(path):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *args, **kwargs)

        return closed

    monkeypatch.setattr(os, "open", closing(os.open))
    monkeypatch.setattr(Path, "stat", closing(Path.stat))
    ran = hauberk("doctor", "--config", "closed/hauberk.yml")
    assert ran.status == 2
    assert "closed/hauberk.yml: cannot be read: Permission denied" in ran.err
    assert "hauberk init" not in ran.err
    assert hauberk("--help", "--config", "closed/hauberk.yml").status == 0


def test_a_defect_shows_its_place_and_not_its_text(hauberk, config, monkeypatch):
    def broken(*_args):
        raise ValueError("s3cr3t")

    monkeypatch.setattr("hauberk.opening.load", broken)
    ran = hauberk("doctor", "--config", config, "--json")
    assert ran.status == 3
    assert "s3cr3t" not in ran.out + ran.err
    assert "ValueError in test_cli_output.py" in ran.err
    assert "report it" in ran.err
    assert ran.document["error"] == "ValueError"


def test_an_interrupt_is_told_in_a_word(hauberk, config, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("hauberk.opening.load", interrupted)
    ran = hauberk("doctor", "--config", config, "--json")
    assert ran.status == 130
    assert ran.document["message"] == "interrupted"
    assert ran.err == "hauberk: interrupted\n"


def test_the_value_of_an_unknown_option_is_not_repeated(hauberk):
    ran = hauberk("sign", "--secret=s3cr3t", "GET", ACCOUNT, "--json")
    assert ran.status == 2
    assert "--secret" in ran.err
    assert "s3cr3t" not in ran.out + ran.err


def test_usage_errors_say_where_to_read_on(hauberk):
    assert "See: hauberk sign --help" in hauberk("sign", "GET").err
    assert 'Did you mean "doctor"?' in hauberk("doctr").err


def test_what_is_logged_goes_to_stderr_with_its_level(hauberk, config, edit):
    edit("policy, bots", "policy, gone, bots")
    edit("third_party: {}", "third_party:\n  hauberk-not-there: {plugins: [gone], grants: []}")
    ran = hauberk("plugins", "--config", config, "--json")
    assert ran.status == 0
    assert ran.document["skipped"][0]["plugin"] == "gone"
    assert "hauberk: WARNING: plugin gone is skipped" in ran.err


def test_the_log_is_let_alone_afterwards(hauberk):
    before = list(logging.getLogger("hauberk").handlers)
    hauberk("doctor")
    assert logging.getLogger("hauberk").handlers == before


def test_escapes_and_reversed_text_reach_no_terminal(hauberk):
    assert printable("a\x1b[2Jb‮c\td\n") == "a�[2Jb�c\td\n"
    ran = hauberk("doctor", "--config", "x\x1b]0;owned\x07.yml")
    assert "\x1b" not in ran.err
    assert "\x07" not in ran.err


def test_json_is_ascii_so_that_no_encoding_breaks_it():
    assert to_json({"é": "\udc80", "s": Secret("x")}).isascii()
    assert "[secret]" in to_json({"s": Secret("x")})


def test_words_that_are_not_unicode_break_nothing(hauberk, config, keys):
    ran = hauberk("sign", "--config", config, "GET", ACCOUNT, "a=\udc80", "--json")
    assert ran.status == 2
    assert "Unicode" in ran.document["message"]
    assert hauberk("\udc80", "--json").status == 2


def test_a_terminal_gets_colours_and_one_that_wants_none_gets_none(hauberk, config, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;31mfail" in hauberk("doctor", "--config", config).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in hauberk("doctor", "--config", config).out


@pytest.mark.parametrize("words", [["doctor"], ["plugins"]])
def test_a_narrow_terminal_loses_no_text(hauberk, config, monkeypatch, words):
    with monkeypatch.context() as patched:
        patched.setattr(answers, "_UNFOLDED", 40)
        narrow = hauberk(*words, "--config", config).out
    assert max(len(line) for line in narrow.splitlines()) <= 40
    wide = hauberk(*words, "--config", config).out
    assert sorted("".join(narrow.split())) == sorted("".join(wide.split()))


def test_a_pipe_gets_each_finding_on_one_line(hauberk, config):
    out = hauberk("doctor", "--config", config).out
    line = next(line for line in out.splitlines() if line.startswith("fail"))
    assert "env:BINANCE_KEY is not set" in line
    assert str(config.parent / ".env") in line


def test_a_reader_that_leaves_is_no_failure(config):
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [sys.executable, "-m", "hauberk.cli", "plugins", "--config", config],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert ran.stderr == b""
    assert ran.returncode == 0


def test_a_full_disk_is_a_failure_that_is_told(config):
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "hauberk.cli", "config", "schema", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ran.returncode == 3
    assert ran.stderr == b"hauberk: No space left on device: make room on that disk\n"


def test_closed_streams_break_nothing(config, monkeypatch):
    for words, status in ((["doctor", "--config", str(config)], 1), (["nonsense"], 2)):
        with monkeypatch.context() as closed:
            closed.setattr(sys, "stdout", None)
            closed.setattr(sys, "stderr", None)
            assert main(words) == status
            sys.stdout.close()
            sys.stderr.close()


def test_a_terminal_without_our_characters_breaks_nothing(monkeypatch):
    raw = io.BytesIO()
    with monkeypatch.context() as narrow:
        narrow.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
        assert main(["init", "bot"]) == 0
        assert b"BINANCE_KEY=\\u2026" in raw.getvalue()


def test_an_answer_without_anything_to_show_prints_nothing(capsys):
    Answer({"a": 1}).show()
    assert capsys.readouterr().out == ""
