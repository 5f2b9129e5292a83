"""Pacing in memory: three windows a decision beside `limits` with one, a million keys, saturation.

A decision is a request's whole way: asked, granted, dated at leaving. What `limits` does is less:
it asks and counts one window, and nobody waits. The window is Binance's, filled once in each round.
"""

import gc
import time
from pathlib import Path

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.windows import Kind, Scope, Window

from _rounds import figure, in_turn

S = 1_000_000_000
#: What a minute of Binance's holds.
CALLS = 6_000
KEYS = 1_000_000
JITTER = 250_000_000


def decisions() -> None:
    took, peer_took = in_turn(ours, theirs, 1)
    figure(
        "throttle, three windows in memory", CALLS / took, "1/s", "limits moving window, one",
        CALLS / peer_took, "ratio >= 2",
    )  # fmt: skip


def ours() -> None:
    """Fill the windows, empty at first."""
    limiter = RateLimiter()
    windows = (
        Window("weight-1m", Kind.CALENDAR, Scope.IP, 60, CALLS, "weight"),
        Window("orders-10s", Kind.ROLLING, Scope.ACCOUNT, 10, CALLS, "orders"),
        Window("orders-1d", Kind.CALENDAR, Scope.ACCOUNT, 86_400, 200_000, "orders"),
    )
    amounts = tuple(
        (limiter.meter(("binance", "", str(w.scope), "main", w.name), w, JITTER), 1)
        for w in windows
    )
    monotonic, wall = time.monotonic_ns, time.time_ns
    for _ in range(CALLS):
        assert limiter.ask("request", amounts, monotonic(), wall()) == 0
        limiter.end("request", True, monotonic())


def theirs() -> None:
    """Fill the window, empty at first."""
    limiter, item = MovingWindowRateLimiter(MemoryStorage()), RateLimitItemPerMinute(CALLS)
    for _ in range(CALLS):
        assert limiter.hit(item, "main")


def a_million_keys() -> None:
    window = Window("calls", Kind.ROLLING, Scope.KEY, 60, 10, "calls")
    limiter, start, wall = RateLimiter(), time.monotonic_ns(), time.time_ns()

    def used(name: str, at: int) -> None:
        meter = limiter.meter(("binance", "", "key", name, "calls"), window, JITTER)
        limiter.ask("request", ((meter, 1),), at, wall + at - start)
        limiter.end("request", True, at)

    gc.collect()
    before = resident_mib()
    for number in range(KEYS):
        used(f"env:KEY_{number}", start + number)
    held = resident_mib() - before
    figure(f"throttle, {KEYS:,} keys", held, "MiB", "goal", 300, "value <= 300")
    later = start + 61 * S
    for number in range(KEYS // 4):
        used(f"env:NEXT_{number}", later + number)
    left = sum(1 for _ in limiter.rows(later + KEYS, wall + later + KEYS - start))
    kept = len(limiter._registry)
    figure("throttle, keys kept once idle", kept, "keys", "in use", left, "value <= 2 * peer")


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096 / 2**20


def saturation() -> None:
    """Always wanting more, for an hour of windows; the clock is the loop's own."""
    for kind, jitter in ((Kind.CALENDAR, 0), (Kind.ROLLING, JITTER), (Kind.DECAYING, 0)):
        limiter, now, taken = RateLimiter(lease_ns=60 * S), 0, 0
        meter = limiter.meter(("w",), Window("w", kind, Scope.IP, 60, 600, "x"), jitter)
        length = 60 * S + (jitter if kind is Kind.ROLLING else 0)
        while now < 60 * length:
            wait = limiter.ask("next", ((meter, 1),), now, 1_700_000_040 * S + now)
            if wait == 0:
                limiter.end("next", True, now)
                taken += 1
            now += wait
        figure(
            f"throttle, saturated, {kind}", taken, "granted", "allowed", 60 * 600, "ratio >= 0.99"
        )


if __name__ == "__main__":
    decisions()
    saturation()
    a_million_keys()
