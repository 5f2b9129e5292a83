"""The rate limiter beside `limits` and `pyrate-limiter`, whose windows are exact logs as well.

Neither waits, and neither knows of what is open: whatever is granted here leaves at once.
"""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("limits")
pytest.importorskip("pyrate_limiter")

from limits.storage import MemoryStorage
from pyrate_limiter import InMemoryBucket, Rate, RateItem

from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.windows import Kind, Scope, Window

S = 1_000_000_000
QUARTER = S // 4  # exact as a float, and in milliseconds
EPOCH = 1_700_000_040

#: After so many quarters of a second, so much.
loads = st.lists(
    st.tuples(st.one_of(st.integers(0, 3), st.integers(0, 30)), st.integers(1, 6)),
    min_size=1,
    max_size=60,
)


class Ours:
    """The limiter, asked once each and never again."""

    def __init__(self, size: int, seconds: int) -> None:
        self.limiter = RateLimiter()
        window = Window("w", Kind.ROLLING, Scope.IP, seconds, size, "x")
        self.meter = self.limiter.meter(("w",), window, 0)

    def take(self, name: str, at: int, amount: int) -> bool:
        granted = (
            amount <= self.meter.size
            and self.limiter.ask(name, ((self.meter, amount),), at, EPOCH * S + at) == 0
        )
        self.limiter.end(name, granted, at)
        return granted


@given(loads, st.integers(1, 12), st.integers(1, 5))
def test_it_grants_what_the_moving_window_of_limits_grants(load, size, seconds) -> None:
    ours, theirs, now = Ours(size, seconds), MemoryStorage(), 0
    # Its timer sweeps by the wall clock; what is asked here is not swept by any other.
    with patch.object(theirs, "_MemoryStorage__schedule_expiry"):
        for number, (quarters, amount) in enumerate(load):
            now += quarters * QUARTER
            with patch("time.time", return_value=EPOCH + now / S):
                expected = theirs.acquire_entry("w", size, seconds, amount)
            assert ours.take(str(number), now, amount) is expected


@given(loads, st.integers(1, 12), st.integers(1, 5))
def test_it_grants_what_a_bucket_of_pyrate_limiter_grants(load, size, seconds) -> None:
    ours, theirs, now = Ours(size, seconds), InMemoryBucket([Rate(size, seconds * 1_000)]), 0
    for number, (quarters, amount) in enumerate(load):
        now += quarters * QUARTER
        item = RateItem(str(number), now // 1_000_000, weight=amount)
        assert ours.take(str(number), now, amount) is theirs.put(item)


def saturated(kind: Kind, seconds: int, size: int, jitter: int, windows: int) -> float:
    """Have a bot always want more, coming back when it is told to; return what it got of all."""
    limiter = RateLimiter(lease_ns=60 * S)
    window = Window("w", kind, Scope.IP, seconds, size, "x")
    meter = limiter.meter(("w",), window, jitter)
    now = end = taken = 0
    end = windows * (seconds * S + (jitter if kind is Kind.ROLLING else 0))
    while now < end:
        wait = limiter.ask("next", ((meter, 1),), now, EPOCH * S + now)
        if wait == 0:
            limiter.end("next", True, now)
            taken += 1
        now += wait
    return taken / (windows * size)


@pytest.mark.parametrize(("kind", "jitter"), [
    (Kind.ROLLING, 0), (Kind.ROLLING, 250_000_000), (Kind.CALENDAR, 0), (Kind.DECAYING, 0),
])  # fmt: skip
def test_under_saturation_what_there_is_is_used_the_margin_at_the_edges_aside(
    kind: Kind, jitter: int
) -> None:
    assert saturated(kind, 60, 300, jitter, 10) >= 0.99
