"""Reading hours, dates and zones as people write them; each error says what would be right."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from hauberk_trading_hours.schedule import DAY_NS, SECOND_NS, Span

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTE_NS: Final = 60 * SECOND_NS
_HOURS: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)\Z", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d\Z", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_zone(name: str) -> ZoneInfo:
    """Read the name of a time zone.

    Raises:
        ValueError: There is none of that name; says which is near.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = get_close_matches(name, available_timezones(), n=1)
        hint = f"did you mean {near[0]}?" if near else "write one such as Europe/Berlin or UTC"
        raise ValueError(f"{name!r} is no time zone: {hint}") from None


def read_hours(text: str) -> Span:
    """Read hours of a day: `09:30-16:00`, or over midnight: `22:00-02:00`.

    Returns:
        From and until, nanoseconds from midnight; `24:00` is the day's end.

    Raises:
        ValueError: It reads otherwise, or is empty.
    """
    match = _HOURS.match(text)
    if match is not None:
        start, end = _time(match[1], match[2]), _time(match[3], match[4])
        if start is not None and end is not None and start not in (end, DAY_NS):
            return start, end
    raise ValueError(f"{text!r} are no hours: write 09:30-16:00; midnight ends as 24:00")


def read_blackout(text: str) -> Span:
    """Read a blackout.

    Args:
        text: A day, days or a span of time: `2026-12-25`, `2026-12-30..2027-01-01` with the last
            one included, `2026-03-18T13:30..2026-03-18T15:00`.

    Returns:
        From and until, wall time.

    Raises:
        ValueError: It reads otherwise, or ends before it begins.
    """
    first, _, last = text.partition("..")
    try:
        if _DAY.match(first) and (not last or _DAY.match(last)):
            start, end = _day_ns(first), _day_ns(last or first) + DAY_NS
        elif _MOMENT.match(first) and _MOMENT.match(last):
            start, end = _moment_ns(first), _moment_ns(last)
        else:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"{text!r} is no blackout: write 2026-12-25, 2026-12-30..2027-01-01 or "
            "2026-03-18T13:30..2026-03-18T15:00"
        ) from None
    if end <= start:
        raise ValueError(f"{text!r} ends before it begins")
    return start, end


def _time(hours: str, minutes: str) -> int | None:
    hour, minute = int(hours), int(minutes)
    if minute > 59 or hour * 60 + minute > 24 * 60:
        return None
    return (hour * 60 + minute) * _MINUTE_NS


def _day_ns(text: str) -> int:
    return (date.fromisoformat(text) - _EPOCH.date()).days * DAY_NS


def _moment_ns(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(seconds=1) * SECOND_NS
