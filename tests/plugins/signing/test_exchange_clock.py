"""`ExchangeClock`: how far an exchange's clock is off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import SigningError
from hauberk.request import Response
from hauberk_plugins.signing.asking import server_time
from hauberk_plugins.signing.offset import AGAIN_NS, FRESH_NS, MAX_OFF_NS, STEP_NS, ExchangeClock

S = 1_000_000_000
WALL = 1_700_000_000 * S


@given(
    off=st.integers(-MAX_OFF_NS + S, MAX_OFF_NS - S),
    there=st.integers(0, S),
    back=st.integers(0, S),
)
def test_what_is_measured_is_off_by_half_the_trip_at_most(off, there, back):
    clock = ExchangeClock("demo")
    clock.note(WALL + there + off, WALL, there + back, there + back)
    assert abs(clock.time_ns(WALL, 0) - WALL - off) <= (there + back) // 2 + 1


NEAR = st.integers(-40_000_000, 40_000_000)


@given(st.lists(st.tuples(NEAR, st.integers(0, S)), min_size=1, max_size=5))
def test_the_quickest_answer_counts(samples):
    clock = ExchangeClock("demo")
    for off, trip in samples:
        clock.note(WALL + off + trip // 2, WALL, trip, trip)
    best = min(samples, key=lambda sample: sample[1])
    assert clock.time_ns(WALL, 0) == WALL + best[0]


def test_it_is_asked_at_first_then_seldom_and_again_after_a_skew():
    clock = ExchangeClock("demo")
    assert clock.is_due(0)
    assert not clock.is_due(AGAIN_NS - 1), "an attempt is under way"
    assert clock.is_due(AGAIN_NS)
    clock.note(WALL, WALL, 0, AGAIN_NS)
    assert not clock.is_due(AGAIN_NS + FRESH_NS - 1)
    assert clock.is_due(AGAIN_NS + FRESH_NS)
    clock.note(WALL + FRESH_NS, WALL + FRESH_NS, 0, AGAIN_NS + FRESH_NS)
    clock.skewed(2 * AGAIN_NS + FRESH_NS)
    assert clock.is_due(2 * AGAIN_NS + FRESH_NS)


def asked(at=0, off=0):
    clock = ExchangeClock("demo")
    assert clock.is_due(at)
    clock.note(WALL + at + off, WALL + at, 0, at)
    return clock


def test_after_a_skew_what_was_measured_before_is_void():
    clock, at = asked(), 60 * S
    clock.skewed(at)
    with pytest.raises(SigningError, match="try again in 5 s"):
        clock.time_ns(WALL + at, at)
    assert clock.is_due(at)
    clock.note(WALL + at + 3 * S, WALL + at, 2 * S, at + 2 * S)
    assert clock.time_ns(WALL + at, at) == WALL + at + 2 * S


def test_a_skew_of_a_request_that_is_older_than_the_answer_voids_nothing():
    clock = asked(off=S)
    for at in (1, AGAIN_NS - 1):
        clock.skewed(at)
        assert clock.time_ns(WALL + at, at) == WALL + at + S
    assert clock.is_due(AGAIN_NS), "but it is asked again"


@pytest.mark.parametrize("step", [3_600 * S, -3_600 * S, 2 * S, -2 * S])
def test_a_clock_that_is_set_while_running_signs_nothing_before_it_was_asked(step):
    clock, at = asked(off=S // 4), 60 * S
    assert clock.time_ns(WALL + at, at) == WALL + at + S // 4
    assert not clock.is_void(WALL + at, at)
    for _ in range(2):
        with pytest.raises(
            SigningError, match="this machine's clock was set, or the machine slept"
        ):
            clock.time_ns(WALL + at + step, at)
        assert clock.is_void(WALL + at + step, at)
    assert clock.is_due(at), "though it would have been fresh for long"
    clock.note(WALL + at + S // 4, WALL + at + step, 0, at)
    if abs(step) < MAX_OFF_NS:
        assert clock.time_ns(WALL + at + step, at) == WALL + at + S // 4
    else:
        with pytest.raises(SigningError, match=r"clock is 3(599|600) s"):
            clock.time_ns(WALL + at + step, at)


@given(st.lists(st.integers(-STEP_NS // 2, STEP_NS // 2), max_size=20))
def test_a_clock_that_is_corrected_little_by_little_moves_no_request(steps):
    clock = asked()
    for at, off in enumerate(steps):
        assert clock.time_ns(WALL + at + off, at) == WALL + at
    assert not clock.is_due(1)


@given(
    st.lists(st.tuples(st.integers(-MAX_OFF_NS, MAX_OFF_NS), st.integers(0, 900 * S)), max_size=9)
)
def test_whatever_is_done_to_the_clock_the_time_is_right_or_there_is_none(events):
    clock, at, off = ExchangeClock("demo"), 0, 0
    for step, later in events:
        at += later
        off += step
        if clock.is_due(at):
            clock.note(WALL + at, WALL + at + off, 0, at)
        off -= step // 2  # and once more, behind its back
        try:
            found = clock.time_ns(WALL + at + off, at)
        except SigningError:
            continue
        assert found == WALL + at


def test_a_clock_that_never_answered_leaves_ours_to_count():
    clock = ExchangeClock("demo")
    clock.skewed(60 * S)
    assert not clock.is_void(WALL, 60 * S)
    assert clock.time_ns(WALL, 60 * S) == WALL


def test_a_clock_that_was_set_right_is_believed_within_seconds():
    clock = ExchangeClock("demo")
    assert clock.is_due(0)
    clock.note(WALL + 3_600 * S, WALL, 10_000_000, 0)
    with pytest.raises(SigningError):
        clock.time_ns(WALL, 0)
    assert not clock.is_due(AGAIN_NS - 1)
    assert clock.is_due(AGAIN_NS), "nobody signs, so no error of the exchange would tell"
    clock.note(WALL, WALL, 20_000_000, AGAIN_NS)
    assert abs(clock.time_ns(WALL, AGAIN_NS) - WALL) <= 20_000_000
    assert not clock.is_due(AGAIN_NS + FRESH_NS - 1)


def test_a_clock_that_is_wrong_is_refused_with_what_to_do():
    clock = ExchangeClock("demo")
    clock.note(WALL + 3_600 * S, WALL, 0, 0)
    with pytest.raises(SigningError, match=r"3600 s behind that of demo: set it"):
        clock.time_ns(WALL, 0)


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
