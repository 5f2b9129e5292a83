"""Whether a point is older than what is known to have been recorded since."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from hauberk.errors import HauberkError, SealError, StoreError
from hauberk_plugins.recovery import audited
from hauberk_plugins.recovery.errors import Rollback
from hauberk_plugins.recovery.point import Point
from hauberk_plugins.recovery.surroundings import Surroundings

_REMEDY: Final = (
    "what was done since is undone by it, a disabled user for example; look at it with `hauberk "
    "audit show`, then say --accept-rollback"
)


def check(point: Point, state: Path, around: Surroundings) -> None:
    """Refuse a point that is older than the audit, or a witness of it, knows.

    Args:
        point: The point; verified.
        state: The state folder.
        around: Opens it.

    Raises:
        Rollback: It is older, or of another log.
    """
    then = audited.read(point.manifest.checkpoint)
    for where, note in _known(state, around):
        known = audited.read(note)
        if known is None or not known.size:
            continue
        if then is None:
            why = f"it knows of no record of the audit, and {where} knows of {known.size}"
        elif then.origin != known.origin:
            why = f"it is of another log of the audit than the one that {where} knows"
        elif then.size < known.size:
            why = f"the audit held {then.size} records then, and {where} knows of {known.size}"
        else:
            continue
        raise Rollback(point.folder, why, _REMEDY)


def _known(state: Path, around: Surroundings) -> Iterator[tuple[str, str]]:
    """Yield what holds a checkpoint, and the checkpoint."""
    live = audited.kept(state)
    if live:  # else there is no log, and none is to be begun
        with suppress(HauberkError), around.live() as opened:
            live = opened.checkpoint() or live
    yield "its checkpoint", live
    with suppress(SealError, StoreError), around.live() as opened:
        for where, note in opened.witnessed():
            yield f"witness {where}", note
