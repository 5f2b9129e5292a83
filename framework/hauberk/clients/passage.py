"""The way of one request through the guard: cleared, carried, settled; once more after a skew."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import evolve

from hauberk.errors import ClosedError, Denied, MisuseError
from hauberk.request import Pairs, Request, Response, base_of

if TYPE_CHECKING:
    from hauberk.guard import Guard
    from hauberk.protocol import Cleared

_T = TypeVar("_T")


class Trip:
    """One attempt: what was cleared, and what came back once it did.

    Attributes:
        cleared: What may be sent.
        response: To be set by whoever sends it, once all of it is here and can be read.
    """

    __slots__ = ("_head", "_is_taken", "cleared", "response")

    def __init__(self, cleared: Cleared) -> None:
        self.cleared = cleared
        self.response: Response | None = None
        self._head: Response | None = None
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

    def begun(self, status: int, headers: Pairs) -> None:
        """Note how an answer begins: what it says of limits counts, whatever becomes of its body.

        Args:
            status: HTTP status.
            headers: As received.
        """
        self._head = Response(status, headers)

    def told(self, error: BaseException | None) -> Response | BaseException:
        """Return what to settle: the answer, as much of it as came, or what took its place."""
        if self.response is not None:
            return self.response
        if self._head is None:
            return error or Response()
        return evolve(self._head, error=type(error).__name__)


#: The attempt that is on its way in this thread or task: a library's lower half finds here what to
#: put on the wire in place of what its upper half was given.
ON_ITS_WAY: Final[ContextVar[Trip | None]] = ContextVar("hauberk_on_its_way", default=None)


class _Beside:
    """A coroutine that runs on an event loop of its own, and can be cancelled from without."""

    def __init__(self, work: Coroutine[Any, Any, Cleared]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._cancel: Callable[[], object] | None = None
        self._is_cancelled = False

    def run(self) -> Cleared:
        """Run it to its end; called once, in the thread that is to block."""
        with asyncio.Runner() as runner:
            return runner.run(self._run())

    def cancel(self) -> None:
        """Cancel it; from any thread, whether it has begun or has ended."""
        with self._lock:
            self._is_cancelled, cancel = True, self._cancel
        if cancel is not None:
            with suppress(RuntimeError):  # its loop is closed: it has ended
                cancel()

    async def _run(self) -> Cleared:
        task = asyncio.ensure_future(self._work)
        with self._lock:
            loop = asyncio.get_running_loop()
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
            if self._is_cancelled:
                task.cancel()
        return await task


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
        """Clear on a loop of its own: the signer may be waiting for the exchange to tell its time.

        Cancelled, that loop's task is as well, and gives its place back.
        """
        beside = _Beside(self.guard.aclear(request, timeout_s=self._timeout_s))
        clearing = asyncio.ensure_future(asyncio.to_thread(beside.run))
        try:
            return await asyncio.shield(clearing)
        except asyncio.CancelledError:
            beside.cancel()
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
            self.guard.settle(trip.cleared, trip.told(error))
        if response is None:
            return False
        binding = self.guard.snapshot.bindings.get(self.account)
        return binding is not None and binding.venue.said(response) == "skew"
