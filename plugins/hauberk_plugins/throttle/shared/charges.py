"""`Charges`: what this process was granted, until it has left or is given back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from attrs import frozen

from hauberk_plugins.throttle.shared.meter import SharedAmounts
from hauberk_plugins.throttle.shared.post import Post
from hauberk_plugins.throttle.shared.tally import Tally

#: Of which records, and how much.
Parts: TypeAlias = tuple[tuple[Tally, int], ...]


@frozen
class Charge:
    """What one request was granted.

    Attributes:
        amounts: What it asked for.
        owner: Under whose name in the ledger.
        parts: What it takes.
    """

    amounts: SharedAmounts
    owner: str
    parts: Parts

    def covers(self, wanted: SharedAmounts) -> bool:
        """Whether it holds all that is wanted."""
        if self.amounts is wanted:
            return True
        amounts = dict(self.amounts)
        return all(amounts.get(meter, 0) >= amount for meter, amount in wanted)


class Charges:
    """Charges by request. Not locked: its limiter is.

    Args:
        post: Told what the ledger is to know.
    """

    def __init__(self, post: Post) -> None:
        self._post = post
        self._charges: dict[str, Charge] = {}

    def get(self, request_id: str) -> Charge | None:
        """Return the charge of a request."""
        return self._charges.get(request_id)

    def put(self, request_id: str, amounts: SharedAmounts, owner: str, parts: Parts) -> None:
        """Keep a charge; its tallies have it as open."""
        self._charges[request_id] = Charge(amounts, owner, parts)

    def tallies(self) -> Iterator[Tally]:
        """What is told of all that is open."""
        for charge in self._charges.values():
            for tally, _ in charge.parts:
                yield tally

    def end(
        self, request_id: str, owner: str, otherwise: Parts, *, left: bool, now_ns: int
    ) -> None:
        """Date what has left, and give back what has not.

        Args:
            request_id: Whose.
            owner: The owner as it is called today: what was granted under another name is dated by
                the ledger itself.
            otherwise: What a request takes that was granted nothing; what left counts all the same.
            left: Whether it left.
            now_ns: When.
        """
        charge = self._charges.pop(request_id, None)
        for tally, amount in otherwise if charge is None else charge.parts:
            if charge is not None and charge.owner == owner:
                tally.open -= amount
            if left:
                tally.leave(amount, now_ns)
            self._post.note(tally)

    def give_back(self, parts: Iterable[tuple[Tally, int]]) -> None:
        """Give back what no request was charged."""
        for tally, amount in parts:
            tally.open -= amount
            self._post.note(tally)
