"""Failures over time, as a picture: bars whose width doubles as the archive goes on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hauberk_plugins.batch.archive import ArchiveUnusable

BARS: Final = 120
_WIDTH: Final = 720
_HEIGHT: Final = 160
_LEFT: Final = 60
_TOP: Final = 24


class Histogram:
    """Counts rows and failures in bars of equal width, in memory that does not grow.

    Places are times, in seconds since the epoch, where the archive has a column `time`; else the
    numbers of rows.

    Attributes:
        is_timed: Whether places are times.
        width: Of a bar.
        bars: Rows and failures of each, by its number.
    """

    def __init__(self) -> None:
        self.is_timed = False
        self.width = 1.0
        self.bars: dict[int, list[int]] = {}

    def add(self, places: Iterable[float], failed: Iterable[bool]) -> None:
        """Count rows."""
        for place, has_failed in zip(places, failed, strict=True):
            bar = self.bars.setdefault(int(place // self.width), [0, 0])
            bar[0] += 1
            bar[1] += has_failed
            while max(self.bars) - min(self.bars) >= BARS:
                self._double()

    def _double(self) -> None:
        self.width *= 2
        bars: dict[int, list[int]] = {}
        for number, (rows, failures) in self.bars.items():
            bar = bars.setdefault(number // 2, [0, 0])
            bar[0] += rows
            bar[1] += failures
        self.bars = bars

    def svg(self) -> str:
        """Draw it: rows in grey, and the failures among them in red."""
        first = min(self.bars, default=0)
        last = max(self.bars, default=0)
        step = _WIDTH / (last - first + 1)
        most = max((rows for rows, _ in self.bars.values()), default=1)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 20}" '
            f'height="{_TOP + _HEIGHT + 40}" font-family="sans-serif" font-size="11">',
            f'<text x="{_LEFT}" y="14">rows (grey) and failures (red), {self._label()}</text>',
        ]
        for number, (rows, failures) in sorted(self.bars.items()):
            x = _LEFT + (number - first) * step
            for count, colour in ((rows, "#d0d7de"), (failures, "#d1242f")):
                # What failed is seen, however few of however many.
                height = max(_HEIGHT * count / most, 1.5 if count else 0)
                parts.append(
                    f'<rect x="{x:.1f}" y="{_TOP + _HEIGHT - height:.1f}" '
                    f'width="{max(step - 0.5, 0.5):.1f}" height="{height:.1f}" fill="{colour}"/>'
                )
        floor = _TOP + _HEIGHT
        parts += [
            f'<line x1="{_LEFT}" y1="{floor}" x2="{_LEFT + _WIDTH}" y2="{floor}" '
            'stroke="#57606a"/>',
            f'<text x="{_LEFT}" y="{floor + 16}">{self._place(first)}</text>',
            f'<text x="{_LEFT + _WIDTH}" y="{floor + 16}" text-anchor="end">'
            f"{self._place(last + 1)}</text>",
            f'<text x="{_LEFT - 6}" y="{_TOP + 10}" text-anchor="end">{most}</text>',
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _label(self) -> str:
        return "by time (UTC)" if self.is_timed else "by number of row"

    def _place(self, number: int) -> str:
        place = number * self.width
        if not self.is_timed:
            return f"{place:.0f}"
        try:
            return datetime.fromtimestamp(place, UTC).strftime("%Y-%m-%d %H:%M:%S")
        except (OverflowError, ValueError, OSError):
            return f"{place:.0f} s"


def seconds(value: Any) -> float | None:
    """Read a time as seconds since the epoch: a number of s, ms, us or ns, or ISO 8601."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, str):
        try:
            return seconds(datetime.fromisoformat(value))
        except ValueError:
            pass
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    while abs(number) >= 1e11:  # later than the year 5000: a smaller unit
        number /= 1_000
    return number if number == number else None


def write(histogram: Histogram, path: Path) -> None:
    """Write the picture.

    Raises:
        ArchiveUnusable: It cannot be written.
    """
    try:
        path.write_text(histogram.svg(), encoding="utf-8")
    except OSError as error:
        raise ArchiveUnusable(f"{path}: cannot be written: {error.strerror}") from None
