"""Archives of signed messages: read a part at a time, whatever their form and size."""

from __future__ import annotations

import binascii
import csv
import io
import json
from array import array
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from attrs import field, frozen

from hauberk.errors import HauberkError

#: Rows of a part; of text, and of columns.
TEXT_ROWS: Final = 20_000
COLUMN_ROWS: Final = 100_000
#: Bytes of a part of a text, about.
TEXT_BYTES: Final = 1 << 25
#: Bytes of one line, at most: a message of 64 KiB in base64 takes a tenth of it.
LONGEST_LINE: Final = 1 << 20
_MISSING: Final = "a value is missing"


class ArchiveUnusable(HauberkError):
    """An archive cannot be read on; says where in it."""


class Names(Sequence[str | None]):
    """What rows name their keys by."""

    def __init__(self, names: Sequence[str | None]) -> None:
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: Any) -> Any:
        return self._names[row]

    def indices(self, places: Mapping[str | None, int]) -> Any:
        """Return where each row's name has its place, or -1, as a column."""
        return array("q", [places.get(name, -1) for name in self._names])


@frozen
class Part:
    """Some rows of an archive, as columns.

    Attributes:
        first: The number of the first row in its archive.
        messages: All messages, end to end.
        message_offsets: One more than rows.
        signatures: All signatures.
        signature_offsets: One more than rows.
        key_ids: One a row.
        algorithms: One a row where the archive says; `None` has the key say.
        times: One a row where the archive says, as it says; `None` where not.
        problems: Rows of this part, from 0, that cannot be verified, and why.
        position: Where the next part begins: whatever the reader takes as `start`.
        share: How much of the archive is read with it, from 0 to 1.
    """

    first: int
    messages: Any = field(repr=False)
    message_offsets: Any = field(repr=False)
    signatures: Any = field(repr=False)
    signature_offsets: Any = field(repr=False)
    key_ids: Names = field(repr=False)
    algorithms: Sequence[str | None] | None = field(repr=False)
    times: Sequence[Any] | None = field(repr=False)
    problems: dict[int, str]
    position: int
    share: float

    def __len__(self) -> int:
        return len(self.key_ids)


@frozen
class Start:
    """Where to begin, and what a row must have.

    Attributes:
        row: The number of the first row.
        position: As the part before it said.
        needs_key: Whether each row must name its key.
    """

    row: int = 0
    position: int = 0
    needs_key: bool = True


BEGINNING: Final = Start()
Reader = Callable[[Path, Start], Iterator[Part]]


def reader_of(path: Path) -> Reader:
    """Return what reads an archive, by the end of its name.

    Raises:
        ArchiveUnusable: The name does not say what it is.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise ArchiveUnusable(
            f"{path}: its name must say what it is: {', '.join(sorted(_READERS))}"
        )
    return _READERS[suffix]


class _Columns:
    """Columns in the making."""

    def __init__(self, *, needs_key: bool) -> None:
        self._needs_key = needs_key
        self.messages, self.signatures = bytearray(), bytearray()
        self.message_offsets, self.signature_offsets = array("q", [0]), array("q", [0])
        self.key_ids: list[str | None] = []
        self.algorithms: list[str | None] = []
        self.times: list[Any] = []
        self.problems: dict[int, str] = {}

    def add(self, row: dict[str, Any]) -> None:
        """Add a row of base64 and names."""
        message, why = _decoded(row, "message")
        signature, why_not = _decoded(row, "signature")
        why = why or why_not
        key_id, algorithm = row.get("key_id"), row.get("algorithm")
        if self._needs_key and (not isinstance(key_id, str) or not key_id):
            why = why or f"key_id: {_MISSING}"
        if why:
            self.problems[len(self.key_ids)] = why
        self.messages += message
        self.signatures += signature
        self.message_offsets.append(len(self.messages))
        self.signature_offsets.append(len(self.signatures))
        self.key_ids.append(key_id if isinstance(key_id, str) else None)
        self.algorithms.append(algorithm if isinstance(algorithm, str) and algorithm else None)
        self.times.append(row.get("time"))

    def is_full(self) -> bool:
        """Whether it is time to hand on what there is."""
        return len(self.key_ids) >= TEXT_ROWS or len(self.messages) >= TEXT_BYTES

    def part(self, first: int, position: int, size: int) -> Part:
        """Return what there is."""
        return Part(
            first,
            bytes(self.messages),
            self.message_offsets,
            bytes(self.signatures),
            self.signature_offsets,
            Names(self.key_ids),
            self.algorithms,
            self.times if any(time is not None for time in self.times) else None,
            self.problems,
            position,
            min(1.0, position / max(1, size)),
        )


def _decoded(row: dict[str, Any], name: str) -> tuple[bytes, str]:
    value = row.get(name)
    if value is None:
        return b"", f"{name}: {_MISSING}"
    try:
        return b64decode(value, validate=True), ""
    except (binascii.Error, TypeError, ValueError):
        return b"", f"{name}: is no base64"


def read_json_lines(path: Path, start: Start = BEGINNING) -> Iterator[Part]:
    """Read JSON lines; a line that is none is a rejected row, since the next one is found again.

    Raises:
        ArchiveUnusable: The file cannot be read, or a line has no end in sight.
    """
    with _opened(path) as file:
        file.seek(start.position)
        size = path.stat().st_size
        first, columns, position = start.row, _Columns(needs_key=start.needs_key), start.position
        for line in _lines(path, file, first):
            position += len(line)
            columns.add(_json_row(line) if line.strip() else {})
            if columns.is_full():
                yield columns.part(first, position, size)
                first, columns = first + len(columns.key_ids), _Columns(needs_key=start.needs_key)
        if columns.key_ids:
            yield columns.part(first, position, size)


def _json_row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def _lines(path: Path, file: IO[bytes], number: int) -> Iterator[bytes]:
    while True:
        try:
            line = file.readline(LONGEST_LINE + 1)
        except OSError as error:
            raise ArchiveUnusable(f"{path}: row {number}: {error.strerror}") from None
        if not line:
            return
        if len(line) > LONGEST_LINE:
            raise ArchiveUnusable(
                f"{path}: row {number}: the line is longer than {LONGEST_LINE} bytes"
            )
        yield line
        number += 1


def read_csv(path: Path, start: Start = BEGINNING) -> Iterator[Part]:
    """Read CSV with a line of names.

    Raises:
        ArchiveUnusable: The file cannot be read, or lacks a column.
    """
    with _opened(path) as file:
        names = _header(path, file, needs_key=start.needs_key)
        if start.position:
            file.seek(start.position)
        size = path.stat().st_size
        first, columns, position = start.row, _Columns(needs_key=start.needs_key), file.tell()
        for line in _lines(path, file, first):
            position += len(line)
            columns.add(_csv_row(line, names))
            if columns.is_full():
                yield columns.part(first, position, size)
                first, columns = first + len(columns.key_ids), _Columns(needs_key=start.needs_key)
        if columns.key_ids:
            yield columns.part(first, position, size)


def _header(path: Path, file: IO[bytes], *, needs_key: bool) -> list[str]:
    try:
        line = file.readline(LONGEST_LINE).decode("utf-8-sig")
        names = next(csv.reader(io.StringIO(line)), [])
    except (OSError, ValueError, csv.Error):
        names = []
    missing = {"message", "signature", *(["key_id"] if needs_key else [])} - set(names)
    if missing:
        raise ArchiveUnusable(f"{path}: line 1 names no column {', '.join(sorted(missing))}")
    return names


def _csv_row(line: bytes, names: list[str]) -> dict[str, Any]:
    """Read one line: base64 has no line breaks, and neither has an identifier."""
    try:
        values = next(csv.reader(io.StringIO(line.decode())), [])
    except (ValueError, csv.Error):
        return {}
    return dict(zip(names, values, strict=False)) if len(values) == len(names) else {}


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise ArchiveUnusable(f"{path}: cannot be read: {error.strerror}") from None


def _columns_reader(name: str) -> Reader:
    def read(path: Path, start: Start = BEGINNING) -> Iterator[Part]:
        try:
            from hauberk_plugins.batch import columns
        except ImportError:
            raise ArchiveUnusable(f"{path}: to read it: pip install 'hauberk[batch]'") from None
        reader: Reader = getattr(columns, name)
        return reader(path, start)

    return read


_READERS: Final[dict[str, Reader]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".csv": read_csv,
    ".parquet": _columns_reader("read_parquet"),
    ".arrow": _columns_reader("read_arrow"),
    ".feather": _columns_reader("read_arrow"),
    ".arrows": _columns_reader("read_arrow_stream"),
}
