"""The exchange: one request in, one answer out, and the controls of whoever runs it."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from math import inf
from typing import Final

from attrs import evolve, frozen

from hauberk.secret import Secret
from hauberk_plugins.sandbox.accounts import DEFAULT_BALANCES, Account, Permission, Withdrawal
from hauberk_plugins.sandbox.admission import Visit, admit
from hauberk_plugins.sandbox.emergency import expire
from hauberk_plugins.sandbox.gate import DEFAULT_ORDER_LIMITS, DEFAULT_WEIGHT_LIMIT, Gate
from hauberk_plugins.sandbox.limits import Bans, Limit
from hauberk_plugins.sandbox.market import DEFAULT_SYMBOLS, Market, SymbolRules
from hauberk_plugins.sandbox.matching import MatchingEngine, Order
from hauberk_plugins.sandbox.signatures import KeyRegister
from hauberk_plugins.sandbox.state import ExchangeState
from hauberk_plugins.sandbox.wire import Answer, HttpCall, Refused

MAX_ARRIVALS: Final = 10_000


@frozen
class Arrival:
    """One request as the exchange saw it.

    Attributes:
        at_ns: When, by the exchange's clock.
        ip: From where.
        method: HTTP method.
        path: Raw path.
        parameters: Decoded, in order, without the signature; empty if they could not be read.
        account: Whose key signed it; empty unless the signature was good.
        weight: What it was charged; 0 if it was turned away before that.
        status: What it was answered.
        code: The error's code, 0 if there was none.
    """

    at_ns: int
    ip: str
    method: str
    path: str
    parameters: tuple[tuple[str, str], ...]
    account: str
    weight: int
    status: int
    code: int


class SandboxExchange:
    """A Binance look-alike without a network; any thread may call any method.

    Args:
        wall_ns: The exchange's clock, nanoseconds since the epoch.
        symbols: What is traded.
        weight_limit: Request weight per address.
        order_limits: Orders per account; all hold at once.
        patience: How many times an address is answered 429 before it is banned.
        ban_s: The first ban in seconds, at least; each further one is twice as long.
        seed: Of the prices.
    """

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        *,
        symbols: Iterable[SymbolRules] = DEFAULT_SYMBOLS,
        weight_limit: Limit = DEFAULT_WEIGHT_LIMIT,
        order_limits: Sequence[Limit] = DEFAULT_ORDER_LIMITS,
        patience: int = 3,
        ban_s: int = 120,
        seed: int = 0,
    ) -> None:
        self._wall_ns = wall_ns
        self._lock = threading.Lock()
        market = Market(symbols, seed)
        gate = Gate(weight_limit, order_limits, Bans(patience, ban_s))
        self._state = ExchangeState(market, MatchingEngine(market), gate, KeyRegister())
        self._arrivals: deque[Arrival] = deque(maxlen=MAX_ARRIVALS)
        self._answered: Counter[int] = Counter()
        self._delays: deque[float] = deque()

    def handle(self, call: HttpCall) -> Answer:
        """Answer one request."""
        with self._lock:
            visit = Visit(call, self._wall_ns())
            try:
                payload = admit(self._state, visit)
                answer = Answer(200, payload, tuple(visit.headers.items()))
            except Refused as refused:
                answer = refused.answer()
                headers = visit.headers | dict(answer.headers)
                answer = evolve(answer, headers=tuple(headers.items()))
            self._record(visit, answer)
            return evolve(answer, delay_s=self._delays.popleft()) if self._delays else answer

    def _record(self, visit: Visit, answer: Answer) -> None:
        code = answer.payload.get("code", 0) if answer.status != 200 else 0
        shown = tuple(pair for pair in visit.parameters.pairs if pair[0] != "signature")
        call = visit.call
        self._answered[answer.status] += 1
        self._arrivals.append(
            Arrival(
                visit.now_ns, call.ip, call.method, call.path, shown,
                visit.account, visit.weight, answer.status, code,
            )
        )  # fmt: skip

    # Keys and accounts.

    def add_account(self, name: str, balances: Mapping[str, Decimal] = DEFAULT_BALANCES) -> None:
        """Open an account that owns something else than `DEFAULT_BALANCES`.

        Raises:
            ValueError: There is one of that name; `add_key` opens one where there is none.
        """
        with self._lock:
            if name in self._state.accounts:
                raise ValueError(f"there is an account {name!r}: open it before its first key")
            self._state.accounts[name] = Account(name, balances)

    def add_key(
        self,
        key: str = "",
        secret: str = "",
        *,
        account: str = "main",
        may: Iterable[str] = (Permission.READ, Permission.TRADE),
    ) -> tuple[str, str]:
        """Issue a key pair, and open its account if there is none of that name.

        Args:
            key: Of 8 to 128 letters, digits, `-` or `_`; empty for a random one.
            secret: Empty for a random one.
            account: Whose it is.
            may: Of `read`, `trade`, `withdraw`.

        Returns:
            The key and the secret.

        Raises:
            ValueError: The key is malformed, or a permission is unknown.
        """
        key = key or secrets.token_hex(32)
        secret = secret or secrets.token_hex(32)
        with self._lock:
            self._state.keys.add(key, Secret(secret), account, map(Permission, may))
            self._state.accounts.setdefault(account, Account(account, DEFAULT_BALANCES))
        return key, secret

    def revoke_key(self, key: str) -> None:
        """Kill a key: from now on -2015. A `KeyError` if it was never issued."""
        with self._lock:
            self._state.keys.set_revoked(key, True)

    def restore_key(self, key: str) -> None:
        """Bring a revoked key back."""
        with self._lock:
            self._state.keys.set_revoked(key, False)

    # The weather.

    def set_weight_limit(self, size: int, window_s: int = 60) -> None:
        """Replace the limit of request weight per address."""
        with self._lock:
            self._state.gate.set_weight_limit(Limit(size, window_s))

    def set_order_limits(self, *limits: Limit) -> None:
        """Replace the limits of orders per account."""
        with self._lock:
            self._state.gate.set_order_limits(limits)

    def lift_bans(self) -> None:
        """Let everybody in again."""
        with self._lock:
            self._state.gate.bans.lift()

    def set_price(self, symbol: str, price: str | Decimal | None) -> None:
        """Hold a symbol at a price (resting orders fill with the next request); `None` lets go."""
        with self._lock:
            self._state.market.pin(symbol, None if price is None else Decimal(price))

    def slow_next(self, seconds: float, times: int = 1) -> None:
        """Hold back the next answers; what was asked is done at once."""
        with self._lock:
            self._delays.extend([seconds] * times)

    def hang_next(self, times: int = 1) -> None:
        """Do what the next requests ask, and never answer."""
        self.slow_next(inf, times)

    # What is to be seen.

    @property
    def arrivals(self) -> tuple[Arrival, ...]:
        """The latest requests, at most `MAX_ARRIVALS`, oldest first, refused ones too."""
        with self._lock:
            return tuple(self._arrivals)

    def answered(self, status: int) -> int:
        """Return how many requests were answered with a status, for example 429."""
        with self._lock:
            return self._answered[status]

    @property
    def withdrawals(self) -> tuple[Withdrawal, ...]:
        """What has left the exchange, oldest first."""
        with self._lock:
            return tuple(self._state.withdrawals)

    def price(self, symbol: str) -> Decimal:
        """Return a symbol's price now."""
        with self._lock:
            return self._state.market.price(symbol, self._wall_ns() // 1_000_000)

    def orders(self, account: str = "main") -> tuple[Order, ...]:
        """Return copies of an account's orders, closed ones first."""
        with self._lock:
            expire(self._state, self._wall_ns() // 1_000_000)
            blotter = self._state.engine.blotter(self._state.accounts[account])
            return tuple(evolve(order) for order in blotter)

    def timers(self, account: str = "main") -> dict[str, int]:
        """Return when an account's orders will be cancelled, by symbol: milliseconds."""
        with self._lock:
            return self._state.timers.of(account)

    def free(self, asset: str, account: str = "main") -> Decimal:
        """Return what an account can spend of an asset."""
        with self._lock:
            return self._state.accounts[account].balance(asset).free

    def clear_arrivals(self) -> None:
        """Forget the arrivals and the counts of answers, not the limits."""
        with self._lock:
            self._arrivals.clear()
            self._answered.clear()
