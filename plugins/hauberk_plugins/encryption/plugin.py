"""The plugin `encryption`: provides the port `vault`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NoReturn

from hauberk.command import Check, Command
from hauberk.context import Context
from hauberk.environment import VARIABLES
from hauberk.errors import MisuseError
from hauberk.hooks import Plugin, hookimpl
from hauberk.prompts import Prompts
from hauberk.secret import Secret
from hauberk_plugins.encryption.data_encryption import DataEncryption
from hauberk_plugins.encryption.doctor import look
from hauberk_plugins.encryption.ring import KeyRing
from hauberk_plugins.encryption.sources import EncryptionConfig, source_of
from hauberk_plugins.encryption.wrapping import WrappingKey


class EncryptionPlugin(Plugin):
    """Provides `vault`. The key ring is unlocked, or made, when something first needs it."""

    interface = (1, 1)
    Config = EncryptionConfig
    provides: ClassVar[dict[str, str]] = {"vault": "encryption"}

    def __init__(self, config: EncryptionConfig) -> None:
        self._config = config
        self._ring: KeyRing | None = None
        self.encryption = DataEncryption(_NoRing("the plugin 'encryption' has not been started"))

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Learn where the key ring and the wrapping key are; touch neither."""
        self._context = context
        self._folder, self._state = context.folder, context.state_dir
        source = self.source_of(self._config)
        if self._state is None:
            self.encryption = DataEncryption(_NoRing("there is no state folder to keep keys in"))
            return
        before = context.predecessor
        if isinstance(before, EncryptionPlugin) and before._ring and before._state == self._state:
            # Shared: whoever keeps a view of the one before goes on under the key named here.
            self._ring, self.encryption = before._ring, before.encryption
            self._ring.source = source
            return
        self._ring = KeyRing(self._state, source, wall_ns=context.clock.wall_ns)
        self.encryption = DataEncryption(self._ring)

    @hookimpl
    def on_commands(self) -> Sequence[Command]:
        """Contribute `vault rewrap`."""
        # Late: it brings the command line, which a bot does not need.
        from hauberk_plugins.encryption.rewrap import rewrap

        return (Command("vault rewrap", rewrap, "vault.rotate"),)

    @hookimpl
    def on_doctor(self) -> Sequence[Check]:
        """Look at the key ring and its wrapping key."""
        if self._ring is None:
            return ()
        return tuple(look(self._ring, self._context.clock.wall_ns))

    def source_of(self, config: EncryptionConfig) -> WrappingKey:
        """Return the place that a section names, as seen from here."""
        return source_of(
            config,
            folder=self._folder,
            state=self._state,
            environ=VARIABLES,
            ask=_ask,
            withheld=self._withheld,
        )

    def rewrap(self, source: WrappingKey, who: str) -> Path:
        """Put the ring under another wrapping key, as somebody wants; return the ring's file."""
        if self._ring is None:
            raise MisuseError("there is no state folder to keep keys in")
        self._context.emit("rewrapped", {"to": source.reference, "by": who})
        self._ring.rewrap(source)
        return self._ring.path

    def _withheld(self) -> set[str]:
        """Return the variables that hold a secret, as far as is known here."""
        references = [self._config.passphrase]
        for account in self._context.accounts.values():
            references += (account.key, account.secret, account.passphrase)
        return {one.removeprefix("env:") for one in references if one.startswith("env:")}


def _ask() -> Secret | None:
    """Ask for the passphrase on the terminal; `None` where there is none."""
    prompts = Prompts()
    return prompts.secret_once("passphrase of the key ring") if prompts.is_terminal else None


class _NoRing:
    """Stands where there is no key ring; says why."""

    path = "no key ring"

    def __init__(self, why: str) -> None:
        self._why = why

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise MisuseError(self._why)

    sealing = opening = has = rotate = retire = rewrap = _refuse
