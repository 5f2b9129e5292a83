"""From a CRITICAL incident to the last request that leaves, with every notifier hung.

Four threads clear as fast as they can. What counts is the time from the call of `report` until the
last of them got a signed request, in the process that reports and in another one that shares the
state folder. The peer is the same with no notifier: hung ones must not delay it.
"""

import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

import hauberk
from hauberk import Request, Severity
from hauberk_plugins.killswitch.folder import StateFolder

from _rounds import figure, in_turn

ROUNDS = int(os.environ.get("HALT_ROUNDS", "50"))
THREADS = 4
NOTIFIERS = 8
GOAL_MS = 100
CONFIG = """\
plugins: [killswitch, policy, bots, signing]
accounts: {main: {venue: binance, key: 'env:BENCH_K', secret: 'env:BENCH_K'}}
"""
ACCOUNT = Request("GET", "https://api.binance.com/api/v3/account")


def clears(guard, left, entered, stop):
    """Clear until denied or stopped; keep when the last request left."""
    while not stop.is_set():
        try:
            guard.clear(ACCOUNT)
        except hauberk.Denied:
            break
        left.append(time.monotonic_ns())
        entered.release()


def run(guard, stop):
    while not may(guard):  # the lift of the round before has yet to arrive
        time.sleep(0.001)
    entered = threading.Semaphore(0)
    lefts = [[] for _ in range(THREADS)]
    threads = [threading.Thread(target=clears, args=(guard, left, entered, stop)) for left in lefts]
    for thread in threads:
        thread.start()
    for _ in range(THREADS * 10):
        entered.acquire()
    return threads, lefts


def may(guard):
    try:
        guard.clear(ACCOUNT)
    except hauberk.Denied:
        return False
    return True


def last(threads, lefts):
    for thread in threads:
        thread.join()
    return max(left[-1] for left in lefts if left)


def other_process(config, pipe):
    """Clear in a process of its own, a round for each word; answer when the last one left."""
    with hauberk.open(config) as guard:
        while pipe.recv():
            stop = threading.Event()
            threads, lefts = run(guard, stop)
            pipe.send("running")
            pipe.send(last(threads, lefts))


class Hung:
    """A notifier that returns when the round is over, if it hangs."""

    def __init__(self):
        self.release = threading.Event()

    @hauberk.hookimpl
    def on_incident(self, incident):
        self.release.wait(60)


def one_round(guard, notifiers, pipe, hung):
    """Return how long requests went on leaving, here and in the other process: nanoseconds."""
    for notifier in notifiers:
        notifier.release.clear() if hung else notifier.release.set()
    plugin = guard.snapshot.part("killswitch").plugin
    pipe.send(True)
    pipe.recv()
    threads, lefts = run(guard, threading.Event())
    began = time.monotonic_ns()
    report = threading.Thread(target=guard.report, args=("worst", Severity.CRITICAL))
    report.start()
    here = last(threads, lefts) - began
    there = pipe.recv() - began
    for notifier in notifiers:
        notifier.release.set()
    report.join()
    plugin.lift(plugin.seen(), "the next round")
    return max(here, 0), max(there, 0)


def p99(times):
    return statistics.quantiles(times, n=100)[98] / 1e6


def main() -> None:
    os.environ["BENCH_K"] = "k"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "hauberk.yml"
        config.write_text(CONFIG)
        with hauberk.open(config):
            pass
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("spawn").Process(
            target=other_process, args=(config, theirs), daemon=True
        )
        child.start()
        here, there, peer, peer_there = [], [], [], []
        with hauberk.open(config) as guard:
            notifiers = [Hung() for _ in range(NOTIFIERS)]
            for number, notifier in enumerate(notifiers):
                guard.register(notifier, name=f"notifier-{number}")
            for _ in range(ROUNDS):
                for hung, at, elsewhere in ((True, here, there), (False, peer, peer_there)):
                    one, other = one_round(guard, notifiers, ours, hung)
                    at.append(one)
                    elsewhere.append(other)
        ours.send(False)
        child.join()
        name = f"CRITICAL to nothing leaves, {NOTIFIERS} notifiers hung, p99"
        figure(name, p99(here), "ms", "none", p99(peer), f"value < {GOAL_MS}")
        figure(
            f"{name}, in another process", p99(there), "ms", "none", p99(peer_there),
            f"value < {GOAL_MS}",
        )  # fmt: skip
        watched = StateFolder(Path(folder) / "hauberk-state")
        watched.look()
        time.sleep(0.1)
        value, peer_value = in_turn(watched.is_stirred, Path(folder).stat, 20_000)
        figure(
            "looking for a halt, once a request", value * 1e6, "us", "Path.stat", peer_value * 1e6,
            "ratio < 3",
        )  # fmt: skip


if __name__ == "__main__":
    main()
