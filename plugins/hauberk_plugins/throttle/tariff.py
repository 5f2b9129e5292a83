"""`Tariff`: what each endpoint takes of which meters, worked out once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hauberk.request import path_of
from hauberk_plugins.throttle.limits import DEFAULT, Limits
from hauberk_plugins.throttle.line import Amounts
from hauberk_plugins.throttle.windows import Meter, Window

#: URLs whose amounts are remembered; then it begins anew.
_REMEMBERED: Final = 1_024


class Tariff:
    """The prices of one account at its venue.

    Args:
        limits: The venue's.
        meter: Gives the meter of a window for the account.
        endpoint: From method and path to the name under which the venue's file knows the endpoint,
            such as `GET /orders/{id}`.
    """

    __slots__ = ("_amounts", "_default", "_endpoint", "_known")

    def __init__(
        self,
        limits: Limits,
        meter: Callable[[Window], Meter],
        endpoint: Callable[[str, str], str] = lambda method, path: f"{method} {path}",
    ) -> None:
        meters = [(window.counts, meter(window)) for window in limits.windows]

        def amounts(cost: Mapping[str, int]) -> Amounts:
            return tuple((meter, cost[counts]) for counts, meter in meters if cost.get(counts))

        self._amounts = {endpoint: amounts(cost) for endpoint, cost in limits.costs.items()}
        self._default = self._amounts.pop(DEFAULT, ())
        self._endpoint = endpoint
        self._known: dict[tuple[str, str], Amounts] = {}

    def amounts(self, method: str, url: str) -> Amounts:
        """Return what a request takes: the same tuple each time for the same endpoint.

        Args:
            method: In capitals.
            url: Scheme, host and path, without a query.
        """
        found = self._known.get((method, url))
        if found is None:
            found = self._amounts.get(self._endpoint(method, path_of(url)), self._default)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[method, url] = found
        return found
