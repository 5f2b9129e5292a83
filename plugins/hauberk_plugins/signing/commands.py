"""The command `hauberk nonces reset`."""

# B008, D417: cyclopts reads defaults; options describe themselves.

from __future__ import annotations

from typing import Final

from hauberk.cli import Answer, Options
from hauberk.command import Command, started
from hauberk_plugins.signing.nonces import UNITS

_NAME: Final = "signing"


def reset(account: str, /, *, options: Options = Options()) -> Answer:  # noqa: B008, D417
    """Forget which nonces an account's key has used, where the record of them is damaged.

    The next one is the present time. Where the exchange has seen a higher one, it refuses
    requests until that time has come: a fresh API key is the way out then.

    For example:
        hauberk nonces reset main

    Args:
        account: The account of hauberk.yml.
    """
    with started(options.config, _NAME) as running:
        kind = running.plugin.forget_nonces(account)
    done = f"{account}: nonces begin at the present time"
    if kind not in UNITS:
        done = f"{account}: its venue takes no rising nonces, so none were kept"
    return Answer({"account": account, "kind": kind}, done)


COMMANDS: Final = (
    Command("nonces reset", reset, "vault.write", group="Rising numbers in requests."),
)
