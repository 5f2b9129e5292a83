"""`Limits`: the section `limits` of a venue file, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from attrs import field, frozen

from hauberk.errors import InvalidValue
from hauberk.spelling import nearest
from hauberk_plugins.throttle.errors import BadLimits
from hauberk_plugins.throttle.windows import Kind, Scope, Window

DEFAULT: Final = "default"
_FIELDS: Final = ("name", "kind", "scope", "seconds", "size", "counts")
Costs = Mapping[str, Mapping[str, int]]


@frozen
class Limits:
    """What a venue allows, and what each of its endpoints costs.

    Attributes:
        windows: All of them; a request is charged in each whose figure its cost names.
        costs: By `METHOD path`; `default` for every other endpoint.
    """

    windows: tuple[Window, ...] = ()
    costs: Costs = field(factory=dict)


def read_limits(
    venue: str, section: Mapping[str, Any], override: Sequence[Window] | None = None
) -> Limits:
    """Read the section `limits` of a venue file; an empty one means that nothing is paced.

    Args:
        venue: The venue's name, for messages.
        section: The section's data.
        override: Windows that stand in place of the file's.

    Raises:
        BadLimits: Something in it cannot be used; says what and where.
    """
    _only(venue, "limits", section, ("windows", "costs"))
    windows = [
        _window(venue, f"limits.windows[{index}]", item)
        for index, item in enumerate(_list(venue, "limits.windows", section.get("windows", ())))
    ]
    counts = {window.counts for window in windows}
    costs = {
        name: _cost(venue, f"limits.costs[{name!r}]", item, counts)
        for name, item in _mapping(venue, "limits.costs", section.get("costs", {})).items()
    }
    if windows and DEFAULT not in costs:
        raise BadLimits(venue, "limits.costs", f"{DEFAULT!r} is missing")
    used = tuple(windows if override is None else override)
    names = [window.name for window in used]
    if (twice := next((name for name in names if names.count(name) > 1), None)) is not None:
        raise BadLimits(venue, "windows", f"the name {twice!r} stands twice")
    return Limits(used, costs)


def _window(venue: str, where: str, item: Any) -> Window:
    _only(venue, where, _mapping(venue, where, item), _FIELDS)
    if missing := [name for name in _FIELDS if name not in item]:
        raise BadLimits(venue, where, f"{missing[0]!r} is missing")
    words = {
        "kind": _choice(venue, f"{where}.kind", Kind, item["kind"]),
        "scope": _choice(venue, f"{where}.scope", Scope, item["scope"]),
    }
    try:
        return Window(**{**item, **words})
    except InvalidValue as error:
        raise BadLimits(venue, where, str(error)) from None


def _choice(venue: str, where: str, words: type[StrEnum], given: Any) -> StrEnum:
    for word in words:
        if given == word:
            return word
    raise BadLimits(venue, where, f"{str(given)[:40]!r} is none of {', '.join(words)}")


def _cost(venue: str, where: str, item: Any, counts: set[str]) -> dict[str, int]:
    cost = _only(venue, where, _mapping(venue, where, item), sorted(counts))
    for name, amount in cost.items():
        if type(amount) is not int or amount < 0:
            raise BadLimits(venue, where, f"{name!r} must be a whole number from 0")
    return dict(cost)


def _only(venue: str, where: str, item: Mapping[str, Any], known: Sequence[str]) -> Any:
    for name in item:
        if name not in known:
            hint = nearest(str(name), known) or f"; known: {', '.join(known) or 'none'}"
            raise BadLimits(venue, where, f"{name!r} means nothing here{hint}")
    return item


def _mapping(venue: str, where: str, item: Any) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise BadLimits(venue, where, "must be a mapping")
    return item


def _list(venue: str, where: str, item: Any) -> Sequence[Any]:
    if not isinstance(item, list | tuple):
        raise BadLimits(venue, where, "must be a list")
    return item
