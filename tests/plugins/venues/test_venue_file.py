"""A venue file's data becomes a venue, or a list of what is wrong with it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import ConfigError, InvalidValue
from hauberk.request import Operation, Request
from hauberk.yamlfile import Document
from hauberk_plugins.venues.parse import parse_venue


class Numbered(Document):
    """A document whose lines tell how deep a path is."""

    def line(self, path=()):
        return 100 + len(path)


FUTURES = {"otherwise": "trade", "when": {"reduceOnly": {"true": "reduce"}}}


def data(**changes):
    made = {
        "name": "demo",
        "base_urls": ["https://api.demo.test", "http://127.0.0.1:8080"],
        "adds": {
            "params": ["timestamp", "signature"],
            "headers": ["X-Key"],
            "credential_headers": ["X-Key"],
        },
        "operations": {
            "GET /time": "public",
            "POST /order": "trade",
            "POST /futures/order": FUTURES,
        },
        "signing": {"mac": "x", "after": [{"param": "timestamp"}]},
        "errors": {"field": "code", "skew": {"code": [-1021]}, "banned": {"status": [418]}},
        "server_time": {"endpoint": "GET /time", "field": "serverTime", "unit": "ms"},
    }
    made |= changes
    return {key: value for key, value in made.items() if value is not ...}


def parse(**changes):
    return parse_venue(Numbered("demo.yml", data(**changes)))


def problems(**changes):
    with pytest.raises(ConfigError) as caught:
        parse(**changes)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("body", "place"),
    [("form", "json"), ("json", "form"), ("form", "envelope")],
)
def test_a_body_that_is_signed_as_another_than_it_is_judged_is_refused(body, place):
    told = problems(body=body, signing={"place": {"GET": "query", "POST": place}})
    assert told == [
        f"demo.yml:103: signing.place.POST: '{place}' contradicts `body: {body}`, by which bodies "
        "are judged: one of them must be another"
    ]


@pytest.mark.parametrize("key", ["headers", "credential_headers"])
@pytest.mark.parametrize("name", ["X-A\r\nX-B", "X-A\n", "X A", "X:A", "é"])
def test_what_cannot_be_a_headers_name_is_refused(key, name):
    assert problems(adds={key: [name]}) == [
        f"demo.yml:103: adds.{key}.0: must be a header's name: letters, digits and '-'"
    ]


def test_an_endpoint_has_the_operation_that_the_file_says():
    venue = parse()
    assert venue.operation("GET", "/time", (), b"") is Operation.PUBLIC
    assert venue.operation("POST", "/order", (("symbol", "X"),), b"") is Operation.TRADE


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/time"), ("GET", "/time/"), ("GET", "/Time"), ("get", "/time"), ("GET", "/t%69me")],
)
def test_an_endpoint_that_is_not_in_the_map_to_the_byte_is_unknown(method, path):
    assert parse().operation(method, path, (), b"") is Operation.UNKNOWN


@pytest.mark.parametrize(
    ("params", "body", "operation"),
    [
        ((), b"", Operation.TRADE),
        ((("reduceOnly", "true"),), b"", Operation.REDUCE),
        ((("reduceOnly", "TRUE"),), b"", Operation.TRADE),
        ((("reduceonly", "true"),), b"", Operation.TRADE),
        ((), b"reduceOnly=true", Operation.REDUCE),
        ((), b"reduceOnly=%74rue", Operation.REDUCE),
        ((("reduceOnly", "true"), ("reduceOnly", "false")), b"", Operation.UNKNOWN),
        ((("reduceOnly", "true"),), b"reduceOnly=false", Operation.UNKNOWN),
        ((("reduceOnly", "true"),), b"not a form", Operation.UNKNOWN),
        ((("reduceOnly", "true"),), b"\xff=1", Operation.UNKNOWN),
    ],
)
def test_an_operation_may_depend_on_a_parameter_and_on_no_doubt(params, body, operation):
    assert parse().operation("POST", "/futures/order", params, body) is operation


def test_a_json_venue_reads_json_bodies_and_a_form_venue_does_not():
    body = b'{"reduceOnly": true}'
    form, flat = parse(), parse(body="json")
    assert flat.operation("POST", "/futures/order", (), body) is Operation.REDUCE
    assert form.operation("POST", "/futures/order", (), body) is Operation.UNKNOWN
    request = Request("POST", "https://api.demo.test/order", body=body)
    assert flat.body_params(request) == (("reduceOnly", "true"),)
    with pytest.raises(InvalidValue, match="has no '='"):
        form.body_params(request)


def test_a_body_of_another_content_type_than_the_venue_reads_is_refused():
    request = Request(
        "POST", "https://api.demo.test/order", (), {"content-TYPE": "application/json"}, b"a=1"
    )
    with pytest.raises(InvalidValue, match="x-www-form-urlencoded only"):
        parse().body_params(request)


@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=utf-8"],
)
def test_a_form_is_read_with_its_content_type_however_it_is_written(kind):
    request = Request("POST", "https://api.demo.test/order", (), {"Content-Type": kind}, b"a=1")
    assert parse().body_params(request) == (("a", "1"),)


def test_what_was_sent_is_the_query_then_the_body():
    signed = Request("POST", "https://api.demo.test/order?a=1&b=%C3%A9", body=b"c=3+4&d=")
    assert parse().sent(signed) == (("a", "1"), ("b", "é"), ("c", "3 4"), ("d", ""))


def test_names_that_signing_adds_are_declared_headers_in_lower_case():
    venue = parse()
    assert venue.added_params == {"timestamp", "signature"}
    assert venue.added_headers == venue.credential_headers == {"x-key"}


def test_sections_are_read_only_all_the_way_down():
    section = parse().section("signing")
    assert section["after"] == ({"param": "timestamp"},)
    with pytest.raises(TypeError):
        section["mac"] = "none"
    with pytest.raises(TypeError):
        section["after"][0]["param"] = "other"
    assert parse().section("nothing") == {}


def test_a_problem_says_file_line_path_and_the_nearest_name():
    found = problems(operations={"GET /a": "reed"})
    assert len(found) == 1
    assert found[0].startswith("demo.yml:102: operations.'GET /a': 'reed' is none of public, read,")
    assert found[0].endswith("did you mean 'read'?")


def test_every_problem_is_listed_at_once():
    found = problems(
        name=...,
        base_urls=["https://api.demo.test/v1", 5, "http://api.demo.test"],
        adds={"param": []},
        operatoins={},
        operations={"/order": "trade", "POST /order": True},
        body="xml",
        errors={"skew": {"code": -1021}, "skwe": {}},
        server_time={"endpoint": "time", "field": "t", "unit": "m"},
        signing=[],
    )
    text = "\n".join(found)
    assert "demo.yml:100: 'name' is missing" in text
    assert "base_urls.0: must be https://host" in text
    assert "base_urls.1: must be text, not 5 without quotes" in text
    assert "base_urls.2: must be https://host" in text
    assert "adds.param: unknown key; did you mean 'params'?" in text
    assert "operatoins: unknown key; did you mean 'operations'?" in text
    assert "operations.'/order': must be a method and a path" in text
    assert "operations.'POST /order': must be text, not true without quotes" in text
    assert "body: 'xml' is none of form, json" in text
    assert "errors.skew.code: must be a list of codes" in text
    assert "errors.skwe: unknown key; did you mean 'skew'?" in text
    assert "server_time.endpoint: must be a method and a path" in text
    assert "server_time.unit: 'm' is none of s, ms, us, ns" in text
    assert "signing: must be a mapping, not a list" in text


@pytest.mark.parametrize(
    "rule",
    [
        {"otherwise": "trade"},
        {"when": {"reduceOnly": {"true": "reduce"}}},
        {"otherwise": "trade", "when": {"reduceOnly": {"true": "unknown"}}},
        {"otherwise": "trade", "when": {"reduceOnly": "true"}},
        {"otherwise": "trade", "when": {"reduceOnly": {"true": "reduce"}}, "else": "read"},
        ["trade"],
        None,
    ],
)
def test_a_rule_of_another_form_is_refused(rule):
    assert problems(operations={"POST /futures/order": rule})


def test_unknown_is_no_operation_that_a_file_may_give():
    assert problems(operations={"GET /a": "unknown"})


@pytest.mark.parametrize(
    "endpoint",
    ["GET", "GET /a?b=1", "GET  /a", "GET /a#b", "GET //a", "GET https://x/a", "get /a", "GET a"],
)
def test_an_endpoint_is_a_method_and_a_plain_path(endpoint):
    assert problems(operations={endpoint: "read"})


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(key=st.sampled_from(sorted(data())), value=PLAIN)
def test_any_data_makes_a_venue_or_a_list_of_problems(key, value):
    with suppress(ConfigError):
        assert parse(**{key: value}).name


REDUCES = {
    "otherwise": "trade",
    "when": {"reduce_only": {"true": "reduce"}, "a.b": {"1": "reduce"}},
}


@pytest.mark.parametrize(
    ("params", "body"),
    [
        ((), b'{"":{"reduce_only":true}}'),
        ((), b'{"":{"":{"reduce_only":true}}}'),
        ((), b'{"a":[{"reduce_only":true}]}'),
        ((), b'{"reduce_only":true,"REDUCE_ONLY":false}'),
        ((), b'{"reduce_only":"true "}'),
        ((), b'{"a.b":1}'),
        ((), b'{"a":{"":{"b":1}}}'),
        ((("reduce_only", "true"), ("Reduce_only", "false")), b""),
        ((("reduce_only", "true"),), b"{}"),
        ((("reduce_only", "true"),), b'{"size":1}'),
        ((("a.b", "1"),), b""),
    ],
)
def test_what_only_looks_like_the_parameter_makes_nothing_weaker(params, body):
    demo = parse(body="json", operations={"POST /a": REDUCES, "GET /time": "public"})
    assert demo.operation("POST", "/a", params, body) in (Operation.TRADE, Operation.UNKNOWN)
    assert demo.operation("POST", "/a", (), b'{"reduce_only":true}') is Operation.REDUCE
    assert demo.operation("POST", "/a", (), b'{"a":{"b":1}}') is Operation.REDUCE


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"server_time": {"endpoint": "GET /nope", "field": "t", "unit": "s"}}, "is none of `op"),
        ({"key_check": {"endpoint": "GET /nope"}}, "key_check.endpoint: is none of `operations`"),
        ({"key_check": {"endpoint": "POST /a"}}, "must be a request that reads, and does no more"),
        (
            {"key_check": {"endpoint": "GET /b/{id}"}},
            "key_check.endpoint: must be one path, without",
        ),
        (
            {"server_time": {"endpoint": "GET /time/{id}", "field": "t", "unit": "s"}},
            "server_time.endpoint: must be one path, without {name}",
        ),
        (
            {"server_time": {"endpoint": "GET /b", "field": "t", "unit": "s"}},
            "server_time.endpoint: must be a GET that needs no key: public",
        ),
        (
            {"server_time": {"endpoint": "POST /withdraw", "field": "t", "unit": "s"}},
            "server_time.endpoint: must be a GET that needs no key: public",
        ),
        (
            {"server_time": {"endpoint": "POST /time", "field": "t", "unit": "s"}},
            "server_time.endpoint: must be a GET that needs no key: public",
        ),
        (
            {"key_check": {"endpoint": "GET /b", "good": {"feld": "c"}}},
            "key_check.good.feld: unknown key; did you mean 'field'?",
        ),
    ],
)
def test_what_other_sections_name_is_in_the_map(changes, told):
    operations = {
        "POST /a": "trade",
        "GET /b": "read",
        "GET /b/{id}": "read",
        "GET /time": "public",
        "GET /time/{id}": "public",
        "POST /time": "public",
        "POST /withdraw": "withdraw",
    }
    assert told in "\n".join(problems(operations=operations, **changes))
