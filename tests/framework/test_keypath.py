"""Paths as people type them, and as sealed values are bound to them."""

import pytest

from hauberk.errors import InvalidValue
from hauberk.keypath import parse_path, path_text


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("mode", ("mode",)),
        ("throttle.jitter_ms", ("throttle", "jitter_ms")),
        ("plugins.2", ("plugins", 2)),
        ("plugins.0", ("plugins", 0)),
        ("a.00.1x.-1", ("a", "00", "1x", "-1")),
        ("accounts.'my.acct'.venue", ("accounts", "my.acct", "venue")),
        ('accounts."my.acct".venue', ("accounts", "my.acct", "venue")),
        ("a.'5'", ("a", "5")),
        ("''", ("",)),
        ("my acct.x", ("my acct", "x")),
        ("'it\\'s'.\"a\\\\b\\\"\"", ("it's", 'a\\b"')),
        ("'\\n\\x41\\u20ac\\U0001f600'", ("\nA€\U0001f600",)),
        ("ü.b", ("ü", "b")),
    ],
)
def test_a_path_is_read(text: str, path: tuple[str | int, ...]) -> None:
    assert parse_path(text) == path
    assert parse_path(path_text(path)) == path


@pytest.mark.parametrize(
    ("text", "at"),
    [("", 1), ("a.", 3), (".a", 1), ("a..b", 3), ("a.'b", 3), ("a'b'", 1), ("'a'b", 1)],
)
def test_what_is_no_path_is_refused_with_the_place(text: str, at: int) -> None:
    with pytest.raises(InvalidValue, match=f"nothing to be read at its character {at};"):
        parse_path(text)


@pytest.mark.parametrize("text", ["'\\q'", "'\\xg1'", "'\\U99999999'"])
def test_an_escape_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="no escape"):
        parse_path(text)


def test_an_index_and_a_key_of_the_same_digits_are_two_paths() -> None:
    assert path_text(("a", 5)) == "a.5"
    assert path_text(("a", "5")) == 'a."5"'


def test_the_text_is_the_same_whatever_this_python_can_print() -> None:
    # Assigned in Unicode 16, unknown to Python 3.11: a name for sealing must not depend on that.
    assert path_text(("\U0001c9d0", "\u200b", "\x07", "\ud800")) == (
        '"\U0001c9d0"."\u200b"."\\u0007"."\\ud800"'
    )
