"""`Form`: how one order is read out of what a request says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from attrs import field, frozen

from hauberk_plugins.policy.amounts import Amount, cut, number
from hauberk_plugins.policy.answers import Fills
from hauberk_plugins.policy.errors import Unreadable
from hauberk_plugins.policy.fields import Field, Source, getter
from hauberk_plugins.policy.symbols import Symbols, SymbolSet, checked_symbol

_BUYS: Final = frozenset({"buy"})
_NOTHING: Final[Mapping[str, str]] = {}
Getter: TypeAlias = Callable[[Source], str | None]


class Unit(StrEnum):
    """What an order's quantity counts."""

    BASE = "base"
    QUOTE = "quote"
    CONTRACTS = "contracts"


@frozen
class UnitRule:
    """What a quantity counts where some parameters have some values.

    Attributes:
        unit: What it counts; `None` where nobody can tell.
        when: Parameters, and the values that they must have.
    """

    unit: Unit | None
    when: tuple[tuple[Field, SymbolSet], ...] = ()


class Order:
    """One order, as it was read.

    Attributes:
        form: How it was read.
        symbol: As the request writes it.
        is_sell: Whether it sells, or nobody can say that it buys.
        quantity: How much, in `unit`; `None` where the request does not say.
        unit: What `quantity` counts; `None` where the venue file does not say.
        price: The limit that it sets itself; `None` where it sets none that holds.
        quoted: An amount in quote currency; `None` where the request says none.
        client: The id that the bot gave it; empty for none.
        place: Which one of several it is, as ` 2 of 3`; empty for the only one.
        attached: The parameter that says at which price what it opens is closed again; empty
            for none.
        worth: Its notional and the currency of that, once it is known.
    """

    __slots__ = ("attached", "client", "form", "is_sell", "place", "price", "quantity", "quoted",
                 "symbol", "unit", "worth")  # fmt: skip

    def __init__(
        self,
        form: Form,
        symbol: str,
        is_sell: bool,
        quantity: Decimal | None,
        unit: Unit | None,
        price: Decimal | None,
        quoted: Decimal | None,
    ) -> None:
        self.form = form
        self.symbol = symbol
        self.is_sell = is_sell
        self.quantity = quantity
        self.unit = unit
        self.price = price
        self.quoted = quoted
        self.client = ""
        self.place = ""
        self.attached = ""
        self.worth: tuple[Decimal, str] | None = None

    def __str__(self) -> str:
        client = f" ({cut(self.client)})" if self.client else ""
        return f"order{self.place}{client}"


@frozen(eq=False)
class Form:
    """Where the parts of an order stand, and what they mean.

    Attributes:
        symbol: Where the symbol stands.
        symbols: How symbols are made.
        quantity: Where the quantity stands.
        quote: Where an amount in quote currency stands.
        side: Where the side stands; without, every order counts as one that sells.
        buys: The sides that buy, in small letters.
        type: Where the type stands.
        own_price: By type in small letters, where the price stands that the exchange keeps to;
            `""` for any type.
        client: Where the bot's own id stands.
        units: What the quantity counts: the first rule that applies.
        defaults: What counts where a parameter is missing, by its place.
        one_of: The values that parameters may have, in small letters; with any other, the order
            cannot be read.
        floats: Parameters that make the price another than the one that is written.
        harmless: Other parameters that it may have: they change neither price nor size.
        attached: Parameters that close again, at a price of their own, what it opens.
        contracts: What a contract of a symbol is.
        fills: How an answer says what was filled.
        signed: Whether a quantity below zero sells.
        lax_price: Whether the price may be ignored, as where an order is changed that may be one
            without a limit: it then counts only where it is no lower than the reference price.
        shrinks: Whether it only makes an order smaller: it needs no cap.
        exits: Whether it at most closes a position: it needs no cap.
        test: Whether the exchange only tries it.
    """

    symbol: Field
    symbols: Symbols = field(factory=Symbols)
    quantity: Field | None = None
    quote: Field | None = None
    side: Field | None = None
    buys: frozenset[str] = _BUYS
    type: Field | None = None
    own_price: Mapping[str, Field] = field(factory=dict)
    client: Field | None = None
    units: tuple[UnitRule, ...] = (UnitRule(Unit.BASE),)
    defaults: Mapping[str, str] = _NOTHING
    one_of: tuple[tuple[Field, frozenset[str]], ...] = ()
    floats: tuple[Field, ...] = ()
    harmless: tuple[Field, ...] = ()
    attached: tuple[Field, ...] = ()
    contracts: Mapping[str, Amount] = field(factory=dict)
    fills: Fills | None = None
    signed: bool = False
    lax_price: bool = False
    shrinks: bool = False
    exits: bool = False
    test: bool = False
    #: Whether it counts for a day.
    counts: bool = field(init=False)
    _get: Mapping[str, Getter] = field(init=False, repr=False)
    #: The getters of symbol, side, quantity, quote, type and client, in this order; and their
    #: names, where plain ones are all that is needed.
    _usual: tuple[Getter | None, ...] = field(init=False, repr=False)
    _names: tuple[str, ...] | None = field(init=False, repr=False)
    _floating: tuple[Getter, ...] = field(init=False, repr=False)
    #: The places of quantity and quote, for messages.
    _where: tuple[str, str] = field(init=False, repr=False)
    _prices: Mapping[str, tuple[str, Getter]] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "counts", not (self.exits or self.shrinks or self.test))
        places = {place.text: place for place in self.places}
        made = {text: getter(place, self.defaults.get(text)) for text, place in places.items()}
        object.__setattr__(self, "_get", made)
        usual = (self.symbol, self.side, self.quantity, self.quote, self.type, self.client)
        getters = tuple(None if place is None else made[place.text] for place in usual)
        object.__setattr__(self, "_usual", getters)
        names = tuple("" if place is None else place.name for place in usual)
        is_plain = all(place is None or place.name for place in usual) and not self.defaults
        object.__setattr__(self, "_names", names if is_plain else None)
        where = tuple("" if place is None else place.text for place in usual[2:4])
        object.__setattr__(self, "_where", where)
        object.__setattr__(self, "_floating", tuple(made[place.text] for place in self.floats))
        prices = {kind: (place.text, made[place.text]) for kind, place in self.own_price.items()}
        object.__setattr__(self, "_prices", prices)

    @property
    def places(self) -> tuple[Field, ...]:
        """Every place that it looks at."""
        one = (self.symbol, self.quantity, self.quote, self.side, self.type, self.client)
        when = (place for rule in self.units for place, _ in rule.when)
        limits = (place for place, _ in self.one_of)
        every = (*one, *self.own_price.values(), *self.floats, *when, *limits)
        return tuple(place for place in every if place is not None)

    def read(self, source: Source) -> Order:
        """Read an order.

        Raises:
            Unreadable: Says which part could not be read.
        """
        said_symbol, side, said_quantity, amount, kind, client = self._said(source)
        symbol = checked_symbol(said_symbol, self.symbol.text)
        for place, values in self.one_of:
            self._check_one_of(source, place, values)
        is_sell = side is None or side.lower() not in self.buys
        quantity = quoted = price = None
        if said_quantity is not None:
            if self.signed:
                is_sell = said_quantity[:1] == "-"
                said_quantity = said_quantity.removeprefix("-")
            quantity = number(said_quantity, self._where[0])
        if amount is not None:
            quoted = number(amount, self._where[1])
        if self._prices:
            limit = self._prices.get(kind.lower() if kind is not None else "")
            if limit is not None:
                price = self._own_price(source, *limit)
        unit = self.units[0].unit if not self.units[0].when else self._unit(source)
        made = Order(self, symbol, is_sell, quantity, unit, price, quoted)
        made.client = client or ""
        return made

    def _said(self, source: Source) -> Iterable[str | None]:
        """Return what is said of symbol, side, quantity, amount, type and the bot's own id."""
        if source.is_text and self._names is not None:
            return map(source.item.get, self._names)
        return [None if get is None else get(source) for get in self._usual]

    def _own_price(self, source: Source, where: str, get: Getter) -> Decimal | None:
        """Return the limit that an order sets itself; `None` where none holds."""
        text = get(source)
        if text is None:
            return None
        price = number(text, where)
        if not price:  # some venues write a market order so
            return None
        for get in self._floating:
            if get(source) is not None:
                return None
        return price

    def _unit(self, source: Source) -> Unit | None:
        for rule in self.units:
            if all(self._is_one(source, place, values) for place, values in rule.when):
                return rule.unit
        return None

    def _is_one(self, source: Source, place: Field, values: SymbolSet) -> bool:
        text = self._get[place.text](source)
        return text is not None and any(one in values for one in text.split(","))

    def _check_one_of(self, source: Source, place: Field, values: frozenset[str]) -> None:
        """Check a parameter that says what another one means; a list of words, word by word."""
        text = self._get[place.text](source)
        if text is not None and not values.issuperset(text.lower().split(",")):
            raise Unreadable(
                f"`{place.text}` is {cut(text)}, and the venue's file does not say what that means"
            )
