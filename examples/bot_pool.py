"""A pool of bots, each a process of its own, that share one budget: `python examples/bot_pool.py`.

`throttle: {store: store}` keeps the budget in the state folder, where every process of this machine
finds it: together they are as fast as one bot may be, and no faster.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import hauberk
import hauberk.clients.httpx

BOTS = 4
#: Of each; one costs a weight of 4.
CALLS = 10


def work(path: Path, url: str) -> int:
    """Ask for prices, as one bot of the pool; return how many answers came."""
    with (
        hauberk.open(path) as guard,
        hauberk.clients.httpx.client(guard, account="main", base_url=url) as client,
    ):
        answers = [client.get("/api/v3/ticker/price") for _ in range(CALLS)]
    return sum(answer.status_code == 200 for answer in answers)


def main(store: str = "store") -> None:
    """Run the pool, and say what the exchange saw."""
    from sandbox_market import configured

    # A guard does not outlive a fork: each process opens its own.
    with configured(store) as (path, url, exchange):
        with ProcessPoolExecutor(BOTS, mp_context=get_context("spawn")) as pool:
            answered = sum(pool.map(work, [path] * BOTS, [url] * BOTS))
        print(f"{BOTS} bots got {answered} answers to {BOTS * CALLS} calls")
        if exchange is not None:
            print(f"the exchange turned away {exchange.answered(429)} of them")


if __name__ == "__main__":
    if sys.argv[1:2] not in ([], ["memory"], ["store"]):
        raise SystemExit("usage: bot_pool.py [memory|store]; Redis needs a HAUBERK_CONFIG of yours")
    main(*sys.argv[1:2])
