"""What each hook of a running guard has done, left in the state folder for `hauberk plugins`.

Whoever reads them takes nothing on trust.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from hauberk.hooks import HOOKS
from hauberk.leftfiles import leave, left
from hauberk.snapshot import Snapshot

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
    leave(folder, "counts", [asdict(row) for row in counts(snapshot)])


def published(folder: Path) -> Iterator[tuple[int, list[HookCounts]]]:
    """Yield (process id, counts) of every guard that left its own, by process id.

    What is torn, somebody else's, or not what `publish` writes is passed over.
    """
    for pid, rows in left(folder, "counts"):
        read = [_row(row) for row in rows] if type(rows) is list else [None]
        found = [row for row in read if row is not None]
        if len(found) == len(read):
            yield pid, found


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
