"""`IncidentRecovery`: recovery points, made and gone back to."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import evolve

from hauberk.errors import HauberkError
from hauberk.files import REAL, FileOperations, make_private_folder
from hauberk_plugins.notes.note import VerifierKey
from hauberk_plugins.recovery.errors import NoSuchPoint, PointNotMade, RecoveryError
from hauberk_plugins.recovery.identity import known_key, signer
from hauberk_plugins.recovery.lock import alone, state_alone
from hauberk_plugins.recovery.making import (
    Source,
    clear_unfinished,
    drill_folder,
    identifier,
    make,
    remove,
)
from hauberk_plugins.recovery.manifest import LeftOut, Manifest, is_id
from hauberk_plugins.recovery.opening import open_copy
from hauberk_plugins.recovery.ours import look
from hauberk_plugins.recovery.point import Point, points
from hauberk_plugins.recovery.restoring import Restoring, Wanted
from hauberk_plugins.recovery.results import BEFORE, Created, Drilled, Listed, Restored
from hauberk_plugins.recovery.surroundings import NAME, Surroundings

_MEND: Final = "make room, or mend what it says"


class IncidentRecovery:
    """Recovery points of one installation.

    Args:
        folder: Where points are kept.
        config: The configuration.
        state: The state folder.
        around: Opens state.
        keep: How many points are kept, the newest; 0 for all.
        include: Further files, relative to the folder of the configuration.
        has_log: Whether the audit's log is taken too.
        left_out: What is known to be left out.
        version: Of Hauberk.
        told: Told what is done, and how much, as it goes on.
        wall_ns: The wall clock.
        random: Random bytes, so many.
        files: The operating system.
    """

    def __init__(
        self,
        folder: Path,
        config: Path,
        state: Path,
        around: Surroundings,
        *,
        keep: int = 0,
        include: Sequence[str] = (),
        has_log: bool = True,
        left_out: Sequence[LeftOut] = (),
        version: str = "",
        told: Callable[[str, int], object] = lambda _, __: None,
        wall_ns: Callable[[], int] = time.time_ns,
        random: Callable[[int], bytes] = os.urandom,
        files: FileOperations = REAL,
    ) -> None:
        self.folder = folder
        self._config = config
        self._state = state
        self._around = around
        self._keep = keep
        self._include = include
        self._has_log = has_log
        self._left_out = left_out
        self._version = version
        self._told = told
        self._wall_ns = wall_ns
        self._random = random
        self._files = files
        self._restoring = Restoring(state, config, around, self._before, told, files)

    def create_recovery_point(self, reason: str = "", *, keep: int | None = None) -> Created:
        """Make a recovery point of everything as it stands; others go on working meanwhile.

        Args:
            reason: Why, for whoever chooses one later.
            keep: In place of the configured number.

        Raises:
            PointNotMade: It cannot be made; nothing is left of it.
            SealError, StoreError: The state cannot be read.
        """
        try:
            with self._folder_alone():
                created = self._created(reason)
                kept = self._keep if keep is None else keep
                removed = self._pruned(kept, created)
            return evolve(created, removed=removed)
        except OSError as error:
            failed = error
        where = failed.filename or self.folder
        raise PointNotMade(where, failed.strerror or type(failed).__name__, _MEND)

    def points(self) -> Iterator[Listed]:
        """Yield the points, oldest first, as they say; `verify` tells whether that is so."""
        for folder in points(self.folder):
            try:
                yield Listed(folder, Point.read(folder).manifest)
            except RecoveryError as error:
                yield Listed(folder, None, error.problem)
            except OSError as error:
                yield Listed(folder, None, f"it cannot be read: {error.strerror}")

    def find(self, name: str, noted: Callable[[str], object] = lambda _: None) -> Path:
        """Return the folder of a point.

        Args:
            name: Its name, the beginning of it, or the path of a folder elsewhere; `latest` for the
                newest of this installation that somebody made, and not a restore.
            noted: Told of each newer one that `latest` passes over, since it is broken.

        Raises:
            NoSuchPoint: There is none, or more than one.
        """
        if name and not is_id(name) and _is_folder(name):
            return Path(name)
        if name == "latest":
            latest, notes = look(self.folder, known_key(self._around), self._files).latest()
            for note in notes:
                noted(note)
            return latest
        found = [path for path in points(self.folder) if path.name.startswith(name)]
        if len(found) == 1 and name:
            return found[0]
        # What was typed is not repeated: people type secrets in wrong places.
        problem = "several points begin so" if found else "no point is called so"
        raise NoSuchPoint(self.folder, problem, "see `hauberk recovery list`")

    def verify(self, path: Path, key: VerifierKey | None = None) -> tuple[Manifest, bool]:
        """Verify a point: signature, and every file. Changes nothing.

        Args:
            path: Its folder.
            key: Who must have signed it; this installation's key unless given.

        Returns:
            What it holds, and whether the signature was checked: it is not where no key is known.

        Raises:
            PointAltered: It is not as it was made; names every file.
            PointForeign: It is another installation's.
            PointTooRecent, NoSuchPoint: It cannot be read.
        """
        key = known_key(self._around) if key is None else key
        point = Point.read(path, self._files)
        point.verify(key, lambda size: self._told("verifying", size), self._files)
        return point.manifest, key is not None

    def drill(self, path: Path) -> Drilled:
        """Restore a point into a folder of its own, open everything there, and remove it again.

        Raises:
            DrillFailed: Something does not open.
            PointAltered, PointForeign, PointTooRecent, NoSuchPoint: As `verify`.
        """
        try:
            return self._drilled(path)
        except OSError as error:
            failed = error
        where = failed.filename or self.folder
        raise RecoveryError(where, failed.strerror or type(failed).__name__, _MEND)

    def _drilled(self, path: Path) -> Drilled:
        with self._folder_alone():
            scratch = drill_folder(self.folder, self._random)
            make_private_folder(scratch, files=self._files)
            try:
                return open_copy(path, scratch, self._around, self._told, self._files)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)

    def restore_from_point(
        self,
        path: Path,
        *,
        accept_rollback: bool = False,
        keep_config: bool = False,
        announce: Callable[[Manifest], object] = lambda _: None,
    ) -> Restored:
        """Go back to a point: verified, staged, swapped, verified again.

        Whatever fails, the state that stood before stands.

        Args:
            path: The point's folder.
            accept_rollback: Whether it may be older than what is known to have been recorded.
            keep_config: Whether the configuration stays as it is.
            announce: Told of the point when it was found good, before anything is put back.

        Raises:
            StateInUse: Another process uses the state folder.
            Rollback: It is older than what was recorded since.
            DrillFailed: What it holds does not open.
            NotRestored: It cannot be done; all stands as it did.
            Interrupted: It was decided, and not ended: the next command does.
            PointAltered, PointForeign, PointTooRecent, NoSuchPoint: As `verify`.
        """
        wanted = Wanted(path, accept_rollback, keep_config, announce)
        try:
            make_private_folder(self._state, files=self._files)
            with self._folder_alone(), state_alone(self._state):
                self._restoring.finish()
                return self._restoring.run(wanted)
        except OSError as error:
            failed = error
        raise self._restoring.failure(failed)

    def undo(self, announce: Callable[[Manifest], object] = lambda _: None) -> Restored:
        """Go back to what stood before the last restore; arguments and errors as there."""
        before, notes = look(self.folder, known_key(self._around), self._files).before()
        done = self.restore_from_point(before, accept_rollback=True, announce=announce)
        return evolve(done, notes=(*notes, *done.notes))

    def finish(self) -> str:
        """End a restore that was stopped in the middle.

        Returns:
            The point that it was of; empty where there was none.

        Raises: as `restore_from_point`.
        """
        if not os.path.lexists(self._restoring.swap.work):
            return ""
        try:
            with state_alone(self._state):
                return self._restoring.finish()
        except OSError as error:
            failed = error
        raise self._restoring.failure(failed)

    def is_interrupted(self) -> bool:
        """Whether a restore was stopped after it was decided."""
        return self._restoring.swap.is_decided()

    # Making.

    def _created(self, reason: str) -> Created:
        clear_unfinished(self.folder)
        with self._around.live() as opened:
            by = signer(opened.sealed(NAME), self._random)
            with suppress(HauberkError):  # what it says of itself is in the point as it is
                opened.checkpoint()
            name, made = identifier(self._wall_ns(), self._random)
            store = opened.store()
            source = Source(
                self._config.absolute(), self._include, self._state, store, type(store).__name__,
                self._has_log, self._left_out,
            )  # fmt: skip
            empty = Manifest(name, made, reason, self._version, "", "", "hauberk.yml", (), ())
            manifest = make(self.folder, empty, source, by, self._told, self._files)
        return Created(manifest, self.folder / name, by.verifier)

    def _before(self, manifest: Manifest) -> Created:
        return self._created(f"{BEFORE}{manifest.id}")

    def _pruned(self, keep: int, made: Created) -> tuple[str, ...]:
        if not keep:
            return ()
        known = [point.folder for point in look(self.folder, made.key, self._files).ours]
        more = max(len(known) - keep, 0)
        old = [path for path in known[:more] if path != made.folder]
        for path in old:
            remove(path, self._files)
        return tuple(path.name for path in old)

    @contextmanager
    def _folder_alone(self) -> Iterator[None]:
        make_private_folder(self.folder, files=self._files)
        with alone(self.folder / "lock", "another process makes a point, or restores one"):
            yield


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):  # too long, or with a NUL in it
        return False
