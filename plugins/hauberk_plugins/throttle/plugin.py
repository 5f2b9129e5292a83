"""The plugin `throttle`: paces requests so that the exchange never has to refuse one."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen, validators

from hauberk.accounts import Account
from hauberk.context import Context
from hauberk.errors import ConfigError, ConfigProblem
from hauberk.hooks import Plugin, hookimpl
from hauberk.keypath import KeyPath
from hauberk.ports import Venue
from hauberk.request import Request
from hauberk.verdicts import Deny, Wait
from hauberk.written import Written
from hauberk_plugins.throttle.errors import LineFull, TooDear
from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.limits import (
    Limits,
    misnamed,
    read_limits,
    repeated,
    uncounted,
    unused,
)
from hauberk_plugins.throttle.tariff import Tariff
from hauberk_plugins.throttle.windows import Meter, Scope, Window


@frozen
class ThrottleConfig:
    """The section `throttle` of `hauberk.yml`.

    Attributes:
        jitter_ms: The longest that a request may be on its way, and the difference between the
            exchange's clock and this machine's, together. Windows are widened by it.
        lease_s: How long a turn is kept for a waiting request that does not come back for it.
        max_waiting: How many requests may wait for one window; more are denied.
        windows: By venue, windows that stand in place of the venue file's, for example those of
            a testnet.
    """

    jitter_ms: int = field(default=250, validator=[validators.ge(0), validators.le(60_000)])
    lease_s: float = field(default=1.0, validator=[validators.gt(0), validators.le(3_600)])
    max_waiting: int = field(default=1_000, validator=validators.ge(0))
    windows: dict[str, tuple[Window, ...]] = field(factory=dict)


class ThrottlePlugin(Plugin):
    """Guard: charges a request in every window at once, or has it wait for its turn.

    Needs the grant `venues`. Stands last among the guards: a charge is not to be held while
    somebody else thinks.
    """

    interface = (1, 1)
    Config = ThrottleConfig

    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        """Say which windows stand for a venue that no account is at, or under a name twice."""
        # As written: nothing else that is wrong in the section hides this.
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
        self._tariffs: dict[str, tuple[Account, Tariff]] = {}
        self._is_stopped = False

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Take over what an instance before this one charged; check what venues say."""
        self._context = context
        self._clock = context.clock
        before = context.predecessor
        # Shared, not copied: a pass that began before a reload ends with the old instance. It is
        # configured when first asked, since a reload may yet fail.
        self._limiter: RateLimiter = (
            before._limiter
            if isinstance(before, ThrottlePlugin)
            else RateLimiter(wake=context.wake)
        )
        self._check(context)

    @hookimpl
    def on_stop(self) -> None:
        """Leave the windows' shapes to whoever took over."""
        self._is_stopped = True

    @hookimpl
    def on_request(self, request: Request) -> Deny | Wait | None:
        """Charge the request, or say when its turn is."""
        account = self._context.accounts[request.account]
        known = self._tariffs.get(request.account)
        # Every reload makes accounts anew, so the same one has the same venue.
        if known is not None and known[0] is account:
            tariff = known[1]
        else:
            venue = self._context.venues.venue(account.venue)
            tariff = self._tariff(request.account, account, venue)
        clock = self._clock
        try:
            wait_ns = self._limiter.ask(
                request.id,
                tariff.amounts(request.method, request.url),
                clock.monotonic_ns(),
                clock.wall_ns(),
            )
        except LineFull as error:
            return Deny(str(error), retry_after=error.wait_ns / 1e9)
        except TooDear as error:
            return Deny(str(error))
        return Wait(wait_ns / 1e9) if wait_ns else None

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:  # noqa: ARG002
        """Date the charge, or give it back."""
        self._limiter.end(request.id, left, self._clock.monotonic_ns())

    def _tariff(self, name: str, account: Account, venue: Venue) -> Tariff:
        config, is_live = self._config, not self._is_stopped
        if is_live:
            self._limiter.configure(
                lease_ns=int(config.lease_s * 1e9), max_waiting=config.max_waiting
            )

        # One of the venue's own, spelt out, is the same exchange and the same budget.
        base = "" if account.base_url.rstrip("/") in venue.bases else account.base_url.rstrip("/")

        def meter(window: Window) -> Meter:
            sharer = name if window.scope is Scope.ACCOUNT else ""
            key = (account.venue, base, window.name, sharer)
            jitter_ns = config.jitter_ms * 1_000_000
            return self._limiter.meter(key, window, jitter_ns, reshape=is_live)

        made = Tariff(self._limits(account, venue), meter, venue.endpoint)
        self._tariffs[name] = (account, made)
        return made

    def _limits(self, account: Account, venue: Venue) -> Limits:
        limits = read_limits(venue.section("limits"), venue.problem)
        return limits.replaced(self._config.windows.get(account.venue))

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
                problems += [
                    venue.problem(("limits", *at), message)
                    for at, message in misnamed(limits, venue.endpoint, venue.endpoints())
                ]
        problems += [context.problem(("windows", *at), message) for at, message in faults]
        if problems:
            raise ConfigError(problems)
