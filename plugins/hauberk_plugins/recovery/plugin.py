"""The plugin `recovery`: recovery points, and going back to one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Final

from attrs import field, frozen, validators

import hauberk
from hauberk.command import OK, WARN, Check, Command
from hauberk.context import Context
from hauberk.errors import ConfigError, HauberkError
from hauberk.files import REAL
from hauberk.hooks import Plugin, hookimpl
from hauberk.keypath import KeyPath
from hauberk.written import Written
from hauberk_plugins.recovery.identity import key_kept
from hauberk_plugins.recovery.incident_recovery import IncidentRecovery
from hauberk_plugins.recovery.lock import InUse
from hauberk_plugins.recovery.manifest import LeftOut
from hauberk_plugins.recovery.ours import look
from hauberk_plugins.recovery.surroundings import ByConfiguration
from hauberk_plugins.recovery.swap import Swap

FOLDER: Final = "hauberk-recovery"
#: Files in which secrets stand in clear: never taken, whoever names them.
_SECRET: Final = (".env", ".env.*", "*.key", "*.pem", "*.p12", "*.pfx")
_ELSEWHERE: Final = "a point holds no secret in clear: keep a copy of your own"


@frozen
class RecoveryConfig:
    """The section `recovery` of `hauberk.yml`.

    Attributes:
        folder: Where recovery points are kept, best on another disk; relative to the folder of
            `hauberk.yml`.
        keep: How many are kept, the newest; 0 for all.
        include: Further files that belong to the configuration, such as venue files: paths or
            patterns, relative to the folder of `hauberk.yml`.
        log: Whether the audit's log is taken too, and not only its checkpoint.
    """

    folder: Path = Path(FOLDER)
    keep: int = field(default=10, validator=[validators.ge(0), validators.le(10_000)])
    include: tuple[str, ...] = ()
    log: bool = True


class RecoveryPlugin(Plugin):
    """Makes recovery points and goes back to them. Needs the grants `store` and `sealed`.

    While a bot runs it holds a lock on its state folder, so that nothing is restored under it.
    """

    interface = (1, 1)
    Config = RecoveryConfig

    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        """Say which files cannot be included."""
        included = written.section.get("include")
        for index, name in enumerate(included if isinstance(included, list) else ()):
            if not isinstance(name, str):
                continue
            path = PurePosixPath(name)
            if not name or path.is_absolute() or ".." in path.parts:
                yield (written.name, "include", index), "must be within the folder of hauberk.yml"
            elif _is_secret(path):
                yield (written.name, "include", index), f"is not included: {_ELSEWHERE}"

    def __init__(self, config: RecoveryConfig) -> None:
        self._config = config
        self._in_use: InUse | None = None

    @hookimpl
    def on_start(self, context: Context) -> None:
        """See that no restore is under way, and keep one from beginning.

        Raises:
            ConfigError: One is, or was stopped in the middle; the guard does not open.
        """
        self._context = context
        state = context.state_dir
        if state is None or not context.is_resident:
            return
        problem = ""
        try:
            self._in_use = InUse(state)
        except BlockingIOError:
            problem = "a restore is under way: wait for its end"
        except OSError as error:
            problem = f"the state folder cannot be locked: {error.strerror}"
        if not problem and Swap.was_stopped(state):
            problem = "a restore was stopped in the middle: hauberk recovery restore --finish"
        if problem:
            self.on_stop()
            raise ConfigError([context.problem((), problem)])

    @hookimpl
    def on_stop(self) -> None:
        """Let the state folder go."""
        if self._in_use is not None:
            self._in_use.end()
            self._in_use = None

    @hookimpl
    def on_commands(self) -> Sequence[Command]:
        """Contribute `recovery create`, `list`, `verify`, `restore` and `drill`."""
        # Late: it brings the command line, which a bot does not need.
        from hauberk_plugins.recovery.commands import COMMANDS

        return COMMANDS

    @hookimpl
    def on_doctor(self) -> Sequence[Check]:
        """Say how old the newest point is, and what of it cannot be lost with the state."""
        folder = self.recovery(Path("hauberk.yml")).folder
        key = None
        with suppress(HauberkError):  # the store's own check says what is wrong with it
            key = key_kept(self._context.sealed)
        found = look(folder, key, REAL)
        checks = [
            Check("recovery point", WARN, f"{one.folder}: {one.problem}", "move it elsewhere")
            for one in found.broken
        ]
        if not found.ours:
            none = Check("recovery points", WARN, f"none in {folder}", "hauberk recovery create")
            return (none, *checks)
        said = f"{len(found.ours)} in {folder}, the newest of {found.ours[-1].manifest.made}"
        checks.insert(0, Check("recovery points", OK, said))
        state = self._context.state_dir
        if state is not None and state.exists() and folder.stat().st_dev == state.stat().st_dev:
            where = "they are on the disk that the state is on, and are lost with it"
            remedy = "name a folder on another in `recovery.folder`, or copy them"
            checks.append(Check("recovery folder", WARN, where, remedy))
        return checks

    def tell(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Have the recorders hear of something."""
        self._context.emit(kind, fields)

    @property
    def folder(self) -> Path:
        """Where points are kept."""
        return self._context.folder / self._config.folder

    def recovery(
        self, config: Path, told: Callable[[str, int], object] = lambda _, __: None
    ) -> IncidentRecovery:
        """Return what makes points and goes back to them.

        Args:
            config: The configuration.
            told: As `IncidentRecovery`.

        Raises:
            ConfigError: There is no state folder, or points would be kept in it.
        """
        state = self._context.state_dir
        if state is None:
            raise ConfigError([self._context.problem((), "there is no state folder: set `state:`")])
        if self.folder.absolute().is_relative_to(state.absolute()):
            problem = "points are not kept in the state folder: they would be lost with it"
            raise ConfigError([self._context.problem(("folder",), problem)])
        included, left_out = self._included()
        return IncidentRecovery(
            self.folder,
            config,
            state,
            ByConfiguration(config),
            keep=self._config.keep,
            include=included,
            has_log=self._config.log,
            left_out=[*left_out, *self._references()],
            version=hauberk.__version__,
            told=told,
            wall_ns=self._context.clock.wall_ns,
        )

    def _included(self) -> tuple[list[str], list[LeftOut]]:
        root = self._context.folder
        included, left_out = [], []
        for pattern in self._config.include:
            for path in sorted(root.glob(pattern)):
                name = path.relative_to(root).as_posix()
                if _is_secret(PurePosixPath(name)):
                    left_out.append(LeftOut(name, _ELSEWHERE))
                elif path.is_file():
                    included.append(name)
        return sorted(set(included)), left_out

    def _references(self) -> Iterator[LeftOut]:
        """Say what accounts refer to outside of the vault, and what unwraps the key ring."""
        yield LeftOut("the wrapping key of the key ring", "without it nothing sealed opens")
        if (self._context.folder / ".env").exists():
            yield LeftOut(".env", _ELSEWHERE)
        for name, account in sorted(self._context.accounts.items()):
            for reference in (account.key, account.secret, account.passphrase):
                if reference and not reference.startswith("vault:"):
                    yield LeftOut(reference, f"a secret of account {name} that is not in the vault")


def _is_secret(path: PurePosixPath) -> bool:
    return any(path.match(pattern) for pattern in _SECRET)
