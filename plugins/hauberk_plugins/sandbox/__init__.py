"""The sandbox exchange: a Binance look-alike on loopback for the demo and the tests.

It shares no code with Hauberk's signing, venues or throttle. Its signature check, its parsing and
its limits are its own on purpose: two implementations that agree say more than one that agrees
with itself.
"""

from __future__ import annotations

from hauberk_plugins.sandbox.accounts import Permission, Withdrawal
from hauberk_plugins.sandbox.exchange import Arrival, SandboxExchange
from hauberk_plugins.sandbox.limits import Limit
from hauberk_plugins.sandbox.market import SymbolRules
from hauberk_plugins.sandbox.server import SandboxServer

__all__ = [
    "Arrival",
    "Limit",
    "Permission",
    "SandboxExchange",
    "SandboxServer",
    "SymbolRules",
    "Withdrawal",
]
