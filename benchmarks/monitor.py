"""What watching costs: events a second on one core, and memory when a million sources come by.

The events are those of a bot that trades while somebody guesses passwords: intents and leavings of
orders and cancels, refusals, answers, logins of many users from many sources. Beside all shipped
rules, in turn, a bare loop that counts events by kind and forgets nothing.
"""

import gc
import json
import os
import time
from collections import Counter
from pathlib import Path

from hauberk.records import Event
from hauberk_plugins.monitor.security_monitor import SecurityMonitor
from hauberk_plugins.monitor.shipped import RULES

from _rounds import figure, in_turn

MANY = 1_000_000
STEP_NS = 10_000


def event(kind: str, account: str = "main", **fields: object) -> Event:
    return Event(kind, 0, "kernel", account=account, fields_json=json.dumps(fields))


def day() -> list[Event]:
    """Ten thousand events as they come."""
    order = {"method": "POST", "url": "https://api.binance.com/api/v3/order", "operation": "trade",
             "params": [["symbol", "BTCUSDT"], ["side", "BUY"], ["quantity", "0.001"]]}  # fmt: skip
    cancel = {**order, "method": "DELETE", "operation": "cancel"}
    made = []
    for n in range(1_000):
        account, asked = f"a{n % 20}", cancel if n % 2 else order
        made += [event("request.intent", account, **asked), event("request.left", account, **asked)]
        made += [event("answer.rejected", account), event("throttle.waited", account, seconds=1)]
        made.append(event("request.denied", account, operation="trade", reason="a cap"))
        made += [event("request.intent", account, **order), event("request.left", account, **order)]
        made.append(event("login.denied", "", user=f"u{n}", source=f"10.0.{n % 250}.{n // 250}"))
        made.append(event("login.granted", "", user=f"u{n % 50}", source="10.0.0.1"))
        made.append(event("vault.get", "", user="ops"))
    return made


def rate() -> None:
    """Events a second, all shipped rules watching."""
    events, monitor = day(), SecurityMonitor(RULES)
    now = time.monotonic_ns()
    seen: Counter[str] = Counter()

    def watch() -> None:
        nonlocal now
        for one in events:
            now += STEP_NS
            monitor.observe(one, now)

    def bare() -> None:
        for one in events:
            seen[one.kind] += len(one.fields_json) > 0

    took, least = in_turn(watch, bare, 1)
    count = len(events)
    figure("monitor, a mixed day", count / took, "1/s", "the goal", 100_000, ">= 1")
    figure(
        "monitor, an event", took / count * 1e6, "us", "a bare count", least / count * 1e6, "none"
    )


def resident() -> float:
    """What this process has in memory, MiB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def memory() -> None:
    """A million sources and users that fail to log in, each once."""
    monitor, now = SecurityMonitor(RULES), time.monotonic_ns()
    before = resident()
    for n in range(MANY):
        now += 1_000
        monitor.observe(event("login.denied", "", user=f"user {n}", source=f"source {n}"), now)
    took = resident() - before
    kept: dict[str, list[float]] = {}
    before = resident()
    for n in range(MANY):
        kept[f"source {n}"] = [1.0, 0.0]
    name = f"monitor, {MANY} sources and users"
    figure(name, took, "MiB", "a dict of the sources", resident() - before, "<= 1")


def main() -> None:
    rate()
    memory()


if __name__ == "__main__":
    main()
