"""`hauberk config unset`."""

from __future__ import annotations

import sys

from hauberk.cli.answer import Answer, printable
from hauberk.cli.config_file import check
from hauberk.cli.failure import unwritable
from hauberk.cli.options import Options
from hauberk.secureconfig import SecureConfig


def unset(path: str, /, *, options: Options = Options()) -> Answer:
    """Remove a key with its value from hauberk.yml, or an item of a list.

    The whole file is checked as it would be; if anything is wrong with it, nothing
    is written. Exits 1 if nothing stands there.

    For example:
        hauberk config unset throttle.jitter_ms
        hauberk config unset plugins.2

    Args:
        path: Keys with dots between them; a number for an item of a list, from 0; quotes around
            a key with a dot in it.
    """
    config = options.config
    try:
        line = SecureConfig(config, check=check).unset(path)
    except OSError as error:
        raise unwritable(error, "nothing was written") from None
    document = {"config": str(config), "path": path, "line": line}
    if line is None:
        sys.stderr.write(printable(f"hauberk: {config}: nothing stands at {path}\n"))
        return Answer(document, ok=False)
    return Answer(document, f"{config}:{line}: {path} is removed.")
