"""A subject and its peer, measured in turn, so that a noisy machine is noisy for both."""

import json
import statistics
import time
from collections.abc import Callable

ROUNDS = 15


def in_turn(
    subject: Callable[[], object], peer: Callable[[], object], calls: int
) -> tuple[float, float]:
    """Call each `calls` times a round; return the medians of seconds a call."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for function, times in zip((subject, peer), took, strict=True):
            began = time.perf_counter()
            for _ in range(calls):
                function()
            times.append((time.perf_counter() - began) / calls)
    return statistics.median(took[0]), statistics.median(took[1])


def one_by_one(
    subject: Callable[[], object], peer: Callable[[], object], calls: int
) -> tuple[float, float]:
    """Call them alternately; return the medians of seconds a call."""
    clock = time.perf_counter_ns
    took: tuple[list[int], list[int]] = ([], [])
    for _ in range(calls):
        began = clock()
        subject()
        between = clock()
        peer()
        took[1].append(clock() - between)
        took[0].append(between - began)
    return statistics.median(took[0]) / 1e9, statistics.median(took[1]) / 1e9


def medians(*subjects: Callable[[], object], rounds: int) -> list[float]:
    """Return the median seconds of each, run in turn; the first turn warms up."""
    took: list[list[float]] = [[] for _ in subjects]
    for turn in range(rounds + 1):
        for subject, times in zip(subjects, took, strict=True):
            began = time.perf_counter()
            subject()
            if turn:
                times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in took]


def figure(name: str, value: float, unit: str, peer: str, peer_value: float, goal: str) -> None:
    """Print one figure as a JSON line: ratio = value / peer_value."""
    print(
        json.dumps(
            {
                "name": name,
                "value": round(value, 4),
                "unit": unit,
                "peer": peer,
                "peer_value": round(peer_value, 4),
                "ratio": round(value / peer_value, 3),
                "goal": goal,
            }
        ),
        flush=True,
    )
