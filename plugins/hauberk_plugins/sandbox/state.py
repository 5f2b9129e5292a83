"""What the endpoints work on: everything that the exchange knows, and one request within it."""

from __future__ import annotations

from collections import deque

from attrs import define, field, frozen

from hauberk_plugins.sandbox.accounts import Account, Permission, Withdrawal
from hauberk_plugins.sandbox.gate import Gate
from hauberk_plugins.sandbox.market import Market
from hauberk_plugins.sandbox.matching import MatchingEngine
from hauberk_plugins.sandbox.parameters import Parameters
from hauberk_plugins.sandbox.signatures import KeyRegister
from hauberk_plugins.sandbox.timers import Timers


@define
class ExchangeState:
    """Everything behind the gate, and the gate."""

    market: Market
    engine: MatchingEngine
    gate: Gate
    keys: KeyRegister
    accounts: dict[str, Account] = field(factory=dict)
    timers: Timers = field(factory=Timers)
    withdrawals: deque[Withdrawal] = field(factory=lambda: deque(maxlen=10_000))
    withdrawn: int = 0


@frozen
class Asked:
    """A request that has passed the gate.

    Attributes:
        parameters: Checked against what the endpoint knows.
        now_ms: The exchange's time.
        account: Whose key signed it; of nobody where the endpoint is public.
        may: What that key may do.
    """

    parameters: Parameters
    now_ms: int
    account: Account
    may: frozenset[Permission] = frozenset()
