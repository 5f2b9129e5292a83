"""A sealed record and its bucket's sum, written together if both stand as they are known."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from attrs import field, frozen

from hauberk.ports import Record


@frozen
class Exchange:
    """What is to be written, and in place of what.

    Attributes:
        key: The record's name in the store.
        stored: The record, sealed.
        stood: SHA-256 of what must stand there; `None` where nothing may.
        sum_key: The name of the sum in the store.
        sum: The sum, sealed.
        sum_stood: What must stand there, whose version it follows.
    """

    key: str
    stored: bytes = field(repr=False)
    stood: bytes | None = field(repr=False)
    sum_key: str
    sum: bytes = field(repr=False)
    sum_stood: Record


@runtime_checkable
class Exchanging(Protocol):
    """What a store may offer besides, where a look before a write costs a turn with a server."""

    def exchange(self, wanted: Exchange) -> bool:
        """Write both, if both stand as they must; else neither.

        Returns:
            Whether they were written. Not within this thread's transaction: never.

        Raises:
            StoreError: It cannot be said whether they were.
        """
