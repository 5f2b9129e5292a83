"""`Guard`: what a bot holds."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from hauberk import dispatch, frames, offloop
from hauberk.clock import SystemClock
from hauberk.dispatch import Interrupts
from hauberk.drivers import Drivers
from hauberk.errors import MisuseError
from hauberk.files import clean_orphans
from hauberk.frames import _CURRENT
from hauberk.kernel import Kernel
from hauberk.logins import log_in
from hauberk.plan import Plan
from hauberk.ports import Clock
from hauberk.protocol import Cleared
from hauberk.records import Identity, Incident, Login, Severity
from hauberk.registry import Impl
from hauberk.request import Request, Response
from hauberk.snapshot import Snapshot

if TYPE_CHECKING:
    from hauberk.batch import SignedBatch, Verified

log = logging.getLogger("hauberk")

_F = TypeVar("_F", bound=Callable[..., Any])
#: Cleared requests that may still be settled; the oldest are forgotten first.
_UNSETTLED: Final = 100_000


class Guard:
    """Stands between a bot and its exchanges. Usable from any thread and event loop.

    `hauberk.open` makes one from `hauberk.yml`; this constructor is for programs and tests that
    bring their own parts. What writers that were killed left in the state folder is removed.

    Args:
        plan: Settings and plugins.
        clock: Time, and the only way to wait.
        replan: Makes the plan anew, for `reload`.
        resident: Whether it stays, as a bot's does: it leaves counts in the state folder, for
            `hauberk plugins`, and plugins see it in `context.is_resident`.

    Raises:
        StartFailed: A required plugin did not start.
        PluginRefused: A plugin breaks a rule of registration, or the order does not stand.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        clock: Clock | None = None,
        replan: Callable[[], Plan] | None = None,
        resident: bool = False,
    ) -> None:
        self._replan = replan
        self._unsettled: OrderedDict[str, Request] = OrderedDict()
        if plan.settings.state_dir is not None:
            with suppress(OSError):  # what cannot be cleaned stops nothing
                clean_orphans(plan.settings.state_dir)
        self._kernel = Kernel(plan, clock or SystemClock(), resident=resident)
        self._drivers = Drivers(self._kernel)

    def clear(self, request: Request, *, timeout_s: float | None = None) -> Cleared:
        """Have a request judged, paced and signed; wait if it must.

        Args:
            request: Unsigned.
            timeout_s: How long it may wait in all; `kernel.timeout_s` unless given.

        Returns:
            The signed request; send it, then `settle`.

        Raises:
            Denied: It may not leave; names the plugin and the reason.
            ReentrancyError: Called from inside a guard.
            ClosedError: The guard is closed or belongs to a parent process.
            MisuseError: An argument is not of its type.
        """
        kernel = self._kernel
        if timeout_s is not None or type(request) is not Request or _CURRENT.get() is not None:
            timeout_ns = self._checked(request, timeout_s)
        else:
            timeout_ns = kernel.timeout_ns
        if kernel.closed:
            kernel.check_open()
        request_id = f"{kernel.id_prefix}-{next(kernel.ids):x}"
        return self._left(self._drivers.clear(request, request_id, timeout_ns))

    async def aclear(self, request: Request, *, timeout_s: float | None = None) -> Cleared:
        """The same for asyncio: guards marked `@blocking` run off the loop, the others on it."""
        timeout_ns = self._checked(request, timeout_s)
        return self._left(await self._drivers.aclear(request, self._next_id(), timeout_ns))

    def settle(self, cleared: Cleared, response: Response | BaseException) -> None:
        """Say what came back, once for each cleared request.

        Args:
            cleared: What `clear` returned.
            response: The answer, or the exception in its place: what may have been sent counts
                as sent.

        Raises:
            MisuseError: It was settled before, or cleared by another guard; or an argument is not
                of its type.
            KeyboardInterrupt: An observer or recorder was interrupted; raised when all have been
                told.
        """
        self._enter("settle")
        if type(cleared) is not Cleared:
            what = type(cleared).__name__
            raise MisuseError(f"settle takes what clear returned as `cleared`, not {what}")
        if isinstance(response, BaseException):
            response = Response(error=type(response).__name__)
        elif type(response) is not Response:
            what = type(response).__name__
            raise MisuseError(f"settle takes a Response or an exception as `response`, not {what}")
        judged = self._unsettled.pop(cleared.id, None)
        if judged is None:
            raise MisuseError(f"request {cleared.id} was not cleared here, or is settled already")
        kernel = self._kernel
        shown, interrupts = kernel.shown(judged), Interrupts()
        for impl in kernel.snapshot.observers:
            with interrupts:
                if impl.is_async:
                    _schedule(impl, shown, response)
                else:
                    kernel.contained(impl, shown, response, is_open=True)
        if kernel.snapshot.recorders:
            fields = {"status": response.status, "error": response.error}
            with interrupts:
                kernel.record(kernel.event("kernel", "response", fields, judged))
        interrupts.raise_first()

    def login(self, login: Login) -> Identity:
        """Have a login judged by every guard and the authenticator.

        Raises:
            Denied: It may not proceed.
            KeyboardInterrupt: A hook was interrupted; raised when all have been told.
        """
        self._enter("login")
        if type(login) is not Login:
            raise MisuseError(f"login takes a hauberk.Login, not {type(login).__name__}")
        return log_in(self._kernel, login.stamped(self._next_id()))

    async def alogin(self, login: Login) -> Identity:
        """The same for asyncio, off the loop."""
        return await offloop.aside(self.login, login)

    def report(
        self, title: str, severity: Severity, details: Mapping[str, Any] | None = None
    ) -> Incident:
        """Report an incident: contained first, then recorded, then told to every responder.

        Args:
            title: One line.
            severity: `HIGH` restricts trading, `CRITICAL` halts it.
            details: Any JSON-able mapping; secrets are masked.

        Returns:
            The incident with what each responder did. From inside a guard, only with what the
            required ones did, and that only for `HIGH` and `CRITICAL`: the rest follows when the
            guard has returned.
        """
        return self._kernel.report("bot", title, severity, details)

    async def areport(
        self, title: str, severity: Severity, details: Mapping[str, Any] | None = None
    ) -> Incident:
        """The same for asyncio: contained at once, on the loop; the rest off it."""
        kernel = self._kernel
        incident = kernel.incident("bot", title, severity, details)
        if (queued := kernel.put_off(incident)) is not None:
            return queued
        return await offloop.aside(kernel.respond, kernel.contain(incident))

    def resolve(self, incident_id: str, resolution: str) -> Incident:
        """Mark an incident as resolved. It does not lift a halt.

        Raises:
            MisuseError: There is none of that id.
        """
        return self._kernel.resolve("bot", incident_id, resolution)

    def register(self, plugin: object, *, name: str = "") -> str:
        """Register hooks at run time: guards, observers, responders or optional recorders.

        They stand where `plugins:` says `bots`, in the sequence of registration.

        Args:
            plugin: An object with methods decorated `@hookimpl`.
            name: Unique; the class's name in lower case unless given.

        Returns:
            The name.

        Raises:
            PluginRefused: It breaks a rule; says which and what to do.
        """
        self._enter("register")
        with self._kernel.changing:
            return self._kernel.crew.register(plugin, name)

    def unregister(self, plugin: object) -> None:
        """Take out what was registered at run time: the object itself, or its name.

        Raises:
            MisuseError: It was not registered at run time.
        """
        self._enter("unregister")
        with self._kernel.changing:
            self._kernel.crew.unregister(plugin)

    def on_request(self, function: _F) -> _F:
        """Register a function as a guard; use as a decorator."""
        return self._on("on_request", function)

    def on_login(self, function: _F) -> _F:
        """Register a function as a guard of logins; use as a decorator."""
        return self._on("on_login", function)

    def on_response(self, function: _F) -> _F:
        """Register a function as an observer; use as a decorator."""
        return self._on("on_response", function)

    def on_incident(self, function: _F) -> _F:
        """Register a function as a responder; use as a decorator."""
        return self._on("on_incident", function)

    def on_event(self, function: _F) -> _F:
        """Register a function as a recorder; use as a decorator."""
        return self._on("on_event", function)

    def reload(self) -> None:
        """Read the configuration anew; a faulty one changes nothing.

        Plugins whose section is as it was keep their instance; hooks of bots, halts and budgets
        survive.

        Raises:
            ConfigError: The file cannot be used.
            StartFailed, PluginRefused: As at the start.
            MisuseError: This guard was not made from a file.
        """
        self._enter("reload")
        if self._replan is None:
            raise MisuseError("this guard was not made from a file: there is nothing to reload")
        with self._kernel.changing:
            self._kernel.check_open()
            self._kernel.crew.start(self._replan())

    def close(self) -> None:
        """Stop every plugin, last first; nothing is cleared afterwards.

        Raises:
            KeyboardInterrupt: One was interrupted as it stopped; raised when all have been stopped.
        """
        frames.refuse_inside("close")
        try:
            self._kernel.close()
        finally:
            self._drivers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def kernel(self) -> Kernel:
        """The state behind it, for the command line and the testing kit to look at."""
        return self._kernel

    @property
    def snapshot(self) -> Snapshot:
        """The plugins as they now stand, with their counts."""
        return self._kernel.snapshot

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """The incidents in memory, oldest first."""
        return self._kernel.responses.all()

    def verify_batch(self, batch: SignedBatch) -> Verified:
        """Verify a batch by the first engine that answers; whatever it answers is checked.

        An engine that the reference disagrees with is an incident of severity CRITICAL, and is
        not asked again.

        Raises:
            MisuseError: Nobody provides the port `reference`.
        """
        self._enter("verify_batch")
        return self._kernel.engines.verify(batch)

    def _checked(self, request: Request, timeout_s: float | None) -> int:
        """Check what is to be cleared; return how long it may wait, in nanoseconds."""
        self._enter("clear")
        if type(request) is not Request:
            raise MisuseError(f"clear takes a hauberk.Request, not {type(request).__name__}")
        if timeout_s is None:
            timeout_s = self._kernel.settings.limits.timeout_s
        try:
            if not 0 <= timeout_s < 1e9:
                raise MisuseError("timeout_s must be finite and not negative")
            return int(timeout_s * 1e9)
        except (TypeError, ValueError):
            what = f"timeout_s is a number of seconds, not {type(timeout_s).__name__}"
            raise MisuseError(what) from None

    def _next_id(self) -> str:
        return f"{self._kernel.id_prefix}-{next(self._kernel.ids):x}"

    def _left(self, cleared: Cleared) -> Cleared:
        if len(self._unsettled) >= _UNSETTLED:
            self._unsettled.popitem(last=False)
        judged = cleared.judged
        self._unsettled[judged.id] = judged
        return cleared

    def _on(self, hook: str, function: _F) -> _F:
        self._enter("register")
        with self._kernel.changing:
            self._kernel.crew.register_function(hook, function)
        return function

    def _enter(self, what: str) -> None:
        frames.refuse_inside(what)
        self._kernel.check_open()


def _schedule(impl: Impl, *args: Any) -> None:
    """Have an `async def` observer called on the loop where it was registered."""
    if not offloop.start_on(impl.part.loop, dispatch.acontained(impl, *args)):
        impl.failed()
        log.warning("%s.%s is not called: its event loop is closed", impl.name, impl.hook)
