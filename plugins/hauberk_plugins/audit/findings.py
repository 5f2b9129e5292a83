"""What a verification found, and what came of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import field, frozen


class What(StrEnum):
    """What was found."""

    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"
    MOVED = "moved"
    TRUNCATED = "truncated"
    ROLLED_BACK = "rolled back"
    CHECKPOINT = "checkpoint"
    WITNESS = "witness"
    KEY = "key"
    HASHES = "hashes"
    TORN = "torn"
    FILES = "files"


#: What names a line.
OF_LINES: Final = frozenset({What.CHANGED, What.MISSING, What.ADDED, What.MOVED})


@frozen
class Finding:
    """Something that is not as it was written.

    Attributes:
        what: What kind of thing.
        text: A sentence for people.
        index: Of the record in the log, from 0, where it is one.
        file: The segment's name, where it is in one.
        line: In that file, from 0.
    """

    what: What
    text: str
    index: int | None = None
    file: str = ""
    line: int | None = None


@frozen
class Verified:
    """What came of it.

    Attributes:
        size: How many records are there.
        root: The root of their tree.
        vouched: How many of them the checkpoint vouches for.
        findings: What is wrong; empty where nothing is.
        cannot_exclude: What this verification cannot exclude, and why.
    """

    size: int
    root: bytes = field(repr=False)
    vouched: int
    findings: tuple[Finding, ...]
    cannot_exclude: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings
