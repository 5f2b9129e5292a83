"""What can be wrong with an order, or with what is kept of a day."""

from __future__ import annotations

from hauberk.errors import HauberkError


class Unreadable(HauberkError):
    """An order cannot be read in one way only, and so is not judged but denied."""


class NoReference(HauberkError):
    """What an order is worth, or whether its price is fair, needs a reference price."""


class DaySpent(HauberkError):
    """An order would take a day's notional above its cap.

    Attributes:
        left: How much of the cap is left for the process that asks, in units of 10**-8.
        day: The day, days since the epoch, UTC.
    """

    def __init__(self, left: int, day: int) -> None:
        super().__init__(left, day)
        self.left = left
        self.day = day

    def __str__(self) -> str:
        return f"{self.left} units are left of day {self.day}"


class DayRecordError(HauberkError):
    """What is kept of a day's notional cannot be read or written, so that nobody can count on."""
