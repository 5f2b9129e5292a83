"""Archives of JSON lines and of CSV, with messages and signatures in base64."""

from __future__ import annotations

import binascii
import csv
import io
import json
from base64 import b64decode
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from hauberk_plugins.batch import text
from hauberk_plugins.batch.archive import BEGINNING, MISSING, ArchiveUnusable, Part, Start
from hauberk_plugins.batch.text import Add, Columns


def read_json_lines(path: Path, start: Start = BEGINNING) -> Iterator[Part]:
    """Read JSON lines; a line that is none is a rejected row, since the next one is found again.

    Raises:
        ArchiveUnusable: As `text.read_lines`.
    """

    def add(columns: Columns, line: bytes) -> None:
        _add(columns, _json_row(line), needs_key=start.needs_key)

    return text.read_lines(path, start, lambda _: add)


def read_csv(path: Path, start: Start = BEGINNING) -> Iterator[Part]:
    """Read CSV with a line of names.

    Raises:
        ArchiveUnusable: As `text.read_lines`; or a column is missing.
    """

    def begin(file: IO[bytes]) -> Add:
        return partial(add, names=_header(path, file, needs_key=start.needs_key))

    def add(columns: Columns, line: bytes, names: list[str]) -> None:
        _add(columns, _csv_row(line, names), needs_key=start.needs_key)

    return text.read_lines(path, start, begin)


def _add(columns: Columns, row: dict[str, Any], *, needs_key: bool) -> None:
    message, why = _decoded(row, "message")
    signature, why_not = _decoded(row, "signature")
    why = why or why_not
    key_id = row.get("key_id")
    if needs_key and (not isinstance(key_id, str) or not key_id):
        why = why or f"key_id: {MISSING}"
    columns.add(row, message, signature, why)


def _decoded(row: dict[str, Any], name: str) -> tuple[bytes, str]:
    value = row.get(name)
    if value is None:
        return b"", f"{name}: {MISSING}"
    try:
        return b64decode(value, validate=True), ""
    except (binascii.Error, TypeError, ValueError):
        return b"", f"{name}: is no base64"


def _json_row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def _header(path: Path, file: IO[bytes], *, needs_key: bool) -> list[str]:
    try:
        line = file.readline(text.LONGEST).decode("utf-8-sig")
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
