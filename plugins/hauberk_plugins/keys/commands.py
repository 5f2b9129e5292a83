"""The command `hauberk keys check`."""

# B008, D417: cyclopts reads defaults; options describe themselves.

from __future__ import annotations

from typing import Final

from attrs import asdict

from hauberk.cli import Answer, Options
from hauberk.command import Command, whole
from hauberk.errors import ConfigError, ConfigProblem, InvalidValue
from hauberk_plugins.keys.check import KeyCheck, check_key

_GOOD: Final = ("works", "disabled")


def check(account: str = "", /, *, options: Options = Options()) -> Answer:  # noqa: B008, D417
    """Ask each exchange whether the account's key works, by a request that changes nothing.

    Kill switch, policy and throttle are asked first, as for a bot. The exit status is 1 where
    a key does not work, or nobody can tell.

    For example:
        hauberk keys check
        hauberk keys check main --json

    Args:
        account: Only this account of hauberk.yml; all of them unless given.
    """
    with whole(options.config) as running:
        accounts = running.guard.kernel.settings.accounts
        if account and account not in accounts:
            known = ", ".join(accounts) or "none"
            raise InvalidValue(f"{options.config} has no account of that name: it has {known}")
        transport, venues = running.provider("transport"), running.provider("venues")
        if transport is None:
            why = "nothing provides `transport`, the way out: name it, `transport: transport`"
            raise ConfigError([ConfigProblem(str(options.config), 0, "ports", why)])
        found = [
            check_key(running.guard, transport, venues.venue(one.venue), name, one)
            for name, one in accounts.items()
            if account in ("", name)
        ]
    is_good = all(one.state in _GOOD for one in found)
    document = {"accounts": [asdict(one) for one in found], "works": is_good}
    return Answer(document, "\n".join(map(_line, found)), ok=is_good)


def _line(one: KeyCheck) -> str:
    return f"{one.account} ({one.venue}): {one.state}: {one.found}"


COMMANDS: Final = (Command("keys check", check, group="See whether the keys of accounts work."),)
