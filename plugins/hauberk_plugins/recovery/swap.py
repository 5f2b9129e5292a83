"""Putting a staged state in the place of the one that is in use.

Everything new, and everything that is to be replaced, is first laid ready in the state folder. Then
the journal is written, in one step: from there on the outcome is decided. What follows may be done
any number of times, so whoever finds a journal does it again. A kill anywhere leaves the old state,
the new one, or what the next command ends; a bot does not start in the middle.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from attrs import asdict, evolve, frozen

from hauberk.files import FileOperations, make_private_folder, read_private, write_private
from hauberk_plugins.recovery import audited
from hauberk_plugins.recovery.disk import copy, make_folders, replace, sync_folder, walk
from hauberk_plugins.recovery.errors import Interrupted
from hauberk_plugins.recovery.making import CONFIG, RING, STATE, STORE, ring_of
from hauberk_plugins.recovery.manifest import is_safe
from hauberk_plugins.recovery.surroundings import Surroundings

#: In the state folder.
WORK: Final = "restoring"
_JOURNAL: Final = "journal.json"
#: Whose unsealed records hold a halt.
HALTING: Final = "killswitch"
#: Plugins whose unsealed records stay as they are: halts and incidents, delays of logins, messages
#: on their way, what was used of budgets and caps, and nonces, which only rise.
STAYING: Final = (HALTING, "auth", "monitor", "notify", "policy", "signing", "throttle")


class Goes(StrEnum):
    """Which of the two is to stand."""

    NEW = "new"
    OLD = "old"


@frozen
class Journal:
    """What is being done.

    Attributes:
        point: The point that is restored.
        goes: Which of the two is to stand when all is done.
        configs: The configuration files that are replaced, as they are named in a point.
        has_store: Whether the old state had a store that can be put back.
        has_log: Whether there was a log of the audit, which then stays.
    """

    point: str
    goes: Goes
    configs: tuple[str, ...]
    has_store: bool
    has_log: bool


class Swap:
    """The swap of one state folder.

    Args:
        state: The state folder.
        config: The configuration.
        around: Opens state.
        files: The operating system.
    """

    def __init__(
        self, state: Path, config: Path, around: Surroundings, files: FileOperations
    ) -> None:
        self._state = state
        self._config = config
        self._around = around
        self._files = files
        self.work = state / WORK

    @property
    def new(self) -> Path:
        """Where what is to stand is laid ready."""
        return self.work / Goes.NEW

    @property
    def old(self) -> Path:
        """Where what is to be replaced is kept until all is done."""
        return self.work / Goes.OLD

    def begin(self) -> None:
        """Make an empty place to lay things ready."""
        self.clear()
        for folder in (self.new, self.old):
            make_private_folder(folder, files=self._files)

    def clear(self) -> str:
        """Forget what was laid ready; only where no journal stands, or all is done.

        Returns:
            Why a power cut could bring the journal back; empty where it cannot.

        Raises:
            OSError: The journal cannot be removed.
        """
        problem = ""
        if self.is_decided():
            try:
                self._files.unlink(self.work / _JOURNAL)
                sync_folder(self.work, self._files)
            except OSError as error:
                if self.is_decided():
                    raise
                problem = error.strerror or type(error).__name__
        shutil.rmtree(self.work, ignore_errors=True)
        return problem

    def is_decided(self) -> bool:
        """Whether a restore was stopped after it was decided."""
        return self.was_stopped(self._state)

    @staticmethod
    def was_stopped(state: Path) -> bool:
        """The same of any state folder."""
        return os.path.lexists(state / WORK / _JOURNAL)

    def journal(self) -> Journal:
        """Read the journal.

        Raises:
            Interrupted: It cannot be read.
        """
        path = self.work / _JOURNAL
        try:
            plain: Any = json.loads(read_private(path, files=self._files))
            configs = tuple(plain["configs"])
            if not all(type(name) is str and is_safe(name) for name in configs):
                raise ValueError
            return Journal(
                str(plain["point"]), Goes(plain["goes"]), configs,
                plain["has_store"] is True, plain["has_log"] is True,
            )  # fmt: skip
        except (ValueError, KeyError, TypeError):
            pass
        raise Interrupted(path, "it is no journal of a restore", "see docs/how-to/recover.md")

    def keep_old(self, configs: Sequence[str]) -> bool:
        """Lay ready what is to be replaced; return whether its store is among it."""
        ring = ring_of(self._state, self._files)
        if ring is not None:
            path = make_folders(self.old, f"{STATE}/{RING}", self._files)
            write_private(path, ring, files=self._files)
        for name in configs:
            here = Path(os.path.realpath(self._place(name)))
            if here.exists():
                copy(
                    here, make_folders(self.old, f"{CONFIG}/{name}", self._files), files=self._files
                )
        return os.path.lexists(self.old / STATE / STORE)

    def decide(self, journal: Journal) -> None:
        """Write the journal: what it says is what is going to stand."""
        plain = json.dumps(asdict(journal)).encode()
        write_private(self.work / _JOURNAL, plain, files=self._files)

    def turn_back(self) -> None:
        """Decide for the old state after all."""
        self.decide(evolve(self.journal(), goes=Goes.OLD))

    def carry_out(self) -> None:
        """Do what the journal says; may be done again, whatever was done of it before."""
        journal = self.journal()
        source = self.work / journal.goes
        for name in journal.configs:
            self._put_configuration(name, source / CONFIG / name, journal.goes)
        self._put_ring(source / STATE / RING)
        store = source / STATE / STORE
        if journal.goes is Goes.NEW and not journal.has_log:
            self._put_log(source / STATE / audited.FOLDER)
        if store.exists():
            # By the configuration that stands now: it says where records are kept.
            with self._around.live() as opened:
                opened.store().put_back(store, STAYING)

    def _put_configuration(self, name: str, source: Path, goes: Goes) -> None:
        here = self._place(name)
        if goes is Goes.OLD and not source.exists():  # there was none
            here.unlink(missing_ok=True)
            return
        content = source.read_bytes()
        if not here.exists() or here.read_bytes() != content:
            replace(here, content, self._files)

    def _put_ring(self, source: Path) -> None:
        ring = ring_of(source.parent, self._files) if source.exists() else None
        if ring == ring_of(self._state, self._files):
            return
        if ring is None:
            (self._state / RING).unlink()
            sync_folder(self._state, self._files)
        else:
            write_private(self._state / RING, ring, files=self._files)

    def _put_log(self, source: Path) -> None:
        """Put the audit's log where there is none; one that is there is never replaced."""
        if not source.is_dir():
            return
        target = self._state / audited.FOLDER
        # One file after the other, so that it may be done again.
        names = [name for name, _ in walk(source) if not audited.NOT_COPIED.match(name)]
        make_private_folder(target, files=self._files)
        for name in names:
            if not os.path.lexists(target / name):
                self._files.rename(source / name, target / name)
        sync_folder(target, self._files)

    def _place(self, name: str) -> Path:
        return self._config.absolute().parent.joinpath(*name.split("/"))
