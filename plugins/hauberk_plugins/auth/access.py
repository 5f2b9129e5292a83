"""`AccessGate`: who may use the command line and the gateway, and for what; the port `access`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from attrs import frozen

from hauberk.errors import Denied
from hauberk.secret import Secret
from hauberk_plugins.auth.parts import ADMIN
from hauberk_plugins.auth.roles import holds, who_holds
from hauberk_plugins.auth.session_record import SLACK_NS, Session
from hauberk_plugins.auth.sessions import SessionManager

NAME: Final = "auth"
LOG_IN: Final = "log in: hauberk login"


@frozen
class Who:
    """Who asks.

    Attributes:
        user: The name.
        roles: What that user may do.
        session: The session; `None` for the owner of the state folder before there is an admin.
    """

    user: str
    roles: tuple[str, ...]
    session: Session | None = None


class AccessGate:
    """Answers whether somebody may do something.

    Until there is an admin, the owner of the state folder has every role, without a session.
    From then on everybody needs a session of a user with the role for it. A token that is given
    counts as what it is, and never as the owner: it may come from anywhere.

    Args:
        sessions: Who is logged in.
        has_admin: Whether there is a user with the role of an admin.
        owner: Gives the name of the user that runs this process, if the state folder is theirs;
            else `None`.
        wall_ns: The wall clock, nanoseconds since the epoch.
    """

    def __init__(
        self,
        sessions: SessionManager,
        has_admin: Callable[[], bool],
        owner: Callable[[], str | None],
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._sessions = sessions
        self._has_admin = has_admin
        self._owner = owner
        self._wall_ns = wall_ns
        # The last admin can be neither disabled nor demoted: once there is one, there always is.
        self._had_admin = False

    def check(self, capability: str, token: Secret | None, *, fresh_s: float = 0) -> str:
        """Return the name of who holds a session and may do something.

        Args:
            capability: For example `vault.write`.
            token: The session's token, or `None` for whoever runs this process: never for
                somebody who asks through it.
            fresh_s: How long ago the login may have been, seconds; 0 for any time.

        Raises:
            Denied: Nobody, one without the role for it, or one whose login is too old; says what
                to do.
            StoreError, SealError: Nobody can tell.
        """
        who = self.who(token)
        if not holds(who.roles, capability):
            has = ", ".join(who.roles) or "none"
            needed = " or ".join(who_holds(capability)) or "that nobody has"
            raise Denied(
                NAME,
                f"{who.user!r} may not: {capability} needs the role {needed}, and has: {has}; an "
                "admin can give it: hauberk user roles",
            )
        self._check_fresh(who, capability, fresh_s)
        return who.user

    def who(self, token: Secret | None) -> Who:
        """Return who has a token, or who may go without.

        Raises:
            Denied: Nobody; says what to do.
            StoreError, SealError: Nobody can tell.
        """
        session = self.logged_in(token)
        if session is not None:
            return Who(session.user, session.roles, session)
        if token is None and self._is_before_first_admin():
            owner = self._owner()
            if owner is not None:
                return Who(owner, (ADMIN,))
            raise Denied(
                NAME,
                "until there is an admin, only the owner of the state folder may: run it as that "
                f"user of the machine, or {LOG_IN}",
            )
        raise Denied(NAME, f"nobody is logged in, or the session is over: {LOG_IN}")

    def _check_fresh(self, who: Who, capability: str, fresh_s: float) -> None:
        """Refuse a session whose login is too old, or dated in the future."""
        if not fresh_s or who.session is None:
            return
        age_ns = self._wall_ns() - who.session.created_ns
        if not -SLACK_NS <= age_ns <= fresh_s * 1e9:
            raise Denied(
                NAME,
                f"{who.user!r} logged in too long ago: {capability} needs a login of the last "
                f"{fresh_s:.0f} s: hauberk login {who.user}",
            )

    def owner(self) -> str:
        """Return the name of the owner of the state folder, if that is who runs this process.

        Raises:
            Denied: Somebody else does.
        """
        owner = self._owner()
        if owner is None:
            raise Denied(
                NAME, "only the owner of the state folder may: run it as that user of the machine"
            )
        return owner

    def logged_in(self, token: Secret | None) -> Session | None:
        """Return the session of a token, if it is one's; raises as `who`, but no `Denied`."""
        return None if token is None else self._sessions.validate_session(token)

    def who_types(self, token: Secret | None) -> Who:
        """Return who types a command: by the token that is kept, else by owning the state folder.

        Raises:
            Denied: Nobody; says what to do.
            StoreError, SealError: Nobody can tell.
        """
        try:
            return self.who(token)
        except Denied as denied:
            with suppress(Denied):
                return self.who(None)
            raise denied from None

    def _is_before_first_admin(self) -> bool:
        if not self._had_admin:
            self._had_admin = self._has_admin()
        return not self._had_admin
