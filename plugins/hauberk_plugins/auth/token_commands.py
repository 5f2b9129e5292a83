"""The commands `token …`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hauberk.cli import Answer, Options
from hauberk.command import Command, started, stored_token
from hauberk.secret import Secret
from hauberk_plugins.auth.access import NAME
from hauberk_plugins.auth.entry import Entry
from hauberk_plugins.auth.session_commands import moment
from hauberk_plugins.auth.token_record import BotToken

_DEFAULTS: Final = Options()
_ONCE: Final = "This is the only time that the token is shown: give it to the bot now.\n"


def create(  # noqa: D417 - what every command takes describes itself
    name: str,
    /,
    *,
    account: list[str],
    allow: list[str],
    days: int,
    options: Options = _DEFAULTS,
) -> Answer:
    """Make a token for a bot, and print it, this once.

    For example:
        hauberk token create maker --account main --allow read --allow trade --days 90

    Args:
        name: For people; a-z, 0-9 and _.- within.
        account: An account of hauberk.yml that it is for; may be given more than once.
        allow: What it allows: read, trade, cancel, transfer, withdraw, incident.report or halt;
            may be given more than once.
        days: How long it lasts, at most 400.
    """
    return _made(
        options.config,
        name,
        lambda entry, by: entry.tokens.create(name, account, allow, days, by),
    )


def rotate(  # noqa: D417
    name: str, /, *, overlap_hours: int = 24, options: Options = _DEFAULTS
) -> Answer:
    """Make another token in place of one, for the same, and print it, this once.

    It lasts as many days as the first, from now. The old one stays valid for a
    while, so that the bot can be given the other without stopping.

    For example:
        hauberk token rotate maker --overlap-hours 2

    Args:
        name: The token's.
        overlap_hours: How long the old one stays valid, 0 to 720.
    """
    return _made(
        options.config, name, lambda entry, by: entry.tokens.rotate(name, overlap_hours, by)
    )


def list_tokens(*, options: Options = _DEFAULTS) -> Answer:
    """List the bot tokens: what each is for, and until when. Shows none.

    For example:
        hauberk token list --json
    """
    with started(options.config, NAME) as auth:
        tokens = auth.plugin.entry.tokens
        found = [_shown(token, tokens.is_over(token)) for token in tokens.list()]
    lines = [
        f"{one['name']}  {', '.join(one['accounts'])}: {', '.join(one['allow'])}  "
        f"{'ended' if one['ended'] else 'until'} {one['expires']}"
        for one in found
    ]
    return Answer({"tokens": found}, "\n".join(lines) or "There are no bot tokens.")


def revoke(  # noqa: D417
    name: str, /, *, options: Options = _DEFAULTS
) -> Answer:
    """End a bot token, and the one before its rotation.

    A gateway that runs knows it within a second.

    For example:
        hauberk token revoke maker

    Args:
        name: The token's.
    """
    with started(options.config, NAME) as auth:
        entry: Entry = auth.plugin.entry
        entry.tokens.revoke(name, entry.access.who_types(stored_token(options.config)).user)
    return Answer({"name": name, "revoked": True}, f"{name} is revoked")


def _made(config: Path, name: str, make: Callable[[Entry, str], Secret]) -> Answer:
    with started(config, NAME) as auth:
        entry: Entry = auth.plugin.entry
        token = make(entry, entry.access.who_types(stored_token(config)).user)
        made = next(one for one in entry.tokens.list() if one.name == name)
    sys.stderr.write(_ONCE)
    text = token.reveal_text()
    return Answer({**_shown(made, is_over=False), "token": text}, text)


def _shown(token: BotToken, is_over: bool) -> dict[str, Any]:
    """What may be shown of a token, whenever."""
    return {
        "name": token.name,
        "accounts": list(token.accounts),
        "allow": list(token.allow),
        "created": moment(token.created_ns),
        "expires": moment(token.expires_ns),
        "ended": is_over,
        "old_until": moment(token.old_until_ns) if token.old_until_ns else None,
        "by": token.by,
    }


COMMANDS: Final = (
    Command("token create", create, "token.write", "Give bots tokens, and take them back."),
    Command("token rotate", rotate, "token.write"),
    Command("token list", list_tokens, "token.read"),
    Command("token revoke", revoke, "token.write"),
)
