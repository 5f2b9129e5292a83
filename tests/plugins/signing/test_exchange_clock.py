"""`ExchangeClock`: how far an exchange's clock is off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import SigningError
from hauberk.request import Response
from hauberk_plugins.signing.asking import server_time
from hauberk_plugins.signing.offset import AGAIN_NS, FRESH_NS, MAX_OFF_NS, ExchangeClock

S = 1_000_000_000
WALL = 1_700_000_000 * S


@given(
    off=st.integers(-MAX_OFF_NS + S, MAX_OFF_NS - S),
    there=st.integers(0, S),
    back=st.integers(0, S),
)
def test_what_is_measured_is_off_by_half_the_trip_at_most(off, there, back):
    clock = ExchangeClock("demo")
    clock.note(WALL + there + off, WALL, there + back, 0)
    assert abs(clock.time_ns(WALL) - WALL - off) <= (there + back) // 2 + 1


NEAR = st.integers(-40_000_000, 40_000_000)


@given(st.lists(st.tuples(NEAR, st.integers(0, S)), min_size=1, max_size=5))
def test_the_quickest_answer_counts(samples):
    clock = ExchangeClock("demo")
    for at, (off, trip) in enumerate(samples):
        clock.note(WALL + off + trip // 2, WALL, trip, at)
    best = min(samples, key=lambda sample: sample[1])
    assert clock.time_ns(WALL) == WALL + best[0]


def test_it_is_asked_at_first_then_seldom_and_again_after_a_skew():
    clock = ExchangeClock("demo")
    assert clock.is_due(0)
    assert not clock.is_due(AGAIN_NS - 1), "an attempt is under way"
    assert clock.is_due(AGAIN_NS)
    clock.note(WALL, WALL, 0, AGAIN_NS)
    assert not clock.is_due(AGAIN_NS + FRESH_NS - 1)
    assert clock.is_due(AGAIN_NS + FRESH_NS)
    clock.note(WALL, WALL, 0, AGAIN_NS + FRESH_NS)
    clock.skewed()
    assert clock.is_due(2 * AGAIN_NS + FRESH_NS)


def test_after_a_skew_what_was_measured_before_is_void():
    clock = ExchangeClock("demo")
    clock.note(WALL, WALL, 0, 0)
    clock.skewed()
    clock.note(WALL + 3 * S, WALL, 2 * S, 1)
    assert clock.time_ns(WALL) == WALL + 2 * S


def test_a_clock_that_was_set_right_is_believed_within_seconds():
    clock = ExchangeClock("demo")
    assert clock.is_due(0)
    clock.note(WALL + 3_600 * S, WALL, 10_000_000, 0)
    with pytest.raises(SigningError):
        clock.time_ns(WALL)
    assert not clock.is_due(AGAIN_NS - 1)
    assert clock.is_due(AGAIN_NS), "nobody signs, so no error of the exchange would tell"
    clock.note(WALL, WALL, 20_000_000, AGAIN_NS)
    assert abs(clock.time_ns(WALL) - WALL) <= 10_000_000
    assert not clock.is_due(AGAIN_NS + FRESH_NS - 1)


def test_a_clock_that_is_wrong_is_refused_with_what_to_do():
    clock = ExchangeClock("demo")
    clock.note(WALL + 3_600 * S, WALL, 0, 0)
    with pytest.raises(SigningError, match=r"3600 s behind that of demo: set it"):
        clock.time_ns(WALL)


@pytest.mark.parametrize(
    ("body", "field", "unit", "expected"),
    [
        (b'{"serverTime":1700000000123}', "serverTime", 1_000_000, 1_700_000_000_123_000_000),
        (b'{"result":{"timeSecond":"1700000000"}}', "result.timeSecond", S, WALL),
        (b'{"data":[{"ts":"1700000000000"}]}', "data.0.ts", 1_000_000, WALL),
        (b'{"epoch":1700000000.5}', "epoch", S, WALL + S // 2),
        (b"[1700000000]", "0", S, WALL),
        (b'{"serverTime":null}', "serverTime", 1, None),
        (b'{"serverTime":"soon"}', "serverTime", 1, None),
        (b'{"serverTime":Infinity}', "serverTime", 1, None),
        (b"{}", "serverTime", 1, None),
        (b"[]", "0", 1, None),
        (b"[" * 100_000, "0", 1, None),
        (b"<html>", "serverTime", 1, None),
    ],
)
def test_the_time_is_read_out_of_an_answer_or_not_at_all(body, field, unit, expected):
    assert server_time(Response(200, body=body), field, unit) == expected
    assert server_time(Response(500, body=body), field, unit) is None
