"""Which points of a folder are whole and this installation's: no other is counted, or removed.

Several installations may keep points in one folder, and people put things there by hand.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from hauberk.files import FileOperations
from hauberk_plugins.notes.note import VerifierKey
from hauberk_plugins.recovery.errors import NoSuchPoint, PointAltered, PointForeign, RecoveryError
from hauberk_plugins.recovery.point import Point, points
from hauberk_plugins.recovery.results import is_before


@frozen
class Broken:
    """A folder with the name of a point that cannot be gone back to.

    Attributes:
        folder: Where it is.
        problem: What is wrong with it.
        is_before: Whether this installation's key signed that a restore made it.
    """

    folder: Path
    problem: str
    is_before: bool = False


@frozen
class Found:
    """What stands in a folder of points, oldest first.

    Attributes:
        folder: Which.
        ours: Signed by this installation's key and whole, as far as names and lengths tell; where
            that key is not known, whoever signed them.
        broken: What has the name of a point and is none that can be read.
        foreign: Other installations'.
    """

    folder: Path
    ours: tuple[Point, ...]
    broken: tuple[Broken, ...]
    foreign: tuple[Path, ...]

    def latest(self) -> tuple[Path, tuple[str, ...]]:
        """Return the newest point that somebody made, and not a restore.

        Where none is whole it is one that is not, so that whoever looks at it says what is wrong.

        Returns:
            Its folder, and a note on each broken one that is newer.

        Raises:
            NoSuchPoint: There is none, or nobody knows whose is wanted.
        """
        self._check_alone()
        made = [point for point in self.ours if not is_before(point.manifest)]
        if not made:
            others = [one.folder for one in self.broken] or list(self.foreign)
            if others:
                return others[-1], ()
            raise NoSuchPoint(self.folder, "there is no point", "make one: hauberk recovery create")
        return made[-1].folder, self._newer(made[-1].folder)

    def before(self) -> tuple[Path, tuple[str, ...]]:
        """Return the newest point that a restore made, of what stood before it.

        One that is known to be broken is returned all the same, to be refused: an older one is of
        another restore.

        Returns, raises: as `latest`.
        """
        self._check_alone()
        left = [point.folder for point in self.ours if is_before(point.manifest)]
        left += [one.folder for one in self.broken if one.is_before]
        if not left:
            why = "no restore left a point behind"
            raise NoSuchPoint(self.folder, why, "there is nothing to undo")
        newest = max(left, key=lambda path: path.name)
        return newest, self._newer(newest)

    def _check_alone(self) -> None:
        if len({point.signer for point in self.ours}) > 1:
            problem = "it holds points of several installations, and which is this is not known"
            raise NoSuchPoint(self.folder, problem, "name one, see `hauberk recovery list`")

    def _newer(self, newest: Path) -> tuple[str, ...]:
        newer = (one for one in self.broken if one.folder.name > newest.name)
        return tuple(f"{one.folder}: passed over, {one.problem}" for one in newer)


def look(folder: Path, key: VerifierKey | None, files: FileOperations) -> Found:
    """Tell the points of a folder apart; their content is not read.

    Args:
        folder: Where points are.
        key: This installation's; `None` where it is not known.
        files: The operating system.
    """
    ours: list[Point] = []
    broken: list[Broken] = []
    foreign: list[Path] = []
    for path in points(folder):
        point: Point | None = None
        try:
            point = _signed(path, key, files)
            point.check_shape()
            ours.append(point)
        except PointForeign:
            foreign.append(path)
        except RecoveryError as error:
            broken.append(_broken(path, error.problem, point))
        except OSError as error:
            broken.append(_broken(path, f"it cannot be read: {error.strerror}", point))
    return Found(folder, tuple(ours), tuple(broken), tuple(foreign))


def _broken(path: Path, problem: str, point: Point | None) -> Broken:
    return Broken(path, problem, point is not None and is_before(point.manifest))


def _signed(path: Path, key: VerifierKey | None, files: FileOperations) -> Point:
    if path.is_symlink():
        raise NoSuchPoint(path, "it is a symbolic link, and no point", "put a copy there instead")
    point = Point.read(path, files)
    if key is not None:
        point.check_signature(key)
    if point.manifest.id != path.name:
        raise PointAltered(path, f"what it holds is the point {point.manifest.id}")
    return point
