"""What the security guide's `AuditLogger` left: `audit.log`, one JSON object a line.

Anybody who could write to it could write anything, with a line break in a name a whole line. So
nothing that it says is proven, and every line of it is taken as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

LOG: Final = "audit.log"
#: A longer line is kept cut off, with its length and its hash.
MAX_LINE: Final = 1 << 18
_SAYS: Final = frozenset({"timestamp", "user", "action", "details"})


@frozen
class Entry:
    """One line.

    Attributes:
        number: From 0.
        digest: SHA-256 of the line, without its newline.
        text: The line, as far as it is kept.
        said: What it says; `None` where it is none of the guide's.
    """

    number: int
    digest: str
    text: str = field(repr=False)
    said: dict[str, Any] | None

    @property
    def at(self) -> datetime | None:
        """When, as it says: of a time without a zone, that of this machine."""
        said = self.said or {}
        try:
            return datetime.fromisoformat(said.get("timestamp", "")).astimezone()
        except (TypeError, ValueError, OverflowError, OSError):
            return None


@frozen
class Trail:
    """A whole file.

    Attributes:
        file: Which.
        name: By which it is known again: of the hash of its first line.
        count: How many lines it has.
    """

    file: Path
    name: str
    count: int

    @classmethod
    def of(cls, file: Path) -> Trail | None:
        """Look at a file; `None` where no line is in it.

        Raises:
            OSError: It cannot be read.
        """
        first = next(entries(file), None)
        if first is None:
            return None
        return cls(file, first.digest[:16], sum(1 for _ in entries(file)))


def entries(file: Path) -> Iterator[Entry]:
    """Yield the lines of a file, but for those in which nothing stands.

    Raises:
        OSError: It cannot be read.
    """
    with file.open("rb") as lines:
        for number, raw in enumerate(lines):
            line = raw.rstrip(b"\r\n")
            if line.strip():
                text = line[:MAX_LINE].decode("utf-8", "backslashreplace")
                said = _said(line) if len(line) <= MAX_LINE else None
                yield Entry(number, sha256(line).hexdigest(), text, said)


def batches(found: Iterator[Entry], size: int) -> Iterator[list[Entry]]:
    """Yield so many at a time."""
    while batch := list(islice(found, size)):
        yield batch


def _said(line: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if type(said) is not dict or set(said) != _SAYS:
        return None
    return said if type(said["user"]) is str and type(said["action"]) is str else None
