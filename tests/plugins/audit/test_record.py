"""Records: one line of ASCII whatever is in them, and read back as they were."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.audit.record import line, moment, nanoseconds, read_line
from hauberk_plugins.audit.segments import MAX_LINE

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
times = st.integers(0, 253_402_300_799 * 10**9)


@given(st.text(min_size=1), times, st.text(), st.dictionaries(st.text(), json_values, max_size=4),
       st.text(), st.text())  # fmt: skip
def test_what_is_written_is_read_back_from_one_line_of_printable_ascii(
    kind, at_ns, source, fields, request, account
):
    raw = line(kind, at_ns, source, fields, request, account)
    assert all(0x20 <= byte < 0x7F for byte in raw)
    record = read_line(raw)
    assert (record.kind, record.source, record.request, record.account) == (
        kind, source, request, account,
    )  # fmt: skip
    assert record.fields == fields
    assert nanoseconds(record.at) == at_ns


def cut(value):
    raw = json.dumps(value, separators=(",", ":")).encode()
    return {"cut": len(raw), "sha256": sha256(raw).hexdigest()}


def test_what_is_too_long_is_cut_and_says_so_and_the_rest_stays():
    body, less = "A" * MAX_LINE, "B" * (MAX_LINE // 2)
    raw = line("k", 0, "s", {"user": "alice", "body": body, "less": less})
    record = read_line(raw)
    assert len(raw) <= MAX_LINE
    assert record.fields == {"user": "alice", "body": cut(body), "less": less}


TOO_MUCH = [
    {"x" * MAX_LINE: 1},
    {str(number): number for number in range(100_000)},
    {str(number): "x" * 200 for number in range(15_000)},
]


@pytest.mark.parametrize("fields", TOO_MUCH, ids=range(3))
def test_fields_that_are_too_many_or_have_endless_names_are_cut_as_a_whole(fields):
    raw = line("k", 0, "s", fields)
    assert len(raw) <= MAX_LINE
    assert read_line(raw).fields == cut(fields)


def test_an_endless_kind_source_request_or_account_is_cut_too():
    texts = [letter * MAX_LINE for letter in "ksra"]
    raw = line(texts[0], 0, texts[1], {"n": 1}, texts[2], texts[3])
    assert len(raw) <= MAX_LINE
    record = read_line(raw)
    assert record.fields == {"n": 1}
    assert record.account == "a" * 256 + " " + json.dumps(cut(texts[3]))


@pytest.mark.parametrize("length", [MAX_LINE - 1, MAX_LINE])
def test_what_just_fits_is_not_cut(length):
    short = len(line("k", 0, "s", {"x": ""}))
    raw = line("k", 0, "s", {"x": "x" * (length - short)})
    assert len(raw) == length
    assert "cut" not in str(read_line(raw).fields)[:20]


FORGERIES = ["a\nb", "a\r\nb", "\x1b[2K", "\u202e", "\x7f", "\x85", "\u2028", "\ud800"]


@pytest.mark.parametrize("text", FORGERIES, ids=range(8))
def test_nothing_in_it_can_forge_or_hide_a_line(text):
    raw = line(text, 0, text, {text: text}, text, text)
    assert all(0x20 <= byte < 0x7F for byte in raw)
    assert read_line(raw).fields == {text: text}


@given(times, times)
def test_times_sort_as_text(left, right):
    assert (moment(left) < moment(right)) == (left < right)


@pytest.mark.parametrize(
    "at", ["", "2023", "2023-13-01T00:00:00.000000000Z", "2023-01-01T00:00:00Z"]
)
def test_what_is_no_time_is_none(at):
    assert nanoseconds(at) is None


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"{}", b'{"at":1,"kind":"k","source":"s","fields":{}}', b"[" * 99_999]
)
def test_what_is_no_record_is_none(raw):
    assert read_line(raw) is None


@pytest.mark.parametrize(
    ("fields", "user"),
    [({"user": "a", "by": "b"}, "a"), ({"by": "b"}, "b"), ({"user": 1, "who": "w"}, "w"), ({}, "")],
)
def test_who_did_it_is_read_from_the_fields(fields, user):
    assert read_line(line("k", 0, "s", fields)).user == user
