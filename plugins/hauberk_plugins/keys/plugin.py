"""The plugin `keys`: provides the port of that name from wherever references lead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NoReturn

from attrs import frozen

from hauberk.command import Command
from hauberk.context import Context
from hauberk.emergency import is_emergency
from hauberk.environment import VARIABLES
from hauberk.errors import MisuseError
from hauberk.hooks import Plugin, hookimpl
from hauberk.secret import Secret
from hauberk_plugins.keys.api_keys import APIKeyManager
from hauberk_plugins.keys.commands import COMMANDS
from hauberk_plugins.keys.dotenv import Dotenv


@frozen
class KeysConfig:
    """The section `keys` of `hauberk.yml`.

    Attributes:
        dotenv: A dotenv file, looked into for what the environment lacks; `null` for none.
            Relative to the folder of `hauberk.yml`.
    """

    dotenv: Path | None = Path(".env")


class KeysPlugin(Plugin):
    """Provides `keys`. With the grant `sealed`, references such as `vault:NAME` lead there.

    While everything is halted it gives out none, except to the emergency lane, which cancels.
    """

    interface = (1, 1)
    Config = KeysConfig
    provides: ClassVar[dict[str, str]] = {"keys": "manager"}

    def __init__(self, config: KeysConfig) -> None:
        self._dotenv = config.dotenv
        self.manager = APIKeyManager(_not_started, _not_started, VARIABLES)

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Learn where accounts, time and the folder of `hauberk.yml` are."""
        files = [] if self._dotenv is None else [Dotenv(context.folder / self._dotenv)]
        self.manager = APIKeyManager(
            lambda: context.accounts,
            context.clock.monotonic_ns,
            VARIABLES,
            files,
            lambda names: _opened(context, names),
            folder=context.folder,
            disabled=lambda: "" if is_emergency() else context.halted,
        )

    @hookimpl
    def on_commands(self) -> Sequence[Command]:
        """Contribute `keys check`."""
        return COMMANDS


def _opened(context: Context, names: Sequence[str]) -> dict[str, Secret] | None:
    if not context.has("sealed"):
        return None
    found = context.sealed.get_many(names)
    return {name: Secret(record.value) for name, record in found.items()}


def _not_started() -> NoReturn:
    raise MisuseError("the plugin 'keys' has not been started")
