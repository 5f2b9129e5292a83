"""What an exchange's answer says of the orders in a request: refused, or how much was filled."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import field, frozen

from hauberk.request import Response
from hauberk_plugins.policy.amounts import number
from hauberk_plugins.policy.documents import load
from hauberk_plugins.policy.errors import Unreadable
from hauberk_plugins.policy.fields import Field, Source

_MAX_BYTES = 64 * 1024
_NO_SEGMENTS: Mapping[str, str] = {}


@frozen
class Refusals:
    """How a venue says that nothing was placed.

    Attributes:
        statuses: HTTP statuses that say so of the whole request.
        places: Where an answer may say what became of it.
        codes: What stands there, in an answer of success, where a single order was not placed. All
            else may have been placed.
        unless: What stands there where nobody can tell, whatever the status.
    """

    statuses: frozenset[int] = frozenset()
    places: tuple[Field, ...] = ()
    codes: frozenset[str] = frozenset()
    unless: frozenset[str] = frozenset()

    def say(self, response: Response, *, is_single: bool) -> bool:
        """Whether an answer says that nothing was placed."""
        said = {_said(place, response) for place in self.places}
        if not self.unless.isdisjoint(said):
            return False
        if response.status in self.statuses:
            return True
        return is_single and 200 <= response.status < 300 and not self.codes.isdisjoint(said)


@frozen
class Fills:
    """How an answer says what became of an order that is over as soon as it was placed.

    Attributes:
        place: Where it says its state.
        final: The states in which nothing more can be filled.
        worth: Where it says how much was filled, in quote currency.
    """

    place: Field
    final: frozenset[str]
    worth: Field = field()

    def filled(self, response: Response) -> Decimal | None:
        """Return what was filled, in quote currency; `None` where it is not over, or not said."""
        if not 200 <= response.status < 300 or _said(self.place, response) not in self.final:
            return None
        text = _said(self.worth, response)
        try:
            return None if text is None else number(text, self.worth.text)
        except Unreadable:
            return None


def _said(place: Field, response: Response) -> str | None:
    if not 0 < len(response.body) <= _MAX_BYTES:
        return None
    try:
        document = load(response.body)
        return place.get(Source(document, document, _NO_SEGMENTS))
    except Unreadable:
        return None
