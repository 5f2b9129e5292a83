"""Going back to a point: staged, decided, carried out, looked at; or nothing of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from attrs import frozen

from hauberk.command import FAIL
from hauberk.errors import HauberkError, SealError, StoreError
from hauberk.files import FileOperations
from hauberk.ports import Store
from hauberk_plugins.recovery import audited, rollback
from hauberk_plugins.recovery.disk import copy, make_folders
from hauberk_plugins.recovery.errors import (
    DrillFailed,
    Interrupted,
    NotRestored,
    PointNotMade,
    RecoveryError,
)
from hauberk_plugins.recovery.identity import key_in
from hauberk_plugins.recovery.making import CONFIG, STATE, STORE
from hauberk_plugins.recovery.manifest import Manifest
from hauberk_plugins.recovery.opening import open_copy
from hauberk_plugins.recovery.point import Point
from hauberk_plugins.recovery.results import Created, Restored
from hauberk_plugins.recovery.surroundings import Opened, Surroundings
from hauberk_plugins.recovery.swap import HALTING, Goes, Journal, Swap

#: Sealed records that go on from where they are: the audit's keys, as long as its log stays.
_CARRIED: Final = ("audit",)
_AGAIN: Final = "mend what it says, then `hauberk recovery restore --finish` ends it"
_MEND: Final = "make room, or mend what it says"
_HALT: Final = "restored where nobody could read whether a halt was in force"


@frozen
class Wanted:
    """What is wanted of a restore.

    Attributes:
        path: The point's folder.
        accept_rollback: Whether it may be older than what is known to have been recorded.
        keep_config: Whether the configuration stays as it is.
        announce: Told of the point when it was found good, before anything is put back.
    """

    path: Path
    accept_rollback: bool
    keep_config: bool
    announce: Callable[[Manifest], object]


class Restoring:
    """Restores into one state folder. Whoever calls has it, and the folder of points, alone.

    Args:
        state: The state folder.
        config: The configuration.
        around: Opens state.
        make_before: Makes a point of what stands, before a restore of the manifest's point.
        told: Told what is done, and how much, as it goes on.
        files: The operating system.
    """

    def __init__(
        self,
        state: Path,
        config: Path,
        around: Surroundings,
        make_before: Callable[[Manifest], Created],
        told: Callable[[str, int], object],
        files: FileOperations,
    ) -> None:
        self._state = state
        self._config = config
        self._around = around
        self._make_before = make_before
        self._told = told
        self._files = files
        self.swap = Swap(state, config, around, files)

    def run(self, wanted: Wanted) -> Restored:
        """Do all of it, or nothing."""
        try:
            return self._run(wanted)
        finally:
            if not self.swap.is_decided():
                self.swap.clear()

    def finish(self) -> str:
        """Do again what was decided; forget what was not.

        Returns:
            The point that was decided for; empty where none was.
        """
        if not self.swap.is_decided():
            self.swap.clear()
            return ""
        point = self.swap.journal().point
        self.swap.carry_out()
        self.swap.clear()
        return point

    def failure(self, error: OSError) -> RecoveryError:
        """Return what to raise where the operating system refused something."""
        where, why = error.filename or self._state, error.strerror or type(error).__name__
        if self.swap.is_decided():
            return Interrupted(where, f"{why}: it was decided, and is not done", _AGAIN)
        return NotRestored(where, f"{why}: nothing was restored", _MEND)

    def _run(self, wanted: Wanted) -> Restored:
        notes: list[str] = []
        manifest = self._staged(wanted)
        if not wanted.accept_rollback:
            rollback.check(Point.read(wanted.path, self._files), self._state, self._around)
        before = self._kept_before(manifest, wanted.announce, notes)
        configs = () if wanted.keep_config else self._configs(manifest)
        has_store = self.swap.keep_old(configs)
        has_log = (self._state / audited.FOLDER).is_dir()
        config = self._config if wanted.keep_config else self._staged_config
        with self._around.copy(config.read_bytes(), self.swap.new / STATE) as staged:
            if not has_store:
                staged.plain(HALTING).put("state", _halted())
                notes.append("it is halted: `hauberk resume` when you know that all is well")
            if has_log:
                self._carry_over(staged, notes)
            sessions = staged.end_sessions(f"restored from {manifest.id}")
        self.swap.decide(Journal(manifest.id, Goes.NEW, configs, has_store, has_log))
        self._carried_out(notes)
        return Restored(manifest, before, sessions, tuple(notes))

    @property
    def _staged_config(self) -> Path:
        return self.swap.new / CONFIG / self._config.name

    def _staged(self, wanted: Wanted) -> Manifest:
        """Lay ready what is to stand, and see that it opens."""
        self.swap.begin()
        config = self._config if wanted.keep_config else None
        opened = open_copy(
            wanted.path, self.swap.new, self._around, self._told, self._files, config
        )
        if (failed := opened.failed) is not None:
            raise DrillFailed(wanted.path, f"{failed.what}: {failed.found}", "use another point")
        if opened.manifest.config != self._config.name:
            named = self.swap.new / CONFIG / opened.manifest.config
            self._files.rename(named, self._staged_config)
        return opened.manifest

    def _configs(self, manifest: Manifest) -> tuple[str, ...]:
        """Return the files of the configuration, as they are named here."""
        prefix = f"{CONFIG}/"
        names = (one.name for one in manifest.files if one.name.startswith(prefix))
        bare = (name.removeprefix(prefix) for name in names)
        return tuple(self._config.name if name == manifest.config else name for name in bare)

    def _kept_before(
        self, manifest: Manifest, announce: Callable[[Manifest], object], notes: list[str]
    ) -> str:
        """Make a point of what stands, to go back to; lay its records ready.

        Raises:
            NotRestored: What stands there is another installation's.
        """
        target = make_folders(self.swap.old, f"{STATE}/{STORE}", self._files)
        try:
            with self._around.live() as opened:
                is_ours = key_in(opened) is not None
                is_empty = is_ours or not opened.store().back_up(target, lambda _: None)
            if not is_empty:
                raise NotRestored(
                    self._state,
                    "it holds records, and none of its own recovery points was ever made",
                    "if they may go, move the whole folder aside, then do this again",
                )
            if not is_ours:
                return ""
            announce(manifest)  # where there is something to record it in
            created = self._make_before(manifest)
        except (SealError, StoreError, PointNotMade) as error:
            notes.append(f"what stood before cannot be read, and is in no point: {error}")
            return ""
        store = created.folder / STATE / STORE
        if store.exists():
            copy(store, target, files=self._files)
        return created.manifest.id

    def _carry_over(self, staged: Opened, notes: list[str]) -> None:
        """Let go on what must not go back."""
        try:
            with self._around.live() as opened:
                for plugin in _CARRIED:
                    _make_equal(opened.sealed(plugin), staged.sealed(plugin))
        except (SealError, StoreError) as error:
            notes.append(
                f"the audit's keys cannot be read ({error}): if `hauberk audit verify` refuses its "
                "log, begin another"
            )

    def _carried_out(self, notes: list[str]) -> None:
        """Do what was decided, look at it; if either fails, go back."""
        try:
            self.swap.carry_out()
            self._look(notes)
        except (HauberkError, OSError) as error:
            why = str(error) if isinstance(error, HauberkError) else error.strerror
        else:
            if problem := self.swap.clear():
                notes.append(f"that it is done could not be forced to the disk: {problem}")
            return
        if not self.swap.journal().has_store:
            raise Interrupted(self._state, f"it was decided, and is not done ({why})", _AGAIN)
        self.swap.turn_back()
        self.swap.carry_out()
        self.swap.clear()
        what = f"what was restored does not stand ({why})"
        raise NotRestored(self._state, what, "all is as it was before")

    def _look(self, notes: list[str]) -> None:
        """Open all that stands."""
        with self._around.live() as opened:
            opened.count()
            for check in opened.checks():
                if check.status != FAIL:
                    continue
                if not check.what.startswith("audit"):
                    raise NotRestored(self._state, f"{check.what}: {check.found}", check.remedy)
                # Its log is the one that stood before: it was no better then.
                notes.append(f"{check.what}: {check.found}")


def _make_equal(source: Store, target: Store) -> None:
    """Have the same records in a store as in another."""
    wanted = {name: record.value for name, record in source.scan()}
    stands = {name: record.value for name, record in target.scan()}
    for name in stands.keys() - wanted.keys():
        target.delete(name)
    for name, value in wanted.items():
        if stands.get(name) != value:
            target.put(name, value)


def _halted() -> bytes:
    """Return what the kill switch keeps of a halt; what it could not read would halt it too."""
    return json.dumps({"level": "halted", "title": _HALT, "incident": "", "also": []}).encode()
