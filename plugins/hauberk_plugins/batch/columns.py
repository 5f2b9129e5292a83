"""Archives in columns: Parquet and Arrow, whose buffers are verified where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet

from hauberk_plugins.batch.archive import (
    BEGINNING,
    MISSING,
    ArchiveUnusable,
    Names,
    Part,
    Start,
)

_NEEDED: Final = ("message", "signature")
_KEY: Final = "key_id"
#: Rows of a part.
COLUMN_ROWS: Final = 100_000
#: Bytes of a part's messages, about; what has more is handed on in smaller parts.
_BYTES: Final = 1 << 26
#: Bytes that are read of a column at once.
_BUFFER: Final = 1 << 20


def read_parquet(path: Path, start: Start = BEGINNING) -> Iterator[Part]:
    """Read Parquet, a row group at a time.

    Raises:
        ArchiveUnusable: It is damaged or cut off, or a column is missing or of a wrong type.
    """
    with _told(path, start.row):
        # Read as a stream: of a row group as large as the file, little is in memory at once.
        file = pyarrow.parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
        names = _checked(path, file.schema_arrow, start)
        groups, total = range(file.metadata.num_row_groups), file.metadata.num_rows
    row = 0
    for group in groups:
        size = file.metadata.row_group(group).num_rows
        if row + size <= start.row:
            row += size
            continue
        batches = file.iter_batches(COLUMN_ROWS, row_groups=[group], columns=names)
        while True:
            with _told(path, row):
                batch = next(batches, None)
            if batch is None:
                break
            yield from _from(batch, row, start.row, (row + batch.num_rows) / total)
            row += batch.num_rows


def read_arrow(path: Path, start: Start = BEGINNING) -> Iterator[Part]:
    """Read an Arrow IPC file.

    Raises:
        ArchiveUnusable: As `read_parquet`.
    """
    with _told(path, start.row):
        source = pa.memory_map(str(path))
        file = pyarrow.ipc.open_file(source)
        _checked(path, file.schema, start)
    row = 0
    for number in range(file.num_record_batches):
        with _told(path, row):
            batch = file.get_batch(number)
            batch.validate(full=True)
        share = (number + 1) / file.num_record_batches
        yield from _from(batch, row, start.row, share)
        row += batch.num_rows


def read_arrow_stream(path: Path, start: Start = BEGINNING) -> Iterator[Part]:
    """Read an Arrow IPC stream.

    Raises:
        ArchiveUnusable: As `read_parquet`.
    """
    with _told(path, start.row):
        source = pa.memory_map(str(path))
        stream = pyarrow.ipc.open_stream(source)
        _checked(path, stream.schema, start)
    row = 0
    while True:
        with _told(path, row):
            try:
                batch = stream.read_next_batch()
            except StopIteration:
                return
            batch.validate(full=True)
        yield from _from(batch, row, start.row, source.tell() / source.size())
        row += batch.num_rows


@contextmanager
def _told(path: Path, row: int) -> Iterator[None]:
    """Turn what pyarrow raises into one error that says where."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArchiveUnusable(f"{path}: damaged or cut off, near row {row}: {why}") from None


def _checked(path: Path, schema: pa.Schema, start: Start) -> list[str]:
    """Return which columns are to be read.

    Raises:
        ArchiveUnusable: One is missing, or of a wrong type.
    """
    needed = [*_NEEDED, *([_KEY] if start.needs_key else [])]
    for name in needed:
        places = schema.get_all_field_indices(name)
        if len(places) != 1:
            raise ArchiveUnusable(
                f"{path}: has {len(places)} columns {name!r}, and should have one"
            )
        kind = schema.field(name).type
        fits = _is_text(kind) if name == _KEY else _is_bytes(kind)
        if not fits:
            what = "text" if name == _KEY else "bytes"
            raise ArchiveUnusable(
                f"{path}: column {name!r} is of type {kind}, and should be {what}"
            )
    optional = [
        name for name in ("algorithm", "time") if len(schema.get_all_field_indices(name)) == 1
    ]
    if "algorithm" in optional and not _is_text(schema.field("algorithm").type):
        raise ArchiveUnusable(f"{path}: column 'algorithm' should be text")
    return [*needed, *optional]


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return any(
        test(kind)
        for test in (
            types.is_binary,
            types.is_large_binary,
            types.is_fixed_size_binary,
            types.is_string,
            types.is_large_string,
        )
    )


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _from(batch: pa.RecordBatch, row: int, start: int, share: float) -> Iterator[Part]:
    """Make parts of a batch, from the row on that is to be the first."""
    if row + batch.num_rows <= start:
        return
    if row < start:
        batch, row = batch.slice(start - row), start
    size = max(1, min(COLUMN_ROWS, _BYTES * batch.num_rows // max(1, batch.nbytes)))
    for at in range(0, batch.num_rows, size):
        yield _part(batch.slice(at, size), row + at, share)


def _part(batch: pa.RecordBatch, first: int, share: float) -> Part:
    problems: dict[int, str] = {}
    has = set(batch.schema.names)
    for name in (*_NEEDED, _KEY):
        if name not in has:
            continue
        column = batch.column(name)
        if column.null_count:
            for row in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)):
                problems.setdefault(int(row), f"{name}: {MISSING}")
    messages, message_offsets = _bytes_of(batch.column("message"))
    signatures, signature_offsets = _bytes_of(batch.column("signature"))
    return Part(
        first,
        messages,
        message_offsets,
        signatures,
        signature_offsets,
        _Coded(batch.column(_KEY)) if _KEY in has else Names([None] * batch.num_rows),
        batch.column("algorithm").to_pylist() if "algorithm" in has else None,
        batch.column("time").to_pylist() if "time" in has else None,
        problems,
        0,
        share,
    )


class _Coded(Names):
    """Names as codes of a few, which is how columns have them."""

    def __init__(self, column: Any) -> None:
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        super().__init__(column.dictionary.to_pylist())
        codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        self._codes = codes.astype(np.int64)

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(len(self)))]
        code = self._codes[row]
        return self._names[code] if code >= 0 else None

    def indices(self, places: Mapping[str | None, int]) -> Any:
        """Return where each row's name has its place, or -1, as a column."""
        # The last one is for those that have none.
        found = np.array([*(places.get(name, -1) for name in self._names), -1], np.int64)
        return found[self._codes]


def _bytes_of(column: Any) -> tuple[Any, Any]:
    """Return a column's bytes and its offsets into them."""
    kind = column.type
    if pa.types.is_fixed_size_binary(kind):
        width = kind.byte_width
        data = column.buffers()[1]
        at = np.arange(len(column) + 1, dtype=np.int64) + column.offset
        return (data if data is not None else b""), at * width
    wide = pc.cast(column, pa.large_binary())
    _, offsets, data = wide.buffers()
    if offsets is None:
        return b"", np.zeros(len(column) + 1, np.int64)
    found = np.frombuffer(offsets, np.int64, len(column) + 1, wide.offset * 8)
    return (data if data is not None else b""), found
