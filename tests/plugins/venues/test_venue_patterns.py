"""Patterns in operations maps: they name what is denied by default, and can allow nothing."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import ConfigError
from hauberk.request import Operation
from hauberk.yamlfile import Document, load_yaml
from hauberk_plugins.venues.catalogue import BUILT_IN, VenueCatalogue
from hauberk_plugins.venues.parse import parse_venue
from hauberk_plugins.venues.patterns import GRAVEST, Patterns, read_pattern


class Numbered(Document):
    """A document whose lines tell how deep a path is."""

    def line(self, path=()):
        return 100 + len(path)


def parse(**operations):
    data = {"name": "demo", "base_urls": ["https://api.demo.test"], "operations": operations}
    return parse_venue(Numbered("demo.yml", data))


def problems(operations, **more):
    data = {"name": "demo", "base_urls": ["https://api.demo.test"], "operations": operations}
    with pytest.raises(ConfigError) as caught:
        parse_venue(Numbered("demo.yml", data | more))
    return [str(problem) for problem in caught.value.problems]


VENUE = parse(
    **{
        "GET /wallet/list": "read",
        "POST /wallet/{id}": "cancel",
        "POST /wallet/orders": "trade",
        "POST /wallet/**": "transfer",
        "POST /wallet/*/withdraw*": "withdraw",
        "POST /wallet/keys/**": "admin",
        "DELETE /wallet/**": "admin",
        "POST /v2/*_withdrawal/": "withdraw",
    }
)


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        # What is written out wins, and so does what has a {name}.
        ("POST", "/wallet/orders", "trade"),
        ("POST", "/wallet/7", "cancel"),
        ("GET", "/wallet/list", "read"),
        ("POST", "/wallet/a/b", "transfer"),
        ("POST", "/wallet/a/b/c/d", "transfer"),
        # The gravest of several: the file's order makes no difference.
        ("POST", "/wallet/a/withdraw", "withdraw"),
        ("POST", "/wallet/a/withdraw-all", "withdraw"),
        ("POST", "/wallet/keys/withdraw", "withdraw"),
        ("POST", "/wallet/keys/new", "admin"),
        ("DELETE", "/wallet/7", "admin"),
        ("POST", "/v2/btc_withdrawal/", "withdraw"),
        ("POST", "/v2/_withdrawal/", "withdraw"),
        # Another method, another case, a part of a segment: it fits nothing.
        ("PUT", "/wallet/a/b", "unknown"),
        ("GET", "/wallet/a/b", "unknown"),
        ("POST", "/Wallet/a/b", "unknown"),
        ("POST", "/wallet", "unknown"),
        ("POST", "/walletx/a", "unknown"),
        ("POST", "/a/wallet/b", "unknown"),
        ("POST", "/v2/btc_withdrawal", "unknown"),
        ("POST", "/v2/a/b_withdrawal/", "unknown"),
        ("POST", "/v2/btc_withdrawal/x", "unknown"),
    ],
)
def test_what_is_written_out_wins_over_a_pattern_and_the_gravest_pattern_over_others(
    method, path, operation
):
    assert VENUE.operation(method, path, (), b"") == operation


@pytest.mark.parametrize("meaning", ["public", "read", "trade", "reduce", "cancel", "unknown", ""])
def test_a_pattern_never_grants_what_is_allowed_by_default(meaning):
    assert problems({"POST /wallet/**": meaning}) == [
        "demo.yml:102: operations.'POST /wallet/**': a pattern may stand for withdraw, admin, "
        "transfer alone: write out, endpoint by endpoint, what is allowed by default"
    ]


@pytest.mark.parametrize(
    "meaning",
    [None, ["transfer"], 5, {"otherwise": "transfer", "when": {"a": {"b": "read"}}}],
)
def test_a_pattern_depends_on_no_parameter(meaning):
    assert "a pattern may stand for" in problems({"POST /wallet/**": meaning})[0]


@pytest.mark.parametrize(
    "pattern",
    [
        "POST /**",
        "POST /*",
        "POST /*/wallet",
        "POST *",
        "* /wallet/**",
        "post /wallet/**",
        "POST /wallet/**/a",
        "POST /wallet/***",
        "POST /wallet/a**",
        "POST /wallet/*a*",
        "POST /wallet/{id}/**",
        "POST /wallet//**",
        "POST /wallet/**/",
        "POST /wallet/*?a=b",
        "POST https://a/*",
    ],
)
def test_a_pattern_of_another_form_is_refused_with_its_line(pattern):
    (problem,) = problems({pattern: "transfer"})
    assert problem.startswith("demo.yml:102: operations.")
    assert "must be a method and a path whose first segment is written out" in problem


def test_no_other_section_names_a_pattern():
    """What needs an endpoint of its own, such as a check of a key, is written out."""
    told = problems(
        {"POST /wallet/**": "transfer"}, key_check={"endpoint": "POST /wallet/a"}
    ) + problems({"POST /wallet/**": "transfer"}, key_check={"endpoint": "POST /wallet/**"})
    assert told[0] == "demo.yml:102: key_check.endpoint: is none of `operations`"
    assert "key_check.endpoint: must be a method and a path" in told[1]
    assert VENUE.endpoint("POST", "/wallet/a/b") == ""
    assert not any("*" in endpoint for endpoint in VENUE.endpoints())


SEGMENTS = st.text("ab.*", min_size=1, max_size=3)
PATHS = st.lists(st.text("ab.", min_size=1, max_size=3), min_size=1, max_size=4)


@given(
    segments=st.lists(SEGMENTS, max_size=3),
    all_below=st.booleans(),
    path=PATHS,
)
def test_a_pattern_fits_what_its_segments_fit_one_by_one(segments, all_below, path):
    written = "/a/" + "/".join([*segments, "**"] if all_below else segments)
    pattern = read_pattern(f"POST {written}")
    if pattern is None:
        return
    given_path = ["a", *path]
    wanted = ["a", *segments]
    if all_below:
        rest = "/".join(given_path[len(wanted) :])
        fits = len(given_path) > len(wanted) and bool(rest)
    else:
        fits = len(given_path) == len(wanted)
    fits = fits and all(map(fnmatchcase, given_path, wanted))
    found = Patterns({pattern: Operation.ADMIN}).operation("POST", "/" + "/".join(given_path))
    assert (found is Operation.ADMIN) == fits


@given(
    made=st.dictionaries(
        st.sampled_from(["/a/**", "/a/b/**", "/a/*/c", "/a/b*", "/a/b/c*"]),
        st.sampled_from(GRAVEST),
    ),
    path=st.sampled_from(["/a/b", "/a/b/c", "/a/x/c", "/a/bb", "/a/b/cc/d"]),
)
def test_the_gravest_counts_in_whatever_order_patterns_stand(made, path):
    ones = [
        Patterns({("POST", pattern): operation}).operation("POST", path)
        for pattern, operation in made.items()
    ]
    found = [operation for operation in GRAVEST if operation in ones]
    several = Patterns({("POST", pattern): operation for pattern, operation in made.items()})
    assert several.operation("POST", path) == (found[0] if found else Operation.UNKNOWN)


@pytest.mark.parametrize("name", VenueCatalogue().names())
def test_no_pattern_of_a_built_in_file_changes_what_is_written_out(name):
    venue = VenueCatalogue().venue(name)
    written = load_yaml(BUILT_IN / f"{name}.yml").data["operations"]
    for endpoint in venue.endpoints():
        method, _, path = endpoint.partition(" ")
        if isinstance(written[endpoint], str):
            assert venue.operation(method, path, (), b"") == written[endpoint]
