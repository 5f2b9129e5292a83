"""The commands `sessions …`, `whoami` and `logout`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from hauberk.cli import Answer, Options
from hauberk.command import Command, session_path, started, stored_token
from hauberk_plugins.auth.access import NAME
from hauberk_plugins.auth.errors import AuthError
from hauberk_plugins.auth.names import normalised
from hauberk_plugins.auth.session_record import Session

_DEFAULTS: Final = Options()
_S: Final = 1_000_000_000


def list_sessions(  # noqa: D417 - what every command takes describes itself
    *, user: str | None = None, options: Options = _DEFAULTS
) -> Answer:
    """List who is logged in: since when, from where, and when each was last seen.

    What is used all the time is written down once a minute.

    For example:
        hauberk sessions list
        hauberk sessions list --user alice --json

    Args:
        user: Only this user's; case does not matter.
    """
    with started(options.config, NAME) as auth:
        whose = "" if user is None else normalised(user)
        sessions = [shown(one) for one in auth.plugin.entry.sessions.list(whose)]
        if whose and not sessions:
            auth.plugin.auth.get(whose)  # or nobody would notice a name that is nobody's
    lines = [
        f"{one['id']}  {one['user']}  {', '.join(one['roles']) or 'no role'}  since "
        f"{one['created']}  seen {one['seen']}  {one['source']}".rstrip()
        for one in sessions
    ]
    return Answer({"sessions": sessions}, "\n".join(lines) or "Nobody is logged in.")


def revoke_sessions(  # noqa: D417
    session_id: str | None = None,
    /,
    *,
    all_: bool = False,
    user: str | None = None,
    options: Options = _DEFAULTS,
) -> Answer:
    """End a session, every session of a user, or every session there is.

    A gateway that runs knows it within a second.

    For example:
        hauberk sessions revoke 0123456789ab
        hauberk sessions revoke --user alice
        hauberk sessions revoke --all

    Args:
        session_id: As `hauberk sessions list` shows it.
        all_: Every session, your own too.
        user: Every session of this user; case does not matter.
    """
    if (session_id is not None, all_, user is not None).count(True) != 1:
        raise AuthError("say which sessions end: an ID, --user NAME or --all")
    with started(options.config, NAME) as auth:
        sessions = auth.plugin.entry.sessions
        if all_:
            count = sessions.end_all()
        elif user is not None:
            whose = normalised(user)
            count = sessions.end(whose, "revoked")
            if not count:
                auth.plugin.auth.get(whose)
        else:
            sessions.revoke(session_id or "")
            count = 1
    return Answer({"revoked": count}, f"{count} {'session' if count == 1 else 'sessions'} ended")


def whoami(*, options: Options = _DEFAULTS) -> Answer:
    """Say who is logged in on this command line, and with which roles.

    Exits 1 if nobody is.

    For example:
        hauberk whoami
    """
    with started(options.config, NAME) as auth:
        who = auth.plugin.entry.access.who_types(stored_token(options.config))
    session = None if who.session is None else shown(who.session)
    roles = ", ".join(who.roles) or "no role"
    told = "owner of the state folder, while there is no admin"
    since = told if session is None else f"logged in since {session['created']}"
    document = {"user": who.user, "roles": list(who.roles), "session": session}
    return Answer(document, f"{who.user}: {roles}; {since}")


def logout(*, options: Options = _DEFAULTS) -> Answer:
    """End the session of this command line, if there is one.

    For example:
        hauberk logout
    """
    token = stored_token(options.config)
    ended = False
    if token is not None:
        with started(options.config, NAME) as auth:
            ended = auth.plugin.entry.sessions.end_session(token)
        # Only then: where the store could not be told, it can be tried again.
        session_path(options.config).unlink(missing_ok=True)
    return Answer({"ended": ended}, "logged out" if ended else "nobody was logged in")


def shown(session: Session) -> dict[str, Any]:
    """Return what may be shown of a session."""
    return {
        "id": session.id,
        "user": session.user,
        "roles": list(session.roles),
        "source": session.source,
        "created": moment(session.created_ns),
        "seen": moment(session.seen_ns),
    }


def moment(at_ns: int) -> str:
    """Write a time of the wall clock, in UTC, to the second."""
    return datetime.fromtimestamp(at_ns // _S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


COMMANDS: Final = (
    Command("sessions list", list_sessions, "sessions.read", "See who is logged in, and end it."),
    Command("sessions revoke", revoke_sessions, "sessions.write"),
    Command("whoami", whoami),
    Command("logout", logout),
)
