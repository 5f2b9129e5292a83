"""The section `emergency` of a venue file, strictly: what cancels everything, and timers that do.

    emergency:
      cancel_all:
        spot: {endpoint: DELETE /v1/orders, params: {symbol: "{symbol}"}, nothing: [-2011]}
      dead_man:
        spot:
          endpoint: POST /v1/countdown
          body: '{"seconds":{countdown_s}}'
          seconds: [5, 3600]
          disarm: {body: '{"seconds":0}'}

A market's name is the file's own. A request is for one symbol where `{symbol}` stands in it, and
else for the account. It must cancel by the file's own map: the kernel sends nothing else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from hauberk.recipes import CANCEL_ALL, COUNTDOWNS, DEAD_MAN, SYMBOL
from hauberk.request import Operation
from hauberk_plugins.venues.checks import Checks
from hauberk_plugins.venues.endpoints import read_endpoint

if TYPE_CHECKING:
    from hauberk.yamlfile import KeyPath
    from hauberk_plugins.venues.venue import VenueFile

_ASKS: Final = ("endpoint", "base", "params", "body", "good")
_KEYS: Final = {
    CANCEL_ALL: (*_ASKS, "until", "nothing"),
    DEAD_MAN: (*_ASKS, "seconds", "disarm"),
}
_MARKET: Final = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_TOKEN: Final = re.compile(r"\{[a-z_]+\}")
_DAY_S: Final = 86_400
_NO_SECONDS: Final = (
    f"must be the shortest and the longest countdown in whole seconds, 1 to {_DAY_S}: [10, 120]"
)
_NO_COUNTDOWN: Final = f"must say how long, once: one of {', '.join(COUNTDOWNS)}"


def read_emergency(checks: Checks, value: Any) -> dict[str, Any]:
    """Check the form of the section; `check_cancels` looks at what it asks for."""
    section = checks.only(value, ("emergency",), tuple(_KEYS))
    for action, markets in section.items():
        at: KeyPath = ("emergency", action)
        for market, said in checks.mapping(markets, at).items():
            if type(market) is not str or not _MARKET.match(market):
                checks.fault((*at, market), "a market's name is small letters, digits and '_'")
            _check(checks, action, said, (*at, market))
        if markets == {}:
            checks.fault(at, "names no market: leave it out where the venue has nothing")
    return section


def check_cancels(checks: Checks, venue: VenueFile) -> None:
    """Each request goes to a base URL of the venue, and cancels by its map, whatever it is told."""
    for action, markets in venue.section("emergency").items():
        for market, said in markets.items():
            at: KeyPath = ("emergency", action, market)
            if said.get("base", venue.bases[0]) not in venue.bases:
                checks.fault((*at, "base"), "is none of `base_urls`")
            method, _, path = said["endpoint"].partition(" ")
            if "{" in path:
                checks.fault((*at, "endpoint"), "must be one path, without {name}: it is asked so")
                continue
            wordings = [said] + ([said["disarm"]] if "disarm" in said else [])
            for wording in wordings:
                params = tuple(wording.get("params", {}).items())
                # A number in place of each token, so that a body with one in it is JSON.
                body = _TOKEN.sub("1", wording.get("body", "")).encode()
                operation = venue.operation(method, path, params, body)
                if operation is not Operation.CANCEL:
                    why = f"is {operation.value} by `operations`, and must be cancel"
                    checks.fault((*at, "endpoint"), why)
                    break


def _check(checks: Checks, action: str, value: Any, path: KeyPath) -> None:
    said = checks.only(value, path, _KEYS[action])
    endpoint = checks.text(said.get("endpoint"), (*path, "endpoint"))
    if endpoint and read_endpoint(endpoint) is None:
        checks.fault((*path, "endpoint"), "must be a method and a path, as DELETE /api/v3/orders")
    if "base" in said:
        checks.text(said["base"], (*path, "base"))
    countdowns = COUNTDOWNS if action == DEAD_MAN else ()
    found = _tokens(checks, said, path, (SYMBOL, *countdowns))
    for key in ("good", "until"):
        pair = checks.only(said.get(key, {}), (*path, key), ("field", "value"))
        for name in ("field", "value") if key in said else ():
            checks.text(pair.get(name), (*path, key, name))
    if action == CANCEL_ALL:
        _codes(checks, said.get("nothing", []), (*path, "nothing"))
        return
    if sum(found.count(token) for token in COUNTDOWNS) != 1:
        checks.fault(path, _NO_COUNTDOWN)
    _seconds(checks, said.get("seconds"), (*path, "seconds"))
    if "disarm" in said:
        disarm = checks.only(said["disarm"], (*path, "disarm"), ("params", "body"))
        taken = _tokens(checks, disarm, (*path, "disarm"), (SYMBOL,))
        if (SYMBOL in taken) != (SYMBOL in found):
            checks.fault((*path, "disarm"), "must be for one symbol exactly where arming is")


def _tokens(checks: Checks, said: dict[str, Any], path: KeyPath, known: Any) -> list[str]:
    """Read `params` and `body`; return the tokens that stand in them."""
    texts: list[tuple[KeyPath, str]] = []
    for name, value in checks.mapping(said.get("params", {}), (*path, "params")).items():
        at = (*path, "params", name)
        texts.append((at, checks.text(value, at)))
    if "body" in said:
        at = (*path, "body")
        texts.append((at, checks.text(said["body"], at)))
        if said.get("params"):
            checks.fault(at, "stands beside `params`: say it in one of them")
    found = []
    for at, text in texts:
        for token in _TOKEN.findall(text):
            found.append(token)
            if token not in known:
                checks.fault(at, f"{token} is none of {', '.join(known)}")
    return found


def _codes(checks: Checks, value: Any, path: KeyPath) -> None:
    if type(value) is not list or any(type(code) not in (int, str) for code in value):
        checks.fault(path, "must be a list of codes")


def _seconds(checks: Checks, value: Any, path: KeyPath) -> None:
    is_pair = type(value) is list and len(value) == 2 and all(type(one) is int for one in value)
    if not is_pair or not 1 <= value[0] <= value[1] <= _DAY_S:
        checks.fault(path, _NO_SECONDS)
