"""`verify`: whether a log is what was written, and which line is not.

The root of trust is a checkpoint that a known key has signed. Its root is computed anew from the
lines. Where it is another one, the hashes that were kept beside tell which line was changed, as far
as they lead to the checkpoint's root themselves.

What one copy of a log cannot tell by itself is said too: who holds the signing key can sign another
log, and a whole folder can be put back to an earlier day. Only a checkpoint that is kept elsewhere,
by a witness, excludes that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Final

from hauberk_plugins.audit.checkpoint import Checkpoint
from hauberk_plugins.audit.differences import Kind, differences
from hauberk_plugins.audit.findings import OF_LINES, Finding, Verified, What
from hauberk_plugins.audit.levels import KEPT, STEP, Levels
from hauberk_plugins.audit.merkle import HASH_BYTES, LEAF, Digests, Frontier
from hauberk_plugins.audit.segments import Segment, segments

_CHUNK: Final = 1 << 22


def verify(
    folder: Path,
    checkpoint: Checkpoint | None,
    witnessed: Sequence[Checkpoint] = (),
    remembered: Sequence[Checkpoint] = (),
    digests: Digests | None = None,
) -> Verified:
    """Verify the log in a folder; changes nothing.

    Args:
        folder: The log's.
        checkpoint: Whose signature was checked; `None` where there is none.
        witnessed: What witnesses hold, their signatures checked.
        remembered: What is remembered beside the keys: away from the log, but in the same state
            folder, so that it is no witness.
        digests: Hashes many records at once; one by one unless given.

    Raises:
        OSError: A file cannot be read.
    """
    levels = Levels(folder)
    try:
        return _Verification(folder, levels, checkpoint, witnessed, remembered, digests).run()
    finally:
        levels.close()


class _Verification:
    def __init__(
        self,
        folder: Path,
        levels: Levels,
        checkpoint: Checkpoint | None,
        witnessed: Sequence[Checkpoint],
        remembered: Sequence[Checkpoint],
        digests: Digests | None,
    ) -> None:
        self._folder = folder
        self._levels = levels
        self._checkpoint = checkpoint
        self._witnessed = witnessed
        self._remembered = remembered
        self._digests = digests
        self._findings: list[Finding] = []
        self._places: list[Segment] = []

    def run(self) -> Verified:
        """Read everything once; look closer where something is wrong."""
        marks = sorted({point.size for point in self._points()})
        lines = Frontier()
        # The tree of the hashes beside: the same one, until the first of them differs.
        beside = lines
        at_mark: dict[int, tuple[bytes, bytes]] = {}
        is_beside_whole = True
        rows: list[bytes] = []
        for leaves in self._leaves():
            row = self._levels.row(0, lines.size, len(leaves))
            noted = leaves if row == b"".join(leaves) else _cut(row)
            if noted is not leaves and beside is lines:
                beside = lines.copy()
            is_beside_whole = is_beside_whole and len(noted) == len(leaves)
            while marks and marks[0] <= lines.size + len(leaves):
                mark = marks.pop(0)
                upto = mark - lines.size
                at_mark[mark] = (_extended(lines, leaves[:upto]), _extended(beside, noted[:upto]))
            if beside is not lines:
                beside.extend(noted)
            lines.extend(leaves, rows, self._digests)
        for point in self._points():
            self._compare(point, lines.size, at_mark.get(point.size))
        if is_beside_whole and beside.root != lines.root and not self._findings:
            self._name_lines(lines.size)
        self._look_beside(rows, lines.size)
        vouched = min(max((point.size for point in self._own()), default=0), lines.size)
        return Verified(
            lines.size, lines.root, vouched, tuple(self._findings), self._cannot_exclude(lines.size)
        )

    def _points(self) -> list[Checkpoint]:
        return [*self._witnessed, *self._own()]

    def _own(self) -> list[Checkpoint]:
        return [*self._remembered, *([self._checkpoint] if self._checkpoint else [])]

    def _look_beside(self, rows: list[bytes], size: int) -> None:
        """See whether the hashes beside are there, and the upper ones what those below make."""
        known = min(max((point.size for point in self._own()), default=0), size)
        for level in KEPT:
            due, there = known >> level, self._levels.count(level)
            if there < due:
                text = f"level-{level:02} has {there} hashes of {due}: the next start makes them"
                self._add(Finding(What.HASHES, text, file=f"level-{level:02}"))
        if self._findings:  # where lines were changed, so are the hashes over them
            return
        for level in KEPT[1:]:
            made = rows[: known >> level]
            if not made:
                return
            if self._levels.row(level, 0, len(made)) != b"".join(made):
                text = f"level-{level:02} is not what the lines make: it was changed"
                self._add(Finding(What.HASHES, text, file=f"level-{level:02}"))
            rows = list(_rows_of(rows))

    def _compare(self, point: Checkpoint, size: int, roots: tuple[bytes, bytes] | None) -> None:
        is_own = not any(point is one for one in self._witnessed)
        who = "the checkpoint" if is_own else "a witness"
        if is_own and point is not self._checkpoint:
            who = "the checkpoint that is remembered of it"
        if roots is None:
            what = What.TRUNCATED if is_own else What.ROLLED_BACK
            self._name_lines(min(size, point.size), quiet=True)
            if not any(finding.what in (what, What.MISSING) for finding in self._findings):
                text = f"records {size} to {point.size - 1} are gone: {who} saw {point.size}"
                self._add(Finding(what, text, size))
            return
        root, beside = roots
        if root == point.root:
            return
        if beside == point.root:
            self._name_lines(point.size)
            if any(finding.what in OF_LINES for finding in self._findings):
                return
        text = (
            f"the first {point.size} records are not those that {who} saw; the hashes kept "
            "beside do not lead to its root either, so that no line can be named"
        )
        self._add(Finding(What.CHECKPOINT if is_own else What.ROLLED_BACK, text))

    def _name_lines(self, size: int, *, quiet: bool = False) -> None:
        """Compare lines with the hashes beside, which are good, or the best there is."""
        if any(finding.what in OF_LINES for finding in self._findings):
            return
        found = [leaf for leaves in self._leaves() for leaf in leaves]
        noted = _cut(self._levels.row(0, 0, max(size, self._levels.count())))
        for kind, index, other in differences(found, noted):
            if quiet and index >= size:
                continue
            self._add(self._finding(kind, index, other))

    def _finding(self, kind: Kind, index: int, other: int) -> Finding:
        what = What(kind.value)
        if kind is Kind.MISSING:
            return Finding(what, f"record {index} is missing", index)
        file, line = self._place(index)
        where = f"{file} line {line}"
        text = {
            Kind.CHANGED: f"record {index} was changed ({where})",
            Kind.ADDED: f"a record was added ({where})",
            Kind.MOVED: f"record {other} stands in the place of {index} ({where})",
        }[kind]
        return Finding(what, text, index, file, line)

    def _place(self, index: int) -> tuple[str, int]:
        count = 0
        for segment in self._places:
            if segment.first <= index:
                count = segment.first
        return Segment(count).name, index - count

    def _cannot_exclude(self, size: int) -> tuple[str, ...]:
        told = []
        vouched = max((point.size for point in self._own()), default=None)
        if vouched is None:
            told.append("that anything was changed: there is no checkpoint of a known key")
        elif size > vouched:
            told.append(
                f"that records from {vouched} on were changed: no checkpoint vouches for them yet"
            )
        if not self._witnessed and self._remembered:
            told.append(
                "that the whole state folder was put back to an earlier day: no witness holds a "
                "checkpoint"
            )
        elif not self._witnessed:
            told.append(
                "that the whole folder was put back to an earlier day, or the last records cut off "
                "with their checkpoint: no witness holds a checkpoint"
            )
        return tuple(told)

    def _leaves(self) -> Iterator[list[bytes]]:
        """Yield the hashes of all lines, some thousands at a time; note what is no line."""
        self._places, count = segments(self._folder), 0
        for number, segment in enumerate(self._places):
            if segment.first != count:
                text = (
                    f"{segment.name} begins at record {segment.first}, and {count} stand before it"
                )
                self._add(Finding(What.FILES, text, count, segment.name))
            rest = b""
            with (self._folder / segment.name).open("rb") as file:
                while block := file.read(_CHUNK):
                    *lines, rest = (rest + block).split(b"\n")
                    if lines:
                        yield self._hashed(lines)
                        count += len(lines)
            if rest:
                is_last = number == len(self._places) - 1
                text = f"{segment.name} ends in {len(rest)} bytes without a newline"
                text += ": a write that was cut off" if is_last else ""
                self._add(Finding(What.TORN, text, count, segment.name))

    def _hashed(self, lines: list[bytes]) -> list[bytes]:
        if self._digests is None:
            return [sha256(b"\x00" + line).digest() for line in lines]
        offsets = [0, *accumulate(map(len, lines))]
        return _cut(self._digests(LEAF, b"".join(lines), offsets))

    def _add(self, finding: Finding) -> None:
        if finding not in self._findings:
            self._findings.append(finding)


def _extended(frontier: Frontier, leaves: Sequence[bytes]) -> bytes:
    copy = frontier.copy()
    copy.extend(leaves)
    return copy.root


def _rows_of(rows: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the next kept level's hashes."""
    width = 1 << STEP
    for at in range(0, len(rows) - width + 1, width):
        row = Frontier()
        row.extend(rows[at : at + width])
        yield row.root


def _cut(row: bytes) -> list[bytes]:
    return [row[at : at + HASH_BYTES] for at in range(0, len(row) - HASH_BYTES + 1, HASH_BYTES)]
