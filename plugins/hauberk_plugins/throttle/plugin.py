"""The plugin `throttle`: paces requests so that the exchange never has to refuse one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen, validators

from hauberk.accounts import Account
from hauberk.command import Command
from hauberk.context import Context
from hauberk.environment import VARIABLES
from hauberk.errors import (
    ClosedError,
    ConfigError,
    ConfigProblem,
    InvalidValue,
    StoreError,
)
from hauberk.hooks import Plugin, blocking, hookimpl
from hauberk.keypath import KeyPath
from hauberk.ports import Venue
from hauberk.records import Severity
from hauberk.request import Operation, Request, Response, base_of
from hauberk.verdicts import Deny, Wait
from hauberk.written import Written
from hauberk_plugins.throttle.commands import COMMANDS, as_data
from hauberk_plugins.throttle.desk import Desk, Sharers
from hauberk_plugins.throttle.errors import Frozen, LineFull, NotKept, TooDear
from hauberk_plugins.throttle.feedback import BANNED, THROTTLED
from hauberk_plugins.throttle.kept import Kept, boot_id
from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.limiting import Limiter
from hauberk_plugins.throttle.limits import (
    Limits,
    misnamed,
    overreserved,
    repeated,
    uncounted,
    unfilled,
    unused,
)
from hauberk_plugins.throttle.ownrequests import OwnRequests
from hauberk_plugins.throttle.reading import read_limits
from hauberk_plugins.throttle.shared.call import Backend
from hauberk_plugins.throttle.shared.config import SharedConfig, not_shared
from hauberk_plugins.throttle.shared.errors import BudgetLost
from hauberk_plugins.throttle.shared.limiter import SharedLimiter
from hauberk_plugins.throttle.shared.making import redis_backend, shared_limiter, store_backend
from hauberk_plugins.throttle.shutout import ShutOut
from hauberk_plugins.throttle.windows import Window

log = logging.getLogger("hauberk")

_CANCEL: Final = Operation.CANCEL


@frozen
class ThrottleConfig:
    """The section `throttle` of `hauberk.yml`.

    Attributes:
        store: Where budgets are kept: `memory` is of this process alone, `store` of all that share
            the store, `redis` of all that share a Redis.
        shared: How a budget in `store` or `redis` is shared.
        jitter_ms: The longest that a request may be on its way, and the difference between the
            exchange's clock and this machine's, together. Windows are widened by it; at the edges
            of calendar windows it is the margin.
        lease_s: How long a turn is kept for a waiting request that does not come back for it.
        max_waiting: How many requests may wait for one window; more are denied.
        reserve: Which share of a window is kept for cancels, where they cost anything of it; 0 for
            none.
        throttled_s: For how long a budget is frozen when the exchange says that there were too
            many requests, but not until when.
        banned_s: The same when it says that it has shut us out.
        max_freeze_s: The longest that a budget is frozen, whatever the exchange says.
        windows: By venue, windows that stand in place of the venue file's, for example those of
            a testnet.
    """

    store: str = field(default="memory", validator=validators.in_(("memory", "store", "redis")))
    shared: SharedConfig = field(factory=SharedConfig)
    jitter_ms: int = field(default=250, validator=[validators.ge(0), validators.le(60_000)])
    lease_s: float = field(default=1.0, validator=[validators.gt(0), validators.le(3_600)])
    max_waiting: int = field(default=1_000, validator=validators.ge(0))
    reserve: float = field(default=0.1, validator=[validators.ge(0), validators.le(0.5)])
    throttled_s: float = field(default=10.0, validator=[validators.gt(0), validators.le(86_400)])
    banned_s: float = field(default=300.0, validator=[validators.gt(0), validators.le(604_800)])
    max_freeze_s: float = field(
        default=259_200.0, validator=[validators.ge(1), validators.le(31_536_000)]
    )
    windows: dict[str, tuple[Window, ...]] = field(factory=dict)


class ThrottlePlugin(Plugin):
    """Guard: charges a request in every window at once, or has it wait for its turn.

    Needs the grant `venues`; with `store`, what is used survives a restart. Stands last among the
    guards: a charge is not to be held while somebody else thinks.
    """

    interface = (1, 1)
    Config = ThrottleConfig

    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        """Say what would pace nothing, or share nothing, though it looks so."""
        # As written: nothing else that is wrong in the section hides this.
        if (unshared := not_shared(written.section)) is not None:
            yield (written.name, *unshared[0]), unshared[1]
        windows = written.section.get("windows")
        if not isinstance(windows, dict):
            return
        at: KeyPath = (written.name, "windows")
        venues = [account.get("venue") for account in written.accounts.values()]
        for place, message in unused(windows, venues):
            yield (*at, *place), message
        for venue, listed in windows.items():
            items = listed if isinstance(listed, list) else ()
            names = [item.get("name") if isinstance(item, dict) else None for item in items]
            yield from repeated(names, (*at, venue))

    def __init__(self, config: ThrottleConfig) -> None:
        self._config = config
        # Each for as long as its account stands as it was.
        self._desks: dict[str, Desk] = {}
        self._told_nonsense: set[tuple[str, str]] = set()
        self._is_stopped = False
        self._is_handed_over = False
        if config.store != "memory":
            self.on_request = self._off_the_loop()  # type: ignore[assignment]

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Take over what an instance before this one charged; check what venues say."""
        self._context = context
        self._clock = context.clock
        self._check(context)
        before = context.predecessor
        # Shared, not copied: a pass that began before a reload ends with the old instance. It is
        # configured when first asked, since a reload may yet fail.
        if isinstance(before, ThrottlePlugin) and before._config.store == self._config.store:
            self._limiter: Limiter[Any] = before._limiter
            self._kept: Kept | None = before._kept
            before._is_handed_over = True
        else:
            self._limiter, self._kept = self._open(context)
        config = self._config
        self._shut_out = ShutOut(
            context,
            self._limiter,
            self._kept,
            default_s={THROTTLED: config.throttled_s, BANNED: config.banned_s},
            most_s=config.max_freeze_s,
        )
        if not isinstance(before, ThrottlePlugin):
            self._shut_out.restore()
        self.pacing = OwnRequests(
            self._limiter, context.clock, ask=self._ask, heard=self._heard, desk=self._desk_of
        )

    @hookimpl
    def on_stop(self) -> None:
        """Leave the windows' shapes to whoever took over; write down what is used."""
        self._is_stopped = True
        if isinstance(self._limiter, SharedLimiter):
            if not self._is_handed_over:
                self._limiter.close()
        elif self._kept is not None and isinstance(self._limiter, RateLimiter):
            try:
                self._limiter.close(self._kept.close, self._clock.monotonic_ns())
            except StoreError as error:
                log.warning("throttle: what is used could not be written down: %s", error)

    @hookimpl
    def on_request(self, request: Request) -> Deny | Wait | None:
        """Charge the request, or say when its turn is."""
        return self._judge(request)

    def _off_the_loop(self) -> Callable[[Request], Deny | Wait | None]:
        """The same hook, called off the loop: what asks elsewhere must not hold up everybody."""

        @blocking
        @hookimpl
        def on_request(request: Request) -> Deny | Wait | None:
            return self._judge(request)

        return on_request

    def _judge(self, request: Request) -> Deny | Wait | None:
        amounts = self._desk(request.account).amounts(request)
        return self._ask(request.id, amounts, is_cancel=request.operation is _CANCEL)

    def _ask(self, request_id: str, amounts: Any, *, is_cancel: bool) -> Deny | Wait | None:
        clock = self._clock
        try:
            wait_ns = self._limiter.ask(
                request_id, amounts, clock.monotonic_ns(), clock.wall_ns(), is_cancel
            )
        except (LineFull, Frozen) as error:
            return Deny(str(error), retry_after=error.wait_ns / 1e9)
        except BudgetLost as error:
            return Deny(str(error), retry_after=error.retry_after_s)
        except (TooDear, NotKept) as error:
            return Deny(str(error))
        return Wait(wait_ns / 1e9) if wait_ns else None

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:  # noqa: ARG002
        """Date the charge, or give it back."""
        self._limiter.end(request.id, left, self._clock.monotonic_ns())

    @hookimpl
    def on_response(self, request: Request, response: Response) -> None:
        """Learn what the exchange counts; freeze what it refuses."""
        if request.account not in self._context.accounts:
            return  # it was taken out meanwhile
        desk = self._desk(request.account)
        self._heard(desk, desk.amounts, request, response)

    def _heard(
        self,
        desk: Desk,
        amounts: Callable[[Request], Any],
        request: Request,
        response: Response,
        *,
        is_public: bool = False,
    ) -> None:
        clock = self._clock
        wall = clock.wall_ns()
        if nonsense := desk.learn(amounts, request, response, clock.monotonic_ns(), wall):
            self._say_once(desk.venue.name, nonsense)
        said = desk.venue.said(response)
        if said in (THROTTLED, BANNED):
            self._shut_out.act(said, *desk.refused(said, response, wall, is_public=is_public))

    @hookimpl
    def on_commands(self) -> Sequence[Command]:
        """Contribute `budgets`."""
        return COMMANDS

    @hookimpl
    def on_status(self) -> Mapping[str, Any]:
        """Say how every budget stands; have records allow no more than they need."""
        clock = self._clock
        limiter = self._limiter
        if self._kept is not None and not self._is_stopped and isinstance(limiter, RateLimiter):
            limiter.relax(self._kept.lower)
        found = self._limiter.rows(clock.monotonic_ns(), clock.wall_ns())
        rows = [row for row in found if row.key[-1]]  # what only freezes is no window
        return {"budgets": as_data(rows)}

    @property
    def state_dir(self) -> Path | None:
        """Where running guards leave how they stand."""
        return self._context.state_dir

    def _open(self, context: Context) -> tuple[Limiter[Any], Kept | None]:
        """Make what keeps the budgets, where the configuration says."""
        if self._config.store != "memory":
            return self._shared(context), None
        clock, kept = self._clock, None
        # A command that looks or sends once is not who uses the budget.
        if context.is_resident and context.has("store"):
            kept = Kept(context.store, clock, self._warn, boot_id())
        limiter = RateLimiter(wake=context.wake, keeper=kept)
        limiter.anchor(clock.monotonic_ns(), clock.wall_ns())
        return limiter, kept

    def _shared(self, context: Context) -> SharedLimiter:
        config = self._config.shared
        if self._config.store == "redis":
            try:
                backend: Backend = redis_backend(config, VARIABLES)
            except InvalidValue as error:
                problem = context.problem(("shared", "url"), str(error))
                raise ConfigError([problem]) from None
        elif context.has("store"):
            backend = store_backend(context.store, context.clock)
        else:
            text = "'store' needs the grant `store`, and a plugin that provides it"
            raise ConfigError([context.problem(("store",), text)])
        return shared_limiter(
            backend,
            config,
            context.clock,
            wake=context.wake,
            told=self._lost_or_found,
            noted=self._warn,
            froze=context.recheck,
        )

    def _lost_or_found(self, why: str) -> None:
        # It is told by a thread: the guard may be closed meanwhile, and nobody listens any more.
        with suppress(ClosedError):
            self._say_whether_lost(why)

    def _say_whether_lost(self, why: str) -> None:
        """Say once that the shared budget cannot be asked, and once that it can again."""
        if not why:
            log.info("throttle: the shared budget is there again")
            self._context.emit("found")
            return
        log.warning("throttle: the shared budget cannot be asked: %s", why)
        details = {"why": why, "on_loss": self._config.shared.on_loss}
        self._context.report("The shared budget cannot be asked", Severity.MEDIUM, details)

    def _desk(self, name: str) -> Desk:
        account = self._context.accounts[name]
        known = self._desks.get(name)
        # Every reload makes accounts anew, so the same one has the same venue.
        if known is not None and known.account is account:
            return known
        venue = self._context.venues.venue(account.venue)
        config, is_live = self._config, not self._is_stopped
        if is_live:
            self._limiter.configure(
                lease_ns=int(config.lease_s * 1e9), max_waiting=config.max_waiting
            )
        made = self._desks[name] = Desk(
            account,
            Sharers.of(name, account, venue, self._context.accounts),
            venue,
            self._limits(account, venue),
            self._limiter,
            jitter_ns=config.jitter_ms * 1_000_000,
            reshape=is_live,
        )
        return made

    def _desk_of(self, request: Request) -> Desk | None:
        """The desk of a request's account; of a public one, that of any at its exchange."""
        accounts, base = self._context.accounts, base_of(request.url)
        if request.operation is not Operation.PUBLIC:
            return self._desk(request.account) if request.account in accounts else None
        for name, account in accounts.items():
            own = account.base_url.rstrip("/")
            if base == own or (not own and base in self._context.venues.venue(account.venue).bases):
                return self._desk(name)
        return None

    def _limits(self, account: Account, venue: Venue) -> Limits:
        limits = read_limits(venue.section("limits"), venue.problem)
        limits = limits.replaced(self._config.windows.get(account.venue))
        return limits.reserving(
            self._config.reserve,
            lambda method, path: venue.operation(method, path, (), b""),
            venue.endpoints(),
        )

    def _say_once(self, venue: str, header: str) -> None:
        if (venue, header) not in self._told_nonsense:
            self._told_nonsense.add((venue, header))
            self._warn(f"{venue} answers with a header {header} that tells nothing: it is ignored")

    def _warn(self, message: str) -> None:
        log.warning("throttle: %s", message)
        self._context.emit("unreadable", {"message": message})

    def _check(self, context: Context) -> None:
        """Check what venues say, and the windows in place of it: else nothing might be paced.

        Raises:
            ConfigError: Lists what is wrong in both.
        """
        windows = self._config.windows
        venues = dict.fromkeys(account.venue for account in context.accounts.values())
        faults = list(unused(windows, venues))
        problems: list[ConfigProblem] = []
        for name in venues:
            listed = windows.get(name, ())
            faults += repeated([window.name for window in listed], (name,))
            venue = context.venues.venue(name)
            try:
                limits = read_limits(venue.section("limits"), venue.problem)
            except ConfigError as error:
                problems += error.problems
            else:
                faults += uncounted(limits, listed, (name,))
                faults += overreserved(limits, listed, (name,))
                faults += unfilled(limits, listed, (name,))
                problems += [
                    venue.problem(("limits", *at), message)
                    for at, message in misnamed(limits, venue.endpoint, venue.endpoints())
                ]
        problems += [context.problem(("windows", *at), message) for at, message in faults]
        if problems:
            raise ConfigError(problems)
