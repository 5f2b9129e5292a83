"""What each hook of a running guard has done, left in the state folder for `hauberk plugins`.

One file a process. Whoever reads them takes nothing on trust: they are only as good as the folder.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from hauberk.hooks import HOOKS
from hauberk.snapshot import Snapshot

#: What one file may hold: far more than any number of plugins fills.
MAX_BYTES: Final = 1 << 20
_FILE: Final = re.compile(r"counts-([1-9][0-9]{0,9})(?:\.json|\.[0-9a-f]{8}\.tmp)\Z")
_MAX_NAME: Final = 64
_MAX_COUNT: Final = 1 << 62


@frozen
class HookCounts:
    """How one hook of one plugin has fared.

    Attributes:
        plugin: The plugin's name.
        hook: The hook's name.
        calls: How often it was called.
        failures: How often it raised or answered what it may not.
        overruns: How often it took longer than a guard should.
        mean_us: Mean of the timed calls, microseconds; `None` where none was timed.
        worst_us: The longest of them.
    """

    plugin: str
    hook: str
    calls: int
    failures: int
    overruns: int
    mean_us: float | None
    worst_us: float | None


def counts(snapshot: Snapshot) -> list[HookCounts]:
    """Return the counts of each hook of each plugin, in order."""
    return [
        HookCounts(
            part.name,
            hook,
            impl.calls,
            impl.failures,
            impl.overruns,
            round(impl.sampled_ns / impl.samples / 1e3, 2) if impl.samples else None,
            round(impl.worst_ns / 1e3, 2) if impl.samples else None,
        )
        for part, hooks in snapshot.parts
        for hook, impl in hooks.items()
    ]


def publish(folder: Path, snapshot: Snapshot) -> None:
    """Write this process's counts, whole or not at all.

    Raises:
        OSError: The folder cannot be written; nothing else depends on it.
    """
    document = json.dumps([asdict(row) for row in counts(snapshot)])
    # A name of its own: two guards of one process may write at once.
    temporary = folder / f"counts-{os.getpid()}.{os.urandom(4).hex()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(document)
        temporary.replace(folder / f"counts-{os.getpid()}.json")
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def published(folder: Path) -> Iterator[tuple[int, list[HookCounts]]]:
    """Yield (process id, counts) of every guard that left its own, by process id.

    What is torn, somebody else's, or not what `publish` writes is passed over.
    """
    for pid, path in sorted(_files(folder)):
        if path.suffix == ".json" and (rows := _read(path)) is not None:
            yield pid, rows


def forget_dead(folder: Path) -> None:
    """Remove what ended processes left; a folder that cannot be changed stops nothing."""
    for pid, path in _files(folder):
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


def _files(folder: Path) -> list[tuple[int, Path]]:
    try:
        found = [(_FILE.match(path.name), path) for path in folder.iterdir()]
    except OSError:
        return []
    return [(int(match[1]), path) for match, path in found if match]


def _read(path: Path) -> list[HookCounts] | None:
    """Read one file, or return `None` unless all of it is what `publish` writes."""
    try:
        content = _content(path)
        rows = json.loads(content) if content is not None else None
    except (OSError, ValueError, RecursionError):
        return None
    if type(rows) is not list:
        return None
    read = [_row(row) for row in rows]
    return [row for row in read if row is not None] if None not in read else None


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


def _row(row: Any) -> HookCounts | None:
    if type(row) is not dict or set(row) != set(HookCounts.__annotations__):
        return None
    made = HookCounts(**row)
    if type(made.plugin) is not str or type(made.hook) is not str:
        return None
    is_named = made.plugin.isprintable() and 0 < len(made.plugin) <= _MAX_NAME
    counted = (made.calls, made.failures, made.overruns)
    is_counted = all(type(n) is int and 0 <= n < _MAX_COUNT for n in counted)
    timed: tuple[Any, Any] = (made.mean_us, made.worst_us)
    is_timed = timed == (None, None) or all(
        type(us) in (int, float) and 0 <= us < _MAX_COUNT for us in timed
    )
    return made if is_named and made.hook in HOOKS and is_counted and is_timed else None
