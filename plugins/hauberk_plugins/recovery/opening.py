"""Opening a copy of a point, to see that everything in it opens and fits together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hauberk.errors import SealError, StoreError
from hauberk.files import FileOperations, make_private_folder
from hauberk_plugins.recovery.errors import DrillFailed, PointForeign, RecoveryError
from hauberk_plugins.recovery.identity import key_in, known_key
from hauberk_plugins.recovery.making import CONFIG, STATE
from hauberk_plugins.recovery.point import Point
from hauberk_plugins.recovery.results import Drilled
from hauberk_plugins.recovery.surroundings import Opened, Surroundings


def open_copy(
    path: Path,
    to: Path,
    around: Surroundings,
    told: Callable[[str, int], object],
    files: FileOperations,
    config: Path | None = None,
) -> Drilled:
    """Verify a point, copy it out, and open everything in the copy.

    The key that signed it must be this installation's, if that is known, and in any case one that
    the point itself holds sealed: nobody without the wrapping key can have made that.

    Args:
        path: The point's folder.
        to: An empty private folder.
        around: Opens it.
        told: Told what is done, and how much, as it goes on.
        files: The operating system.
        config: A configuration in place of the point's.

    Raises:
        DrillFailed: Something does not open.
        PointAltered, PointForeign, PointTooRecent, NoSuchPoint: It is not as it was made.
        OSError: It cannot be read or written.
    """
    point = Point.read(path, files)
    point.verify(known_key(around), lambda size: told("verifying", size), files)
    point.copy_out(to, lambda size: told("copying", size), files)
    manifest = point.manifest
    config = config or to / CONFIG / manifest.config
    make_private_folder(to / STATE, files=files)
    with around.copy(config.read_bytes(), to / STATE) as opened:
        try:
            return _looked_at(point, opened)
        except RecoveryError:
            raise
        except (StoreError, SealError) as error:
            why = f"what it holds does not open: {error}"
    raise DrillFailed(path, why, "use another point")


def _looked_at(point: Point, opened: Opened) -> Drilled:
    key = key_in(opened)
    if key is None:
        raise PointForeign(point.folder, "the key that signed it is not among what it holds")
    point.check_signature(key)
    return Drilled(point.manifest, opened.count(), tuple(opened.checks()))
