"""The way of one request through the guard: cleared, carried, settled; once more after a skew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TypeVar

from hauberk.errors import ClosedError, Denied, MisuseError
from hauberk.request import Request, Response, base_of

if TYPE_CHECKING:
    from hauberk.guard import Guard
    from hauberk.protocol import Cleared

_T = TypeVar("_T")


class Trip:
    """One attempt: what was cleared, and what came back once it did.

    Attributes:
        cleared: What may be sent.
        response: To be set by whoever sends it.
    """

    __slots__ = ("_is_taken", "cleared", "response")

    def __init__(self, cleared: Cleared) -> None:
        self.cleared = cleared
        self.response: Response | None = None
        self._is_taken = False

    def take(self, url: str) -> Cleared:
        """Return what is to be written to a connection: once, and where it was signed for.

        Args:
            url: Where the library is about to send something.

        Raises:
            MisuseError: The library would send it again, or elsewhere.
        """
        if self._is_taken:
            raise MisuseError("a cleared request is sent once: have it cleared again")
        if base_of(url).lower() != base_of(self.cleared.request.url).lower():
            raise MisuseError("a cleared request is for the host that it was signed for")
        self._is_taken = True
        return self.cleared


#: The attempt that is on its way in this thread or task: a library's lower half finds here what to
#: put on the wire in place of what its upper half was given.
ON_ITS_WAY: Final[ContextVar[Trip | None]] = ContextVar("hauberk_on_its_way", default=None)


class Passage:
    """Takes the requests of one account through a guard.

    Args:
        guard: What clears them.
        account: Whose they are.
        timeout_s: How long each may wait in all; `kernel.timeout_s` unless given.
        denied: What a denial is raised as.
    """

    def __init__(
        self,
        guard: Guard,
        account: str = "main",
        *,
        timeout_s: float | None = None,
        denied: type[Denied] = Denied,
    ) -> None:
        self.guard = guard
        self.account = account
        self._timeout_s = timeout_s
        self._denied = denied

    def send(self, request: Request, carry: Callable[[Trip], _T]) -> _T:
        """Clear, carry and settle a request.

        An exchange that refused it for its time is asked once more, with what is cleared and signed
        anew; never twice.

        Args:
            request: Unsigned.
            carry: Sends what was cleared, notes the response on the trip, and returns what the
                caller gets. Whatever it raises is settled and raised again.

        Raises:
            Denied: It may not leave.
        """
        is_first = True
        while True:
            trip = Trip(self._cleared(request))
            try:
                answer = carry(trip)
            except BaseException as error:
                if not (self._settle(trip, error) and is_first and isinstance(error, Exception)):
                    raise
            else:
                if not (self._settle(trip, None) and is_first):
                    return answer
            is_first = False

    async def asend(self, request: Request, carry: Callable[[Trip], Awaitable[_T]]) -> _T:
        """The same for asyncio; cancelled in line it gives back its place, later it is settled."""
        is_first = True
        while True:
            trip = Trip(await self._acleared(request, is_first))
            try:
                answer = await carry(trip)
            except BaseException as error:
                if not (self._settle(trip, error) and is_first and isinstance(error, Exception)):
                    raise
            else:
                if not (self._settle(trip, None) and is_first):
                    return answer
            is_first = False

    def _cleared(self, request: Request) -> Cleared:
        try:
            return self.guard.clear(request, timeout_s=self._timeout_s)
        except Denied as denied:
            raise self._as_theirs(denied) from denied.__cause__

    async def _acleared(self, request: Request, is_first: bool) -> Cleared:
        try:
            if is_first:
                return await self.guard.aclear(request, timeout_s=self._timeout_s)
            return await self._aside(request)
        except Denied as denied:
            raise self._as_theirs(denied) from denied.__cause__

    async def _aside(self, request: Request) -> Cleared:
        """Clear off the loop: the signer may be waiting for the exchange to tell its time."""
        clearing = asyncio.ensure_future(
            asyncio.to_thread(self.guard.clear, request, timeout_s=self._timeout_s)
        )
        try:
            return await asyncio.shield(clearing)
        except asyncio.CancelledError:
            clearing.add_done_callback(self._unsent)
            raise

    def _unsent(self, clearing: asyncio.Future[Cleared]) -> None:
        if not clearing.cancelled() and clearing.exception() is None:
            self._settle(Trip(clearing.result()), asyncio.CancelledError())

    def _as_theirs(self, denied: Denied) -> Denied:
        if isinstance(denied, self._denied):
            return denied
        return self._denied(denied.plugin, denied.reason, denied.retry_after, denied.request_id)

    def _settle(self, trip: Trip, error: BaseException | None) -> bool:
        """Say what came back, or what was raised; tell whether it was refused for its time."""
        response = trip.response
        with suppress(ClosedError):  # closed meanwhile: the bot is still to get its answer
            self.guard.settle(trip.cleared, response or error or Response())
        if response is None:
            return False
        binding = self.guard.snapshot.bindings.get(self.account)
        return binding is not None and binding.venue.said(response) == "skew"
