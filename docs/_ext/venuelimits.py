"""What a venue's file says of limits, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tables import code, table

_SINGULAR = {".": "the body"}


def limits_part(limits: Mapping[str, Any]) -> str:
    """Return the windows, and what requests cost of them."""
    if not limits:
        return ""
    rows = [
        (
            f"`{one['name']}`",
            one["kind"],
            one["scope"],
            f"{one['size']:,} {one['counts']}",
            f"{one['seconds']:,} s",
        )
        for one in limits.get("windows", ())
    ]
    parts = ["## Limits", table(("window", "kind", "for each", "at most", "in"), rows)]
    costs = limits.get("costs", {})
    told = ", ".join(f"{cost} {name}" for name, cost in costs.get("default", {}).items())
    others = [(name, said) for name, said in costs.items() if name != "default"]
    fixed = [
        (f"`{name}`", ", ".join(f"{cost} {what}" for what, cost in said.items()))
        for name, said in others
        if not _varies(said)
    ]
    varying = [row for name, said in others if _varies(said) for row in _cases(name, said)]
    parts.append(f"A request costs {told or 'nothing'}{', but:' if fixed else '.'}")
    if fixed:
        parts.append(table(("endpoint", "costs"), fixed))
    if varying:
        parts.append("What depends on what is asked for, the first line that applies:")
        parts.append(table(("endpoint", "where", "costs"), varying))
    return "\n\n".join(parts)


def _varies(said: Mapping[str, Any]) -> bool:
    return any(not isinstance(amount, int) for amount in said.values())


def _cases(endpoint: str, said: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """One row for each case; an endpoint is named in its first."""
    rows = []
    for what, amount in said.items():
        if isinstance(amount, int):
            rows.append(("always", f"{amount} {what}"))
            continue
        for one in amount:
            rows += [(where, f"{cost} {what}") for where, cost in _case(one)]
    for index, (where, costs) in enumerate(rows):
        yield ("" if index else f"`{endpoint}`", where, costs)


def _case(one: Any) -> Iterator[tuple[str, str]]:
    if isinstance(one, int):
        yield "otherwise", str(one)
        return
    name = _SINGULAR.get(one["param"], f"`{one['param']}`")
    for most, cost in one.get("upto", ()):
        yield f"{name} is at most {most:,}", str(cost)
    for most, cost in one.get("items", ()):
        yield f"{name} has at most {most:,} {_items(most)}", str(cost)
    if "each" in one:
        yield f"{name} is given", f"{one['each']} for each item, at most {one['most']:,}"
    elif "is" in one:
        equals = f"is {code(str(one['equals']))}" if "equals" in one else "is given"
        yield f"{name} {equals}", str(one["is"])


def _items(count: int) -> str:
    return "item" if count == 1 else "items"
