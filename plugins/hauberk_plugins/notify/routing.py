"""Which routes an incident goes to."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from attrs import frozen

from hauberk.records import Incident, Severity


@frozen
class Route:
    """Where messages go, and which.

    Attributes:
        name: Unique; what is stored and shown in place of the URL.
        severity: The least severity.
        plugins: Who must have reported it, of several one; anybody where there is none.
        titles: Patterns, of which the title must match one, as `login*`, whatever the case; any
            title where there is none.
        digest_ns: For how long what follows a message is counted rather than sent.
        max_chars: How long a message may be.
    """

    name: str
    severity: Severity = Severity.MEDIUM
    plugins: frozenset[str] = frozenset()
    titles: tuple[str, ...] = ()
    digest_ns: int = 60_000_000_000
    max_chars: int = 2_000

    def takes(self, incident: Incident) -> bool:
        """Whether it is for an incident."""
        if incident.severity < self.severity:
            return False
        if self.plugins and incident.source not in self.plugins:
            return False
        title = incident.title.casefold()
        return not self.titles or any(fnmatchcase(title, one.casefold()) for one in self.titles)


def routes_for(incident: Incident, routes: Iterable[Route], ours: str) -> tuple[Route, ...]:
    """Return the routes of an incident, in their order.

    Args:
        incident: What was reported.
        routes: All there are.
        ours: The name under which notification itself reports: nobody is notified that somebody
            could not be notified, or it would never end.
    """
    if incident.source == ours:
        return ()
    return tuple(route for route in routes if route.takes(incident))
