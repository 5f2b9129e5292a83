"""JSON that a caller gives as a body, and how Crypto.com writes it out to be signed."""

from __future__ import annotations

import pytest

from hauberk_plugins.signing.objects import concat, read_object, read_whole


@pytest.mark.parametrize("text", ['{"a":"1"}', ' {"a":"1"}', '\t\r\n {"a":"1"} \n'])
def test_space_around_an_object_means_nothing(text):
    assert read_object(text) == {"a": "1"}


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"1"}{"b":"2"}',
        '{"a":"1"} x',
        '{"a":"1"},',
        '{"a":"1"}\x0b',
        '\u00a0{"a":"1"}',
        '\ufeff{"a":"1"}',
        '["a"]',
        '"a"',
        "",
        " ",
        '{"a":"1","a":"1"}',
        '{"a":{"b":"1","b":"2"}}',
        '{"a":NaN}',
        "[" * 100_000,
    ],
)
@pytest.mark.parametrize("read", [read_object, read_whole])
def test_what_is_more_or_less_than_one_object_is_refused(read, text):
    with pytest.raises(ValueError):
        read(text)


def test_names_and_values_are_joined_sorted_at_every_level():
    members = {"b": ["x", {"d": "1", "c": "2"}, ["y"]], "a": "0", "e": {"g": True, "f": None}}
    assert concat(members) == "a0bxc2d1yefnullgtrue"
