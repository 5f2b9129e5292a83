"""Reading parameters back from the wire."""

from __future__ import annotations

import json
from contextlib import suppress
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import HauberkError, InvalidValue
from hauberk_plugins.venues.wire import read_form, read_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PAIRS = st.lists(st.tuples(TEXT, TEXT)).map(tuple)


@given(pairs=PAIRS, quoting=st.sampled_from([quote, quote_plus]))
def test_what_urllib_encodes_is_read_back_in_order(pairs, quoting):
    assert read_form(urlencode(pairs, quote_via=quoting)) == pairs


@given(text=st.text(st.sampled_from("ab=&%+2f;Ce3")))
def test_a_form_is_read_or_refused_never_guessed(text):
    try:
        pairs = read_form(text)
    except InvalidValue:
        return
    assert read_form(urlencode(pairs, quote_via=quote)) == pairs


@pytest.mark.parametrize("text", ["a", "a=1&b", "a=1&&b=2", "a=1&", "a=%", "a=%4", "a=%zz"])
def test_a_form_that_servers_read_differently_is_refused(text):
    with pytest.raises(InvalidValue):
        read_form(text)


def test_an_escape_that_is_not_utf8_is_refused_without_showing_it():
    with pytest.raises(InvalidValue) as caught:
        read_form("token=s3cret%FF")
    assert "s3cret" not in str(caught.value)


def test_an_equals_sign_in_a_value_belongs_to_the_value():
    assert read_form("a=b=c&d=") == (("a", "b=c"), ("d", ""))


@given(members=st.dictionaries(TEXT, TEXT | st.booleans() | st.integers() | st.none()))
def test_a_flat_json_object_is_read_in_order(members):
    read = read_json(json.dumps(members).encode())
    assert [name for name, _ in read] == list(members)
    for (_, text), value in zip(read, members.values(), strict=True):
        assert text == (value if isinstance(value, str) else json.dumps(value))


def test_json_numbers_keep_the_text_they_have():
    assert read_json(b'{"price": 0.10, "quantity": 1e3}') == (
        ("price", "0.10"),
        ("quantity", "1e3"),
    )


def test_a_repeated_json_name_is_seen_twice():
    assert read_json(b'{"side": "BUY", "side": "SELL"}') == (("side", "BUY"), ("side", "SELL"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"1",
        b"{",
        b'{"a": {}}',
        b'{"a": []}',
        b'{"a": NaN}',
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b'{"a": ' * 100_000,
    ],
    ids=range(10),
)
def test_a_body_that_is_not_a_flat_json_object_is_refused(body):
    with pytest.raises(InvalidValue):
        read_json(body)


@given(body=st.binary())
def test_any_bytes_are_read_or_refused_with_a_typed_error(body):
    with suppress(HauberkError):
        read_json(body)
