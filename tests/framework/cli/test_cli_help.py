"""Help teaches: every command, every parameter, an example of each."""

import importlib
import inspect

import pytest

from hauberk.cli.commands import COMMANDS

NAMES = sorted(COMMANDS)


def function(name):
    module, _, attribute = COMMANDS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def test_without_a_command_every_command_is_listed_with_what_it_is_for(hauberk):
    ran = hauberk()
    assert ran.status == 0
    for name in NAMES:
        summary = inspect.getdoc(function(name)).split()[0]
        words = name.split()
        shown = ran.out if len(words) == 1 else hauberk(words[0]).out
        line = next(line for line in shown.splitlines() if line.startswith(f"│ {words[-1]} "))
        assert summary in line


@pytest.mark.parametrize("name", NAMES)
def test_each_command_says_what_it_does_and_shows_an_example(hauberk, name):
    ran = hauberk(*name.split(), "--help")
    assert ran.status == 0
    assert ran.out.startswith(f"Usage: hauberk {name}")
    assert inspect.getdoc(function(name)).splitlines()[0] in ran.out.replace("\n", " ")
    if name != "demo":
        assert f"    hauberk {name}" in ran.out


@pytest.mark.parametrize("name", NAMES)
def test_each_parameter_of_each_command_is_described(hauberk, name):
    described = " ".join(hauberk(*name.split(), "--help").out.replace("│", " ").split())
    text = inspect.getdoc(function(name))
    for parameter in inspect.signature(function(name)).parameters:
        if parameter == "options":
            continue
        assert f"\n    {parameter}: " in text, f"{name} does not describe {parameter}"
        sentence = text.split(f"\n    {parameter}: ")[1].split("\n    ")[0]
        assert " ".join(sentence.split())[:40] in described


@pytest.mark.parametrize("name", NAMES)
def test_each_help_says_what_every_command_takes_and_the_exit_status(hauberk, name):
    out = hauberk(*name.split(), "--help").out
    assert "--config FILE" in out
    assert "$HAUBERK_CONFIG" in out
    assert "--json" in out
    assert "0 done, 1 the answer is no, 2 usage or configuration, 3 a failure" in out


@pytest.mark.parametrize("width", ["30", "200"])
def test_help_fits_the_terminal(hauberk, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    out = hauberk("sign", "--help").out
    assert max(len(line) for line in out.splitlines()) <= int(width)


def test_help_as_json_is_one_document(hauberk):
    document = hauberk("sign", "--help", "--json").document
    assert "Usage: hauberk sign" in document["help"]


def test_no_command_as_json_is_one_document(hauberk):
    assert "Usage: hauberk COMMAND" in hauberk("--json").document["help"]
    assert "Usage: hauberk plugin COMMAND" in hauberk("--json", "plugin").document["help"]


def test_the_version_is_told(hauberk):
    from hauberk import __version__

    assert hauberk("--version").out == f"hauberk {__version__}\n"
    assert hauberk("--version", "--json").document == {"version": __version__}


def test_help_needs_no_configuration_that_can_be_read(hauberk, config, monkeypatch):
    config.write_text("plugins: [", "utf-8")
    monkeypatch.setenv("HAUBERK_CONFIG", str(config))
    ran = hauberk("--help")
    assert ran.status == 0
    assert "hauberk doctor" in ran.err
    assert "doctor" in ran.out
