"""What plugins send by themselves, paced as what bots send is.

No guard is asked about it, since there is nothing in it to judge; but the exchange counts it, and
shuts out whoever goes on after it has said to stop. So whoever paces brings a `Pacing`, which the
port `transport` asks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Final, Protocol

from hauberk.errors import Denied, safe_text
from hauberk.ports import Transport
from hauberk.request import Operation, Request, Response

if TYPE_CHECKING:
    from hauberk.kernel import Kernel

log = logging.getLogger("hauberk")

#: `Response.error` of a request that was held back: there was no room for it in time.
HELD: Final = "Held"
#: Nobody waits for a shorter time.
MIN_WAIT_NS: Final = 1_000_000


class Pacing(Protocol):
    """Counts what no guard was asked about: the attribute `pacing` of a plugin that paces.

    Requests come stamped with an id. One whose operation is `PUBLIC` counts toward what is counted
    by address, whatever account it names; any other toward all that its account's do.
    """

    def ask(self, request: Request) -> float:
        """Charge a request, or give it a place in line.

        Returns:
            0 when it may leave, else in how many seconds to ask again.

        Raises:
            Denied: It may not leave, and is not to wait.
        """

    def give_back(self, request: Request) -> None:
        """Give back what a request was charged, or its place: it was not sent."""

    def sent(self, request: Request, response: Response) -> None:
        """Date a request's charge, or count it if it was never asked about; hear the answer."""


class PacedTransport:
    """The port `transport`, as a plugin has it: what exchanges count is paced.

    Args:
        transport: Sends.
        kernel: Has the clock, and wakes who waits.
        pacing: Says who paces at the moment; `None` where nobody does.
    """

    def __init__(
        self, transport: Transport, kernel: Kernel, pacing: Callable[[], Pacing | None]
    ) -> None:
        self._transport = transport
        self._kernel = kernel
        self._pacing = pacing

    def send(
        self, request: Request, *, timeout_s: float, leaving: Callable[[], object] = lambda: None
    ) -> Response:
        """Send exactly these bytes, when it is their turn; a failure has `error` set.

        Args:
            request: What is to be sent.
            timeout_s: How long everything together may take, waiting for its turn included.
            leaving: Called once it is its turn.

        Returns:
            The answer. `error` is `Denied` or `Held` where it was not sent, since the exchange has
            shut us out or there was no room for it in time.
        """
        pacing = self._pacing()
        if pacing is None:
            leaving()
            return self._transport.send(request, timeout_s=timeout_s)
        kernel = self._kernel
        end = kernel.clock.monotonic_ns() + round(timeout_s * 1e9)
        stamped = request.stamped(f"{kernel.id_prefix}-{next(kernel.ids):x}", Operation.PUBLIC)
        why = self._waited(pacing, stamped, end)
        if why:
            pacing.give_back(stamped)
            return Response(error=why)
        answer = Response(error="Unsent")
        try:
            leaving()
            left_s = max(0.001, (end - kernel.clock.monotonic_ns()) / 1e9)
            answer = self._transport.send(request, timeout_s=left_s)
        finally:
            pacing.sent(stamped, answer)
        return answer

    def _waited(self, pacing: Pacing, stamped: Request, end: int) -> str:
        """Wait for its turn; return why it does not come, or nothing."""
        kernel = self._kernel
        try:
            while True:
                kernel.waking.arm(stamped.id)
                wait_s = pacing.ask(stamped)
                if not wait_s:
                    return ""
                wait_ns = max(ceil(wait_s * 1e9), MIN_WAIT_NS)
                if kernel.closed or kernel.clock.monotonic_ns() + wait_ns > end:
                    return HELD
                kernel.waking.wait(stamped.id, wait_ns)
        except Denied:
            return Denied.__name__
        except Exception as error:  # what cannot be paced is not sent
            log.error("what a plugin sends by itself cannot be paced: %s", safe_text(error))
            return type(error).__name__
        finally:
            kernel.waking.disarm(stamped.id)
