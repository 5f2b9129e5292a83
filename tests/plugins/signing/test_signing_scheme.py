"""The section `signing` of a venue file."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hauberk.errors import ConfigError, ConfigProblem
from hauberk.keypath import path_text
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.venues.catalogue import BUILT_IN, VenueCatalogue

CATALOGUE = VenueCatalogue()
NAMES = CATALOGUE.names()
BINANCE = CATALOGUE.venue("binance")


def venue(sorts=False, **changes):
    section = {**BINANCE.section("signing"), **changes}
    return SimpleNamespace(
        name="demo",
        added_params=BINANCE.added_params,
        added_headers=BINANCE.added_headers,
        sorts_params=sorts,
        endpoints=BINANCE.endpoints,
        operation=BINANCE.operation,
        section=lambda name: {key: item for key, item in section.items() if item is not ...},
        problem=lambda path, message: ConfigProblem("demo.yml", 7, path_text(path), message),
    )


def problems(**changes):
    with pytest.raises(ConfigError) as caught:
        read_scheme(venue(**changes))
    return str(caught.value)


def test_the_scheme_of_binance_is_data():
    scheme = read_scheme(BINANCE)
    assert scheme.algorithms == {"hmac-sha256": "hex", "ed25519": "base64", "rsa-sha256": "base64"}
    assert scheme.place == {"GET": "query", "DELETE": "query", "POST": "form", "PUT": "form"}
    assert [(one.param, one.optional) for one in scheme.after] == [
        ("recvWindow", True),
        ("timestamp", False),
    ]
    assert (scheme.signature, list(scheme.headers), scheme.window_ms) == (
        "signature",
        ["X-MBX-APIKEY"],
        5000,
    )


@pytest.mark.parametrize("name", CATALOGUE.names())
def test_the_scheme_of_every_venue_is_read(name):
    assert (BUILT_IN / f"{name}.yml").is_file()
    section = CATALOGUE.venue(name).section("signing")
    assert "scheme" in section or read_scheme(CATALOGUE.venue(name)).venue == name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algoritms": 1}, "demo.yml:7: signing.algoritms: unknown field; did you mean 'algor"),
        ({"algorithms": {"hmac-sha265": "hex"}}, "signing.algorithms.hmac-sha265: unknown field"),
        ({"algorithms": ...}, "signing.algorithms: must be a mapping, not nothing"),
        ({"algorithms": {}}, "signing.algorithms: names none of hmac-sha256, hmac-sha384"),
        ({"algorithms": {"ed25519": "base32"}}, "signing.algorithms.ed25519: must be one of hex"),
        ({"message": "{pth}"}, "signing.message: there is no {pth} here; did you mean 'path'?"),
        ({"message": "{path"}, "signing.message: a brace belongs to no token"),
        ({"message": ...}, "signing.message: must be text, not nothing"),
        ({"message": "{secret}"}, "signing.message: there is no {secret} here"),
        ({"place": {"GET": "header"}}, "signing.place.GET: must be one of query, form, json"),
        ({"place": "query"}, "signing.place: must be a mapping"),
        ({"window_ms": 0}, "signing.window_ms: must be a whole number"),
        ({"window_ms": True}, "signing.window_ms: must be a whole number"),
        ({"after": "timestamp"}, "signing.after: must be a list"),
        ({"after": ({"param": "timestamp"},)}, "signing.after.0.value: must be text, not nothing"),
        (
            {"after": ({"param": "timestamp", "value": "{time}"},)},
            "signing.after.0.value: there is no {time} here",
        ),
        ({"after": ({"param": "a", "value": "b", "optonal": True},)}, "did you mean 'optional'?"),
        ({"signature": {"header": "X"}}, "signing.signature.header: unknown field"),
        ({"signature": ...}, "signing.signature: stands in a parameter, or as {signature}"),
        ({"headers": {"X-MBX-APIKEY": "{secret}"}}, "headers.X-MBX-APIKEY: there is no {secret}"),
        ({"key_only": "GET /x"}, "signing.key_only: must be a list"),
        ({"signature": {"param": "sign"}}, "adds parameter 'sign': declare it in adds.params"),
        ({"headers": {"X-Key": "{key}"}}, "adds header 'x-key': declare it in adds.headers"),
        ({"key_only": ("GET /nope",)}, "signing.key_only: 'GET /nope' is none of `operations`"),
        ({"place": {"get": "query"}}, "signing.place.get: must be a method in capitals"),
        ({"place": {"GTE": "query"}}, "must be a method in capitals; did you mean 'GET'?"),
        ({"place": {"POST": "form", "POST /nope": "query"}}, "must be an endpoint of `operations`"),
        ({"safe": "&"}, "signing.safe: must be ASCII, and none of & = % + #"),
        ({"nonce": "ms"}, "signing.nonce: is there if, and only if, {nonce} is used"),
        ({"sorts_added": True}, "signing.sorts_added: needs `sorted: true`"),
        ({"timestamp": "hours"}, "signing.timestamp: must be one of s, ms, us"),
        ({"place": {"POST": "envelope"}}, "signing.envelope: is there if, and only if"),
        (
            {"digests": {"path": {"of": "{body}", "hash": "sha256", "written": "hex"}}},
            "signing.digests.path: is a token already",
        ),
        (
            {"digests": {"d": {"of": "{body}", "hash": "md5", "written": "hex"}}},
            "signing.digests.d.hash: must be one of sha256, sha512",
        ),
        (
            {"envelope": {"members": {"a": "{key}"}}},
            "signing.envelope.members: must hold {params} once",
        ),
        (
            {"headers": {"X-MBX-APIKEY": "{key}", "X-Time": "{timestamp}"}},
            "signing.key_only: needs `headers` that hold the key, and nothing of a signature",
        ),
        ({"window_ms": 10**23}, "signing.window_ms: must be a whole number from 1 to 3600000"),
        ({"window_ms": 3_600_001}, "signing.window_ms: must be a whole number from 1 to"),
        ({"window_ms": 1.5}, "signing.window_ms: must be a whole number from 1 to"),
        ({"place": ["GET"]}, "signing.place: must be a mapping, not a list"),
        ({"message": "hello"}, "signing.message: signs nothing of the request: it must hold some"),
        ({"message": "{timestamp}{key}"}, "signing.message: signs nothing of the request"),
        ({"message": "{method}{path}{body}"}, "message: signs nothing of what goes into query: it"),
        ({"message": "{method}{path}{query}"}, "nothing of what goes into form: it must hold {bod"),
        ({"message": "{jwt_claims}"}, "signing.message: there is no {jwt_claims} here"),
        (
            {"digests": {"d": {"of": "{body}", "hash": "sha256", "written": "hex"}}},
            "signing.digests.d: is signed by nothing: {d} must stand in `message`",
        ),
        (
            {
                "message": "{query}{d}",
                "digests": {"d": {"of": "{path}", "hash": "sha256", "written": "hex"}},
            },
            "signs nothing of what goes into form",
        ),
        ({"unsigned": ("form",)}, "signing.unsigned: names form, which `message` signs"),
        ({"unsigned": ("json",)}, "signing.unsigned: names json, into which nothing goes"),
        ({"unsigned": ("jsn",)}, "signing.unsigned.0: must be one of query, form, json"),
        ({"headers": {"X-MBX-APIKEY": "{key}\r\nX-Other: 1"}}, "X-MBX-APIKEY: must be printable"),
        ({"headers": {"X-MBX-APIKEY": "{key}\n"}}, "headers.X-MBX-APIKEY: must be printable ASCII"),
        ({"headers": {"X-MBX-APIKEY": "{key} "}}, "and no space around it"),
        ({"headers": {"X-A\r\nX-B": "{key}"}}, "must be a header's name"),
        (
            {
                "envelope": {"header": "X-A\nX-B", "members": {"p": "{params}"}},
                "place": {"POST": "envelope"},
                "message": "{envelope}{query}",
            },
            "signing.envelope.header: must be a header's name",
        ),
    ],
)
def test_a_faulty_scheme_is_refused_with_what_is_wrong(changes, message):
    assert message in problems(**changes)


def test_what_an_exchange_does_not_sign_is_said_in_its_file():
    told = {name: CATALOGUE.venue(name).section("signing").get("unsigned") for name in NAMES}
    assert {name: places for name, places in told.items() if places} == {
        "coinbase": ("query", "json"),
        "htx": ("json",),
    }


def test_every_problem_is_listed_at_once():
    assert len(problems(secret="x", timestamp="y", window_ms=-1).splitlines()) == 3


def test_a_venue_without_a_scheme_is_refused():
    with pytest.raises(ConfigError, match=r"signing\.algorithms: must be a mapping, not nothing"):
        read_scheme(venue(**dict.fromkeys(BINANCE.section("signing"), ...)))
