"""What the audit's checkpoints say of when a state was: how many records had been written by then.

A checkpoint is a signed note (C2SP tlog-checkpoint): the log's name, its size, its root. Whose it
is was checked by the audit itself, or by the manifest that holds it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from attrs import frozen

from hauberk.files import read_private

#: In the state folder.
FOLDER: Final = "audit"
CHECKPOINT: Final = "checkpoint"
#: Files there that are made again, or are of no use in a copy.
NOT_COPIED: Final = re.compile(r"lock\Z|index\.sqlite|\.hauberk-")
SEGMENT: Final = re.compile(r"[0-9]{15}\.jsonl\Z")
_SIZE: Final = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")
_MAX_BYTES: Final = 64 << 10


@frozen
class Told:
    """What a checkpoint says.

    Attributes:
        origin: Which log.
        size: How many records it held.
    """

    origin: str
    size: int


def read(note: str) -> Told | None:
    """Return what a checkpoint says; `None` where it is none."""
    lines = note.split("\n", 2)
    is_one = len(lines) == 3 and _SIZE.match(lines[1]) is not None
    return Told(lines[0], int(lines[1])) if is_one else None


def size_of(note: str) -> int | None:
    """Return how many records a checkpoint vouches for; `None` where it is none."""
    told = read(note)
    return None if told is None else told.size


def kept(state: Path) -> str:
    """Return the checkpoint in a state folder; empty where there is none that can be read."""
    try:
        return read_private(state / FOLDER / CHECKPOINT, _MAX_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return ""
