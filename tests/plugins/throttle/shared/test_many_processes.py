"""Real processes on one budget: looked at from outside, by a clock that they have in common."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import monotonic, monotonic_ns

import pytest

from .conftest import FULL, PATIENCE_S, RedisServer, Workers, most_in_a_cell, most_in_any

S = 1_000_000_000
SECONDS = 12 if FULL else 4
#: Each waits for some seconds in real time; CI runs a part of them.
long = pytest.mark.skipif(not FULL, reason="waits in real time: `make sweep`")


def wait_until(is_true: Callable[[], object]) -> None:
    until, never = monotonic() + PATIENCE_S, threading.Event()
    while not is_true():
        assert monotonic() < until
        never.wait(0.02)


@pytest.mark.parametrize("kind", ["rolling", "calendar"])
def test_four_processes_on_redis_never_pass_more_than_one_may(
    server: RedisServer, workers: Workers, kind: str
) -> None:
    for _ in range(4):
        workers.start(
            url=f"unix://{server.path}",
            windows=[
                ["a", kind, 1, 100, 0],
                ["b", "rolling", 2, 180, 9],
                ["c", kind, 60, 9_000, 0],
            ],
            seconds=SECONDS,
            threads=2,
        )
    left = workers.wait()
    most = most_in_any if kind == "rolling" else most_in_a_cell
    assert most(left, 1 * S) <= 100
    assert most_in_any(left, 2 * S) <= 171
    assert len(left) > 171, workers.said()


def test_four_processes_on_the_store_never_pass_more_than_one_may(
    tmp_path: Path, workers: Workers
) -> None:
    for _ in range(4):
        workers.start(
            store=str(tmp_path),
            windows=[["a", "rolling", 1, 60, 0], ["b", "calendar", 60, 9_000, 0]],
            seconds=SECONDS,
        )
    left = workers.wait()
    assert most_in_any(left, 1 * S) <= 60
    assert len(left) > 60, workers.said()


@long
def test_what_a_killed_process_may_have_sent_counts(server: RedisServer, workers: Workers) -> None:
    common = {
        "url": f"unix://{server.path}",
        "windows": [["a", "rolling", 1, 40, 0]],
        "seconds": SECONDS + 3,
        "config": {"lease_s": 5},
    }
    for _ in range(3):
        workers.start(**common)
    killed = workers.start(**common, hold_s=60, threads=8)
    wait_until(lambda: sum(line.startswith("holds") for line in workers.said()) == 8)
    began = monotonic_ns()
    killed.send_signal(signal.SIGKILL)
    left = workers.wait()
    # For its lease, what it holds is in nobody else's hands.
    within = [one for one in left if began < one[0] < began + 4 * S]
    assert most_in_any(within, 1 * S) <= 32
    assert most_in_any(left, 1 * S) <= 40


def test_redis_stopped_denies_within_a_second_and_heals_by_itself(
    make_redis: Callable[..., RedisServer], workers: Workers
) -> None:
    server = make_redis()
    for _ in range(2):
        workers.start(
            url=f"unix://{server.path}",
            windows=[["a", "rolling", 1, 50, 0]],
            seconds=SECONDS + 3,
        )
    wait_until(lambda: len(workers.left()) > 60)
    stopped = monotonic_ns()
    server.pause()
    wait_until(lambda: sum(line.startswith("lost") for line in workers.said()) == 2)
    assert monotonic_ns() - stopped < 10 * S
    for line in workers.said():
        if line.startswith("lost"):
            assert int(line.split()[1]) - stopped < 1 * S, line
            assert "did not answer within 0.25 s" in line
    server.go_on()
    found = monotonic_ns()
    left = workers.wait()
    assert most_in_any(left, 1 * S) <= 50
    assert any(at > found + S // 2 for at, _, _ in left)
    # Said once, and once again when it was over.
    assert sorted(line.split()[0] for line in workers.said()) == ["back", "back", "lost", "lost"]


@long
def test_what_is_set_aside_goes_on_while_redis_is_stopped_and_overruns_nothing(
    make_redis: Callable[..., RedisServer], workers: Workers
) -> None:
    server = make_redis()
    for _ in range(2):
        workers.start(
            url=f"unix://{server.path}",
            windows=[["a", "rolling", 1, 50, 0]],
            seconds=SECONDS + 3,
            config={"on_loss": "local", "share": 0.1, "processes": 2},
        )
    first = wait_for_a_second(workers)
    server.pause()
    stopped = monotonic_ns()
    wait_until(lambda: any(at > stopped + 2 * S for at, _, _ in workers.left()))
    server.go_on()
    left = workers.wait()
    assert most_in_any(left, 1 * S) <= 50
    alone = [one for one in left if stopped + S < one[0] < stopped + 2 * S]
    assert 0 < sum(amount for _, _, amount in alone) <= 20
    assert first < stopped


def wait_for_a_second(workers: Workers) -> int:
    """Until they have been at it for longer than their window."""
    wait_until(lambda: workers.left())
    first = workers.left()[0][0]
    wait_until(lambda: workers.left()[-1][0] > first + 3 * S // 2)
    return first


@long
def test_the_budget_survives_a_restart_of_redis_that_keeps_its_data(
    make_redis: Callable[..., RedisServer], workers: Workers
) -> None:
    server = make_redis("--appendonly", "yes", "--appendfsync", "always")
    for _ in range(2):
        workers.start(
            url=f"unix://{server.path}",
            windows=[["a", "rolling", 3, 40, 0]],
            seconds=SECONDS + 4,
        )
    wait_until(lambda: len(workers.left()) >= 40)
    server.stop()
    server.start()
    left = workers.wait()
    assert most_in_any(left, 3 * S) <= 40
    assert len(left) > 40
    assert not any(line.startswith("noted") for line in workers.said())


@long
def test_a_redis_that_comes_back_empty_gives_nothing_back(
    make_redis: Callable[..., RedisServer], workers: Workers
) -> None:
    server = make_redis()
    for _ in range(2):
        workers.start(
            url=f"unix://{server.path}",
            windows=[["a", "rolling", 3, 40, 0]],
            seconds=SECONDS + 4,
        )
    wait_until(lambda: len(workers.left()) >= 40)
    server.kill()
    server.start()
    left = workers.wait()
    assert most_in_any(left, 3 * S) <= 40
    assert len(left) > 40
    assert any("forgotten" in line for line in workers.said())


@long
def test_a_flushed_redis_gives_nothing_back(
    make_redis: Callable[..., RedisServer], workers: Workers
) -> None:
    server = make_redis()
    for _ in range(2):
        workers.start(
            url=f"unix://{server.path}", windows=[["a", "rolling", 3, 40, 0]], seconds=SECONDS
        )
    wait_until(lambda: len(workers.left()) >= 40)
    with closing(server.client()) as client:
        client.flushall()
    assert most_in_any(workers.wait(), 3 * S) <= 40
