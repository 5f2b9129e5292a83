"""Work in parts on all cores, by threads: what does it lets go of the interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Done = TypeVar("Done")


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def on_all_cores(
    do: Callable[[Part], Done], parts: Sequence[Part], threads: int | None = None
) -> Iterator[Done]:
    """Do parts at once, so many at a time; yield what comes of each, in their order."""
    count = min(threads or cores(), len(parts))
    if count <= 1:
        yield from map(do, parts)
        return
    with ThreadPoolExecutor(count, thread_name_prefix="hauberk-batch") as pool:
        yield from pool.map(do, parts)
