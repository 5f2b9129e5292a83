"""The section `policy` of `hauberk.yml`."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from attrs import Attribute, field, frozen

from hauberk.request import Operation
from hauberk_plugins.policy.amounts import Amount, read_amount
from hauberk_plugins.policy.rate import Rate, read_rate
from hauberk_plugins.policy.symbols import PATTERN

_PATH: Final = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,=:@/{}]*\Z")
PARAMETER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(?:\.(?:[A-Za-z0-9_-]{1,64}|\*))*\Z", re.ASCII)
_METHOD: Final = re.compile(r"[A-Z]{1,16}\Z")
_ONE: Final = Decimal(1)


def _amount(text: str | None) -> Amount | None:
    return None if text is None else read_amount(text)


def _rate(text: str | None) -> Rate | None:
    return None if text is None else read_rate(text)


def _listed(value: str | tuple[str, ...] | None) -> tuple[str, ...] | None:
    return (value,) if isinstance(value, str) else value


def _operations(
    value: Operation | tuple[Operation, ...] | None,
) -> tuple[Operation, ...] | None:
    return (value,) if isinstance(value, Operation) else value


def _amounts(value: dict[str, dict[str, str]]) -> dict[str, dict[str, Amount]]:
    return {
        venue: {symbol.upper(): read_amount(text) for symbol, text in contracts.items()}
        for venue, contracts in value.items()
    }


def _band(_: Any, __: Attribute[Any], value: Decimal | None) -> None:
    if value is not None and not 0 < value <= _ONE:
        raise ValueError("must be a share above 0 and at most 1, as 0.05 for five per cent")


def _symbols(_: Any, __: Attribute[Any], value: tuple[str, ...] | None) -> None:
    if value is None:
        return
    if not value:
        raise ValueError("must name a symbol: an empty list would deny every order")
    for index, name in enumerate(value):
        if PATTERN.match(name) is None:
            raise ValueError(f"item {index} is no symbol, nor a pattern such as *USDT")
        if name.upper() in {other.upper() for other in value[:index]}:
            raise ValueError(f"item {index} stands there twice")


def _harmless(_: Any, __: Attribute[Any], value: dict[str, tuple[str, ...]]) -> None:
    for venue, names in value.items():
        for index, name in enumerate(names):
            if PARAMETER.match(name) is None:
                raise ValueError(f"{venue}, item {index}: is no parameter, as name or a.b.c")


def _each(is_good: re.Pattern[str], what: str) -> Callable[[Any, Attribute[Any], Any], None]:
    def check(_: Any, __: Attribute[Any], value: tuple[str, ...] | None) -> None:
        if value is not None and not (value and all(map(is_good.match, value))):
            raise ValueError(f"must be {what}")

    return check


def _some(_: Any, __: Attribute[Any], value: tuple[Any, ...] | None) -> None:
    if value is not None and not value:
        raise ValueError("must name at least one: an empty list matches nothing")


@frozen(kw_only=True)
class Caps:
    """What each order of an account must keep to.

    Attributes:
        symbols: The only symbols that may be ordered; `*` stands for any characters. Capitals and
            small letters are alike.
        max_order: The most that one order may be worth, as `5000 USDT`.
        max_day: The most that an account may order on a day (UTC), as `20000 USDT`. Kept in the
            store, so that no restart gives it back; processes share it.
        price_band: How far from the reference price a limit may lie, as a share: 0.05 is five
            per cent. What has no limit of its own is denied.
        max_orders: The most orders of an account in a time, as `60/min`, `5/s` or `100/10s`.
    """

    symbols: tuple[str, ...] | None = field(default=None, validator=_symbols)
    max_order: Amount | None = field(default=None, converter=_amount)
    max_day: Amount | None = field(default=None, converter=_amount)
    price_band: Decimal | None = field(default=None, validator=_band)
    max_orders: Rate | None = field(default=None, converter=_rate)


@frozen(kw_only=True)
class Match:
    """Which requests a rule is for: all of what is said here must fit. Each is one or a list.

    Attributes:
        account: Accounts of `hauberk.yml`.
        venue: Venues.
        operation: What the request does, as the venue's map says.
        symbol: Symbols or patterns; the rule is for orders alone then.
        method: `GET`, `POST`, …
        path: Paths; `*` stands for any characters.
    """

    account: tuple[str, ...] | None = field(default=None, converter=_listed, validator=_some)
    venue: tuple[str, ...] | None = field(default=None, converter=_listed, validator=_some)
    operation: tuple[Operation, ...] | None = field(
        default=None, converter=_operations, validator=_some
    )
    symbol: tuple[str, ...] | None = field(default=None, converter=_listed, validator=_symbols)
    method: tuple[str, ...] | None = field(
        default=None, converter=_listed, validator=_each(_METHOD, "capitals, as POST")
    )
    path: tuple[str, ...] | None = field(
        default=None, converter=_listed, validator=_each(_PATH, "a path that begins with /")
    )


@frozen(kw_only=True)
class Rule:
    """What holds for some requests, beside all else.

    Attributes:
        match: Which.
        deny: `true`, or why they are denied.
        max_order: As in `policy`.
        price_band: As in `policy`.
        max_orders: As in `policy`; counts what the rule is for, by account.
    """

    match: Match
    deny: bool | str = False
    max_order: Amount | None = field(default=None, converter=_amount)
    price_band: Decimal | None = field(default=None, validator=_band)
    max_orders: Rate | None = field(default=None, converter=_rate)

    @property
    def caps(self) -> tuple[Amount | Decimal | Rate | None, ...]:
        """What it says beside denying."""
        return (self.max_order, self.price_band, self.max_orders)


@frozen(kw_only=True)
class PolicyConfig(Caps):
    """The section `policy` of `hauberk.yml`: all that applies to a request must let it pass.

    Attributes:
        symbols: The only symbols that may be ordered; `*` stands for any characters. Capitals and
            small letters are alike.
        max_order: The most that one order may be worth, as `5000 USDT`.
        max_day: The most that an account may order on a day (UTC), as `20000 USDT`. Kept in the
            store, so that no restart gives it back; processes share it.
        price_band: How far from the reference price a limit may lie, as a share: 0.05 is five
            per cent. What has no limit of its own is denied.
        max_orders: The most orders of an account in a time, as `60/min`, `5/s` or `100/10s`.
        accounts: By account, what it must keep to as well; stricter, never laxer.
        rules: What holds for some requests as well.
        contracts: By venue and symbol, what one contract is, as `0.01 BTC` or `100 USD`.
        harmless: By venue, parameters of orders that its file does not know and that change
            neither price nor size; any other denies what caps and bands are for.
        sales_at_limit: Whether a sale counts at its own limit where there is no reference price. A
            sale far below the market counts for little then.
    """

    accounts: dict[str, Caps] = field(factory=dict)
    rules: tuple[Rule, ...] = ()
    contracts: dict[str, dict[str, Amount]] = field(factory=dict, converter=_amounts)
    harmless: dict[str, tuple[str, ...]] = field(factory=dict, validator=_harmless)
    sales_at_limit: bool = False
