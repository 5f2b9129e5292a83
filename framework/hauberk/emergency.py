"""The emergency lane: what the kill switch may send whatever the guards say, and nothing else.

Guards are not asked, since they are what stops everything in an emergency, and throttle would have
it wait. In their place: a request is built from the venue file's section `emergency` alone, the
kernel checks that it goes to the venue and cancels, the account's signer signs it, and what was
signed is checked like any other request. It is recorded after it was sent, on a thread of its own:
neither an audit that hangs nor a full disk holds it up.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from hauberk import dispatch
from hauberk.answers import HookFailed
from hauberk.binding import Binding
from hauberk.errors import Denied, HauberkError, NotGranted, safe_text
from hauberk.frames import Frame
from hauberk.ports import Transport, Venues
from hauberk.recipes import CANCEL_ALL, DEAD_MAN, Recipe, recipe, recipes, values_of
from hauberk.records import Outcome, Severity
from hauberk.registry import EMERGENCY, FIRST
from hauberk.request import Operation, Request, Response
from hauberk.settings import Mode
from hauberk.signed import check_signed

if TYPE_CHECKING:
    from hauberk.kernel import Kernel
    from hauberk.starting import View

log = logging.getLogger("hauberk")

_SIGNING: ContextVar[bool] = ContextVar("hauberk_emergency", default=False)


def is_emergency() -> bool:
    """Whether a signer is being asked by the emergency lane, which cancels and does nothing else.

    For the provider of `keys`: credentials that an incident disabled, or that cannot be looked up
    again because a disk or a store is gone, may serve this one purpose.
    """
    return _SIGNING.get()


class Emergency:
    """The door to the lane, for the kill switch alone: `context.emergency`.

    Each call sends one request. It blocks; call it from a thread of its own.

    Args:
        kernel: What sends.
        view: What a starting plugin looks accounts and venues up in.
    """

    def __init__(self, kernel: Kernel, view: View) -> None:
        self._kernel = kernel
        self._view = view

    def recipes(self, account: str, action: str) -> Mapping[str, Recipe]:
        """Return what an account's venue has for `CANCEL_ALL` or `DEAD_MAN`, by market.

        Raises:
            HauberkError: There is no such account or venue.
        """
        accounts = self._view.settings.accounts
        if account not in accounts:
            raise Denied("kernel", f"unknown account {account!r}")
        provider = self._view.provider("venues")
        if provider is None:
            raise NotGranted(FIRST, "venues", "name a provider: `ports: {venues: …}`")
        return recipes(cast(Venues, provider).venue(accounts[account].venue), action)

    @property
    def can_send(self) -> bool:
        """Whether a plugin provides the way out."""
        return self._view.provider("transport") is not None

    def is_well(self) -> bool:
        """Whether the guard is open, and no required responder owes an answer."""
        return not self._kernel.closed and not self._kernel.responses.owed

    def begin(self, incident: str, work: Callable[[], Outcome]) -> None:
        """Do something about an incident on a thread of its own, as `Errands.begin`."""
        self._kernel.errands.begin(incident, work)

    def when_ready(self, work: Callable[[], None]) -> None:
        """Do something on a daemon thread, once every plugin is in place.

        Raises:
            RuntimeError: No thread is to be had.
        """
        ready = self._kernel.errands.ready

        def run() -> None:
            ready.wait()
            work()

        threading.Thread(target=run, name="hauberk-dead-man", daemon=True).start()

    def emit(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Tell the recorders like `context.emit`, without waiting for them."""
        kernel = self._kernel
        kernel.errands.tell(lambda: kernel.emit(FIRST, f"{FIRST}.{kind}", fields))

    def report(self, title: str, severity: Severity, details: Mapping[str, Any]) -> None:
        """Report an incident like `context.report`, without waiting for anybody."""
        kernel = self._kernel
        kernel.errands.tell(lambda: kernel.report(FIRST, title, severity, details))

    def cancel_all(
        self, account: str, market: str, symbol: str = "", *, timeout_s: float
    ) -> Response:
        """Cancel every order of an account in a market, or of one symbol where it is by symbol.

        Args:
            account: The account.
            market: One of `recipes(account, CANCEL_ALL)`.
            symbol: As the exchange writes it.
            timeout_s: How long sending and the answer may take.

        Raises:
            Denied: It was not sent; says why.
        """
        return self._sent(account, CANCEL_ALL, market, symbol, timeout_s=timeout_s)

    def beat(
        self,
        account: str,
        market: str,
        symbol: str = "",
        *,
        countdown_s: int,
        timeout_s: float,
        still: Callable[[], bool],
    ) -> Response:
        """Arm a dead-man timer anew.

        Args:
            account: The account.
            market: One of `recipes(account, DEAD_MAN)`.
            symbol: As the exchange writes it.
            countdown_s: How long until the exchange cancels by itself.
            timeout_s: How long sending and the answer may take.
            still: Asked right before it leaves: whether it still may.

        Raises:
            Denied: It was not sent; says why.
        """
        return self._sent(
            account, DEAD_MAN, market, symbol,
            timeout_s=timeout_s, countdown_s=countdown_s, still=still,
        )  # fmt: skip

    def disarm(self, account: str, market: str, symbol: str = "", *, timeout_s: float) -> Response:
        """Take a dead-man timer back; as `beat`."""
        return self._sent(account, DEAD_MAN, market, symbol, timeout_s=timeout_s, disarms=True)

    def _sent(
        self,
        account: str,
        action: str,
        market: str,
        symbol: str,
        *,
        timeout_s: float,
        countdown_s: int = 0,
        still: Callable[[], bool] | None = None,
        disarms: bool = False,
    ) -> Response:
        kernel = self._kernel
        if kernel.settings.mode is Mode.SHADOW:
            raise Denied("kernel", "mode is shadow: nothing is sent")
        binding = kernel.snapshot.bindings.get(account)
        if binding is None or binding.account.disabled:
            known = "it is disabled" if binding else "there is no such account"
            raise Denied("kernel", f"account {account!r}: {known} in hauberk.yml")
        transport = kernel.crew.view.provider("transport")
        if transport is None:
            raise Denied("kernel", "no plugin provides `transport`, the way out")
        found = recipe(binding.venue, action, market)
        wording = found.says if not disarms else found.disarm
        if wording is None:
            raise Denied("kernel", f"the timer of {market!r} cannot be taken back")
        values = values_of(found, wording, symbol, countdown_s, kernel.clock.wall_ns())
        base = binding.account.base_url.rstrip("/") or found.base or binding.bases[0]
        judged = self._judged(binding, found.request(base, account, wording, values))
        frame = Frame()
        try:
            signed = self._signed(binding, judged, frame)
            if still is not None and not still():
                raise Denied(FIRST, "what it was for has ended meanwhile", None, judged.id)
            answer = cast(Transport, transport).send(signed, timeout_s=timeout_s)
        finally:
            if frame.queue:
                kernel.errands.tell(lambda: kernel.flush(frame))
        fields = {"action": "disarm" if disarms else action, "market": market, "symbol": symbol,
                  "countdown_s": countdown_s, "status": answer.status,
                  "error": answer.error}  # fmt: skip
        self._heard(binding, judged, answer, fields)
        return answer

    def _judged(self, binding: Binding, request: Request) -> Request:
        """Hold a request against the venue's bases and its map: it must cancel."""
        kernel = self._kernel
        request_id = f"{kernel.id_prefix}-{next(kernel.ids):x}"
        judged = binding.judged(request.stamped(request_id, Operation.UNKNOWN))
        if judged.operation is not Operation.CANCEL:
            why = f"{judged.method} {judged.url} is {judged.operation.value} and no cancel"
            raise Denied("kernel", why, None, request_id)
        return judged

    def _signed(self, binding: Binding, judged: Request, frame: Frame) -> Request:
        name = binding.account.signer
        signer = self._kernel.snapshot.signers.get(name)
        if signer is None:
            raise Denied("kernel", f"no plugin {name!r} signs here", None, judged.id)
        try:
            with _signing():
                signed = dispatch.sign(signer, judged, frame)
        except HookFailed as failure:
            cause = failure.cause if isinstance(failure.cause, HauberkError) else None
            raise Denied(name, failure.why, None, judged.id) from cause
        try:
            problem = check_signed(judged, signed, binding)
        except Exception as error:
            problem = f"what was signed cannot be read back: {safe_text(error)}"
        if problem is not None:
            raise Denied(name, problem, None, judged.id)
        return signed

    def _heard(
        self, binding: Binding, judged: Request, answer: Response, fields: Mapping[str, Any]
    ) -> None:
        """Record it; the signer hears the answer, so that a wrong clock is measured again.

        Whoever paces counts it: it was never held back, but the exchange counts it all the same.
        """
        kernel = self._kernel
        impl = kernel.snapshot.hooks(binding.account.signer).get("on_response")

        def tell() -> None:
            if (pacing := kernel.crew.view.pacing()) is not None:
                try:
                    pacing.sent(judged, answer)
                except Exception as error:
                    log.error("what was sent could not be counted: %s", safe_text(error))
            kernel.record(kernel.event("kernel", f"{EMERGENCY}.sent", fields, judged))
            if impl is not None and not impl.is_async:
                kernel.contained(impl, kernel.shown(judged), answer, is_open=True)

        kernel.errands.tell(tell)


@contextmanager
def _signing() -> Iterator[None]:
    token = _SIGNING.set(True)
    try:
        yield
    finally:
        _SIGNING.reset(token)
