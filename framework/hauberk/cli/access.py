"""Whether whoever types a command may: asked before it runs.

What provides the port `access` decides; where nothing does, the owner of the state folder may and
nobody else. It is a seat belt: whoever owns the files can use them without this program.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from hauberk.builtins import DEFAULT_PORTS
from hauberk.command import owner_of, started, stored_token
from hauberk.config import Config, read_config
from hauberk.errors import ConfigError, Denied, HauberkError
from hauberk.secret import Secret

_PORT: Final = "access"
_MEND: Final = "config.write"


def check_access(capability: str, config: Path, *, fresh_s: float = 0) -> str:
    """Return the name of who types, if they may.

    Args:
        capability: What is needed, for example `vault.write`.
        config: The configuration.
        fresh_s: How long ago they may have logged in, seconds; 0 for any time.

    Raises:
        Denied: They may not; says what to do.
        ConfigError: The configuration cannot be used, so nobody can tell.
        StartFailed: What decides did not start.
        UnsafeFile: The stored token may not be used as it is.
    """
    found = read_config(config)
    provider = _provider(found)
    if provider is None:
        return _owner(found, config)
    with ExitStack() as running:
        try:
            one = running.enter_context(started(config, provider, is_recorded=False))
        except ConfigError:
            # Nobody can be asked; and whoever owns the file could mend it with any editor.
            if capability != _MEND:
                raise
            return _owner(found, config)
        token = stored_token(config)
        fresh = {"fresh_s": fresh_s} if fresh_s else {}  # not every provider knows of it
        return _asked(provider, one.plugin, capability, token, fresh)


def _provider(config: Config) -> str | None:
    """The plugin that decides: as `ports:` says, else the built-in if it is listed."""
    named = config.providers.get(_PORT)
    default = DEFAULT_PORTS.get(_PORT)
    return default if named is None and default in config.plugins else named


def _asked(
    provider: str, plugin: Any, capability: str, token: Secret | None, fresh: Mapping[str, float]
) -> str:
    """Ask about the session, and where that may not, about whoever runs this process."""
    try:
        return _answered(provider, plugin, capability, token, fresh)
    except Denied as denied:
        if token is not None:
            with suppress(Denied):
                return _answered(provider, plugin, capability, None, fresh)
        raise denied from None


def _answered(
    provider: str, plugin: Any, capability: str, token: Secret | None, fresh: Mapping[str, float]
) -> str:
    """Ask; whatever is no answer is a refusal."""
    try:
        gate = getattr(plugin, plugin.provides[_PORT])
        who = gate.check(capability, token, **fresh)
    except (HauberkError, KeyboardInterrupt):
        raise
    except BaseException as error:
        # Its text alone may hold the token.
        why = f"it could not say who may: it raised {type(error).__name__}"
        raise Denied(provider, why) from None
    if type(who) is not str or not who:
        raise Denied(provider, f"it did not say who may: {type(who).__name__} is no name")
    return who


def _owner(config: Config, file: Path) -> str:
    state = config.settings.state_dir
    owned = file if state is None or not state.exists() else state
    owner = owner_of(owned)
    if owner is None:
        raise Denied(
            "kernel",
            f"only the owner of {owned} may, since no plugin says who else: run it as that user "
            "of the machine",
        )
    return owner
