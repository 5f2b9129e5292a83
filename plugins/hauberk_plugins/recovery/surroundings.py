"""What recovery needs of the installation around it, and how it gets that from a configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol, cast

from hauberk.command import FAIL, OK, Check, Started, started
from hauberk.errors import HauberkError
from hauberk.files import write_private
from hauberk.ports import BackedUp, Store
from hauberk.secureconfig import SecureConfig
from hauberk_plugins.recovery.errors import PointNotMade

NAME: Final = "recovery"
#: What looks at its part of a state folder, in the order in which trouble is best told.
_LOOKED_AT: Final = ("encryption", "storage", "audit")
_COPY: Final = ".recovery-of-{}"
#: What a copy of a configuration must not do from where it is opened to be looked at: reach the
#: database that is in use, or tell witnesses of a log that is no longer the newest.
_UNSET: Final = ("storage", "audit.witnesses")


class Opened(Protocol):
    """State that was opened: a state folder, and what a configuration says of it."""

    def store(self) -> BackedUp:
        """Return what provides `store`.

        Raises:
            PointNotMade: It cannot be backed up, or there is none.
        """

    def plain(self, plugin: str) -> Store:
        """Return the unsealed records of a plugin."""

    def sealed(self, plugin: str) -> Store:
        """Return the sealed records of a plugin."""

    def count(self) -> int:
        """Open every sealed record; return how many there are.

        Raises:
            SealError, StoreError: One does not open.
        """

    def checks(self) -> Sequence[Check]:
        """Have each plugin that keeps state look at it."""

    def end_sessions(self, why: str) -> int:
        """End every session; return how many there were."""

    def checkpoint(self) -> str | None:
        """Have the audit vouch for all there is; return its checkpoint, if there is an audit."""

    def witnessed(self) -> Sequence[tuple[str, str]]:
        """Return where a checkpoint of the audit is held elsewhere, and the note of each."""


class Surroundings(Protocol):
    """Opens state."""

    def live(self) -> AbstractContextManager[Opened]:
        """Open the state that is in use."""

    def copy(self, config: bytes, state: Path) -> AbstractContextManager[Opened]:
        """Open a copy of state to look at it, as a configuration says, and touch nothing else.

        Args:
            config: The configuration's content.
            state: The folder that stands for the state folder; the store in it is a file.
        """


class ByConfiguration:
    """The surroundings that a configuration makes.

    Args:
        config: The file.
    """

    def __init__(self, config: Path) -> None:
        self._config = config

    @contextmanager
    def live(self) -> Iterator[Opened]:
        """Open the state that is in use."""
        with started(self._config, NAME, is_recorded=False) as running:
            yield _ByCommand(self._config, running, is_copy=False)

    @contextmanager
    def copy(self, config: bytes, state: Path) -> Iterator[Opened]:
        """Open a copy, through a copy of the configuration that stands beside it.

        There, since what it names relative to its folder is to be found.
        """
        path = self._config.absolute().parent / _COPY.format(self._config.name)
        write_private(path, config, shared=True)
        try:
            edited = SecureConfig(path)
            edited.set("state", str(state.absolute()))
            for name in _UNSET:
                edited.unset(name)
            with started(path, NAME, is_recorded=False) as running:
                yield _ByCommand(path, running, is_copy=True)
        finally:
            with suppress(OSError):
                path.unlink()


class _ByCommand:
    def __init__(self, config: Path, running: Started, *, is_copy: bool) -> None:
        self._config = config
        self._running = running
        self._is_copy = is_copy

    def store(self) -> BackedUp:
        provider = self._running.provider("store")
        if not hasattr(provider, "back_up"):
            what = "nothing provides `store`" if provider is None else "what provides `store`"
            raise PointNotMade(
                self._config, f"{what} cannot be backed up", "set `state:`, or use `storage`"
            )
        return cast(BackedUp, provider)

    def plain(self, plugin: str) -> Store:
        return cast(Store, self._running.provider("store").scoped(plugin))

    def sealed(self, plugin: str) -> Store:
        provider = self._running.provider("sealed")
        if provider is None:
            raise PointNotMade(
                self._config,
                "no key signs points, since nothing is sealed here",
                "list `encryption` and `storage` under `plugins:`, or name who provides `sealed`",
            )
        return cast(Store, provider.scoped(plugin))

    def count(self) -> int:
        provider = self._running.provider("sealed")
        names: Sequence[str] = provider.plugins() if hasattr(provider, "plugins") else ()
        return sum(1 for name in names for _ in provider.scoped(name).scan())

    def checks(self) -> Sequence[Check]:
        found: list[Check] = []
        for name in _LOOKED_AT:
            with self._plugin(name) as plugin:
                if plugin is not None:
                    found += plugin.on_doctor()
        if self._is_copy:
            found += self._opened_log()
        return found

    def _opened_log(self) -> Iterator[Check]:
        """Open the audit's log, as a bot would: its hashes must lead to its checkpoint."""
        with self._audit() as plugin:
            if plugin is None or not plugin.folder.is_dir():
                return
            try:
                size = plugin.opened().size
            except HauberkError as error:
                yield Check("audit log", FAIL, str(error), "use another point")
            else:
                yield Check("audit log", OK, f"{size} records, as its checkpoint says")

    def end_sessions(self, why: str) -> int:
        count = 0
        for name in self._running.granted("authenticate"):
            with self._plugin(name) as plugin:
                sessions = getattr(plugin, "sessions", None)
                count += 0 if sessions is None else sessions.end_all(why)
        return count

    def checkpoint(self) -> str | None:
        with self._audit() as plugin:
            signed = None if plugin is None else plugin.seal()
        return None if signed is None else str(signed.note)

    def witnessed(self) -> Sequence[tuple[str, str]]:
        held = []
        with self._audit() as plugin:
            for witness in () if plugin is None else plugin.witnesses.all:
                with suppress(HauberkError):
                    if (note := witness.held()) is not None:
                        held.append((str(witness.where), str(note)))
        return held

    def _audit(self) -> AbstractContextManager[Any]:
        return self._plugin("audit")

    @contextmanager
    def _plugin(self, name: str) -> Iterator[Any]:
        """Start a plugin, if the configuration has it."""
        part = self._running.guard.snapshot.part(name)
        if part is not None:
            yield part.plugin
            return
        if name not in self._running.granted("record") | self._running.granted("authenticate"):
            yield None
            return
        with started(self._config, name, is_recorded=False) as other:
            yield other.plugin
