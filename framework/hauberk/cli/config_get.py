"""`hauberk config get`."""

from __future__ import annotations

import sys
from typing import Any, Final

from hauberk.cli.answer import Answer, printable
from hauberk.cli.config_file import vault_of
from hauberk.cli.options import Options
from hauberk.config import read_config
from hauberk.sealed import sealed_in
from hauberk.secret import Secret
from hauberk.secureconfig import SecureConfig
from hauberk.yamlwrite import on_one_line

_HIDDEN: Final = "[sealed]"


def get(
    path: str,
    /,
    *,
    default: str | None = None,
    reveal: bool = False,
    options: Options = Options(),
) -> Answer:
    """Print a value as it stands in hauberk.yml.

    Not what a plugin takes where nothing stands: see `hauberk config schema`. Sealed
    values are opened, to see that they can be, and shown only with --reveal. Exits 1
    if nothing stands there.

    For example:
        hauberk config get throttle.jitter_ms
        hauberk config get accounts.main --json
        hauberk config get "accounts.'my.acct'.allow.0" --default read

    Args:
        path: Keys with dots between them; a number for an item of a list, from 0; quotes around
            a key with a dot in it.
        default: What to print where nothing stands there.
        reveal: Show what is sealed.
    """
    file = options.config
    missing = object()
    found = SecureConfig(file).find(path, missing)
    if found is missing:
        if default is None:
            sys.stderr.write(printable(f"hauberk: {file}: nothing stands at {path}\n"))
        document = {"path": path, "found": False, "value": default, "sealed": []}
        return Answer(document, default or "", ok=default is not None)
    sealed = [one.path for one in sealed_in(found)]
    if sealed:
        if reveal:
            from hauberk.cli.access import check_access

            check_access("config.read", file)
        with vault_of(read_config(file)) as vault:
            found = SecureConfig(file, vault).get(path)
        found = _shown(found, reveal)
    document = {"path": path, "found": True, "value": found, "sealed": sealed}
    return Answer(document, found if isinstance(found, str) else on_one_line(found))


def _shown(value: Any, reveal: bool) -> Any:
    if isinstance(value, Secret):
        return value.reveal_text() if reveal else _HIDDEN
    if isinstance(value, dict):
        return {key: _shown(item, reveal) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item, reveal) for item in value]
    return value
