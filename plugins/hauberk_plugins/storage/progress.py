"""How far long work has come, shown on a terminal and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(total: int, doing: str, stopped: str) -> Iterator[Callable[[int], None]]:
    """Show how far it has come, and say what to do where it is stopped.

    Args:
        total: How much there is to do.
        doing: What is done, in a word.
        stopped: What is said on Ctrl-C.

    Yields:
        What is to be told how much is left.
    """
    try:
        if not sys.stderr.isatty():
            yield lambda left: None  # noqa: ARG005 - nobody looks
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task(doing, total=max(total, 1))
            yield lambda left: shown.update(task, completed=total - left)
    except KeyboardInterrupt:
        sys.stderr.write(f"hauberk: stopped; {stopped}\n")
        raise
