from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk import InvalidValue
from hauberk.clients.unsigned import unsigned

URL = "https://api.binance.com/api/v3/order"
FORM = (("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
pairs = st.lists(st.tuples(text.filter(bool), text), max_size=6).map(tuple)


@given(query=pairs, form=pairs)
def test_query_and_form_are_read_as_they_were_written(query, form):
    url = f"{URL}?{urlencode(query)}" if query else URL
    request, own = unsigned("POST", url, FORM, urlencode(form).encode())
    assert (request.url, request.params, request.body) == (URL, query + form, b"")
    assert (request.headers, own) == ((), ())


@given(st.text("ab=&%+2;é", max_size=12))
def test_a_query_is_read_as_the_library_reads_it(query):
    try:
        expected = parse_qsl(query, True, True, errors="strict") if query else []
    except ValueError:
        with pytest.raises(InvalidValue):
            unsigned("GET", f"{URL}?{query}")
    else:
        assert unsigned("GET", f"{URL}?{query}")[0].params == tuple(expected)


def test_a_json_body_stays_as_it_is():
    headers = (("content-type", "application/json"), ("x-note", "a"))
    request, _ = unsigned("POST", URL, headers, b'{"a": 1}')
    assert (request.params, request.body, request.headers) == ((), b'{"a": 1}', (("x-note", "a"),))


@pytest.mark.parametrize("query", ["a", "a=1&b", "a=1&&b=2", "a=%ff"])
def test_what_could_be_read_otherwise_is_refused_without_showing_it(query):
    with pytest.raises(InvalidValue) as caught:
        unsigned("GET", f"{URL}?{query}")
    assert query == "a" or query not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_what_the_library_says_of_the_wire_is_not_judged():
    said = (("Host", "api.binance.com"), ("Content-Length", "3"), ("Connection", "keep-alive"),
            ("Accept", "*/*"), ("User-Agent", "x"))  # fmt: skip
    request, own = unsigned("POST", URL, said, b"abc")
    assert request.headers == ()
    assert own == said[2:]


@pytest.mark.parametrize(
    "header",
    [("Host", "evil.example"), ("Content-Length", "9"), ("Connection", "upgrade"),
     ("Transfer-Encoding", "chunked"), ("Content-Type", "multipart/form-data")],
)  # fmt: skip
def test_what_steers_is_left_for_the_guard_to_refuse(header):
    request, own = unsigned("POST", URL, (header,), b"abc")
    assert (request.headers, own) == ((header,), ())


def test_a_fragment_is_not_sent():
    request, _ = unsigned("GET", f"{URL}?a=1#b")
    assert (request.url, request.params) == (URL, (("a", "1"),))
