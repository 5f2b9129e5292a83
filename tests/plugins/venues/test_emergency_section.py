"""The section `emergency` of a venue file, read strictly."""

from __future__ import annotations

from typing import Any

import pytest

from hauberk.errors import ConfigError, Denied
from hauberk.recipes import CANCEL_ALL, DEAD_MAN, Recipe, recipe, recipes, values_of
from hauberk.yamlfile import parse_yaml
from hauberk_plugins.venues.parse import parse_venue
from hauberk_plugins.venues.venue import VenueFile

FILE = """\
name: demo
base_urls: [https://api.demo.test, https://futures.demo.test]
body: json
operations:
  POST /order: {otherwise: trade, when: {kind: {cancel: cancel}}}
  DELETE /orders: cancel
  DELETE /orders/{id}: cancel
  POST /countdown: cancel
  POST /withdraw: withdraw
"""
CANCELS = """\
emergency:
  cancel_all:
    spot: {endpoint: DELETE /orders, params: {symbol: "{symbol}", all: "1"}, nothing: [-2011, x]}
    futures: {endpoint: DELETE /orders, base: "https://futures.demo.test", good: {field: c, value: "0"}}
"""  # noqa: E501
TIMER = """\
emergency:
  dead_man:
    spot:
      endpoint: POST /countdown
      body: '{"s":{countdown_s}}'
      seconds: [5, 60]
      disarm: {body: '{"s":0}'}
"""


def parsed(text: str) -> VenueFile:
    return parse_venue(parse_yaml((FILE + text).encode(), "demo.yml"))


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return [str(problem) for problem in caught.value.problems]


def test_what_cancels_is_read_by_market() -> None:
    found = recipes(parsed(CANCELS), CANCEL_ALL)
    assert list(found) == ["spot", "futures"]
    assert (found["spot"].by_symbol, found["futures"].by_symbol) == (True, False)
    assert found["spot"].nothing == {"-2011", "x"}
    assert found["futures"].good == ("c", "0")
    assert found["futures"].base == "https://futures.demo.test"


def test_a_venue_without_the_section_has_nothing() -> None:
    assert recipes(parsed(""), CANCEL_ALL) == {}
    with pytest.raises(Denied, match=r"has no emergency.cancel_all.spot \(it has none\)"):
        recipe(parsed(""), CANCEL_ALL, "spot")


def built(found: Recipe, symbol: str = "", countdown_s: int = 0) -> tuple[Any, ...]:
    values = values_of(found, found.says, symbol, countdown_s, 1_700_000_000_123_456_789)
    request = found.request("https://api.demo.test", "main", found.says, values)
    return request.method, request.url, request.params, request.body


def test_a_request_is_what_the_file_says_with_the_symbol_in_its_place() -> None:
    found = recipes(parsed(CANCELS), CANCEL_ALL)["spot"]
    params = (("symbol", "BTC-USDT"), ("all", "1"))
    assert built(found, "BTC-USDT") == ("DELETE", "https://api.demo.test/orders", params, b"")


@pytest.mark.parametrize(
    ("token", "value"),
    [("{countdown_s}", "60"), ("{countdown_ms}", "60000"), ("{at_ms}", "1700000060123")],
)
def test_a_countdown_is_in_the_unit_that_the_venue_takes(token: str, value: str) -> None:
    found = recipes(parsed(TIMER.replace("{countdown_s}", token)), DEAD_MAN)["spot"]
    assert built(found, countdown_s=60)[3] == b'{"s":' + value.encode() + b"}"


@pytest.mark.parametrize("seconds", [4, 61, 0, -1, True, 5.5, "5"])
def test_a_countdown_out_of_the_venue_s_bounds_is_denied(seconds: Any) -> None:
    found = recipes(parsed(TIMER), DEAD_MAN)["spot"]
    with pytest.raises(Denied, match="a countdown is 5 to 60 s here"):
        built(found, countdown_s=seconds)


@pytest.mark.parametrize(
    "symbol", ["BTC USDT", 'BTC","a":"', "BTC&x=1", "{symbol}", "-BTC", "B" * 65, "B\n", "\u0392TC"]
)
def test_what_is_no_symbol_is_denied(symbol: str) -> None:
    found = recipes(parsed(CANCELS), CANCEL_ALL)["spot"]
    with pytest.raises(Denied, match="is no symbol"):
        built(found, symbol)


def test_a_symbol_is_wanted_where_the_venue_cancels_by_symbol_and_nowhere_else() -> None:
    found = recipes(parsed(CANCELS), CANCEL_ALL)
    with pytest.raises(Denied, match="it is for one symbol: name it"):
        built(found["spot"])
    with pytest.raises(Denied, match="it takes no symbol"):
        built(found["futures"], "BTC")


@pytest.mark.parametrize(
    ("was", "put", "said"),
    [
        ("cancel_all:", "cancel_al:", "unknown key; did you mean 'cancel_all'?"),
        ("nothing:", "nothin:", "unknown key; did you mean 'nothing'?"),
        ("spot:", "Spot!:", "a market's name is small letters, digits and '_'"),
        ("DELETE /orders, params", "DELETE orders, params", "must be a method and a path"),
        ("DELETE /orders, params", "DELETE /none, params", "is unknown by `operations`"),
        ("DELETE /orders, params", '"DELETE /orders/{id}", params', "must be one path, without"),
        ("DELETE /orders, params", "POST /order, params", "is trade by `operations`, and must be"),
        ("DELETE /orders, params", "POST /withdraw, params", "is withdraw by `operations`, and"),
        ("https://futures.demo.test\"", "https://evil.test\"", "is none of `base_urls`"),
        ('"{symbol}"', '"{countdown_s}"', "{countdown_s} is none of {symbol}"),
        ('"{symbol}"', '"{symbl}"', "{symbl} is none of {symbol}"),
        ('"1"}', "1}", "params.all: must be text, not 1 without quotes"),
        ("[-2011, x]", "-2011", "must be a list of codes"),
        ("{field: c, value: \"0\"}", "{field: c}", "good.value: must be text, not nothing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(was: str, put: str, said: str) -> None:
    assert was in CANCELS
    found = problems(CANCELS.replace(was, put))
    assert len(found) == 1, found
    assert said in found[0]
    assert found[0].startswith("demo.yml:")


@pytest.mark.parametrize(
    ("was", "put", "said"),
    [
        ('{"s":{countdown_s}}', '{"s":60}', "must say how long, once"),
        ('{"s":{countdown_s}}', '{"s":{countdown_s},"m":{at_ms}}', "must say how long, once"),
        ("[5, 60]", "[60, 5]", "must be the shortest and the longest countdown"),
        ("[5, 60]", "[0, 5]", "must be the shortest and the longest countdown"),
        ("[5, 60]", "[true, 5]", "must be the shortest and the longest countdown"),
        ("      seconds: [5, 60]\n", "", "must be the shortest and the longest countdown"),
        ("'{\"s\":0}'", '\'{"s":"{symbol}"}\'', "must be for one symbol exactly where arming is"),
        ("disarm: {body:", "disarm: {bod:", "unknown key; did you mean 'body'?"),
        ('body: \'{"s":{', 'params: {a: b}\n      body: \'{"s":{', "stands beside `params`"),
    ],
)
def test_what_is_wrong_with_a_timer_is_told(was: str, put: str, said: str) -> None:
    assert was in TIMER
    found = problems(TIMER.replace(was, put))
    assert len(found) == 1, found
    assert said in found[0]


def test_what_disarms_must_cancel_too() -> None:
    text = TIMER.replace("POST /countdown", "POST /order").replace(
        '{"s":{', '{"kind":"cancel","s":{'
    )
    assert "is trade by `operations`, and must be cancel" in problems(text)[0]


def test_an_action_without_a_market_is_an_error() -> None:
    assert "names no market" in problems("emergency: {cancel_all: {}}\n")[0]
