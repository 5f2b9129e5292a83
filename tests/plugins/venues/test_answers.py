"""What an exchange's answers say, however long they are."""

from __future__ import annotations

import json
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.request import Response
from hauberk_plugins.venues import answers
from hauberk_plugins.venues.answers import Answers

ANSWERS = Answers(
    ("error.code", "errors.*"), {429: "throttled"}, {"1002": "revoked", "a/b": "skew"}
)
LONG = "x" * 70_000


def said(body, status=200):
    body = body if type(body) is bytes else json.dumps(body).encode()
    return ANSWERS.said(Response(status, body=body))


@pytest.mark.parametrize("long", ["", LONG])
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"error": {"code": 1002}}, "revoked"),
        ({"error": {"code": "1002"}}, "revoked"),
        ({"errors": [7, "a/b"]}, "skew"),
        ({"errors": [7, 8]}, ""),
        ({"error": {"code": 9999}, "other": 1002}, ""),
        ({"code": 1002}, ""),
    ],
)
def test_a_code_is_found_in_front_of_much_and_behind_it(body, told, long):
    assert said({"pad": long, **body}) == told
    assert said({**body, "pad": long}) == told


@pytest.mark.parametrize(
    ("code", "told"), [(b'"\\u0031002"', "revoked"), (b'"a\\/b"', "skew"), (b'"\\u00e4"', "")]
)
def test_a_code_that_is_written_otherwise_is_found_too(code, told):
    assert said(b'{"error":{"code":%s},"pad":"%s"}' % (code, LONG.encode())) == told
    assert said(b'{"error":{"c\\u006fde":1002},"pad":"%s"}' % LONG.encode()) == "revoked"


def test_a_long_answer_without_a_code_is_not_read(monkeypatch):
    def read(body):
        raise AssertionError("it was")

    monkeypatch.setattr(answers, "read_deeply", read)
    assert said({"bids": [["1002", "1"]] * 10_000}) == ""
    assert said({"error": {"code": 1003}, "pad": LONG}, 429) == "throttled"


def test_an_answer_without_end_is_not_read():
    assert said({"error": {"code": 1002}, "pad": "x" * (4 << 20)}) == ""


WORDS = st.sampled_from(["error", "code", "errors", "1002", "a/b", "a", "x", 1002, 7, "é"])
DOCUMENTS = st.recursive(
    WORDS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(WORDS.map(str), inner, max_size=3)
    ),
    max_leaves=8,
)
SPELLINGS = st.sampled_from(
    [
        (b"", b""),
        (b"1002", b"\\u0031002"),
        (b"a/b", b"a\\/b"),
        (b"code", b"c\\u006fde"),
        (b"error", b"e\\u0072ror"),
        (b":", b" : "),
        (b"1002", b"1002.0"),
    ]
)


@given(DOCUMENTS, SPELLINGS, st.sampled_from([200, 429]))
def test_what_is_not_read_holds_no_code(document, spelling, status):
    body = json.dumps(document).encode()
    if spelling[0]:
        body = body.replace(*spelling)
    with patch.object(Answers, "_may_hold_a_code", lambda *_: True):
        expected = said(body, status)
    assert said(body, status) == expected
