"""The commands `user …` and `login`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final

import hauberk
from hauberk.cli import Answer, Options
from hauberk.command import Command, session_path, started
from hauberk.environment import VARIABLES
from hauberk.prompts import Prompts
from hauberk.records import Login
from hauberk_plugins.auth.devices import make_token
from hauberk_plugins.auth.errors import AuthError
from hauberk_plugins.auth.kept import device_path, keep, kept
from hauberk_plugins.auth.users import User

NAME: Final = "auth"
_SOURCE: Final = "command line"
_DEFAULTS: Final = Options()
_CODES: Final = """\
Recovery codes, each for one login without the authenticator. Keep them where it is not: they are
not shown again."""


def add(  # noqa: D417 - what every command takes describes itself
    name: str, /, *, role: list[str] | None = None, options: Options = _DEFAULTS
) -> Answer:
    """Add a user. The password is asked for, or read from standard input.

    For example:
        hauberk user add alice --role operator

    Args:
        name: The user's name; case does not matter.
        role: viewer, trader, operator or admin; may be given more than once.
    """
    given = role or ["viewer"]
    with started(options.config, NAME) as auth:
        auth.plugin.auth.check_free(name, given)  # before anything is typed for nothing
        return _answer(auth.plugin.auth.create(name, Prompts().chosen("password"), given))


def list_users(*, options: Options = _DEFAULTS) -> Answer:
    """List the users, with their roles and whether each has a second factor."""
    with started(options.config, NAME) as auth:
        users = [_shown(user) for user in auth.plugin.auth.all()]
    lines = "\n".join(_line(user) for user in users)
    return Answer({"users": users}, lines or "There are no users.")


def disable(name: str, /, *, options: Options = _DEFAULTS) -> Answer:
    """Refuse a user's logins from here on, and end the user's sessions."""
    with started(options.config, NAME) as auth:
        return _answer(auth.plugin.auth.disable(name))


def enable(name: str, /, *, options: Options = _DEFAULTS) -> Answer:
    """Let a user log in again."""
    with started(options.config, NAME) as auth:
        return _answer(auth.plugin.auth.enable(name))


def roles(name: str, role: list[str], /, *, options: Options = _DEFAULTS) -> Answer:
    """Give a user these roles in place of others, and end the user's sessions."""
    with started(options.config, NAME) as auth:
        return _answer(auth.plugin.auth.set_roles(name, role))


def passwd(name: str, /, *, options: Options = _DEFAULTS) -> Answer:
    """Give a user another password, asked for or read from standard input.

    The user's sessions end.
    """
    with started(options.config, NAME) as auth:
        auth.plugin.auth.get(name)  # before anything is typed for nobody
        return _answer(auth.plugin.auth.set_password(name, Prompts().chosen("password")))


def second_factor(  # noqa: D417
    name: str, /, *, reveal: bool = False, options: Options = _DEFAULTS
) -> Answer:
    """Give a user a second factor, in place of one there may be; the user's sessions end.

    Shows what to put into an authenticator app, asks for one code of it, then prints recovery
    codes, this once.

    Args:
        reveal: Show secrets although nobody sits at a terminal.
    """
    prompts = Prompts()
    if not prompts.is_seen and not reveal:
        raise AuthError("a second factor is shown on a terminal only: run it there, or --reveal")
    with started(options.config, NAME) as auth:
        factors = auth.plugin.factors
        enrolment = factors.begin(name)
        prompts.show(f"Add this to an authenticator app:\n{enrolment.uri.reveal_text()}")
        codes = factors.enrol(enrolment, prompts.secret("code that it shows"))
    shown = [code.reveal_text() for code in codes]
    lines = "\n".join(f"  {code}" for code in shown)
    return Answer({"user": enrolment.name, "recovery_codes": shown}, f"{_CODES}\n{lines}")


def login(  # noqa: D417
    name: str = "", /, *, options: Options = _DEFAULTS
) -> Answer:
    """Log in, for the commands after this one.

    Asks for the password, and for the code of the second factor: leave that empty if there is
    none. From standard input, they are a line each.

    Args:
        name: The user's name; asked for on a terminal if it is left out.
    """
    prompts = Prompts()
    name = name or prompts.name("name", "name the user: hauberk login NAME")
    at = device_path(options.config, VARIABLES, Path.home())
    device = kept(at) or make_token(secrets.token_bytes)
    with hauberk.open(options.config, transient=True) as guard:
        password = prompts.secret("password")
        code = prompts.secret("code, if there is a second factor", may_be_missing=True)
        attempt = Login(name, password, code, source=_SOURCE, device=device)
        identity = guard.login(attempt)
    keep(at, device)
    document = {"user": identity.user, "roles": list(identity.roles)}
    if identity.session is None:
        return Answer(document, f"{identity.user} may log in; nothing here keeps sessions")
    keep(session_path(options.config), identity.session)
    return Answer(document, f"logged in as {identity.user}")


def _answer(user: User) -> Answer:
    shown = _shown(user)
    return Answer(shown, _line(shown))


def _line(user: dict[str, Any]) -> str:
    parts = [user["name"], ", ".join(user["roles"]) or "no role"]
    parts += ["second factor"] * user["second_factor"] + ["disabled"] * user["disabled"]
    return "  ".join(parts)


def _shown(user: User) -> dict[str, Any]:
    """What may be shown of a user."""
    factor = user.factor
    return {
        "name": user.name,
        "roles": list(user.roles),
        "disabled": user.is_disabled,
        "second_factor": factor is not None,
        "recovery_codes": 0 if factor is None else len(factor.codes),
    }


COMMANDS: Final = (
    Command("user add", add, "user.write"),
    Command("user list", list_users, "user.read"),
    Command("user disable", disable, "user.write"),
    Command("user enable", enable, "user.write"),
    Command("user roles", roles, "user.write"),
    Command("user passwd", passwd, "user.write"),
    Command("user second-factor", second_factor, "user.write"),
    Command("login", login),
)
