"""What was typed, read just far enough to know where output goes and which file is meant."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.cli.line import Line, read_line


def test_the_configuration_is_hauberk_yml_unless_said_otherwise():
    assert read_line(["doctor"], {}) == Line(("doctor",), Path("hauberk.yml"))


def test_the_variable_names_the_configuration():
    assert read_line(["doctor"], {"HAUBERK_CONFIG": "/etc/h.yml"}).config == Path("/etc/h.yml")


def test_an_empty_variable_counts_as_not_set():
    assert read_line(["doctor"], {"HAUBERK_CONFIG": ""}).config == Path("hauberk.yml")


def test_the_option_outweighs_the_variable():
    line = read_line(["doctor", "--config", "a.yml"], {"HAUBERK_CONFIG": "b.yml"})
    assert line.config == Path("a.yml")


@pytest.mark.parametrize(
    "words",
    [
        ["--json", "--config", "a.yml", "sign", "GET", "u"],
        ["sign", "--json", "GET", "--config=a.yml", "u"],
        ["sign", "GET", "u", "--config", "a.yml", "--json"],
    ],
)
def test_what_every_command_takes_may_stand_anywhere(words):
    assert read_line(words, {}) == Line(("sign", "GET", "u"), Path("a.yml"), as_json=True)


def test_what_stands_behind_two_dashes_is_the_commands_own():
    line = read_line(["sign", "GET", "u", "--", "--json", "--config", "x"], {})
    assert line == Line(("sign", "GET", "u", "--", "--json", "--config", "x"))


def test_an_equals_sign_means_a_file_that_looks_like_an_option():
    assert read_line(["--config=--json", "doctor"], {}).config == Path("--json")


@pytest.mark.parametrize("words", [["doctor", "--config"], ["--config", "--json", "doctor"]])
def test_a_missing_file_is_a_problem_and_eats_no_option(words):
    line = read_line(words, {})
    assert "--config needs a file" in line.problem
    assert line.as_json is ("--json" in words)
    assert line.words == ("doctor",)


@pytest.mark.parametrize("word", ["--json=true", "--json=false", "--json="])
def test_json_takes_no_value_and_the_complaint_is_json(word):
    line = read_line(["doctor", word], {})
    assert line.as_json
    assert line.problem == "--json takes no value"


@given(st.lists(st.text(max_size=8)))
def test_every_other_word_is_kept_in_its_place(words):
    own = [w for w in words if w.partition("=")[0] not in ("--json", "--config")]
    assert read_line(own, {}).words == tuple(own)
