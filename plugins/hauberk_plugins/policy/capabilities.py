"""Whether an account has the capability that an operation needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from hauberk.request import Operation

#: The capability that each operation needs; `None` where everybody may. What does not stand
#: here, `UNKNOWN` or an operation that a later kernel adds, nobody may.
NEEDS: Final[Mapping[Operation, Operation | None]] = MappingProxyType(
    {
        Operation.PUBLIC: None,
        Operation.READ: Operation.READ,
        Operation.TRADE: Operation.TRADE,
        Operation.REDUCE: Operation.TRADE,
        Operation.CANCEL: Operation.CANCEL,
        Operation.TRANSFER: Operation.TRANSFER,
        Operation.WITHDRAW: Operation.WITHDRAW,
        Operation.ADMIN: Operation.ADMIN,
    }
)


def objection(account: str, allow: Collection[Operation], operation: Operation) -> str:
    """Say what stands against an operation, by capability alone: no method, no amount counts.

    Args:
        account: The account's name.
        allow: The capabilities that it has.
        operation: What the request does, as the venue's map says.

    Returns:
        Which capability the account lacks; empty if nothing stands against it.
    """
    if operation not in NEEDS:
        return f"nobody may do what is {operation}: not account {account!r} either"
    needed = NEEDS[operation]
    if needed is None or needed in allow:
        return ""
    has = ", ".join(allow) or "none"
    return (
        f"account {account!r} lacks the capability {needed.value!r}, which {operation.value!r} "
        f"needs (it has: {has}); add it to `accounts.{account}.allow` if it is meant to"
    )
