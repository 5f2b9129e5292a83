"""The plugin `policy`: refuses what an account may not do, and what would be too much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from hauberk.accounts import Account
from hauberk.command import Command
from hauberk.context import Context
from hauberk.errors import ConfigError, ConfigProblem
from hauberk.hooks import Plugin, hookimpl
from hauberk.keypath import KeyPath
from hauberk.ports import Store
from hauberk.request import Operation, Request, Response
from hauberk.verdicts import Deny
from hauberk.written import Written
from hauberk_plugins.policy import checks
from hauberk_plugins.policy.books import Books
from hauberk_plugins.policy.config import PolicyConfig
from hauberk_plugins.policy.counter import Counter, Refused
from hauberk_plugins.policy.errors import Unreadable
from hauberk_plugins.policy.explain import Line, explained
from hauberk_plugins.policy.judge import Judge
from hauberk_plugins.policy.ordermap import OrderMap
from hauberk_plugins.policy.reading import read_orders
from hauberk_plugins.policy.worth import Lookup


class PolicyPlugin(Plugin):
    """Guard: denies what the account lacks the capability for, and what nobody can judge.

    Orders are read and held against symbols, caps and bands with the grant `venues`; a cap of a
    day needs `store`, and what needs a reference price `reference_price`.
    """

    interface = (1, 1)
    Config = PolicyConfig
    judges_capabilities = True

    @classmethod
    def config_problems(cls, written: Written) -> Iterator[tuple[KeyPath, str]]:
        """Say what could never decide anything, or would be laxer than what stands above it."""
        if isinstance(written.config, PolicyConfig):
            for at, message in checks.problems(written.config, written.accounts):
                yield (written.name, *at), message

    def __init__(self, config: PolicyConfig | None = None) -> None:
        self._config = config or PolicyConfig()
        self._books = Books()
        # Each for as long as its account stands as it was.
        self._judges: dict[str, tuple[Account, Judge]] = {}
        self._judges_orders = checks.judges_orders(self._config)

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Take over what was counted; read how orders are read at the accounts' venues."""
        self._context = context
        self._clock = context.clock
        before = context.predecessor
        if isinstance(before, PolicyPlugin):
            # Shared, not copied: a pass that began before a reload ends with the old instance.
            self._books = before._books
        self._counter = Counter(self._books, self._store)
        self._check(context)

    @hookimpl
    def on_stop(self) -> None:
        """Give back what is reserved of a day and not spent."""
        if self._context.has("store"):
            self._books.close(self._context.store)

    @hookimpl
    def on_request(self, request: Request) -> Deny | None:
        """Deny, or have no objection."""
        judge = self.judge(request.account)
        bench = judge.bench(request)
        if bench.denial:
            return Deny(bench.denial)
        if bench.reader is None and not bench.is_one:
            return None
        if bench.glance is not None and (value := bench.glance.worth(request)) is not None:
            today = 0
            if bench.days:
                wall_ns, now_ns = self._clock.wall_ns(), self._clock.monotonic_ns()
                today = self._books.calendar.today(wall_ns, now_ns)
            if not bench.days or self._counter.spend(judge, bench, request.id, value, today):
                return None
        try:
            orders = judge.read(bench, request)
        except Unreadable as error:
            return Deny(f"{bench.first}: an order cannot be read: {error}")
        if why := judge.objection(bench, orders):
            return Deny(why)
        if bench.days or bench.rates:
            clock = self._clock
            try:
                self._counter.count(
                    judge, bench, request.id, orders, clock.monotonic_ns(), clock.wall_ns()
                )
            except Refused as refused:
                return Deny(refused.why, retry_after=refused.retry_after)
        return None

    @hookimpl
    def on_end(self, request: Request, left: bool, why: str) -> None:  # noqa: ARG002
        """Give back what was counted for a request that did not leave."""
        if self._counter.holds(request.id):
            self._counter.end(request, left, self._clock.monotonic_ns())

    @hookimpl
    def on_response(self, request: Request, response: Response) -> None:
        """Give back what the exchange refused, or did not fill."""
        judge = self.judge(request.account)
        self._counter.answered(judge, judge.bench(request), request, response)

    @hookimpl
    def on_commands(self) -> Sequence[Command]:
        """Contribute `policy explain` and `policy reset`."""
        # Late: it brings the command line, which a bot does not need.
        from hauberk_plugins.policy.commands import COMMANDS

        return COMMANDS

    def judge(self, name: str) -> Judge:
        """Return the judge of an account, as it stands in `hauberk.yml`."""
        account = self._context.accounts[name]
        known = self._judges.get(name)
        # Every reload makes accounts anew, so the same one has the same venue.
        if known is not None and known[0] is account:
            return known[1]
        made = self._made(self._context, name, account)
        self._judges[name] = (account, made)
        return made

    def explain(self, request: Request) -> list[Line]:
        """Say, in order, what is asked about a request and what was said; counts nothing.

        Args:
            request: Stamped with its operation.
        """
        store = self._store() if self._context.has("store") else None
        judge = self.judge(request.account)
        return explained(judge, request, self._books, store, self._clock.wall_ns())

    def forget_day(self, name: str) -> tuple[str, ...]:
        """Begin an account's day anew; return the currencies that it is counted in.

        Raises:
            DayRecordError: It cannot be.
        """
        currencies = tuple(cap.amount.currency for cap in self.judge(name).days)
        for currency in currencies:
            self._books.ledger(name, currency).forget(self._store())
        if currencies:
            self._context.emit("day_forgotten", {"account": name})
        return currencies

    def _store(self) -> Store:
        return self._context.store

    def _made(self, context: Context, name: str, account: Account) -> Judge:
        if not self._judges_orders:
            return Judge(name, account, None, OrderMap(), self._config, None)
        venue = context.venues.venue(account.venue)
        orders = read_orders(
            venue.section("orders"), venue.problem, venue.endpoint,
            self._config.contracts.get(account.venue), self._config.harmless.get(account.venue, ()),
        )  # fmt: skip
        return Judge(name, account, venue, orders, self._config, self._lookup(context, venue.name))

    def _lookup(self, context: Context, venue: str) -> Lookup | None:
        if not context.has("reference_price"):
            return None

        def lookup(symbol: str) -> Decimal | None:
            return context.reference_price.price(venue, symbol)

        return lookup

    def _check(self, context: Context) -> None:
        """Read every venue's orders, and what only venues and grants can tell.

        Raises:
            ConfigError: Lists what is wrong.
        """
        if not self._judges_orders:
            return
        found: list[ConfigProblem] = []
        for at, message in checks.ungranted(self._config, context.has):
            found.append(context.problem(at, message))
        if found:
            raise ConfigError(found)
        for name in context.accounts:
            try:
                self.judge(name)
            except ConfigError as error:
                found += [one for one in error.problems if one not in found]
        if not found:
            venues = {judge.name: judge.venue for _, judge in self._judges.values() if judge.venue}
            for at, message in checks.unmatched(self._config, context.accounts, venues):
                found.append(context.problem(at, message))
            symbols = {
                judge.name: judge.orders.symbols
                for account, judge in self._judges.values()
                if Operation.TRADE in account.allow
            }
            has_prices = context.has("reference_price")
            for at, message in checks.unreadable(
                self._config, context.accounts, symbols, has_prices=has_prices
            ):
                found.append(context.problem(at, message))
        if found:
            raise ConfigError(found)
