"""`OwnRequests`: paces what nobody cleared, since plugins send it by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hauberk.errors import Denied
from hauberk.ports import Clock
from hauberk.request import Operation, Request, Response
from hauberk.verdicts import Deny, Wait
from hauberk_plugins.throttle.desk import Desk
from hauberk_plugins.throttle.limiting import Limiter


class OwnRequests:
    """The plugin's `pacing`: see `hauberk.pacing.Pacing`.

    What asks here is seldom and small, and without it nothing can be signed at all: so it may take
    of what is reserved for cancels.

    Args:
        limiter: Keeps the budgets.
        clock: The injected clock.
        ask: As a guard is asked.
        heard: As an observer is told.
        desk: Finds whose budgets they are.
    """

    def __init__(
        self,
        limiter: Limiter[Any],
        clock: Clock,
        *,
        ask: Callable[..., Deny | Wait | None],
        heard: Callable[..., None],
        desk: Callable[[Request], Desk | None],
    ) -> None:
        self._limiter = limiter
        self._clock = clock
        self._ask, self._heard, self._desk = ask, heard, desk
        self._asked: set[str] = set()

    def ask(self, request: Request) -> float:
        """Charge a request, or give it a place in line: see `Pacing.ask`."""
        desk = self._desk(request)
        if desk is None:
            return 0.0
        self._asked.add(request.id)
        answer = self._ask(request.id, _amounts(desk, request), is_cancel=True)
        if isinstance(answer, Deny):
            raise Denied("throttle", answer.reason, answer.retry_after, request.id)
        return answer.seconds if answer is not None else 0.0

    def give_back(self, request: Request) -> None:
        """Give back what a request was charged, or its place."""
        if request.id in self._asked:
            self._asked.discard(request.id)
            self._limiter.end(request.id, False, self._clock.monotonic_ns())

    def sent(self, request: Request, response: Response) -> None:
        """Date a request's charge, or count it if it was never asked about; hear the answer."""
        desk = self._desk(request)
        now = self._clock.monotonic_ns()
        if request.id in self._asked:
            self._asked.discard(request.id)
            self._limiter.end(request.id, True, now)
        elif desk is not None:
            self._limiter.count(_amounts(desk, request), now)
        if desk is not None:
            amounts = desk.of_address if _is_public(request) else desk.amounts
            self._heard(desk, amounts, request, response, is_public=_is_public(request))


def _amounts(desk: Desk, request: Request) -> Any:
    return desk.of_address(request) if _is_public(request) else desk.amounts(request)


def _is_public(request: Request) -> bool:
    return request.operation is Operation.PUBLIC
