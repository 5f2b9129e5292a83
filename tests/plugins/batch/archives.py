"""Archives on the disk, in every form, of the same rows; and their keys."""

from __future__ import annotations

import base64
import csv
import hmac
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

FORMS = ("parquet", "arrow", "arrows", "jsonl", "csv")
Row = tuple[bytes | None, bytes | None, str | None]
KEYS = {"alice": b"a" * 32, "bob": b"b" * 100}


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def good(number: int, key: str = "alice") -> Row:
    message = f"order {number}".encode() * (number % 9)
    return message, hmac.digest(KEYS[key], message, "sha256"), key


def bad(number: int, key: str = "alice") -> Row:
    message, tag, key_id = good(number, key)
    return message, bytes(reversed(tag or b"")), key_id


def write(path: Path, rows: Sequence[Row], **more: Sequence[Any]) -> Path:
    """Write rows in the form that the name says, with further columns."""
    form = path.suffix[1:]
    if form in ("jsonl", "csv"):
        lines = [
            {
                "message": None if message is None else b64(message),
                "signature": None if signature is None else b64(signature),
                "key_id": key,
                **{name: column[number] for name, column in more.items()},
            }
            for number, (message, signature, key) in enumerate(rows)
        ]
        with path.open("w", newline="") as file:
            if form == "jsonl":
                file.writelines(json.dumps(line) + "\n" for line in lines)
            else:
                writer = csv.DictWriter(file, ["key_id", "message", "signature", *more])
                writer.writeheader()
                writer.writerows(lines)
        return path
    table = pa.table(
        {
            "message": pa.array([row[0] for row in rows], pa.binary()),
            "signature": pa.array([row[1] for row in rows], pa.binary()),
            "key_id": pa.array([row[2] for row in rows], pa.string()),
            **{name: pa.array(column) for name, column in more.items()},
        }
    )
    if form == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=7)
    else:
        new = pa.ipc.new_file if form == "arrow" else pa.ipc.new_stream
        with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema) as out:
            out.write_table(table, max_chunksize=7)
    return path


def write_keys(path: Path, algorithm: str = "hmac-sha256", **keys: bytes) -> Path:
    content = {
        name: {
            "algorithm": algorithm,
            "secret" if algorithm.startswith("hmac") else "public": b64(key),
        }
        for name, key in (keys or KEYS).items()
    }
    path.write_text(json.dumps(content))
    return path
