"""Archives of lines: read a part at a time, each line a row, whatever stands in it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

from hauberk_plugins.batch.archive import ArchiveUnusable, Names, Part, Start

#: Rows of a part.
ROWS: Final = 20_000
#: Bytes of a part's messages, about.
BYTES: Final = 1 << 25
#: Bytes of one line, at most: a message of 64 KiB in base64 takes a tenth of it.
LONGEST: Final = 1 << 20


class Columns:
    """Columns in the making."""

    def __init__(self) -> None:
        self._messages, self._signatures = bytearray(), bytearray()
        self._message_offsets, self._signature_offsets = array("q", [0]), array("q", [0])
        self._key_ids: list[str | None] = []
        self._algorithms: list[str | None] = []
        self._times: list[Any] = []
        self._problems: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._key_ids)

    def add(self, row: Mapping[str, Any], message: bytes, signature: bytes, why: str) -> None:
        """Add a row.

        Args:
            row: What else stands in it: `key_id`, `algorithm`, `time`.
            message: What was signed.
            signature: By what.
            why: Why it cannot be verified; empty where it can.
        """
        if why:
            self._problems[len(self)] = why
        self._messages += message
        self._signatures += signature
        self._message_offsets.append(len(self._messages))
        self._signature_offsets.append(len(self._signatures))
        self._key_ids.append(_text(row.get("key_id")))
        self._algorithms.append(_text(row.get("algorithm")))
        self._times.append(row.get("time"))

    def is_full(self) -> bool:
        """Whether it is time to hand on what there is."""
        return len(self) >= ROWS or len(self._messages) >= BYTES

    def part(self, first: int, position: int, size: int) -> Part:
        """Return what there is."""
        return Part(
            first,
            bytes(self._messages),
            self._message_offsets,
            bytes(self._signatures),
            self._signature_offsets,
            Names(self._key_ids),
            self._algorithms if any(self._algorithms) else None,
            self._times if any(time is not None for time in self._times) else None,
            self._problems,
            position,
            min(1.0, position / max(1, size)),
        )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


#: Adds a line's row to columns.
Add = Callable[[Columns, bytes], None]


def read_lines(
    path: Path,
    start: Start,
    begin: Callable[[IO[bytes]], Add],
) -> Iterator[Part]:
    """Read an archive of lines.

    Args:
        path: The archive.
        start: Where to begin.
        begin: Given the file at its beginning, reads what stands before the rows, and returns what
            adds a row.

    Raises:
        ArchiveUnusable: The file cannot be read, or a line has no end in sight.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ArchiveUnusable(f"{path}: cannot be read: {error.strerror}") from None
    with file:
        add = begin(file)
        if start.position:
            file.seek(start.position)
        size, position = path.stat().st_size, file.tell()
        first, columns = start.row, Columns()
        for line in _lines(path, file, first):
            position += len(line)
            add(columns, line)
            if columns.is_full():
                yield columns.part(first, position, size)
                first, columns = first + len(columns), Columns()
        if len(columns):
            yield columns.part(first, position, size)


def _lines(path: Path, file: IO[bytes], number: int) -> Iterator[bytes]:
    while True:
        try:
            line = file.readline(LONGEST + 1)
        except OSError as error:
            raise ArchiveUnusable(f"{path}: row {number}: {error.strerror}") from None
        if not line:
            return
        if len(line) > LONGEST:
            raise ArchiveUnusable(f"{path}: row {number}: the line is longer than {LONGEST} bytes")
        yield line
        number += 1
