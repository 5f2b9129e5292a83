"""The plugin `storage`: provides the ports `store` and `sealed`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, NoReturn

from attrs import Attribute, field, frozen, validators

from hauberk.command import WARN, Check, Command
from hauberk.context import Context
from hauberk.errors import CredentialsMissing, InvalidValue
from hauberk.hooks import Plugin, hookimpl
from hauberk.secret import Secret
from hauberk_plugins.storage.copying import Copying
from hauberk_plugins.storage.doctor import look
from hauberk_plugins.storage.errors import StoreMisused, VaultMissing
from hauberk_plugins.storage.marker import Marker
from hauberk_plugins.storage.secure_storage import SecureStorage
from hauberk_plugins.storage.sql import SqlStores
from hauberk_plugins.storage.sqlite import BUSY_S, FILE, SQLiteStores

#: Remembers, in the state folder, that records were in PostgreSQL.
MARKER: Final = "postgres.made"
_VARIABLE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*\Z")


def _reference(_: Any, __: Attribute[str], value: str) -> None:
    # Not repeated: it may hold a password.
    if value and not _VARIABLE.match(value):
        raise ValueError("must be env:NAME, a variable that holds the connection string")


@frozen
class StorageConfig:
    """The section `storage` of `hauberk.yml`.

    Attributes:
        backend: Where records are kept: `sqlite`, a file in the state folder, or `postgres`.
        url: For `postgres`, where its connection string is: `env:NAME`.
        busy_s: How long a call waits for others before it fails, seconds.
    """

    backend: Literal["sqlite", "postgres"] = "sqlite"
    url: str = field(default="", validator=_reference)
    busy_s: float = field(default=BUSY_S, validator=[validators.gt(0), validators.le(300)])

    def __attrs_post_init__(self) -> None:
        if (self.backend == "postgres") != bool(self.url):
            raise ValueError("`backend: postgres` and `url: env:NAME` go together")


class StoragePlugin(Plugin):
    """Provides `store` and, with the grant `vault`, `sealed`.

    Nothing is made or opened before something is read or written.
    """

    interface = (1, 1)
    Config = StorageConfig
    provides: ClassVar[dict[str, str]] = {"store": "stores", "sealed": "sealed"}

    def __init__(self, config: StorageConfig) -> None:
        self._config = config
        self.stores: SqlStores[Any] | _NoStores = _NoStores(
            "the plugin 'storage' has not been started", "start a guard"
        )
        self.sealed = SecureStorage(self.stores, _NoVault())

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Learn where records are kept and what seals them; touch neither."""
        self._context = context
        self._state = context.state_dir
        self.stores = _stores(self._config, self._state)
        self._clock = context.clock
        self._vault = _Granted(context) if "vault" in context.grants else _NoVault()
        self.sealed = SecureStorage(self.stores, self._vault, context.clock.wall_ns)

    def tell(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Tell the recorders what a command does."""
        self._context.emit(kind, fields)

    def stores_of(self, section: Mapping[str, Any]) -> SqlStores[Any] | _NoStores:
        """Return the stores that another section would name, to be closed.

        Raises:
            InvalidValue: It names none.
            CredentialsMissing: Its connection string is not there.
        """
        try:
            config = StorageConfig(**section, busy_s=self._config.busy_s)
        except ValueError as error:
            why = str(error)
        else:
            return _stores(config, self._state, is_target=True)
        raise InvalidValue(why)

    def copying(self, target: SqlStores[Any]) -> Copying:
        """Return what copies every record into other stores."""
        return Copying(self.stores, target, self._vault, target.where)

    @hookimpl
    def on_stop(self) -> None:
        """Close the store."""
        self.stores.close()

    @hookimpl
    def on_commands(self) -> Sequence[Command]:
        """Contribute `vault put`, `get`, `list`, `delete` and `rotate`, and `storage copy`."""
        # Late: it brings the command line, which a bot does not need.
        from hauberk_plugins.storage import commands, copy_command

        return (*commands.COMMANDS, *copy_command.COMMANDS)

    @hookimpl
    def on_doctor(self) -> Sequence[Check]:
        """Look at the store."""
        if isinstance(self.stores, _NoStores):
            return self.stores.checks()
        return tuple(look(self.stores, self.sealed.claim, self._clock.wall_ns()))


def _stores(
    config: StorageConfig, state: Path | None, *, is_target: bool = False
) -> SqlStores[Any] | _NoStores:
    """Return the stores that a section names.

    Args:
        config: The section.
        state: The state folder, if there is one.
        is_target: Whether they are to be copied into, and need not be where they once were.
    """
    if config.backend == "postgres":
        from hauberk_plugins.storage.postgres import PostgresStores

        marker = None if is_target or state is None else Marker(state / MARKER)
        return PostgresStores(_url(config.url), config.busy_s, marker)
    if state is None:
        return _NoStores("there is no state folder to keep them in", "set `state:` in hauberk.yml")
    return SQLiteStores(state / FILE, config.busy_s, is_target=is_target)


def _url(reference: str) -> Secret:
    name = reference.partition(":")[2]
    value = os.environ.get(name)
    if not value:
        raise CredentialsMissing(
            "storage", reference, ["the environment"], "put the connection string there"
        )
    return Secret(value.encode("utf-8", "surrogateescape"))


class _NoStores:
    """Stands where records cannot be kept; says why."""

    where = "nowhere"

    def __init__(self, why: str, remedy: str) -> None:
        self._why = why
        self._remedy = remedy

    def scoped(self, plugin: str) -> NoReturn:
        raise StoreMisused(f"the records of {plugin!r}", self._why, self._remedy)

    def namespaces(self) -> tuple[str, ...]:
        return ()

    def checks(self) -> list[Check]:
        return [Check("the store", WARN, self._why, self._remedy)]

    def close(self) -> None:
        pass


class _Granted:
    """The port `vault`, looked up when it is used: it may be replaced by a reload."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def seal(self, name: str, value: bytes, *, version: int = 0) -> bytes:
        try:
            return self._context.vault.seal(name, value, version=version)
        except BaseException:
            del value  # a traceback that shows locals shows those of this frame
            raise

    def open(self, name: str, sealed: bytes, *, version: int = 0) -> Secret:
        return self._context.vault.open(name, sealed, version=version)

    def is_current(self, sealed: bytes) -> bool:
        return self._context.vault.is_current(sealed)

    def has_key_of(self, sealed: bytes) -> bool | None:
        has_key_of = getattr(self._context.vault, "has_key_of", None)
        return None if has_key_of is None else has_key_of(sealed)


class _NoVault:
    """Stands where nothing seals."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise VaultMissing

    seal = open = is_current = _refuse
