"""The command `user recover`: the way back for an admin who can no longer log in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hauberk.cli import Answer, Options
from hauberk.command import Command, started
from hauberk.prompts import Prompts
from hauberk_plugins.auth.access import NAME
from hauberk_plugins.auth.errors import AuthError

if TYPE_CHECKING:
    from hauberk_plugins.auth.plugin import AuthPlugin

_DEFAULTS: Final = Options()
_WARNING: Final = """\
Whoever knows the password that you choose is an admin from here on. The second factor and the known
devices of {name} are forgotten, and everybody's session ends."""


def recover(  # noqa: D417 - what every command takes describes itself
    name: str, /, *, yes: bool = False, options: Options = _DEFAULTS
) -> Answer:
    """Give an admin who cannot log in any more another password, as the owner of the state folder.

    For when password or phone and recovery codes of the only admin are lost. Needs no login, and
    works for nobody but the user of the machine whom the state folder belongs to. The
    second factor is taken away, and every session there is ends, everybody's. The recorders hear
    of it.

    For example:
        hauberk user recover alice

    Args:
        name: The admin's name.
        yes: Do it although nobody sits at a terminal to be asked.
    """
    prompts = Prompts()
    with started(options.config, NAME) as running:
        plugin: AuthPlugin = running.plugin
        owner = plugin.access.owner()
        user = plugin.auth.recoverable(name)
        if not yes:
            prompts.show(_WARNING.format(name=user.name))
            typed = prompts.name(f"the name {user.name} again", "say that you mean it: --yes")
            if typed != user.name:
                raise AuthError("that is another name: nothing was changed")
        ended = plugin.recover(user.name, prompts.chosen("password"), owner)
    count = f"{ended} session{'' if ended == 1 else 's'} ended"
    told = f"{user.name} has that password, and no second factor; {count}"
    return Answer({"user": user.name, "by": owner, "sessions_ended": ended}, told)


#: It asks by itself, and nobody's session or role counts.
COMMANDS: Final = (Command("user recover", recover),)
