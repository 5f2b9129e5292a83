"""From the section `encryption` of `hauberk.yml` to the place that it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import Attribute, field, frozen

from hauberk.secret import Secret
from hauberk_plugins.encryption.keycommand import KeyCommand
from hauberk_plugins.encryption.oskeyring import KeyringEntry
from hauberk_plugins.encryption.wrapping import KeyFile, Passphrase, Unnamed, WrappingKey

_KEY: Final = re.compile(r"(?:file|keyring):[^\0]+\Z")
_PASSPHRASE: Final = re.compile(r"(?:env:[A-Za-z_][A-Za-z0-9_]*|prompt)\Z")
WAYS: Final = "key: file:PATH, key: keyring:NAME, passphrase: env:NAME or command: [WORD, ...]"


def _reference(pattern: re.Pattern[str], told: str) -> Callable[[Any, Attribute[str], str], None]:
    def check(_: Any, __: Attribute[str], value: str) -> None:
        # Not repeated: it may be the secret itself, put where its reference belongs.
        if value and not pattern.match(value):
            raise ValueError(f"must be {told}, which says where it is; not the secret itself")

    return check


@frozen
class EncryptionConfig:
    """The section `encryption` of `hauberk.yml`: where the wrapping key is. One key, no more.

    With none, nothing can be sealed or opened, which whoever tries is told.

    Attributes:
        key: A key of 32 bytes in base64: `file:PATH`, relative to the folder of `hauberk.yml`
            and not inside the state folder; or `keyring:NAME`, in the operating system's keyring.
        passphrase: A passphrase instead: `env:NAME`, or `prompt` to be asked on a terminal.
        command: A command instead that prints such a key, with its arguments; no shell reads it.
    """

    key: str = field(default="", validator=_reference(_KEY, "file:PATH or keyring:NAME"))
    passphrase: str = field(default="", validator=_reference(_PASSPHRASE, "env:NAME or prompt"))
    command: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        given = [bool(self.key), bool(self.passphrase), bool(self.command)].count(True)
        if given > 1:
            raise ValueError(f"more than one says where the wrapping key is; give one of: {WAYS}")

    def section(self) -> dict[str, Any]:
        """Return the section as it stands in `hauberk.yml`."""
        if self.command:
            return {"command": list(self.command)}
        return {"key": self.key} if self.key else {"passphrase": self.passphrase}


def source_of(
    config: EncryptionConfig,
    *,
    folder: Path,
    state: Path | None,
    environ: Mapping[str, str],
    ask: Callable[[], Secret | None],
    withheld: Callable[[], Collection[str]] = tuple,
) -> WrappingKey:
    """Return the place that a section names, if it does; nothing is fetched from it yet.

    Args:
        config: The section.
        folder: That of `hauberk.yml`.
        state: The state folder, if there is one.
        environ: The environment.
        ask: Asks for a passphrase on a terminal; returns `None` where there is none.
        withheld: Gives the variables that a command does not get.

    Raises:
        InvalidValue: The command is none.
    """
    if config.command:
        return KeyCommand(config.command, environ=environ, withheld=withheld)
    if config.passphrase:
        return Passphrase(config.passphrase, environ, ask)
    if not config.key:
        return Unnamed(WAYS)
    kind, _, name = config.key.partition(":")
    if kind == "keyring":
        return KeyringEntry(name)
    return KeyFile(folder / Path(name).expanduser(), state)
