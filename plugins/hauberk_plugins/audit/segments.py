"""The files of a log: one record a line, each file named after the index of its first record."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from attrs import frozen

#: The longest record, in bytes without its newline: one is read into memory as a whole.
MAX_LINE: Final = 1 << 20
_NAME: Final = re.compile(r"([0-9]{15})\.jsonl\Z")


@frozen(order=True)
class Segment:
    """A file of a log.

    Attributes:
        first: The index of its first record in the whole log, from 0.
    """

    first: int

    @property
    def name(self) -> str:
        """The file's name; names sort as records do."""
        return f"{self.first:015}.jsonl"

    @classmethod
    def named(cls, name: str) -> Segment | None:
        """Return the segment of a file's name, or `None` where it is no such name."""
        match = _NAME.match(name)
        return cls(int(match[1])) if match else None


def segments(folder: Path) -> list[Segment]:
    """Return the segments in a folder, in order; none where there is no folder."""
    try:
        found = [Segment.named(path.name) for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(segment for segment in found if segment is not None)
