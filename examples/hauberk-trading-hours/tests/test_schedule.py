"""When it is open, and when next, against a scan of the wall clock minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_trading_hours.reading import WEEKDAYS, read_blackout, read_hours
from hauberk_trading_hours.schedule import DAY_NS, SECOND_NS, Schedule, merged

MINUTE_NS = 60 * SECOND_NS
SCANNED_MINUTES = 2 * 24 * 60

Week = dict[str, list[str]]

# Half an hour of summer time, a day that was skipped, odd offsets, summer time in January.
ZONES = ["UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Pacific/Apia",
         "Asia/Kathmandu", "Africa/Casablanca", "America/Santiago"]  # fmt: skip
# Around changes of the clock in these zones.
MOMENTS = ["2024-03-10T05:00", "2024-11-03T04:00", "2024-03-31T00:00", "2024-10-27T00:00",
           "2024-04-06T13:00", "2024-10-05T13:00", "2011-12-30T08:00",
           "2024-04-07T01:00"]  # fmt: skip

minutes = st.integers(0, 24 * 60)
hours = (
    st.tuples(minutes, minutes)
    .filter(lambda pair: pair[0] not in (pair[1], 24 * 60))
    .map(lambda pair: "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in pair))
)
weeks = st.dictionaries(
    st.sampled_from(WEEKDAYS), st.lists(hours, min_size=1, max_size=2), min_size=1
)
instants = st.builds(
    lambda moment, minutes, ns: ns_of(moment) + minutes * MINUTE_NS + ns,
    st.sampled_from(MOMENTS),
    st.integers(-600, 1_500),
    st.sampled_from([0, 0, 1, MINUTE_NS - 1]),
)
days = st.integers(-1, 2)


def ns_of(moment: str) -> int:
    """Read a moment of UTC."""
    passed = datetime.fromisoformat(moment).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return passed // timedelta(seconds=1) * SECOND_NS


def schedule(zone: str, week: Week | None, blackouts: list[str] | None = None) -> Schedule:
    weekly = None
    if week is not None:
        weekly = {WEEKDAYS.index(day): [read_hours(text) for text in week[day]] for day in week}
    return Schedule(ZoneInfo(zone), weekly, [read_blackout(text) for text in blackouts or []])


def shows_open(zone: str, week: Week, blackouts: list[str], at_ns: int) -> bool:
    """Read the wall clock as a person does, and look it up in the plan as it is written."""
    wall = datetime.fromtimestamp(at_ns // SECOND_NS, ZoneInfo(zone)).replace(tzinfo=None)
    if any(_covers(blackout, wall) for blackout in blackouts):
        return False
    time = f"{wall:%H:%M}"
    today, yesterday = WEEKDAYS[wall.weekday()], WEEKDAYS[wall.weekday() - 1]
    for text in week.get(today, []):
        start, end = text.split("-")
        if start <= time and (time < end or end < start):
            return True
    return any(time < text[6:] < text[:5] for text in week.get(yesterday, []))


def _covers(blackout: str, wall: datetime) -> bool:
    first, _, last = blackout.partition("..")
    if "T" in first:
        return first <= f"{wall:%Y-%m-%dT%H:%M}" < last
    return first <= f"{wall:%Y-%m-%d}" <= (last or first)


@given(st.sampled_from(ZONES), weeks, instants, st.lists(days, max_size=2))
def test_the_next_opening_is_the_first_open_instant(
    zone: str, week: Week, at_ns: int, blacked_out: list[int]
) -> None:
    here = datetime.fromtimestamp(at_ns // SECOND_NS, UTC)
    blackouts = [f"{here + timedelta(days=day):%Y-%m-%d}" for day in blacked_out]
    blackouts += [f"{here:%Y-%m-%dT%H:%M}..{here + timedelta(minutes=95):%Y-%m-%dT%H:%M}"]
    opens_ns = schedule(zone, week, blackouts).next_opening(at_ns)
    assert opens_ns is not None
    first_minute = -(-at_ns // MINUTE_NS) * MINUTE_NS
    scanned = [at_ns, *range(first_minute, at_ns + SCANNED_MINUTES * MINUTE_NS, MINUTE_NS)]
    found = next((t for t in scanned if shows_open(zone, week, blackouts, t)), None)
    if found is None:
        assert opens_ns > scanned[-1]
    else:
        assert opens_ns == found


@given(st.sampled_from(ZONES), weeks, instants)
def test_what_opens_is_open_and_was_closed_just_before(zone: str, week: Week, at_ns: int) -> None:
    plan = schedule(zone, week)
    opens_ns = plan.next_opening(at_ns)
    assert opens_ns is not None
    assert at_ns <= opens_ns
    assert plan.next_opening(opens_ns) == opens_ns
    if opens_ns > at_ns:
        assert plan.next_opening(opens_ns - 1) == opens_ns


@pytest.mark.parametrize(
    ("zone", "hours", "at", "opens"),
    [
        # 02:00 to 03:00 does not come on 10 March: what opens in it opens at its end.
        ("America/New_York", "02:30-04:00", "2024-03-10T06:00", "2024-03-10T07:00"),
        # Nothing is left of hours within it: they come the next day.
        ("America/New_York", "02:30-03:00", "2024-03-10T06:00", "2024-03-11T06:30"),
        # 01:00 to 02:00 comes twice on 3 November: what opens in it opens twice.
        ("America/New_York", "01:30-01:45", "2024-11-03T05:50", "2024-11-03T06:30"),
        ("America/New_York", "09:30-16:00", "2024-11-03T12:00", "2024-11-03T14:30"),
        # Samoa went from Thursday to Saturday.
        ("Pacific/Apia", "09:00-10:00", "2011-12-29T21:00", "2011-12-30T19:00"),
    ],
)
def test_changes_of_the_clock(zone: str, hours: str, at: str, opens: str) -> None:
    plan = schedule(zone, {day: [hours] for day in WEEKDAYS})
    assert plan.next_opening(ns_of(at)) == ns_of(opens)


def test_without_a_week_it_is_open_around_the_clock() -> None:
    plan = schedule("UTC", None, ["2026-12-24..2026-12-26"])
    last = ns_of("2026-12-23T23:59")
    assert plan.next_opening(last) == last
    assert plan.next_opening(ns_of("2026-12-24T00:00")) == ns_of("2026-12-27T00:00")


def test_with_no_hours_at_all_it_never_opens() -> None:
    assert schedule("UTC", {}).next_opening(0) is None


def test_a_blackout_of_many_years_is_passed_over() -> None:
    plan = schedule("Europe/London", {"mon": ["09:00-10:00"]}, ["2026-01-01..2035-12-31"])
    assert plan.next_opening(ns_of("2026-01-01T00:00")) == ns_of("2036-01-07T09:00")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6))
def test_merged_spans_cover_the_same_and_do_not_touch(spans: list[tuple[int, int]]) -> None:
    joined = merged(spans)
    for point in range(31):
        assert any(a <= point < b for a, b in joined) == any(a <= point < b for a, b in spans)
    assert all(a[1] < b[0] for a, b in pairwise(joined))
    assert all(a < b for a, b in joined)


def test_a_day_has_as_many_nanoseconds_as_its_hours() -> None:
    assert read_hours("00:00-24:00") == (0, DAY_NS)
