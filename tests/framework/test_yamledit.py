"""Edits of one value, by example; `tests/properties/test_yaml_edits.py` has the rule."""

from __future__ import annotations

import difflib
from typing import Any

import pytest

from hauberk.errors import ConfigError, InvalidValue
from hauberk.keypath import parse_path
from hauberk.sealed import Sealed
from hauberk.yamledit import CannotEdit, put, read_document, remove, stands_at

FILE = """\
# The bot's configuration.
mode: enforce   # or shadow
plugins:
  - killswitch # first
  - policy

# Accounts
accounts:
  main: {venue: binance, key: 'env:K', allow: [read, trade]}
  "my.acct":
    venue: "bybit"
    allow:
    - read
logs:   # nothing yet
motd: |
  several
  lines

shared: &s {x: 1}
again: *s
last: 1 # the end"""


def edited(path: str, *value: Any, text: str = FILE) -> list[str]:
    """What a diff says of an edit: of setting to a value, or of removing."""
    at = stands_at(read_document(text.encode(), "h.yml").data, parse_path(path))
    after = put(text, "h.yml", at, value[0]) if value else remove(text, "h.yml", at)
    lines = difflib.unified_diff(text.split("\n"), after.text.split("\n"), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


@pytest.mark.parametrize(
    ("path", "value", "diff"),
    [
        ("mode", "shadow", ["-mode: enforce   # or shadow", "+mode: shadow   # or shadow"]),
        ("plugins.0", "x", ["-  - killswitch # first", "+  - x # first"]),
        (
            "accounts.main.key",
            "env:L",
            [
                "-  main: {venue: binance, key: 'env:K', allow: [read, trade]}",
                "+  main: {venue: binance, key: 'env:L', allow: [read, trade]}",
            ],
        ),
        ("accounts.'my.acct'.venue", "okx", ['-    venue: "bybit"', '+    venue: "okx"']),
        ("accounts.'my.acct'.allow.0", "cancel", ["-    - read", "+    - cancel"]),
        ("logs", "x", ["-logs:   # nothing yet", "+logs: x   # nothing yet"]),
        ("last", 2, ["-last: 1 # the end", "+last: 2 # the end"]),
        ("last", None, ["-last: 1 # the end", "+last: null # the end"]),
        ("last", "5", ["-last: 1 # the end", "+last: '5' # the end"]),
        ("last", "a\nb", ["-last: 1 # the end", '+last: "a\\nb" # the end']),
        ("last", Sealed("last", b"\0\1"), ["-last: 1 # the end", "+last: !sealed AAE= # the end"]),
        ("motd", "x", ["-motd: |", "-  several", "-  lines", "+motd: x"]),
        ("accounts.'my.acct'.allow", [], ["-    allow:", "-    - read", "+    allow: []"]),
    ],
)
def test_setting_a_value_changes_its_line(path: str, value: Any, diff: list[str]) -> None:
    assert edited(path, value) == diff


@pytest.mark.parametrize(
    ("path", "value", "diff"),
    [
        ("plugins.2", "logs", ["+  - logs"]),
        ("plugins.2.name", "logs", ["+  - {name: logs}"]),
        ("accounts.'my.acct'.key", "env:K", ["+    key: env:K"]),
        ("accounts.'my.acct'.allow.1", "trade", ["+    - trade"]),
        ("accounts.other.venue", "okx", ["+  other:", "+    venue: okx"]),
        ("logs.format", "json", ["+  format: json"]),
        ("throttle.windows.binance", [{"name": "a"}], [
            "+throttle:", "+  windows:", "+    binance: [{name: a}]"]),
        ("'5'", True, ["+'5': true"]),
    ],
)  # fmt: skip
def test_what_is_added_stands_on_lines_of_its_own(path: str, value: Any, diff: list[str]) -> None:
    assert edited(path, value) == diff


def test_what_is_added_in_brackets_stays_in_them() -> None:
    assert edited("accounts.main.signer", "mine")[1].endswith("[read, trade], signer: mine}")
    assert edited("accounts.main.allow.2", "cancel")[1].endswith("[read, trade, cancel]}")
    assert edited("a.b.c", 1, text="a: {}") == ["-a: {}", "+a: {b: {c: 1}}"]
    assert edited("a.0", 1, text="a: []\n") == ["-a: []", "+a: [1]"]


@pytest.mark.parametrize(
    ("path", "diff"),
    [
        ("mode", ["-mode: enforce   # or shadow"]),
        ("plugins", ["-plugins:", "-  - killswitch # first", "-  - policy"]),
        ("plugins.0", ["-  - killswitch # first"]),
        ("logs", ["-logs:   # nothing yet"]),
        ("motd", ["-motd: |", "-  several", "-  lines"]),
        ("last", ["-last: 1 # the end"]),
        ("accounts.main", ["-  main: {venue: binance, key: 'env:K', allow: [read, trade]}"]),
        ("accounts.'my.acct'.allow.0", ["-    allow:", "-    - read", "+    allow: []"]),
    ],
)
def test_removing_an_entry_removes_its_lines(path: str, diff: list[str]) -> None:
    assert [line for line in edited(path) if line != "+"] == diff


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("accounts.main.venue", "+  main: {key: 'env:K', allow: [read, trade]}"),
        ("accounts.main.key", "+  main: {venue: binance, allow: [read, trade]}"),
        ("accounts.main.allow", "+  main: {venue: binance, key: 'env:K'}"),
        ("accounts.main.allow.1", "+  main: {venue: binance, key: 'env:K', allow: [read]}"),
    ],
)
def test_what_is_removed_from_brackets_goes_with_its_comma(path: str, line: str) -> None:
    assert edited(path)[1:] == [line]


def test_an_only_entry_leaves_an_empty_collection_and_not_null() -> None:
    assert edited("a.b", text="a:\n  b: 1 # c\n") == ["-  b: 1 # c", "+  {} # c"]
    assert edited("a.0", text="a:\n  - 1\n") == ["-  - 1", "+  []"]
    assert edited("a", text="a: 1\n") == ["-a: 1"]


def test_line_ends_and_a_missing_one_stay_as_they_are() -> None:
    assert put("a: 1\r\nb: 2", "f", ("a",), 3).text == "a: 3\r\nb: 2"
    assert put("a: 1\r\nb: 2", "f", ("c",), 3).text == "a: 1\r\nb: 2\r\nc: 3"
    assert put("\ufeffa: 1\r\n", "f", ("b", "c"), 3).text == "\ufeffa: 1\r\nb:\r\n  c: 3\r\n"
    assert remove("\ufeffa: 1\nb: 2\n", "f", ("a",)).text == "\ufeffb: 2\n"
    assert put("", "f", ("a",), 1).text == "a: 1\n"
    assert put("# c", "f", ("a",), 1).text == "# c\na: 1"
    assert put("---\n", "f", ("a",), 1).text == "---\na: 1\n"


def test_the_line_is_told() -> None:
    assert put(FILE, "f", ("last",), 2).line == 21
    assert put(FILE, "f", ("z", "y"), 2).line == 23
    assert remove(FILE, "f", ("mode",)).line == 2


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("shared.x", 2, "h.yml:19: shared.x: cannot be changed by itself: again.x would change"),
        ("again.x", 2, "h.yml:20: again.x: cannot be changed by itself: an alias stands above it"),
        ("again.y", 2, "an alias stands above it, and what that repeats would change too"),
        ("shared", 2, "the file could not be read: alias 's' has no anchor before it"),
        ("plugins", ["a"], "comments stand within it; nothing was written, edit it by hand"),
        ("mode.x", 1, "mode is neither a mapping nor a list"),
        ("plugins.x", 1, "plugins is a list: its items are 0 to 1, 2 adds one"),
        ("plugins.3", 1, "plugins is a list: its items are 0 to 1, 2 adds one"),
        ("new.0", 1, "new is no list: set all of it, or quote 0 if it is a name"),
    ],
)
def test_what_cannot_be_set_by_itself_is_refused(path: str, value: Any, words: str) -> None:
    with pytest.raises(CannotEdit) as caught:
        edited(path, value)
    assert words in str(caught.value)


def test_an_alias_itself_can_be_replaced_and_removed() -> None:
    assert edited("again", 2) == ["-again: *s", "+again: 2"]
    assert edited("again") == ["-again: *s"]


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("shared", FILE, "alias 's' has no anchor before it"),
        ("again.x", FILE, "an alias stands above it"),
        ("l.0.a", "l:\n  - a: 1\n    b: 2\n", "something else stands on its line"),
        ("l.0", "l:\n- x: !sealed AA==\n- x: !sealed AA==\n", "l.0.x would change with it"),
    ],
)
def test_what_cannot_be_removed_by_itself_is_refused(path: str, text: str, words: str) -> None:
    with pytest.raises(CannotEdit, match=words):
        edited(path, text=text)


@pytest.mark.parametrize("value", [b"x", {1: 2}, {"a": {1, 2}}, object(), float, [[b""]]])
def test_a_value_that_yaml_has_not_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue, match="a configuration takes"):
        put(FILE, "f", ("last",), value)


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InvalidValue):
        put(FILE, "f", ("last",), loop)


def test_a_file_that_cannot_be_read_is_not_edited() -> None:
    for edit in (lambda text: put(text, "f", ("a",), 1), lambda text: remove(text, "f", ("a",))):
        with pytest.raises(ConfigError, match="duplicate key"):
            edit("a: 1\na: 2\n")


def test_a_file_does_not_grow_beyond_what_is_read() -> None:
    with pytest.raises(CannotEdit, match="larger than 1 MiB"):
        put(f"a: 1\n{'#' * (1 << 20)}"[: 1 << 20], "f", ("a",), "x" * 100)
