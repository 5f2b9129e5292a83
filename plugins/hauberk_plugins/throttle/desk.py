"""`Desk`: what one account takes of whose budgets, and what answers to it say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from hauberk.accounts import Account
from hauberk.ports import Venue
from hauberk.request import Request, Response
from hauberk_plugins.throttle.feedback import Freeze, by_name
from hauberk_plugins.throttle.limiting import Key, Limiter
from hauberk_plugins.throttle.limits import Limits
from hauberk_plugins.throttle.tariff import Tariff
from hauberk_plugins.throttle.windows import Kind, Scope, Window

#: Holds nothing; what costs nothing waits for it while it is frozen.
_GATE = Window("gate", Kind.ROLLING, Scope.IP, 1, 1, "requests")


@frozen
class Sharers:
    """Whose budgets an account's requests are charged to.

    Attributes:
        venue: The venue's name.
        base: The base URL where that is not the venue's own: a testnet has budgets of its own.
        account: The account's name; of several in `hauberk.yml` with one key, which the exchange
            takes for one, that of the first.
        key: The reference to its API key.
    """

    venue: str
    base: str
    account: str
    key: str

    @classmethod
    def of(
        cls, name: str, account: Account, venue: Venue, accounts: Mapping[str, Account]
    ) -> Sharers:
        """Tell them of one of the accounts."""

        def place(one: Account) -> tuple[str, str, str]:
            base = one.base_url.rstrip("/")
            # One of the venue's own, spelt out, is the same exchange and the same budget.
            return (one.venue, "" if base in venue.bases else base, one.key)

        here = place(account)
        alike = (other for other, one in accounts.items() if account.key and place(one) == here)
        return cls(here[0], here[1], next(alike, name), account.key or name)

    def prefix(self, scope: Scope, instrument: str = "") -> Key:
        """Return how the keys of a scope's meters begin; of the address, those of all scopes."""
        if scope is Scope.IP:
            return (self.venue, self.base)
        sharer = self.account if scope is Scope.ACCOUNT else self.key
        if scope is Scope.INSTRUMENT:
            sharer = f"{sharer} {instrument}"
        return (self.venue, self.base, str(scope), sharer)

    def key_of(self, window: Window, instrument: str = "") -> Key:
        """Return the key of a window's meter."""
        if window.scope is Scope.IP:
            return (self.venue, self.base, str(Scope.IP), "", window.name)
        return (*self.prefix(window.scope, instrument), window.name)


class Desk:
    """One account's tariff, on a limiter.

    Args:
        account: As it stands in `hauberk.yml`.
        sharers: Whose budgets it uses.
        venue: Its venue.
        limits: The venue's, with windows as configured.
        limiter: Keeps the budgets.
        jitter_ns: By what windows are widened.
        reshape: Whether meters that are there take the windows' sizes.
    """

    def __init__(
        self,
        account: Account,
        sharers: Sharers,
        venue: Venue,
        limits: Limits,
        limiter: Limiter[Any],
        *,
        jitter_ns: int,
        reshape: bool,
    ) -> None:
        self.account = account
        self.venue = venue
        self.sharers = sharers
        self._limits = limits
        self._sizes = {window.name: window.size for window in limits.windows}
        self._limiter = limiter
        self._by_address = {
            _GATE.name,
            *(window.name for window in limits.windows if window.scope is Scope.IP),
        }

        def meter(window: Window, instrument: str) -> Any:
            key = sharers.key_of(window, instrument)
            return limiter.meter(key, window, jitter_ns, reshape=reshape)

        gate = limiter.meter((*sharers.prefix(Scope.IP), str(Scope.IP), "", ""), _GATE, 0)
        tariff = Tariff(limits, meter, gate, venue.endpoint, venue.body_params)
        self.amounts = tariff.amounts
        self._gate = ((gate, 0),)

    def of_address(self, request: Request) -> Any:
        """Return what a request takes of whoever is counted by address, whoever asks."""
        found = [pair for pair in self.amounts(request) if pair[0].name in self._by_address]
        return tuple(found) or self._gate

    def learn(
        self,
        amounts: Callable[[Request], Any],
        request: Request,
        response: Response,
        now_ns: int,
        wall_ns: int,
    ) -> str:
        """Take what an answer's headers tell; return the name of one that tells nonsense."""
        if not self._limits.told or not response.headers:
            return ""
        headers, nonsense = by_name(response.headers), ""
        for told in self._limits.told:
            if told.header not in headers:
                continue
            meters = [meter for meter, _ in amounts(request) if meter.name in told.windows]
            if len(meters) != 1:
                continue  # of which of them it tells, nobody says
            try:
                used = told.used(headers, self._sizes[meters[0].name])
            except ValueError:
                nonsense = told.header
            else:
                if used is not None:
                    self._limiter.learn(meters[0], used, now_ns, wall_ns)
        return nonsense

    def refused(
        self, said: str, response: Response, wall_ns: int, *, is_public: bool = False
    ) -> tuple[Key, int, float | None]:
        """Say what to freeze of it, for how long by the venue file, and by the answer, seconds."""
        freeze = self._limits.freezes.get(said, Freeze())
        asked = freeze.asked_s(response.headers, wall_ns)
        scope = Scope.IP if is_public else freeze.scope
        return self.sharers.prefix(scope), freeze.seconds, asked
