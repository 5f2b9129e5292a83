"""The plugin `trading_hours`: denies outside hours, and says when they begin again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf, nextafter
from typing import Any, Final

from attrs import Attribute, field, frozen
from hauberk import ConfigError, Context, Deny, Operation, Plugin, Request, hookimpl

from hauberk_trading_hours.reading import WEEKDAYS, read_blackout, read_hours, read_zone
from hauberk_trading_hours.schedule import SECOND_NS, Schedule

#: What may go at any time: to see where one stands, and to get out of the market.
ALWAYS: Final = frozenset({Operation.PUBLIC, Operation.READ, Operation.CANCEL})


def _each(read: Callable[[str], object]) -> Callable[[Any, Attribute[Any], Iterable[str]], None]:
    def check(_instance: Any, _attribute: Attribute[Any], values: Iterable[str]) -> None:
        for value in values:
            read(value)

    return check


def _check_zone(_instance: Any, _attribute: Attribute[Any], name: str) -> None:
    read_zone(name)


def _check_weekly(
    _instance: Any, _attribute: Attribute[Any], weekly: dict[str, tuple[str, ...]] | None
) -> None:
    for day, hours in (weekly or {}).items():
        if day not in WEEKDAYS:
            raise ValueError(f"{day!r} is no day of the week: write one of {', '.join(WEEKDAYS)}")
        for text in hours:
            read_hours(text)


@frozen
class Hours:
    """When an account may trade.

    Attributes:
        timezone: Whose wall clock is meant, for example `Europe/Berlin`.
        weekly: `mon` to `sun`, hours such as `09:30-16:00`; a day that is missing is closed.
            Around the clock unless given.
        blackouts: Days, ranges of days, or spans of time, without any trading.
        allow_reduce: Whether orders that only reduce a position may go at any time.
    """

    timezone: str = field(default="UTC", validator=_check_zone)
    weekly: dict[str, tuple[str, ...]] | None = field(default=None, validator=_check_weekly)
    blackouts: tuple[str, ...] = field(default=(), validator=_each(read_blackout))
    allow_reduce: bool = False

    def schedule(self) -> Schedule:
        """Read all of it."""
        weekly = None
        if self.weekly is not None:
            weekly = {WEEKDAYS.index(d): [*map(read_hours, h)] for d, h in self.weekly.items()}
        return Schedule(read_zone(self.timezone), weekly, map(read_blackout, self.blackouts))


@frozen
class TradingHoursConfig(Hours):
    """The section `trading_hours` of `hauberk.yml`.

    Attributes:
        accounts: Accounts with hours of their own, in place of all of these.
    """

    accounts: dict[str, Hours] = field(factory=dict)


class TradingHoursPlugin(Plugin):
    """Guard: denies what is neither a read nor a cancel while the account's market is closed."""

    interface = (1, 1)
    Config = TradingHoursConfig

    def __init__(self, config: TradingHoursConfig) -> None:
        self._config = config
        self._default = config.schedule()
        self._own = {name: hours.schedule() for name, hours in config.accounts.items()}

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Keep the clock; refuse hours for an account that is not there."""
        self._clock = context.clock
        known = ", ".join(context.accounts) or "none"
        problems = [
            context.problem(("accounts", name), f"there is no such account (accounts: {known})")
            for name in self._own
            if name not in context.accounts
        ]
        if problems:
            raise ConfigError(problems)

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        """Deny while it is closed, with the time until it opens."""
        if request.operation in ALWAYS:
            return None
        hours = self._config.accounts.get(request.account, self._config)
        if hours.allow_reduce and request.operation is Operation.REDUCE:
            return None
        schedule = self._own.get(request.account, self._default)
        now_ns = self._clock.wall_ns()
        opens_ns = schedule.next_opening(now_ns)
        if opens_ns == now_ns:
            return None
        if opens_ns is None:
            return Deny(f"account {request.account!r} has no trading hours")
        opens = f"{schedule.wall(opens_ns):%a %Y-%m-%d %H:%M:%S} {hours.timezone}"
        return Deny(
            f"outside the trading hours of account {request.account!r}, which begin {opens}",
            retry_after=_seconds(opens_ns - now_ns),
        )


def _seconds(ns: int) -> float:
    """Turn into seconds, never too few: a float may lie below the nanoseconds it stands for."""
    seconds = ns / SECOND_NS
    return seconds if seconds * SECOND_NS >= ns else nextafter(seconds, inf)
