"""`Addresses`: the URLs of routes, looked up for each attempt: a rotation counts at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from hauberk.errors import HauberkError
from hauberk.secret import Secret
from hauberk_plugins.notify.errors import NoSuchRoute, RouteUnusable


class Addresses:
    """Looks URLs up, and knows the last one of each route while a place does not answer.

    Args:
        find: For each route, finds its URL; may raise `HauberkError`.
    """

    def __init__(self, find: Mapping[str, Callable[[], Secret]]) -> None:
        self._find = dict(find)
        self._last: dict[str, Secret] = {}
        self._lock = threading.Lock()

    def url(self, route: str) -> Secret:
        """Return a route's URL.

        Raises:
            NoSuchRoute: There is none of that name.
            RouteUnusable: Its reference leads nowhere.
            HauberkError: The vault cannot be opened, and never could be.
        """
        if route not in self._find:
            raise NoSuchRoute(route, self._find)
        try:
            found = self._find[route]()
        except RouteUnusable:
            raise
        except HauberkError:
            # The place does not answer, which says nothing of the URL that it gave before.
            with self._lock:
                last = self._last.get(route)
            if last is None:
                raise
            return last
        with self._lock:
            self._last[route] = found
        return found
