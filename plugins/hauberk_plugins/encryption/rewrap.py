"""The command `hauberk vault rewrap`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

from hauberk.cli import Answer, Options
from hauberk.command import started
from hauberk.errors import InvalidValue
from hauberk.prompts import Prompts
from hauberk_plugins.encryption.sources import EncryptionConfig
from hauberk_plugins.encryption.wrapping import Given, WrappingKey


def rewrap(  # noqa: D417 - options describe themselves
    *,
    key: str = "",
    passphrase: str = "",
    command: str = "",
    options: Options = Options(),  # noqa: B008 - what cyclopts reads
) -> Answer:
    """Put the key ring under another wrapping key or passphrase.

    What is sealed stays as it is. Asks for a passphrase, or reads it from
    stdin, unless an option says where the other key is. Afterwards, change the
    section `encryption` of hauberk.yml as it says, and reload what runs.

    For example:
        hauberk vault rewrap
        hauberk vault rewrap --key file:/etc/hauberk/wrapping.key

    Args:
        key: Where the other key is: file:PATH or keyring:NAME.
        passphrase: Where the other passphrase is: env:NAME.
        command: A command that prints the other key; split into words, read by no shell.
    """
    config = _config(key, passphrase, command)
    with started(options.config, "encryption") as running:
        target = _asked() if config is None else running.plugin.source_of(config)
        ring = running.plugin.rewrap(target, options.require("vault.rotate"))
    section = {"passphrase": "prompt"} if config is None else config.section()
    document = {"ring": str(ring), "section": {"encryption": section}}
    return Answer(document, _told(str(ring), section))


def _config(key: str, passphrase: str, command: str) -> EncryptionConfig | None:
    if not (key or passphrase or command):
        return None
    return _valid(lambda: EncryptionConfig(key, passphrase, tuple(shlex.split(command))))


def _valid(make: Callable[[], EncryptionConfig]) -> EncryptionConfig:
    try:
        return make()
    except ValueError as error:
        why = str(error)
    raise InvalidValue(f"--key, --passphrase, --command: {why}")


def _asked() -> WrappingKey:
    chosen = Prompts().chosen("passphrase")
    return Given(chosen, is_passphrase=True, reference="the passphrase given")


def _told(ring: str, section: dict[str, Any]) -> str:
    line = f"encryption: {{{', '.join(f'{name}: {json.dumps(v)}' for name, v in section.items())}}}"
    lines = [
        f"{ring} is under another wrapping key. Put this into hauberk.yml:",
        "",
        f"  {line}",
        "",
    ]
    if section == {"passphrase": "prompt"}:
        lines.append(
            "or, for what runs by itself, `passphrase: env:NAME` with the same passphrase."
        )
    return "\n".join([*lines, "Then reload or restart what runs (kill -HUP PID)."])
