"""What an exchange can have seen of what left: shares no code with the throttle."""

from __future__ import annotations

from hauberk_plugins.throttle.windows import Kind, Window

MS = 1_000_000
S = 1_000 * MS
#: The exchange's wall clock when a test begins.
EPOCH = 1_700_000_040 * S


def crowded(departures: list[tuple[int, int]], jitter: int) -> list[list[tuple[int, int]]]:
    """Have as many as possible arrive together, at each moment that may matter."""
    return [
        sorted((min(max(left, left0 + jitter), left + jitter), cost) for left, cost in departures)
        for left0, _ in departures
    ]


def most_seen(window: Window, departures: list[tuple[int, int]], jitter: int) -> int:
    """The most that a window of the exchange can have seen, rounded up."""
    length = window.seconds * S
    if window.kind is Kind.CALENDAR:
        cells: dict[int, int] = {}
        for left, cost in departures:
            wall = EPOCH + left
            for cell in {(wall - jitter) // length, wall // length, (wall + jitter) // length}:
                cells[cell] = cells.get(cell, 0) + cost
        return max(cells.values(), default=0)
    highest = 0
    for arrivals in crowded(departures, jitter):
        if window.kind is Kind.ROLLING:
            for first, _ in arrivals:
                seen = sum(cost for at, cost in arrivals if first <= at <= first + length)
                highest = max(highest, seen)
            continue
        level, then = 0, 0  # in units of which a nanosecond drains the size, and 1 is a length
        for at, cost in arrivals:
            level, then = max(0, level - window.size * (at - then)) + cost * length, at
            highest = max(highest, -(-level // length))
    return highest
