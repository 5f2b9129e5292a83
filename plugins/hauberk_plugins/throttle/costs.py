"""What a request costs where that depends on what it asks for: data of a venue file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from attrs import frozen

from hauberk.errors import InvalidValue
from hauberk.request import Pairs, Request

#: Stands for a body that is a list itself.
BODY: Final = "."
#: What a longer body asks for is not looked at: it costs the most.
_MAX_BODY: Final = 1 << 20
_NUMBER: Final = re.compile(r"[0-9]{1,15}\Z")

#: What a request says, by name; `None` where it can be read in more than one way.
Given: TypeAlias = Mapping[str, Any] | None


class _CannotTellError(Exception):
    """What the amount depends on is not what the file foresees."""


@frozen
class Case:
    """What it costs if a parameter is given, and is so.

    Attributes:
        param: Its name, `action.orders` for a member of a member; `.` for a body that is a list.
        amount: What it costs then; 0 where `steps` or `each` say so.
        equals: The value that it must have; `None` for any.
        steps: Up to which number, or how many items, it costs how much, rising; beyond the last
            the case does not apply.
        counts_items: Whether `steps` are of how many items there are.
        each: What every item costs; 0 where that does not matter.
        most: What any number of items costs at most.
    """

    param: str
    amount: int = 0
    equals: str | None = None
    steps: tuple[tuple[int, int], ...] = ()
    counts_items: bool = False
    each: int = 0
    most: int = 0

    @property
    def dearest(self) -> int:
        """The most that it may come to."""
        return max(self.amount, self.most, *(amount for _, amount in self.steps), 0)

    def cost(self, given: Mapping[str, Any]) -> int | None:
        """Return what it costs, or `None` where the case does not apply."""
        value = _found(given, self.param)
        if value is None or value == "":
            return None
        if self.equals is not None:
            return self.amount if _text(value) == self.equals else None
        if self.each:
            return min(self.each * max(1, _items(value)), self.most)
        if not self.steps:
            return self.amount
        number = _items(value) if self.counts_items else _number(value)
        return next((amount for upto, amount in self.steps if number <= upto), None)


@frozen
class Varying:
    """An amount that depends on parameters.

    Attributes:
        cases: The first that applies counts.
        otherwise: Where none does.
    """

    cases: tuple[Case, ...]
    otherwise: int

    @property
    def dearest(self) -> int:
        """The most that it may come to; also where nobody can tell."""
        return max([self.otherwise, *(case.dearest for case in self.cases)])

    def amount(self, given: Given) -> int:
        """Return what it comes to."""
        if given is None:
            return self.dearest
        try:
            for case in self.cases:
                found = case.cost(given)
                if found is not None:
                    return found
        except _CannotTellError:
            return self.dearest
        return self.otherwise


#: What an endpoint takes of one figure.
Amount: TypeAlias = int | Varying


def dearest(amount: Amount) -> int:
    """Return the most that an amount may come to."""
    return amount if type(amount) is int else amount.dearest  # type: ignore[union-attr]


def given(request: Request, body_params: Callable[[Request], Pairs]) -> Given:
    """Return what a request says, in its parameters and its body.

    Args:
        request: As judged.
        body_params: Reads a form, as `Venue.body_params` does.
    """
    try:
        pairs = [*request.params, *_body_pairs(request, body_params)]
    except (InvalidValue, ValueError, RecursionError):
        return None
    # Nor may names differ in the case of letters alone: some servers read them as one.
    if len({name.casefold() for name, _ in pairs}) != len(pairs):
        return None
    return dict(pairs)


def _body_pairs(
    request: Request, body_params: Callable[[Request], Pairs]
) -> Iterable[tuple[str, Any]]:
    body = request.body
    if not body:
        return ()
    if len(body) > _MAX_BODY:
        raise InvalidValue("the body is too long to be looked at")
    if body.lstrip()[:1] not in (b"{", b"["):
        return body_params(request)
    document = json.loads(body, object_pairs_hook=_unique)
    return document.items() if type(document) is dict else ((BODY, document),)


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name.casefold() for name, _ in members}) != len(members):
        raise InvalidValue("a name stands twice")
    return dict(members)


def _found(given: Mapping[str, Any], param: str) -> Any:
    if param in given:
        return given[param]
    name, dot, inner = param.partition(".")
    held = given.get(name) if dot and name else None
    return _found(held, inner) if type(held) is dict else None


def _text(value: Any) -> str:
    if type(value) is bool:
        return str(value).lower()
    if type(value) in (str, int):
        return str(value)
    raise _CannotTellError


def _number(value: Any) -> int:
    text = _text(value)
    if _NUMBER.match(text):
        return int(text)
    raise _CannotTellError


def _items(value: Any) -> int:
    if type(value) is str:
        if not value.lstrip().startswith("["):
            return value.count(",") + 1
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise _CannotTellError from None
    if type(value) is list:
        return len(value)
    raise _CannotTellError
