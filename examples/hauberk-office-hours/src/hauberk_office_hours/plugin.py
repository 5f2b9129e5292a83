"""The plugin `office_hours`: refuses logins from elsewhere and out of hours, and reports them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_network
from typing import Any, Final
from zoneinfo import ZoneInfo

from attrs import Attribute, field, frozen
from hauberk import Context, Deny, Login, Plugin, Severity, hookimpl

from hauberk_office_hours.office import Network, Office

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_network(text: str) -> Network:
    """Read a network, as `10.1.0.0/16`.

    Raises:
        ValueError: It is none.
    """
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no network ({error}): write 10.1.0.0/16") from None


def read_hours(text: str) -> tuple[time, time]:
    """Read hours of a day, as `07:00-20:00`.

    Raises:
        ValueError: They are none, or end before they begin.
    """
    try:
        opens, closes = map(time.fromisoformat, text.split("-"))
    except ValueError:
        raise ValueError(f"{text!r} are no hours: write 07:00-20:00") from None
    if opens.tzinfo or closes.tzinfo or closes <= opens:
        raise ValueError(f"{text!r} are no hours of one day: write 07:00-20:00")
    return opens, closes


def read_day(text: str) -> int:
    """Read a day of the week, as `mon`.

    Raises:
        ValueError: It is none.
    """
    if text not in DAYS:
        raise ValueError(f"{text!r} is no day: write one of {', '.join(DAYS)}")
    return DAYS.index(text)


def read_zone(name: str) -> ZoneInfo:
    """Read the name of a time zone.

    Raises:
        ValueError: There is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone: write Europe/Berlin or UTC") from None


def _check(read: Callable[[str], object]) -> Callable[[Any, Attribute[Any], Any], None]:
    def check(_instance: Any, _attribute: Attribute[Any], value: str | tuple[str, ...]) -> None:
        for text in (value,) if isinstance(value, str) else value:
            read(text)

    return check


@frozen
class OfficeHoursConfig:
    """The section `office_hours` of `hauberk.yml`.

    Attributes:
        networks: From where somebody may log in; from anywhere unless given.
        hours: When, on one day.
        days: On which days.
        timezone: Whose clock and calendar.
        always: Sources that may at any time, whatever they are: the command line is one, so that
            whoever is at the machine at three in the morning can lift a halt.
    """

    networks: tuple[str, ...] = field(default=(), validator=_check(read_network))
    hours: str = field(default="07:00-20:00", validator=_check(read_hours))
    days: tuple[str, ...] = field(default=DAYS[:5], validator=_check(read_day))
    timezone: str = field(default="UTC", validator=_check(read_zone))
    always: tuple[str, ...] = ("command line",)

    def office(self) -> Office:
        """Return what it says."""
        opens, closes = read_hours(self.hours)
        return Office(
            map(read_network, self.networks),
            tuple(map(read_day, self.days)),
            opens,
            closes,
            read_zone(self.timezone),
        )


class OfficeHoursPlugin(Plugin):
    """Guard of logins. Needs no grant; stands before the authenticator.

    There a refusal says nothing about the password, since nobody has looked at it.
    """

    interface = (1, 1)
    Config = OfficeHoursConfig

    def __init__(self, config: OfficeHoursConfig) -> None:
        self._office = config.office()
        self._always = frozenset(config.always)

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Keep the clock, and whom to tell."""
        self._context = context

    @hookimpl
    def on_login(self, login: Login) -> Deny | None:
        """Refuse what comes from elsewhere, or out of hours, and report it."""
        if login.source in self._always:
            return None
        if not self._office.knows(login.source):
            self._report("A login from a network that is not listed", Severity.MEDIUM, login)
            return Deny("nobody logs in from there")
        now = _EPOCH + timedelta(microseconds=self._context.clock.wall_ns() // 1_000)
        wait = self._office.opens_in(now)
        if wait == timedelta():
            return None
        self._report("A login out of hours", Severity.LOW, login)
        seconds = None if wait is None else wait.total_seconds()
        return Deny("nobody logs in at this hour", retry_after=seconds)

    def _report(self, title: str, severity: Severity, login: Login) -> None:
        # Never more than MEDIUM: whoever is outside could stop trading else. And without the name:
        # people type passwords there.
        self._context.report(title, severity, {"source": login.source})
