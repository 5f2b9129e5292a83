"""Reading the section `orders` of a venue file: strictly, with every problem at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from hauberk.errors import ConfigError, ConfigProblem
from hauberk.keypath import KeyPath
from hauberk.spelling import nearest
from hauberk_plugins.policy.amounts import Amount, read_amount
from hauberk_plugins.policy.answers import Fills, Refusals
from hauberk_plugins.policy.fields import Field
from hauberk_plugins.policy.forms import Form, Unit, UnitRule
from hauberk_plugins.policy.noting import Noting
from hauberk_plugins.policy.ordermap import ByValue, Items, OrderMap, Reader
from hauberk_plugins.policy.symbols import Symbols, SymbolSet

_KEYS: Final = ("body", "symbols", "contracts", "rejected", "harmless", "forms", "endpoints")
_PLACES: Final = ("symbol", "quantity", "quote", "side", "type", "client")
_FLAGS: Final = ("signed", "lax_price", "shrinks", "exits", "test")
_FORM: Final = (
    *_PLACES, *_FLAGS, "buys", "own_price", "unit", "defaults", "one_of", "floats", "filled",
    "symbols", "harmless", "attached",
)  # fmt: skip
_ENDPOINT: Final = ("form", "items", "by", "forms", *_FORM)
NONE: Final = "none"
UNKNOWN: Final = "unknown"
Problem: TypeAlias = Callable[[KeyPath, str], ConfigProblem]


def read_orders(
    section: Mapping[str, Any],
    problem: Problem,
    endpoint: Callable[[str, str], str],
    contracts: Mapping[str, Amount] | None = None,
    harmless: Sequence[str] = (),
) -> OrderMap:
    """Read the section; an empty one says nothing of any endpoint.

    Args:
        section: Its data.
        problem: Makes a problem of a path in the venue file, as `Venue.problem` does.
        endpoint: Gives the venue's name for a method and a path; empty where it knows none.
        contracts: What contracts are, beside what the section says.
        harmless: Parameters that change neither price nor size, beside what the section says.

    Raises:
        ConfigError: Lists what cannot be used, and where it stands.
    """
    reading = _Reading(section, contracts or {}, harmless)
    made = reading.orders(endpoint)
    if reading.faults:
        raise ConfigError([problem(("orders", *at), text) for at, text in reading.faults])
    return made


class _Reading(Noting):
    """Takes the section apart."""

    def __init__(
        self, section: Mapping[str, Any], contracts: Mapping[str, Amount], harmless: Sequence[str]
    ) -> None:
        super().__init__()
        self.section = self.only(section, (), _KEYS)
        self.symbols = self._symbols(self.section.get("symbols", {}), ("symbols",))
        self.contracts = {**self._contracts(), **contracts}
        self.harmless = self.fields(self.section.get("harmless", ()), ("harmless",))
        #: Added by hauberk.yml: whether an order has them in it or beside it, that does not say.
        self.added = tuple(map(Field, harmless))

    def orders(self, endpoint: Callable[[str, str], str]) -> OrderMap:
        forms = {
            name: self.mapping(said, ("forms", name))
            for name, said in self.mapping(self.section.get("forms", {}), ("forms",)).items()
        }
        nested = self.section.get("body", "flat")
        if nested not in ("flat", "json"):
            self.fault(("body",), "must be json, or left out where bodies are flat parameters")
        readers: dict[str, Reader | None] = {}
        for name, said in self.mapping(self.section.get("endpoints", {}), ("endpoints",)).items():
            method, _, path = name.partition(" ")
            if endpoint(method, path) != name:
                self.fault(("endpoints", name), "is none of `operations`")
            readers[name] = self._reader(name, said, forms, nested == "json")
        for name, form in forms.items():  # one that nothing uses has its mistakes told too
            self._form(form, ("forms", name))
        self.faults = list(dict.fromkeys(self.faults))
        found = [form.symbols for one in readers.values() if one is not None
                 for form in one.all_forms]  # fmt: skip
        symbols = [one for at, one in enumerate(found) if one not in found[:at]]
        return OrderMap(readers, self._refusals(), tuple(symbols))

    def _reader(
        self, name: str, said: Any, forms: Mapping[str, Any], nested: bool
    ) -> Reader | None:
        at: KeyPath = ("endpoints", name)
        if said == NONE:
            return None
        items = None
        found: tuple[Form, ...] | ByValue
        if isinstance(said, Mapping):
            said = self.only(said, at, _ENDPOINT)
            items = self._items(said, at)
            if "by" in said:
                found = self._by_value(said, at, forms)
            elif "forms" in said:
                found = self._forms(said["forms"], (*at, "forms"), forms)
            else:
                found = self._forms(said, at, forms)
        else:
            found = self._forms(said, at, forms)
        return Reader(name, found, items, nested, (*self.harmless, *self.added))

    def _by_value(self, said: Mapping[str, Any], at: KeyPath, forms: Mapping[str, Any]) -> ByValue:
        place = self.field(said["by"], (*at, "by")) or Field("=")
        by_value = self.mapping(said.get("forms"), (*at, "forms"))
        return ByValue(
            place,
            {
                value: () if one == NONE else self._forms(one, (*at, "forms", value), forms)
                for value, one in by_value.items()
            },
        )

    def _forms(self, said: Any, at: KeyPath, forms: Mapping[str, Any]) -> tuple[Form, ...]:
        """Read one form or several, each a name or what differs from one."""
        if isinstance(said, list | tuple):
            made = [self._one(one, (*at, index), forms) for index, one in enumerate(said)]
            return tuple(form for form in made if form is not None)
        made_one = self._one(said, at, forms)
        return () if made_one is None else (made_one,)

    def _one(self, said: Any, at: KeyPath, forms: Mapping[str, Any]) -> Form | None:
        if isinstance(said, str):
            if said not in forms:
                self.fault(at, f"{said[:40]!r} is none of `orders.forms`{nearest(said, forms)}")
                return None
            return self._form(forms[said], ("forms", said))
        own = {key: value for key, value in self.mapping(said, at).items() if key in _FORM}
        base = said.get("form") if isinstance(said, Mapping) else None
        if base is not None and base not in forms:
            self.fault((*at, "form"), f"is none of `orders.forms`{nearest(str(base), forms)}")
            return None
        return self._form({**(forms[base] if base else {}), **own}, at)

    def _form(self, said: Mapping[str, Any], at: KeyPath) -> Form | None:
        before = len(self.faults)
        said = self.only(said, at, _FORM)
        if "symbol" not in said:
            self.fault(at, "'symbol' is missing: where the symbol stands")
        places = {
            key: place
            for key in _PLACES
            if key in said and (place := self.field(said[key], (*at, key))) is not None
        }
        flags = {key: said[key] for key in _FLAGS if key in said}
        for key, value in flags.items():
            if type(value) is not bool:
                self.fault((*at, key), "must be true or false")
        one_of = self.values(said.get("one_of", {}), (*at, "one_of"))
        units = self._units(said.get("unit", "base"), (*at, "unit"), one_of)
        symbols = self.symbols
        if "symbols" in said:
            symbols = self._symbols(said["symbols"], (*at, "symbols"))
        own_price = self._own_price(said.get("own_price", {}), (*at, "own_price"))
        defaults = self.texts(said.get("defaults", {}), (*at, "defaults"))
        floats, harmless, attached = (
            self.fields(said.get(key, ()), (*at, key)) for key in ("floats", "harmless", "attached")
        )
        fills = self._fills(said["filled"], (*at, "filled")) if "filled" in said else None
        buys = self.words(said.get("buys", ["buy"]), (*at, "buys"))
        if len(self.faults) > before:
            return None
        said_so = cast(Any, {**places, **flags})
        return Form(
            **said_so, fills=fills, symbols=symbols, own_price=own_price, units=units, buys=buys,
            defaults=defaults, one_of=one_of, floats=floats, contracts=self.contracts,
            harmless=(*harmless, *self.harmless, *self.added), attached=attached,
        )  # fmt: skip

    def _items(self, said: Mapping[str, Any], at: KeyPath) -> Items | None:
        """Read `orders`, `body`, `{text: batchOrders}` or `{brackets: orders}`."""
        if "items" not in said:
            return None
        items, at = said["items"], (*at, "items")
        if items == "body":
            return Items()
        if isinstance(items, str):
            return Items(self.field(items, at))
        parts = self.only(items, at, ("text", "brackets"))
        if "text" in parts:
            return Items(self.field(parts["text"], (*at, "text")), is_text=True)
        return Items(stem=str(parts.get("brackets", "")))

    def _units(
        self, said: Any, at: KeyPath, one_of: tuple[tuple[Field, frozenset[str]], ...]
    ) -> tuple[UnitRule, ...]:
        """Read `base`, or a list of `{is: quote, when: {type: market}}`."""
        if isinstance(said, str):
            said = [{"is": said}]
        closed = {place.text for place, _ in one_of}
        rules = []
        for index, one in enumerate(self.listed(said, at)):
            parts = self.only(one, (*at, index), ("is", "when"))
            unit = self._unit(parts.get("is"), (*at, index, "is"))
            when = [
                (place, SymbolSet(sorted(words)))
                for place, words in self.values(parts.get("when", {}), (*at, index, "when"))
            ]
            for place, words in when:
                is_open = any("*" not in word for word in words.names)
                if is_open and place.text not in closed:
                    self.fault(
                        (*at, index, "when", place.text),
                        "must have a line in `one_of` with every value that it may have",
                    )
            rules.append(UnitRule(unit, tuple(when)))
        return tuple(rules) or (UnitRule(Unit.BASE),)

    def _unit(self, said: Any, at: KeyPath) -> Unit | None:
        if said == UNKNOWN:
            return None
        try:
            return Unit(said)
        except ValueError:
            self.fault(at, f"must be one of {', '.join(Unit)}, {UNKNOWN}")
            return Unit.BASE

    def _own_price(self, said: Any, at: KeyPath) -> dict[str, Field]:
        """Read a place, for every type, or places by type."""
        if isinstance(said, str):
            said = {"": said}
        found = {
            kind.lower(): self.field(place, (*at, kind))
            for kind, place in self.mapping_of_text(said, at).items()
        }
        return {kind: place for kind, place in found.items() if place is not None}

    def _symbols(self, said: Any, at: KeyPath) -> Symbols:
        parts = self.only(
            said, at, ("separator", "quotes", "prefix", "fixed", "aliases", "kinds", "numbered")
        )
        texts = {key: parts[key] for key in ("separator", "prefix", "fixed") if key in parts}
        for key, text in texts.items():
            if type(text) is not str or not text:
                self.fault((*at, key), "must be text")
        quotes = [str(one) for one in self.listed(parts.get("quotes", ()), (*at, "quotes"))]
        for index, quote in enumerate(quotes):
            if not quote or quote != quote.upper():
                self.fault((*at, "quotes", index), "must be a currency in capitals")
        aliases = self.texts(parts.get("aliases", {}), (*at, "aliases"))
        kinds = frozenset(map(str, self.listed(parts.get("kinds", ()), (*at, "kinds"))))
        for kind in sorted(kinds.difference(aliases)):
            self.fault((*at, "kinds"), f"{kind[:40]!r} is none of `aliases`")
        if type(parts.get("numbered", False)) is not bool:
            self.fault((*at, "numbered"), "must be true or false")
        return Symbols(
            **{k: str(v) for k, v in texts.items()}, quotes=quotes, aliases=aliases, kinds=kinds,
            numbered=parts.get("numbered") is True,
        )  # fmt: skip

    def _contracts(self) -> dict[str, Amount]:
        found = {}
        said = self.texts(self.section.get("contracts", {}), ("contracts",))
        for symbol, text in said.items():
            try:
                found[symbol.upper()] = read_amount(text)
            except ValueError as error:
                self.fault(("contracts", symbol), str(error))
        return found

    def _refusals(self) -> Refusals:
        at: KeyPath = ("rejected",)
        parts = self.only(
            self.section.get("rejected", {}), at, ("status", "field", "codes", "unless")
        )
        statuses = self.listed(parts.get("status", ()), (*at, "status"))
        for index, status in enumerate(statuses):
            if type(status) is not int or not 300 <= status < 500:
                self.fault((*at, "status", index), "must be 300 to 499: else it may be placed")
        field = parts.get("field", ())
        places = self.fields([field] if isinstance(field, str) else field, (*at, "field"))
        codes, unless = (
            frozenset(map(str, self.listed(parts.get(key, ()), (*at, key))))
            for key in ("codes", "unless")
        )
        if not places and (codes or unless):
            self.fault(at, "'field' is missing: where in an answer the code stands")
        return Refusals(frozenset(s for s in statuses if type(s) is int), places, codes, unless)

    def _fills(self, said: Any, at: KeyPath) -> Fills | None:
        parts = self.only(said, at, ("field", "final", "worth"))
        place = self.field(parts.get("field"), (*at, "field"))
        worth = self.field(parts.get("worth"), (*at, "worth"))
        final = self.listed(parts.get("final", ()), (*at, "final"))
        if place is None or worth is None:
            return None
        return Fills(place, frozenset(map(str, final)), worth)
