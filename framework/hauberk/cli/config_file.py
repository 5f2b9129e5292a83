"""What the commands that look at and edit hauberk.yml share: its vault, and its checks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

from attrs import evolve

from hauberk.builtins import DEFAULT_PORTS
from hauberk.cli.answer import printable
from hauberk.cli.failure import UsageError
from hauberk.config import Config, parse_config
from hauberk.discovery import discover
from hauberk.errors import ConfigError
from hauberk.ownloop import brief_guard
from hauberk.ports import Scoped, Vault
from hauberk.registry import FIRST
from hauberk.sealed import NAMESPACE

PORT: Final = "vault"


def check(content: bytes, file: str) -> None:
    """Check what is to stand in hauberk.yml as a whole, as whoever opens it would.

    Raises:
        ConfigError: Lists every problem.
        StartFailed: A required plugin cannot be loaded.
    """
    try:
        discover(parse_config(content, file))
    except ConfigError:
        # Whose lines are those of a file that nobody will see.
        sys.stderr.write(printable(f"hauberk: {file} stays as it is; with this change:\n"))
        raise


@contextmanager
def vault_of(config: Config) -> Iterator[Vault]:
    """Start what seals and opens the values of a configuration, and nothing that it does not need.

    So it can be had while something else in the file is wrong.

    Raises:
        UsageError: No plugin provides `vault`.
        ConfigError: The plugin that does cannot use its section.
        StartFailed: It did not start.
    """
    name = config.providers.get(PORT, DEFAULT_PORTS.get(PORT))
    if name is None:
        raise UsageError(
            f"{config.document.file}: no plugin seals values: name one that does, "
            f"`ports: {{{PORT}: PLUGIN}}`"
        )
    plan = discover(_alone(config, name))
    listed = [planned.name for planned in plan.planned if planned.name != FIRST]
    with brief_guard(evolve(plan, order=(FIRST, *listed))) as guard:
        provider = cast(Scoped, guard.kernel.crew.view.provider(PORT))
        yield cast(Vault, provider.scoped(NAMESPACE))


def _alone(config: Config, name: str) -> Config:
    """Leave nothing of a configuration but the provider of `vault` and those of its own ports."""
    ports, waiting = {PORT: name}, [name]
    while waiting:
        for port in config.granted(waiting.pop()) & (config.ports.keys() - ports.keys()):
            ports[port] = config.ports[port]
            waiting.append(ports[port])
    # No list of plugins: nothing is to be said about their order, which is not looked at here.
    document = evolve(config.document, data={**config.document.data, "plugins": None})
    return evolve(config, plugins=(), required=(), ports=ports, problems=(), document=document)
