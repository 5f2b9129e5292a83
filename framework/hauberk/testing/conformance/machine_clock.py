"""Noticing that a plugin reads the machine's clock rather than `context.clock`.

Comparing two runs cannot show it: a few microseconds apart, `datetime.now()` gives the same
verdict. So the calls themselves are watched, where the plugin's own code makes them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from types import FrameType
from typing import Any, Final

_OF_TIME: Final = frozenset({"time", "time_ns", "monotonic", "monotonic_ns"})
_OF_DATE: Final = frozenset({"now", "utcnow", "today"})


def own_code(plugin: object) -> Callable[[FrameType], bool]:
    """Return a test of whether a frame runs the plugin's own code: that of its package."""
    module = type(plugin).__module__
    root = module.partition(".")[0]
    package = module if root == "hauberk" else root
    inside = f"{package}."

    def is_own(frame: FrameType) -> bool:
        name = frame.f_globals.get("__name__", "")
        return bool(name == package or name.startswith(inside))

    return is_own


@contextmanager
def machine_clock_reads(plugin: object) -> Iterator[list[str]]:
    """Collect the names of clocks that the plugin's code reads while the `with` block lasts.

    Nothing is collected while a profiler runs, which has the one place that Python offers.
    """
    is_own = own_code(plugin)
    reads: list[str] = []

    def profile(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and (name := _clock(function)) and is_own(frame):
            reads.append(name)

    if sys.getprofile() is not None:
        yield reads
        return
    sys.setprofile(profile)
    try:
        yield reads
    finally:
        sys.setprofile(None)


def _clock(function: Any) -> str:
    """Return the name of the clock that a C function reads, or nothing."""
    name = getattr(function, "__name__", "")
    if name in _OF_TIME and getattr(function, "__module__", "") == "time":
        return f"time.{name}"
    if name in _OF_DATE:
        owner = getattr(function, "__self__", None)
        if isinstance(owner, type) and issubclass(owner, date):
            return f"{owner.__name__}.{name}"
    return ""
