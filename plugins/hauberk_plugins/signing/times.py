"""How venues write a moment: each form with its way back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import frozen

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = 1_000_000
_S: Final = 1_000_000_000


@frozen
class TimeForm:
    """One way to write a moment.

    Attributes:
        write: From nanoseconds since the epoch, rounded down.
        read: The way back; raises ValueError on what it never writes.
    """

    write: Callable[[int], str]
    read: Callable[[str], int]


def _counted(unit: int) -> TimeForm:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or str(int(text)) != text:
            raise ValueError("not a whole number")
        return int(text) * unit

    return TimeForm(lambda ns: str(ns // unit), read)


def _iso(timespec: str, zone: str) -> TimeForm:
    def write(ns: int) -> str:
        moment = _EPOCH + timedelta(microseconds=ns // 1_000)
        return moment.replace(tzinfo=None).isoformat(timespec=timespec) + zone

    def read(text: str) -> int:
        moment = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
        ns = (moment - _EPOCH) // timedelta(microseconds=1) * 1_000
        if write(ns) != text:
            raise ValueError("not in the one form that is written")
        return ns

    return TimeForm(write, read)


#: By the name that venue files use.
TIMES: Final = {
    "s": _counted(_S),
    "ms": _counted(_MS),
    "us": _counted(1_000),
    "iso-ms": _iso("milliseconds", "Z"),  # 2020-12-08T09:08:57.715Z
    "iso-s": _iso("seconds", ""),  # 2020-12-08T09:08:57
}
