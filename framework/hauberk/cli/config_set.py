"""`hauberk config set`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from hauberk.cli.answer import Answer
from hauberk.cli.config_file import check, vault_of
from hauberk.cli.config_value import ask_secret, read_value
from hauberk.cli.failure import UsageError, unwritable
from hauberk.cli.options import Options
from hauberk.config import read_config
from hauberk.secureconfig import SecureConfig


def set_(
    path: str,
    value: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    sealed: bool = False,
    options: Options = Options(),
) -> Answer:
    """Set one value of hauberk.yml, and change nothing else in it.

    The whole file is checked as it would be; if anything is wrong with it, nothing
    is written. A guard that runs takes the value over when it reloads.

    For example:
        hauberk config set throttle.jitter_ms 500
        hauberk config set accounts.main.allow '[read, trade]'
        hauberk config set alerts.token --sealed

    Args:
        path: Keys with dots between them; a number for an item of a list, from 0; quotes around
            a key with a dot in it. What is missing above it is added.
        value: As in YAML: 500 is a number, '"500"' is text.
        sealed: Ask for the value, or read it from stdin, and write it sealed.
    """
    config, name = options.config, str(options.config)
    try:
        if sealed:
            if value is not None:  # not repeated: it is a secret, in the wrong place
                raise UsageError("what is to be sealed is no argument: leave it out, and be asked")
            SecureConfig(config, check=check).rehearse(path)
            secret = ask_secret(path)
            with vault_of(read_config(config)) as vault:
                line = SecureConfig(config, vault, check=check).set(path, secret, sealed=True)
        elif value is None:
            raise UsageError("give a VALUE, or --sealed to be asked for one")
        else:
            line = SecureConfig(config, check=check).set(path, read_value(value))
    except OSError as error:
        raise unwritable(error, "nothing was written") from None
    document = {"config": name, "path": path, "line": line, "sealed": sealed}
    return Answer(document, f"{name}:{line}: {path} is {'sealed' if sealed else 'set'}.")
