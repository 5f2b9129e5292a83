"""Threads that begin together and change places as often as Python lets them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence

PATIENCE_S = 60.0


def at_once(jobs: Sequence[Callable[[], object]]) -> None:
    """Run each in a thread of its own; raise what one of them raised."""
    barrier = threading.Barrier(len(jobs))
    raised: list[BaseException] = []

    def run(job: Callable[[], object]) -> None:
        barrier.wait(PATIENCE_S)
        try:
            job()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    often, before = 1e-6, sys.getswitchinterval()
    sys.setswitchinterval(often)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
    finally:
        sys.setswitchinterval(before)
    assert not any(thread.is_alive() for thread in threads), "one waits for another for ever"
    for error in raised:
        raise error
