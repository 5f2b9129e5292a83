"""What a running process leaves in the state folder for others to look at: a file each, of JSON.

Whoever reads them takes nothing on trust: they are only as good as the folder.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

#: What one file may hold: far more than any number of plugins fills.
MAX_BYTES: Final = 4 << 20
_FILE: Final = re.compile(r"([a-z]+)-([1-9][0-9]{0,9})(?:\.json|\.[0-9a-f]{8}\.tmp)\Z")
KINDS: Final = ("counts", "status")


def leave(folder: Path, kind: str, document: Any) -> None:
    """Write this process's file of a kind, whole or not at all.

    Raises:
        OSError: The folder cannot be written; nothing else depends on it.
        ValueError, TypeError: The document is not JSON, or too long to be read.
    """
    content = json.dumps(document, allow_nan=False)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has {len(content)} bytes; {MAX_BYTES} are read")
    # A name of its own: two guards of one process may write at once.
    temporary = folder / f"{kind}-{os.getpid()}.{os.urandom(4).hex()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(content)
        temporary.replace(folder / f"{kind}-{os.getpid()}.json")
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def take_away(folder: Path, kind: str) -> None:
    """Remove this process's file of a kind, if it is there and can be removed."""
    with suppress(OSError):
        (folder / f"{kind}-{os.getpid()}.json").unlink(missing_ok=True)


def left(folder: Path, kind: str) -> Iterator[tuple[int, Any]]:
    """Yield (process id, document) of every process that left one, by process id.

    What is torn, somebody else's, or no JSON is passed over.
    """
    for found, pid, path in sorted(_files(folder)):
        if found == kind and path.suffix == ".json":
            try:
                content = _content(path)
                document = None if content is None else json.loads(content)
            except (OSError, ValueError, RecursionError):
                continue
            if document is not None:
                yield pid, document


def forget_dead(folder: Path) -> None:
    """Remove what ended processes left; a folder that cannot be changed stops nothing."""
    for _, pid, path in _files(folder):
        if not is_running(pid):
            try:
                path.unlink(missing_ok=True)
            except OSError:
                continue


def is_running(pid: int) -> bool:
    """Whether there is a process of that id, ours or not."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _files(folder: Path) -> list[tuple[str, int, Path]]:
    try:
        found = [(_FILE.match(path.name), path) for path in folder.iterdir()]
    except OSError:
        return []
    return [(m[1], int(m[2]), path) for m, path in found if m and m[1] in KINDS]


def _content(path: Path) -> bytes | None:
    # O_NONBLOCK: a FIFO in the file's place would hold us for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        owners = (os.geteuid(), path.parent.stat().st_uid)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in owners:
            return None
        content = file.read(MAX_BYTES + 1)
    return content if len(content) <= MAX_BYTES else None
