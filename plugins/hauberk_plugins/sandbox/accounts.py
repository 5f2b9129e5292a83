"""Accounts: balances, and what has left them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

from attrs import define, frozen

from hauberk_plugins.sandbox import wire
from hauberk_plugins.sandbox.wire import bad_request

DEFAULT_BALANCES: Final = {
    "USDT": Decimal(100_000),
    "BTC": Decimal(2),
    "ETH": Decimal(20),
    "LTC": Decimal(100),
}


class Permission(StrEnum):
    """What a key may do."""

    READ = "read"
    TRADE = "trade"
    WITHDRAW = "withdraw"


@frozen
class Withdrawal:
    """Money that left the exchange.

    Attributes:
        id: The exchange's number for it.
        account: Whose money it was.
        coin: The asset.
        amount: How much.
        address: Where it went.
        at_ms: When.
    """

    id: str
    account: str
    coin: str
    amount: Decimal
    address: str
    at_ms: int


@define
class Balance:
    """An asset of an account: what is free, and what open orders hold."""

    free: Decimal = Decimal(0)
    locked: Decimal = Decimal(0)


class Account:
    """One customer.

    Args:
        name: Its name.
        balances: What it owns at first, by asset.
    """

    def __init__(self, name: str, balances: Mapping[str, Decimal]) -> None:
        self.name = name
        self.balances = {asset: Balance(amount) for asset, amount in balances.items()}

    def balance(self, asset: str) -> Balance:
        """Return the balance of an asset, which may be nothing."""
        return self.balances.setdefault(asset, Balance())

    def lock(self, asset: str, amount: Decimal) -> None:
        """Set an amount aside for an order, or refuse with -2010."""
        held = self.balance(asset)
        if amount > held.free:
            raise bad_request(
                wire.ORDER_REJECTED, "Account has insufficient balance for requested action."
            )
        held.free -= amount
        held.locked += amount

    def unlock(self, asset: str, amount: Decimal) -> None:
        """Give back what was set aside."""
        held = self.balance(asset)
        held.locked -= amount
        held.free += amount

    def spend(self, asset: str, amount: Decimal) -> None:
        """Let go of what was set aside."""
        self.balance(asset).locked -= amount

    def receive(self, asset: str, amount: Decimal) -> None:
        """Add to what is free."""
        self.balance(asset).free += amount

    def withdraw(self, asset: str, amount: Decimal) -> None:
        """Take out what is free, or refuse with -4026."""
        held = self.balances.get(asset, Balance())
        if amount <= 0 or amount > held.free:
            raise bad_request(
                wire.INSUFFICIENT_BALANCE, "User has insufficient balance of this asset."
            )
        held.free -= amount
