"""Who waits for one window, in the order in which they first asked."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from hauberk_plugins.throttle.meters import Meter

#: What a request takes of each window.
Amounts: TypeAlias = "tuple[tuple[Meter, int], ...]"


class Waiter:
    """A request that waits, and what it was told. Times are monotonic nanoseconds.

    Attributes:
        request_id: Of the request.
        ticket: Its place: whoever has a lower one comes before it, in every line.
        amounts: What it wants.
        is_cancel: Whether it may take of what is reserved.
        due_ns: When there should be room for it, those before it counted.
        told_ns: When it was told to ask again; at `due_ns`, or earlier, to see whether the one
            before it has let its turn pass.
        claims: The lines of the windows that had no room for it.
    """

    __slots__ = (
        "amounts",
        "claims",
        "due_ns",
        "is_cancel",
        "request_id",
        "ticket",
        "told_ns",
    )

    def __init__(
        self, request_id: str, ticket: int, amounts: Amounts, *, is_cancel: bool = False
    ) -> None:
        self.request_id = request_id
        self.ticket = ticket
        self.amounts = amounts
        self.is_cancel = is_cancel
        self.due_ns = 0
        self.told_ns = 0
        self.claims: list[Line] = []

    def sources(self, meter: Meter, amount: int) -> tuple[Meter, ...]:
        """Of what it may take an amount: for a cancel first of what is reserved, if it fits."""
        aside = meter.aside
        if self.is_cancel and aside is not None and amount <= aside.size:
            return aside, meter
        return (meter,)

    def join(self) -> None:
        """Take a place before every window that it wants something of."""
        for meter, amount in self.amounts:
            for source in self.sources(meter, amount):
                source.line.add(self, amount)

    def leave(self) -> None:
        """Give up every place and claim."""
        for line in self.claims:
            line.claimed -= 1
        self.claims = []
        for meter, amount in self.amounts:
            for source in self.sources(meter, amount):
                source.line.remove(self)


class Line:
    """The places before one window.

    Budget is kept for who claims it, because the window had no room for it once, and for who is
    due, which may come at any moment; not for who waits for another window alone, so that nobody
    waits behind it. A place is a lease: whoever has not come back by a lease after it was due is
    passed over while it stays away, and keeps its ticket.

    Attributes:
        claimed: How many claim it.
    """

    __slots__ = ("_places", "claimed")

    def __init__(self) -> None:
        self.claimed = 0
        self._places: list[tuple[int, int, Waiter]] = []

    def __len__(self) -> int:
        return len(self._places)

    def add(self, waiter: Waiter, amount: int) -> None:
        """Give a waiter its place."""
        insort(self._places, (waiter.ticket, amount, waiter))

    def remove(self, waiter: Waiter) -> None:
        """Take the waiter's place away, if it has one."""
        # A tuple that is a prefix of another sorts before it; tickets are unique.
        index = bisect_left(self._places, (waiter.ticket,))
        if index < len(self._places) and self._places[index][2] is waiter:
            del self._places[index]

    def claim(self, waiter: Waiter) -> None:
        """Keep budget for a waiter from now on, until it is granted or leaves.

        Even while another window is what blocks it: otherwise later ones could overtake it at
        each in turn, for ever.
        """
        if self not in waiter.claims:
            waiter.claims.append(self)
            self.claimed += 1

    def before(self, ticket: int, alive_ns: int, by_ns: int) -> tuple[int, int | None]:
        """Add up what is kept for those who come before a ticket.

        Args:
            ticket: Whose turn is asked about.
            alive_ns: Who was due before this is passed over.
            by_ns: Who has no claim counts if it is due by this.

        Returns:
            Their amounts, and when the last of them is due, or `None` if there is nobody.
        """
        total, last_due = 0, None
        for other, amount, waiter in self._places:
            if other >= ticket:
                break
            due = waiter.due_ns
            if due >= alive_ns and (due <= by_ns or self in waiter.claims):
                total += amount
                last_due = due
        return total, last_due

    def claimants(self, alive_ns: int) -> Iterator[Waiter]:
        """Yield those who claim it and are not passed over, in order."""
        for _, _, waiter in self._places:
            if waiter.due_ns >= alive_ns and self in waiter.claims:
                yield waiter
