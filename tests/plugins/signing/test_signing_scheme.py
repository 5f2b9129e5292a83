"""The section `signing` of a venue file."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hauberk.errors import ConfigError
from hauberk_plugins.signing.scheme import Added, read_scheme
from hauberk_plugins.venues.catalogue import VenueCatalogue

BINANCE = VenueCatalogue().venue("binance")


def venue(**changes):
    section = {**BINANCE.section("signing"), **changes}
    return SimpleNamespace(
        name="demo",
        added_params=BINANCE.added_params,
        added_headers=BINANCE.added_headers,
        section=lambda name: {key: item for key, item in section.items() if item is not ...},
    )


def problems(**changes):
    with pytest.raises(ConfigError) as caught:
        read_scheme(venue(**changes))
    return str(caught.value)


def test_the_scheme_of_binance_is_data():
    scheme = read_scheme(BINANCE)
    assert scheme.mac == "hmac-sha256"
    assert scheme.place == {"GET": "query", "DELETE": "query", "POST": "form", "PUT": "form"}
    assert scheme.after == (
        Added("recvWindow", "{window_ms}", optional=True),
        Added("timestamp", "{timestamp_ms}"),
    )
    assert (scheme.signature, scheme.headers, scheme.window_ms) == (
        "signature",
        ("X-MBX-APIKEY",),
        5000,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mca": 1}, "venue file demo: signing.mca: unknown field; did you mean 'mac'?"),
        ({"mac": "hmac-sha265"}, "signing.mac: must be one of hmac-sha256; did you mean"),
        ({"mac": ...}, "signing.mac: must be one of hmac-sha256"),
        ({"output": "base32"}, "signing.output: must be one of hex"),
        ({"message": "{path}"}, "signing.message: must be one of {params}"),
        ({"place": {"GET": "header"}}, "signing.place.GET: must be query or form"),
        ({"place": "query"}, "signing.place: must be a mapping of text to text"),
        ({"window_ms": 0}, "signing.window_ms: must be a whole number"),
        ({"window_ms": True}, "signing.window_ms: must be a whole number"),
        ({"after": ()}, "signing.after: must be a list of"),
        ({"after": ({"param": "timestamp"},)}, "signing.after: must be a list of"),
        (
            {"after": ({"param": "timestamp", "value": "{time}"},)},
            "signing.after.timestamp: must be {timestamp_ms}, {window_ms} or text",
        ),
        ({"signature": {"header": "X"}}, "signing.signature: must be {param: NAME}"),
        ({"headers": {"X-MBX-APIKEY": "{secret}"}}, "headers.X-MBX-APIKEY: must be {key}"),
        ({"key_only": "GET /x"}, "signing.key_only: must be a list of endpoints"),
        ({"signature": {"param": "sign"}}, "signing.after: adds 'sign': declare it in adds.params"),
        ({"headers": {"X-Key": "{key}"}}, "adds 'x-key': declare it in adds.headers"),
    ],
)
def test_a_faulty_scheme_is_refused_with_what_is_wrong(changes, message):
    assert message in problems(**changes)


def test_every_problem_is_listed_at_once():
    assert len(problems(mac="x", output="y", window_ms=-1).splitlines()) == 3


def test_a_venue_without_a_scheme_is_refused():
    with pytest.raises(ConfigError, match=r"signing\.mac"):
        read_scheme(SimpleNamespace(name="demo", section=lambda name: {}))
