"""Asks a shared limiter as fast as it answers, for some seconds; prints what left and when."""

import json
import os
import sys
import threading
import time
from pathlib import Path

from hauberk.clock import SystemClock
from hauberk.secret import Secret
from hauberk_plugins.storage.sqlite import SQLiteStores
from hauberk_plugins.throttle.errors import LineFull
from hauberk_plugins.throttle.shared.config import SharedConfig
from hauberk_plugins.throttle.shared.errors import BudgetLost
from hauberk_plugins.throttle.shared.making import shared_limiter, store_backend
from hauberk_plugins.throttle.shared.redis_backend import RedisBackend
from hauberk_plugins.throttle.windows import Kind, Scope, Window


def main() -> None:
    settings = json.loads(sys.argv[1])
    clock = SystemClock()
    config = SharedConfig(**settings.get("config", {}))
    if "url" in settings:
        backend = RedisBackend(Secret(settings["url"]), "test", timeout_s=config.timeout_ms / 1_000)
    else:
        stores = SQLiteStores(Path(settings["store"]) / "records.db")
        backend = store_backend(stores.scoped("throttle"), clock)
    events: dict[str, threading.Event] = {}
    lock = threading.Lock()

    def say(*words: object) -> None:
        with lock:
            os.write(1, (" ".join(map(str, words)) + "\n").encode())

    def wake(request_id: str) -> None:
        if event := events.get(request_id):
            event.set()

    limiter = shared_limiter(
        backend,
        config,
        clock,
        wake=wake,
        told=lambda reason: say("lost" if reason else "back", time.monotonic_ns(), reason),
        noted=lambda text: say("noted", time.monotonic_ns(), text),
    )
    windows = [
        Window(name, Kind(kind), Scope.IP, seconds, size, "weight", reserve)
        for name, kind, seconds, size, reserve in settings["windows"]
    ]
    jitter = settings.get("jitter_ms", 0) * 1_000_000
    meters = [limiter.meter(("venue", "", "ip", "", w.name), w, jitter) for w in windows]
    until = time.monotonic() + settings["seconds"]
    hold_s = settings.get("hold_s", 0)
    amount = settings.get("amount", 1)

    def run(thread: int) -> None:
        number = 0
        never = threading.Event()
        while time.monotonic() < until:
            number += 1
            request_id = f"{thread}-{number}"
            event = events[request_id] = threading.Event()
            amounts = tuple((meter, amount) for meter in meters)
            while time.monotonic() < until:
                event.clear()
                try:
                    wait = limiter.ask(request_id, amounts, time.monotonic_ns(), time.time_ns())
                except BudgetLost:
                    event.wait(0.05)
                    continue
                except LineFull as error:
                    event.wait(error.wait_ns / 1e9)
                    continue
                if wait == 0:
                    break
                event.wait(min(wait / 1e9, max(until - time.monotonic(), 0)))
            else:
                limiter.end(request_id, False, time.monotonic_ns())
                return
            if hold_s:
                say("holds", request_id)
                never.wait(hold_s)
            left, wall = time.monotonic_ns(), time.time_ns()
            limiter.end(request_id, True, left)
            say("left", left, wall, amount)
            del events[request_id]

    threads = [threading.Thread(target=run, args=(n,)) for n in range(settings.get("threads", 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    limiter.close()


main()
