"""Which lines of a log differ from what was noted of them: changed, missing, added, moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum


class Kind(StrEnum):
    """How a line differs."""

    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"
    MOVED = "moved"


def differences(found: Sequence[bytes], noted: Sequence[bytes]) -> Iterator[tuple[Kind, int, int]]:
    """Compare hashes of lines with those that were noted.

    Records are told apart by their hashes. What stands on both sides stays in order as far as it
    can, as with a comparison of texts; the rest was changed, taken out, put in, or moved.

    Args:
        found: Of the lines as they stand.
        noted: Of the lines as they were written.

    Yields:
        The kind; the index among the lines as they stand, for what is missing among those as they
        were written; and for what was moved its index as it was written, else the first again.
    """
    start, end = 0, 0
    shorter = min(len(found), len(noted))
    while start < shorter and found[start] == noted[start]:
        start += 1
    while end < shorter - start and found[-1 - end] == noted[-1 - end]:
        end += 1
    ours, theirs = found[start : len(found) - end], noted[start : len(noted) - end]
    yield from _inside(ours, theirs, start)


def _inside(
    ours: Sequence[bytes], theirs: Sequence[bytes], start: int
) -> Iterator[tuple[Kind, int, int]]:
    where: dict[bytes, list[int]] = {}
    for index, leaf in enumerate(theirs):
        where.setdefault(leaf, []).append(index)
    if len(ours) == len(theirs):  # nothing was put in or taken out: each in its place
        for index, (leaf, was) in enumerate(zip(ours, theirs, strict=True)):
            if leaf != was:
                at = where.get(leaf)
                if at:
                    yield Kind.MOVED, start + index, start + at[0]
                else:
                    yield Kind.CHANGED, start + index, start + index
        return
    kept = _in_order(ours, where)
    mine, other = 0, 0
    for left, right in [*kept, (len(ours), len(theirs))]:
        both = min(left - mine, right - other)
        for step in range(both):
            yield Kind.CHANGED, start + mine + step, start + mine + step
        for index in range(mine + both, left):
            yield Kind.ADDED, start + index, start + index
        for index in range(other + both, right):
            yield Kind.MISSING, start + index, start + index
        mine, other = left + 1, right + 1


def _in_order(ours: Sequence[bytes], where: dict[bytes, list[int]]) -> list[tuple[int, int]]:
    """Pair what stands on both sides, greedily, each later than the one before."""
    pairs, after = [], 0
    for index, leaf in enumerate(ours):
        at = next((place for place in where.get(leaf, ()) if place >= after), None)
        if at is not None:
            pairs.append((index, at))
            after = at + 1
    return pairs
