"""Records: one line of ASCII whatever is in them, and read back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.audit.record import line, moment, nanoseconds, read_line

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
