"""One budget over four processes on a loopback Redis: calls a second, and how much of it is used.

Beside `limits`' moving window with one window; ours has three, in one call.
"""

import json
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path

from hauberk.clock import SystemClock
from hauberk.secret import Secret
from hauberk_plugins.throttle.shared.advance import MOST_AHEAD
from hauberk_plugins.throttle.shared.config import SharedConfig
from hauberk_plugins.throttle.shared.limiter import SharedLimiter
from hauberk_plugins.throttle.shared.making import shared_limiter
from hauberk_plugins.throttle.shared.redis_backend import RedisBackend
from hauberk_plugins.throttle.windows import Kind, Scope, Window

from _rounds import figure

PROCESSES = 4
ROUNDS = 5
ROUND_S = 1.5
#: Long enough for several windows of a second.
SATURATED_S = 12
PER_SECOND = 400


@contextmanager
def redis_server():
    folder = Path(tempfile.mkdtemp(prefix="hauberk-redis-"))
    path = f"{folder}/socket"
    port = 16_399
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--unixsocket", path, "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL,
    )
    while not Path(path).exists():
        time.sleep(0.05)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


def limiter_on(
    url: str, wake: Callable[[str], object] = lambda _: None, most_ahead: int = MOST_AHEAD
) -> SharedLimiter:
    backend = RedisBackend(Secret(url), "bench", timeout_s=0.4)
    return shared_limiter(backend, SharedConfig(), SystemClock(), wake=wake, most_ahead=most_ahead)


def meters_of(limiter: SharedLimiter, *windows: Window):
    return [limiter.meter(("venue", "", "ip", "", w.name), w, 0) for w in windows]


def ours(url: str, most_ahead: int = MOST_AHEAD) -> Callable[[], object]:
    limiter = limiter_on(url, most_ahead=most_ahead)
    meters = meters_of(
        limiter,
        Window("weight-1m", Kind.CALENDAR, Scope.IP, 60, 10_000_000, "weight"),
        Window("orders-10s", Kind.ROLLING, Scope.IP, 10, 10_000_000, "orders"),
        Window("orders-1d", Kind.CALENDAR, Scope.IP, 86_400, 20_000_000, "orders"),
    )
    amounts = tuple((meter, 1) for meter in meters)
    clock, wall = time.monotonic_ns, time.time_ns
    # A ledger that has just begun grants nothing for a moment.
    while wait := limiter.ask("first", amounts, clock(), wall()):
        time.sleep(wait / 1e9)
    limiter.end("first", False, clock())

    def call() -> None:
        if limiter.ask("request", amounts, clock(), wall()):
            raise SystemExit("it waits where there is room")
        limiter.end("request", True, clock())

    return call


def ours_one_by_one(url: str) -> Callable[[], object]:
    """Nothing in advance, as where little of a window is free, or somebody waits."""
    return ours(url, 0)


def peers(url: str) -> Callable[[], object]:
    from limits import RateLimitItemPerMinute
    from limits.storage import storage_from_string
    from limits.strategies import MovingWindowRateLimiter

    limiter = MovingWindowRateLimiter(storage_from_string(url))
    item = RateLimitItemPerMinute(10_000_000)

    def call() -> None:
        if not limiter.hit(item, "venue"):
            raise SystemExit("it refuses where there is room")

    return call


def calls_a_second(make: Callable[[str], Callable[[], object]], url: str) -> float:
    barrier, queue = multiprocessing.Barrier(PROCESSES), multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=_count, args=(make, url, barrier, queue))
        for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    total = sum(queue.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    return total


def _count(make: Callable[[str], Callable[[], object]], url: str, barrier: Barrier, queue) -> None:
    call = make(url)
    call()
    barrier.wait()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < ROUND_S:
        for _ in range(20):
            call()
        count += 20
    queue.put(count / (time.perf_counter() - began))


def used_when_saturated(url: str, kind: Kind) -> float:
    """Have four processes ask for all they can get; return how much of the window they used."""
    barrier, queue = multiprocessing.Barrier(PROCESSES), multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=_saturate, args=(url, kind, barrier, queue))
        for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    left = sorted(at for _ in processes for at in queue.get(timeout=60))
    for process in processes:
        process.join()
    # From one whole window's worth to another: bursts are as far apart as windows, so that counting
    # by the clock would count one more or one fewer.
    first, windows = PER_SECOND, len(left) // PER_SECOND - 2
    took_s = (left[first + windows * PER_SECOND] - left[first]) / 1e9
    return windows / took_s


def _saturate(url: str, kind: Kind, barrier: Barrier, queue) -> None:
    woken = threading.Event()
    limiter = limiter_on(url, lambda _: woken.set())
    window = Window(f"saturated-{kind}", kind, Scope.IP, 1, PER_SECOND, "weight")
    amounts = tuple((meter, 1) for meter in meters_of(limiter, window))
    barrier.wait()
    left, until, number = [], time.monotonic() + SATURATED_S, 0
    while time.monotonic() < until:
        number += 1
        while True:
            woken.clear()
            wait = limiter.ask(str(number), amounts, time.monotonic_ns(), time.time_ns())
            if not wait:
                break
            woken.wait(wait / 1e9)
        at = time.monotonic_ns()
        limiter.end(str(number), True, at)
        left.append(at)
    queue.put(left)
    limiter.close()


def main() -> None:
    if shutil.which("redis-server") is None:
        print(json.dumps({"name": "shared", "skipped": "needs redis-server"}), file=sys.stderr)
        return
    with redis_server() as url:
        took: tuple[list[float], ...] = ([], [], [])
        for _ in range(ROUNDS):
            for make, rates in zip((ours, ours_one_by_one, peers), took, strict=True):
                rates.append(calls_a_second(make, url))
        mine, each, theirs = (statistics.median(rates) for rates in took)
        figure(
            *("throttle, 4 processes on Redis, three windows, granted in advance", mine, "calls/s"),
            *("limits moving window on Redis, one window", theirs, ">= 0.9"),
        )
        figure(
            *("the same, each a round trip, as where little is free", each, "calls/s"),
            *("limits moving window on Redis, one window", theirs, ">= 0.9"),
        )
        for kind in (Kind.ROLLING, Kind.CALENDAR):
            used = used_when_saturated(url, kind)
            figure(
                *(f"utilisation, 4 processes on Redis, {kind}", used, "of the window"),
                *("all of it", 1.0, ">= 0.95"),
            )


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
