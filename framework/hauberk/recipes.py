"""What a venue file says of an emergency, and the requests that come of it.

A request is built from the file alone: who asks for one chooses among what stands there, and gives
a symbol and a countdown, which go nowhere but into parameters and body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from hauberk.errors import Denied
from hauberk.ports import Venue
from hauberk.request import Pairs, Request

#: The parts of the section `emergency`.
CANCEL_ALL: Final = "cancel_all"
DEAD_MAN: Final = "dead_man"
#: What stands for a symbol, and for the countdown: its length, or the moment at which it ends.
SYMBOL: Final = "{symbol}"
COUNTDOWNS: Final = ("{countdown_s}", "{countdown_ms}", "{at_ms}")
#: No sign that JSON or a URL would read as anything but a part of a name.
_SYMBOL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_./-]{0,63}\Z")
_NONE: Final[Mapping[str, Any]] = {}


@frozen
class Wording:
    """What a request says: parameters, or a body, with tokens in them."""

    params: Pairs = ()
    body: str = ""

    @property
    def by_symbol(self) -> bool:
        """Whether it names a symbol."""
        return SYMBOL in self.body or any(SYMBOL in value for _, value in self.params)

    def filled(self, values: Mapping[str, str]) -> tuple[Pairs, str]:
        """Return parameters and body with values in place of their tokens."""
        params = tuple((name, _filled(value, values)) for name, value in self.params)
        return params, _filled(self.body, values)


@frozen
class Recipe:
    """One request of a venue's section `emergency`.

    Attributes:
        action: `CANCEL_ALL` or `DEAD_MAN`.
        market: Its name in the file, for example `spot`.
        method: In capitals.
        path: Of the URL.
        base: Which of the venue's base URLs; empty for the first.
        says: What it says; of a timer, what arms it.
        disarm: What takes a timer back; `None` where it is none.
        seconds: The shortest and the longest countdown.
        good: A field of a good answer and its value, where errors come with HTTP status 200 too.
        until: A field of the answer and the value that it has when nothing is left, where one
            request cancels no more than so many orders.
        nothing: Codes that mean that there was nothing to cancel.
    """

    action: str
    market: str
    method: str
    path: str
    base: str
    says: Wording
    disarm: Wording | None
    seconds: tuple[int, int]
    good: tuple[str, str] | None
    until: tuple[str, str] | None
    nothing: frozenset[str]

    @property
    def by_symbol(self) -> bool:
        """Whether it is for one symbol, rather than for the whole account."""
        return self.says.by_symbol

    def request(
        self, base: str, account: str, wording: Wording, values: Mapping[str, str]
    ) -> Request:
        """Build it, unsigned.

        Args:
            base: The base URL of an account that has one of its own, else empty.
            account: The account.
            wording: `says` or `disarm`.
            values: By token.
        """
        params, body = wording.filled(values)
        return Request(self.method, base + self.path, params, body=body, account=account)


def recipes(venue: Venue, action: str) -> dict[str, Recipe]:
    """Return what a venue file has for an action, by market; empty where it has nothing."""
    section = venue.section("emergency").get(action, _NONE)
    return {market: _recipe(action, market, said) for market, said in section.items()}


def recipe(venue: Venue, action: str, market: str) -> Recipe:
    """Return one of them.

    Raises:
        Denied: There is none of that name.
    """
    found = recipes(venue, action)
    if market not in found:
        known = ", ".join(found) or "none"
        why = f"venue {venue.name!r} has no emergency.{action}.{market} (it has {known})"
        raise Denied("kernel", why)
    return found[market]


def values_of(
    recipe: Recipe, wording: Wording, symbol: str, countdown_s: int, wall_ns: int
) -> dict[str, str]:
    """Return what tokens stand for.

    Raises:
        Denied: A symbol is missing, not wanted or no symbol, or the countdown is out of bounds.
    """
    if wording.by_symbol != bool(symbol):
        missing = "it is for one symbol: name it" if wording.by_symbol else "it takes no symbol"
        raise Denied("kernel", f"emergency.{recipe.action}.{recipe.market}: {missing}")
    if symbol and not _SYMBOL.match(symbol):
        raise Denied("kernel", f"{symbol[:70]!a} is no symbol")
    values = {SYMBOL: symbol}
    if recipe.action == DEAD_MAN and wording is recipe.says:
        least, most = recipe.seconds
        if type(countdown_s) is not int or not least <= countdown_s <= most:
            raise Denied("kernel", f"a countdown is {least} to {most} s here, not {countdown_s}")
        at_ms = wall_ns // 1_000_000 + countdown_s * 1_000
        numbers = (countdown_s, countdown_s * 1_000, at_ms)
        values |= dict(zip(COUNTDOWNS, map(str, numbers), strict=True))
    return values


def _recipe(action: str, market: str, said: Mapping[str, Any]) -> Recipe:
    method, _, path = said["endpoint"].partition(" ")
    least, most = said.get("seconds", (0, 0))
    return Recipe(
        action=action,
        market=market,
        method=method,
        path=path,
        base=said.get("base", ""),
        says=_wording(said),
        disarm=_wording(said["disarm"]) if "disarm" in said else None,
        seconds=(least, most),
        good=_field(said.get("good")),
        until=_field(said.get("until")),
        nothing=frozenset(map(str, said.get("nothing", ()))),
    )


def _field(said: Mapping[str, str] | None) -> tuple[str, str] | None:
    return None if said is None else (said["field"], said["value"])


def _wording(said: Mapping[str, Any]) -> Wording:
    return Wording(tuple(said.get("params", {}).items()), said.get("body", ""))


def _filled(text: str, values: Mapping[str, str]) -> str:
    for token, value in values.items():
        text = text.replace(token, value)
    return text
