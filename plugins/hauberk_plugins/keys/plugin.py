"""The plugin `keys`: provides the port of the same name from the environment and a dotenv file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from attrs import frozen

from hauberk.accounts import Account
from hauberk.context import Context
from hauberk.errors import MisuseError
from hauberk.hooks import Plugin, hookimpl
from hauberk_plugins.keys.api_keys import APIKeyManager
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
    """Provides `keys`."""

    interface = (1, 1)
    Config = KeysConfig
    provides: ClassVar[dict[str, str]] = {"keys": "manager"}

    def __init__(self, config: KeysConfig) -> None:
        self._dotenv = [] if config.dotenv is None else [Dotenv(config.dotenv)]
        self._context: Context | None = None
        self.manager = APIKeyManager(self._accounts, self._now_ns, os.environ, self._dotenv)

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Learn where accounts, time and the folder of `hauberk.yml` are."""
        for file in self._dotenv:
            file.stand_in(context.folder)
        self._context = context

    def _accounts(self) -> Mapping[str, Account]:
        return self._started().accounts

    def _now_ns(self) -> int:
        return self._started().clock.monotonic_ns()

    def _started(self) -> Context:
        if self._context is None:
            raise MisuseError("the plugin 'keys' has not been started")
        return self._context
