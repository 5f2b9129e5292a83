"""What can be wrong with a route, or with what was typed about one."""

from __future__ import annotations

from collections.abc import Iterable

from hauberk.errors import HauberkError
from hauberk.spelling import nearest


class RouteUnusable(HauberkError):
    """A route leads nowhere: its reference, or what that leads to, cannot be used.

    Neither the reference's value nor any part of the URL is repeated, beyond a scheme.

    Attributes:
        route: Its name.
        why: What is wrong with it, and what to do.
    """

    def __init__(self, route: str, why: str) -> None:
        super().__init__(route, why)
        self.route = route
        self.why = why

    def __str__(self) -> str:
        return f"route {self.route!r}: {self.why}"


class NoSuchRoute(HauberkError, LookupError):
    """No route bears a name.

    Attributes:
        name: As given.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = tuple(known)
        super().__init__(name, known)
        self.name = name
        self._known = known

    def __str__(self) -> str:
        listed = ", ".join(self._known) or "none"
        near = nearest(self.name, self._known)
        return f"no route is called {self.name!r}{near} (routes: {listed})"


class NoSuchEntry(HauberkError, LookupError):
    """Nothing in the outbox bears an id.

    Attributes:
        entry: As given.
    """

    def __init__(self, entry: str) -> None:
        super().__init__(entry)
        self.entry = entry

    def __str__(self) -> str:
        return f"nothing in the outbox has the id {self.entry!r}; see: hauberk notify outbox --dead"


class OutboxFailed(HauberkError):
    """The store did not take or give what was asked in time."""
