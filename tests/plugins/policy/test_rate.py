from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.policy.rate import OrderRate, read_rate

S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "count", "seconds"),
    [("60/min", 60, 60), ("5/s", 5, 1), ("100/10s", 100, 10), ("1000/day", 1000, 86_400)],
)
def test_a_rate_is_read(text: str, count: int, seconds: int) -> None:
    rate = read_rate(text)
    assert (rate.count, rate.seconds) == (count, seconds)


@pytest.mark.parametrize("text", ["60", "0/min", "60/0s", "-1/s", "60 / min", "60/minute", "1e3/s"])
def test_a_rate_of_another_shape_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="as 60/min"):
        read_rate(text)


def test_what_would_be_too_many_says_when_there_is_room() -> None:
    rate = OrderRate(read_rate("2/10s"))
    for at in (0, 3 * S):
        assert rate.take(1, at)
        rate.end(1, left=True, now_ns=at)
    assert not rate.take(1, 4 * S)
    assert rate.wait_ns(1, 4 * S) == 6 * S
    assert rate.wait_ns(2, 4 * S) == 9 * S
    assert rate.wait_ns(3, 4 * S) is None
    assert rate.take(1, 10 * S)


def test_what_did_not_leave_is_given_back_and_what_has_not_left_yet_counts() -> None:
    rate = OrderRate(read_rate("1/s"))
    assert rate.take(1, 0)
    assert not rate.take(1, 100 * S)
    rate.end(1, left=False, now_ns=100 * S)
    assert rate.take(1, 100 * S)


@given(st.lists(st.tuples(st.integers(0, 3 * S), st.integers(1, 3), st.booleans()), max_size=60))
def test_no_window_ever_holds_more(steps: list[tuple[int, int, bool]]) -> None:
    rate, now, sent = OrderRate(read_rate("4/2s")), 0, []
    for later, orders, leaves in steps:
        now += later
        if rate.take(orders, now):
            rate.end(orders, leaves, now)
            sent += [now] * (orders if leaves else 0)
    for at in sent:
        assert sum(at <= other < at + 2 * S for other in sent) <= 4
