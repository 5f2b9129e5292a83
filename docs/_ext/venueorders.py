"""What a venue's file says of how orders are read, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tables import code, table

_HEAD = ("endpoint", "order", "symbol", "side", "quantity", "counts", "its own limit", "caps")


def orders_part(orders: Mapping[str, Any]) -> str:
    """Return how policy reads orders out of requests."""
    if not orders:
        return ""
    parts = [
        "## Orders under caps",
        "How `policy` reads orders here. Once anything there applies to orders, an endpoint that "
        "trades and is not in this table is denied; one that only reduces passes caps unread.",
    ]
    forms = orders.get("forms", {})
    rows = [
        row
        for endpoint, said in orders.get("endpoints", {}).items()
        for row in _endpoint(endpoint, said, forms)
    ]
    parts.append(table(_HEAD, rows))
    contracts = [(f"`{name}`", str(is_)) for name, is_ in orders.get("contracts", {}).items()]
    if contracts:
        parts.append(table(("a contract of", "is"), contracts))
    if harmless := orders.get("harmless", ()):
        parts.append(
            f"Beside what is read, an order may have {code(*harmless)}, and what its form lists "
            "under `harmless` or, without a band, `attached`. Any other parameter denies it."
        )
    if told := _refused(orders.get("rejected", {})):
        parts.append(f"Nothing was placed, and what was counted is given back, {told}.")
    return "\n\n".join(parts)


def _endpoint(endpoint: str, said: Any, forms: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    nothing = ("",) * (len(_HEAD) - 2)
    for index, (which, form) in enumerate(_which(said, forms)):
        name = "" if index else f"`{endpoint}`"
        if form is None:
            yield (name, f"{which + ': ' if which else ''}places none", *nothing)
        else:
            yield (name, which or "one", *_form(form))


def _which(said: Any, forms: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    """Yield each form of an endpoint, and when or where it is read; without one, it is none."""
    where = _items(said) if isinstance(said, Mapping) else ""
    if said == "none":
        yield "", None
    elif isinstance(said, Mapping) and "by" in said:
        for value, one in said["forms"].items():
            when = f"{where + ', ' if where else ''}{code(said['by'])} is {code(value)}"
            for form in [None] if one == "none" else _resolved(one, forms):
                yield when, form
    else:
        listed = said["forms"] if isinstance(said, Mapping) and "forms" in said else said
        found = _resolved(listed, forms)
        for number, form in enumerate(found, start=1):
            yield where or (f"{number} of {len(found)}" if len(found) > 1 else ""), form


def _resolved(said: Any, forms: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return forms with what they take from others."""
    if isinstance(said, str):
        return [forms[said]]
    if isinstance(said, list | tuple):
        return [form for one in said for form in _resolved(one, forms)]
    base = forms[said["form"]] if "form" in said else {}
    return [{**base, **said}]


def _items(said: Mapping[str, Any]) -> str:
    items = said.get("items")
    if items is None:
        return ""
    if items == "body":
        return "each of the body, a list"
    if isinstance(items, str):
        return f"each in {code(items)}"
    if "text" in items:
        return f"each in {code(items['text'])}, a list as text"
    return f"each in {code(items['brackets'] + '[…]')}"


def _form(form: Mapping[str, Any]) -> tuple[str, ...]:
    side = code(form["side"]) if "side" in form else "counts as a sale"
    if form.get("signed"):
        side = "below zero sells"
    said = [code(form[key]) for key in ("quantity", "quote") if key in form]
    return (
        code(form["symbol"]),
        side,
        " or ".join(said),
        _units(form),
        _own_price(form),
        _caps(form),
    )


def _units(form: Mapping[str, Any]) -> str:
    if "quantity" not in form:
        return "quote" if "quote" in form else ""
    unit = form.get("unit", "base")
    if isinstance(unit, str):
        return unit
    return "; ".join(rule["is"] + _conditions(rule.get("when", {})) for rule in unit)


def _conditions(when: Mapping[str, Any]) -> str:
    said = [f"`{name}` is {_values(values)}" for name, values in when.items()]
    return " where " + " and ".join(said) if said else ""


def _own_price(form: Mapping[str, Any]) -> str:
    own = form.get("own_price", {})
    if not own:
        return "none"
    lax = ", where it is no lower than the reference" if form.get("lax_price") else ""
    if isinstance(own, str):
        return code(own) + lax
    places: dict[str, list[str]] = {}
    for kind, place in own.items():
        places.setdefault(place, []).append(kind)
    return "; ".join(f"`{place}` for {code(*kinds)}" for place, kinds in places.items()) + lax


def _caps(form: Mapping[str, Any]) -> str:
    if form.get("exits"):
        return "none: it closes a position"
    if form.get("shrinks"):
        return "none: it only makes an order smaller"
    return "all but the day's: it is only tried" if form.get("test") else "all"


def _values(values: Any) -> str:
    return code(values) if isinstance(values, str) else code(*map(str, values))


def _refused(rejected: Mapping[str, Any]) -> str:
    told = []
    if statuses := rejected.get("status"):
        told.append("where the answer is HTTP " + ", ".join(map(str, statuses)))
    if "field" in rejected:
        codes = rejected.get("codes", ())
        if codes:
            told.append(f"where {_values(rejected['field'])} is {code(*map(str, codes))}")
        unless = rejected.get("unless", ())
        if unless:
            doubt = f"where {_values(rejected['field'])} is {code(*map(str, unless))}"
            return f"{' or '.join(told)}; but not {doubt}, of which nobody can tell"
    return " or ".join(told)
