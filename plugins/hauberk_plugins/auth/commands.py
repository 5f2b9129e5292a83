"""The commands `user …` and `login`."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import hauberk
from hauberk.cli import Answer, Options
from hauberk.command import Command, session_path, started, stored_token
from hauberk.environment import VARIABLES
from hauberk.errors import HauberkError, SealError, StoreError
from hauberk.prompts import Prompts
from hauberk.records import Login
from hauberk.secret import Secret
from hauberk_plugins.auth.devices import make_token
from hauberk_plugins.auth.errors import AuthError
from hauberk_plugins.auth.kept import device_path, keep, kept
from hauberk_plugins.auth.names import normalised
from hauberk_plugins.auth.users import User

if TYPE_CHECKING:
    from hauberk_plugins.auth.plugin import AuthPlugin

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


def passwd(name: str = "", /, *, options: Options = _DEFAULTS) -> Answer:  # noqa: D417
    """Change your own password, or give another user one.

    Your own: asks for the present password, for a code if you have a second factor, and for the
    password that takes its place; from standard input, they are a line each. Your other sessions
    end. Another user's, which an admin may: the password alone is asked for, and all sessions of
    that user end.

    For example:
        hauberk user passwd
        hauberk user passwd bob

    Args:
        name: The user; you, if it is left out.
    """
    token = stored_token(options.config)
    with started(options.config, NAME) as running:
        auth = running.plugin
        own = auth.access.logged_in(token)
        if own is not None and (not name or normalised(name) == own.user):
            return _own_password(auth, own.user, options)
        options.require("user.write")
        if not name:
            raise AuthError("nobody is logged in: name the user: hauberk user passwd NAME")
        auth.auth.get(name)  # before anything is typed for nobody
        return _answer(auth.auth.set_password(name, Prompts().chosen("password")))


def _own_password(auth: AuthPlugin, name: str, options: Options) -> Answer:
    """Change the password of who types."""
    prompts = Prompts()
    present = prompts.secret("present password")
    has_factor = auth.auth.get(name).factor is not None
    code = prompts.secret("code of the second factor") if has_factor else None
    chosen = prompts.chosen("password")
    device = kept(device_path(options.config, VARIABLES, Path.home()))
    login = Login(name, present, code, source=_SOURCE, device=device)
    user, session = auth.change_password(login, chosen)
    if session is not None:
        keep(session_path(options.config), session)
    return _answer(user)


def rotate_pepper(*, options: Options = _DEFAULTS) -> Answer:
    """Put a fresh pepper in place: what a thief of the hashes alone lacks to guess passwords.

    Nobody has to do anything: each user's hash is made anew at the next login, and checked as it
    is until then.

    For example:
        hauberk user rotate-pepper
    """
    with started(options.config, NAME) as auth:
        left = auth.plugin.auth.rotate_pepper()
    who = "1 user's hash is" if left == 1 else f"{left} users' hashes are"
    told = f"A fresh pepper is in place: {who} made anew at the next login."
    return Answer({"users": left}, told)


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
    none. From standard input, they are a line each. The session that this command line had before
    ends.

    Args:
        name: The user's name; asked for on a terminal if it is left out.
    """
    prompts = Prompts()
    name = name or prompts.name("name", "name the user: hauberk login NAME")
    at = device_path(options.config, VARIABLES, Path.home())
    device = kept(at) or make_token(secrets.token_bytes)
    before = _kept_session(options.config)
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
        _end_replaced(guard, before)
    return Answer(document, f"logged in as {identity.user}")


def _kept_session(config: Path) -> Secret | None:
    """The session that a login here replaces; what cannot be read is replaced all the same."""
    with suppress(HauberkError):
        return stored_token(config)
    return None


def _end_replaced(guard: hauberk.Guard, token: Secret | None) -> None:
    """End a session whose token nobody has any more; where that fails, its time ends it."""
    part = guard.snapshot.part(NAME)
    if token is not None and part is not None:
        plugin: AuthPlugin = part.plugin  # type: ignore[assignment]
        with suppress(StoreError, SealError):
            plugin.sessions.end_session(token, "another login on the same command line")


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
    Command("user add", add, "user.write", "Add users, and change what they may do."),
    Command("user list", list_users, "user.read"),
    Command("user disable", disable, "user.write"),
    Command("user enable", enable, "user.write"),
    Command("user roles", roles, "user.write"),
    Command("user passwd", passwd),  # it asks by itself: one's own everybody may change
    Command("user rotate-pepper", rotate_pepper, "user.write"),
    Command("user second-factor", second_factor, "user.write"),
    Command("login", login),
)
