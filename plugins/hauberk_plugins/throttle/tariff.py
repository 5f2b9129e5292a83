"""`Tariff`: what each endpoint takes of which meters, worked out once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from hauberk.request import Pairs, Request, path_of
from hauberk_plugins.throttle.costs import Amount, Given, Varying, given
from hauberk_plugins.throttle.limits import DEFAULT, Limits
from hauberk_plugins.throttle.line import Amounts
from hauberk_plugins.throttle.meters import Meter
from hauberk_plugins.throttle.windows import Scope, Window

#: URLs whose amounts are remembered, and instruments; then it begins anew.
_REMEMBERED: Final = 1_024
#: A longer name is of no instrument.
_MAX_INSTRUMENT: Final = 64

#: Gives the meter of a window, for an instrument where the window is by instrument.
MeterOf: TypeAlias = Callable[[Window, str], Meter]
#: What is taken of a window, where that depends on the request.
_Parts: TypeAlias = "list[tuple[Window, Amount]]"


class Tariff:
    """The prices of one account at its venue.

    Args:
        limits: The venue's.
        meter: Gives the meter of a window for the account.
        gate: The meter of what costs nothing, so that it is frozen with all else.
        endpoint: From method and path to the name under which the venue's file knows the endpoint,
            such as `GET /orders/{id}`.
        body_params: Reads a form, where costs depend on parameters.
    """

    __slots__ = (
        "_body_params",
        "_default",
        "_endpoint",
        "_gate",
        "_instrument",
        "_instruments",
        "_known",
        "_meter",
        "_prices",
    )

    def __init__(
        self,
        limits: Limits,
        meter: MeterOf,
        gate: Meter | None = None,
        endpoint: Callable[[str, str], str] = lambda method, path: f"{method} {path}",
        body_params: Callable[[Request], Pairs] = lambda _: (),
    ) -> None:
        self._meter = meter
        self._gate: Amounts = () if gate is None else ((gate, 0),)
        self._endpoint = endpoint
        self._body_params = body_params
        self._instrument = limits.instrument
        self._instruments: dict[tuple[str, str], Meter] = {}
        fixed = {w.name: meter(w, "") for w in limits.windows if w.scope is not Scope.INSTRUMENT}

        def price(cost: Mapping[str, Amount]) -> Amounts | _Parts:
            parts = [(w, cost[w.counts]) for w in limits.windows if cost.get(w.counts)]
            if any(w.name not in fixed or type(amount) is Varying for w, amount in parts):
                return parts
            return tuple((fixed[w.name], amount) for w, amount in parts) or self._gate  # type: ignore[misc]

        self._prices = {endpoint: price(cost) for endpoint, cost in limits.costs.items()}
        self._default = self._prices.pop(DEFAULT, self._gate)
        self._known: dict[tuple[str, str], Amounts | _Parts] = {}

    def amounts(self, request: Request) -> Amounts:
        """Return what a request takes: the same tuple each time where nothing else matters."""
        at = (request.method, request.url)
        found = self._known.get(at)
        if found is None:
            name = self._endpoint(request.method, path_of(request.url))
            found = self._prices.get(name, self._default)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[at] = found
        return found if type(found) is tuple else self._worked_out(request, found)  # type: ignore[arg-type]

    def _worked_out(self, request: Request, parts: _Parts) -> Amounts:
        said = given(request, self._body_params)
        found = []
        for window, amount in parts:
            taken = amount.amount(said) if type(amount) is Varying else amount
            found.append((self._meter_of(window, said), taken))
        return tuple(found)  # type: ignore[arg-type]

    def _meter_of(self, window: Window, said: Given) -> Meter:
        by_instrument = window.scope is Scope.INSTRUMENT
        key = (window.name, self._named(said) if by_instrument else "")
        meter = self._instruments.get(key)
        if meter is None or meter.gone is not None:
            if len(self._instruments) >= _REMEMBERED:
                self._instruments.clear()
            meter = self._instruments[key] = self._meter(window, key[1])
        return meter

    def _named(self, said: Given) -> str:
        """The instrument that a request names; those that name none share one of their own."""
        for name in self._instrument if said is not None else ():
            value = said.get(name)  # type: ignore[union-attr]
            if type(value) is str and 0 < len(value) <= _MAX_INSTRUMENT:
                return value
        return ""
