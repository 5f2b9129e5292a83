"""Networks and hours, whatever the clock shows."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from ipaddress import ip_network
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_office_hours.office import Office

BERLIN = ZoneInfo("Europe/Berlin")
OPENS, CLOSES = time(7), time(20)
WEEK = (0, 1, 2, 3, 4)
ANYWHERE = Office((), WEEK, OPENS, CLOSES, BERLIN)
HOME = Office([ip_network("10.1.0.0/16"), ip_network("2001:db8::/32")], WEEK, OPENS, CLOSES, BERLIN)
edges = st.builds(
    lambda day, at, ahead: datetime.combine(day, at, BERLIN) + timedelta(microseconds=ahead),
    st.dates(date(2020, 1, 1), date(2029, 12, 31)),
    st.sampled_from([OPENS, CLOSES, time()]),
    st.integers(-1, 1),
)
moments = edges.map(lambda edge: edge.astimezone(UTC)) | st.datetimes(
    datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)
)


@pytest.mark.parametrize("source", ["10.1.0.0", "10.1.255.255", "2001:db8::7", "::ffff:10.1.2.3"])
def test_what_lies_in_a_network_is_known(source: str) -> None:
    assert HOME.knows(source)


@pytest.mark.parametrize(
    "source",
    ["10.2.0.0", "2001:db9::", "::ffff:10.2.0.1", "", "laptop", "10.1.0.1 ", "10.1.0.1/16"],
)
def test_what_does_not_is_not(source: str) -> None:
    assert not HOME.knows(source)
    assert ANYWHERE.knows(source)


@given(moments)
def test_it_is_open_exactly_when_the_wall_clock_says_so(now: datetime) -> None:
    local = now.astimezone(BERLIN)
    is_open = local.weekday() in WEEK and OPENS <= local.time() < CLOSES
    assert (ANYWHERE.opens_in(now) == timedelta()) == is_open


@given(moments)
def test_it_opens_when_it_says_and_not_a_moment_earlier(now: datetime) -> None:
    wait = ANYWHERE.opens_in(now)
    assert wait is not None
    assert ANYWHERE.opens_in(now + wait) == timedelta()
    if wait:
        assert ANYWHERE.opens_in(now + wait - timedelta(microseconds=1))
        assert (now + wait).astimezone(BERLIN).time() == OPENS


@given(moments)
def test_without_days_it_never_opens(now: datetime) -> None:
    assert Office((), (), OPENS, CLOSES, BERLIN).opens_in(now) is None
