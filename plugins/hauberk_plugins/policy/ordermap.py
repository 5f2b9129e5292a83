"""`OrderMap`: the section `orders` of a venue file, ready to read orders out of requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen

from hauberk.errors import InvalidValue
from hauberk.request import Pairs, Request, path_of
from hauberk_plugins.policy.answers import Refusals
from hauberk_plugins.policy.documents import bracketed, check_deeply, check_names, load
from hauberk_plugins.policy.errors import Unreadable
from hauberk_plugins.policy.fields import Field, Source
from hauberk_plugins.policy.forms import Form, Order
from hauberk_plugins.policy.known import Known
from hauberk_plugins.policy.symbols import Symbols

#: More orders than any exchange takes at once.
MAX_ORDERS: Final = 1_000
_REMEMBERED: Final = 256
_NONE: Final[Mapping[str, str]] = {}
BodyParams: TypeAlias = Callable[[Request], Pairs]


@frozen(eq=False)
class ByValue:
    """Forms of which a parameter says which one counts.

    Attributes:
        place: Where it stands.
        forms: By value; without forms where that value places nothing.
    """

    place: Field
    forms: Mapping[str, tuple[Form, ...]]


@frozen(eq=False)
class Items:
    """Where the orders of a batch stand.

    Attributes:
        place: The list; `None` where the body itself is one.
        is_text: Whether it is JSON in a parameter.
        stem: The name of the list where a form writes `orders[0][volume]`; else empty.
    """

    place: Field | None = None
    is_text: bool = False
    stem: str = ""


@define(eq=False)
class Reader:
    """Reads the orders out of the requests of one endpoint.

    Attributes:
        endpoint: Its name, as `POST /orders/{id}`.
        forms: All that each item holds, or those among which a parameter chooses.
        items: Where the items stand, if there may be several.
        nested: Whether a body is a JSON document, rather than flat parameters.
        harmless: Parameters of any request that change neither price nor size.
    """

    endpoint: str
    forms: tuple[Form, ...] | ByValue
    items: Items | None = None
    nested: bool = False
    harmless: tuple[Field, ...] = ()
    #: What may stand in an item, and beside the items; the same where there is one.
    _item: Known = field(init=False, repr=False)
    _beside: Known = field(init=False, repr=False)
    #: Whether names that nobody knows could do harm.
    _is_strict: bool = field(init=False, repr=False)
    _known: dict[str, str] = field(init=False, repr=False)
    _good: set[tuple[str, ...]] = field(init=False, repr=False, factory=set)
    _has_segments: bool = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        places = [place for form in self.all_forms for place in form.places]
        if isinstance(self.forms, ByValue):
            places.append(self.forms.place)
        if self.items is not None and self.items.place is not None:
            places.append(self.items.place)
        names = {name for place in places for name in place.names}
        self._known = {name.casefold(): name for name in names}
        self._has_segments = "{" in self.endpoint
        self._is_strict = not all(form.exits for form in self.all_forms)
        self._look_at(places)

    @property
    def all_forms(self) -> tuple[Form, ...]:
        """Every form that may be read."""
        if isinstance(self.forms, ByValue):
            return tuple(form for forms in self.forms.forms.values() for form in forms)
        return self.forms

    @property
    def is_single(self) -> bool:
        """Whether a request holds one order."""
        return self.items is None and len(self.all_forms) == 1

    def knows(self, names: tuple[str, ...]) -> bool:
        """Whether these names, each once, were looked at before and found good."""
        return names in self._good

    def read(self, request: Request, body_params: BodyParams) -> list[Order]:
        """Read every order.

        Args:
            request: Unsigned.
            body_params: Reads a flat body, as the venue does.

        Raises:
            Unreadable: One cannot be read; says which, and why.
        """
        is_flat = not (request.body and self.nested)
        whole = self._said(request, body_params, is_flat)
        segments = self._segments(request.url) if self._has_segments else _NONE
        if self.items is None:
            # Parameters are text; what a body may hold is looked at with more care.
            source = Source(whole, whole, segments, is_text=not request.body)
            attached = self._item.attached(whole) if is_flat else self._checked(whole, self._item)
            if type(self.forms) is tuple and len(self.forms) == 1:
                made = [self.forms[0].read(source)]
            else:
                made = _numbered([form.read(source) for form in self._forms(source)])
            return _attached(made, attached)
        beside, items = self._items(whole, self.items)
        self._checked(beside, self._beside)
        made = []
        for index, item in enumerate(items):
            source = Source(item, beside, segments)
            try:
                attached = self._checked(item, self._item)
                made += _attached([form.read(source) for form in self._forms(source)], attached)
            except Unreadable as error:
                raise Unreadable(f"item {index + 1} of {len(items)}: {error}") from None
        return _numbered(made)

    def _look_at(self, places: list[Field]) -> None:
        """Note every name that an item may have, and what may stand beside the items."""
        forms = self.all_forms
        harmless = [*places, *(place for form in forms for place in form.harmless)]
        attached = [place for form in forms for place in form.attached]
        items = self.items
        if items is None:
            self._item = self._beside = Known([*harmless, *self.harmless], attached)
            return
        around = [place for place in harmless if place.text[0] == "^"]
        lists = () if items.place is None else (items.place,)
        self._item = Known(
            [place for place in harmless if place.text[0] != "^" and place not in lists], attached
        )
        self._beside = Known([*around, *self.harmless], (), lists)

    def _checked(self, said: Any, known: Known) -> str:
        return known.check(said) if self._is_strict else ""

    def _forms(self, source: Source) -> tuple[Form, ...]:
        forms = self.forms
        if not isinstance(forms, ByValue):
            return forms
        value = forms.place.get(source)
        found = forms.forms.get(value or "")
        if found is None:
            raise Unreadable(
                f"`{forms.place.text}` is none of {', '.join(forms.forms)}, and the venue's file "
                "does not say what it does"
            )
        return found

    def _said(self, request: Request, body_params: BodyParams, is_flat: bool) -> Any:
        """Return names and values, or the JSON document that a body is."""
        params = request.params
        if not is_flat:
            if params:
                raise Unreadable(
                    "it has parameters beside a body: nobody can say which of them counts"
                )
            check_is_json(request)
            document = load(request.body)
            check_deeply(document, self._known)
            return document
        if request.body:
            params = (*params, *_form_body(request, body_params))
        found = dict(params)
        names = tuple(found)
        # Bots ask the same few shapes again and again.
        if names not in self._good or len(names) != len(params):
            self._check(tuple(name for name, _ in params))
            if len(self._good) >= _REMEMBERED:
                self._good.clear()
            self._good.add(names)
        return found

    def _check(self, names: tuple[str, ...]) -> None:
        stem = self.items.stem if self.items is not None else ""
        plain = [name for name in names if not (stem and name.startswith(f"{stem}["))]
        check_names(plain, self._known)
        if len(set(names)) != len(names):
            raise Unreadable("a parameter is given twice")
        if self._is_strict:
            known = self._item if self.items is None else self._beside
            known.check_flat(plain)

    def _items(self, whole: Any, items: Items) -> tuple[Any, list[Any]]:
        """Return what stands beside the items, and the items."""
        beside: Any = whole
        found: Any
        if items.stem:
            beside, found = bracketed(whole, items.stem)
            check_deeply(found, self._known)
        elif items.place is None:
            beside, found = {}, whole
        else:
            found = items.place.value(Source(whole, whole, {}))
            if items.is_text and type(found) is str:
                found = load(found)
                check_deeply(found, self._known)
        if not isinstance(found, list) or not all(isinstance(item, dict | list) for item in found):
            where = items.stem or ("the body" if items.place is None else items.place.text)
            raise Unreadable(f"`{where}` is no list of orders")
        if not 0 < len(found) <= MAX_ORDERS:
            raise Unreadable(f"it holds {len(found)} orders, not 1 to {MAX_ORDERS}")
        return beside, found

    def _segments(self, url: str) -> dict[str, str]:
        given = path_of(url).split("/")
        named = self.endpoint.partition(" ")[2].split("/")
        return {
            name[1:-1]: value
            for name, value in zip(named, given, strict=False)
            if name.startswith("{")
        }


@frozen(eq=False)
class OrderMap:
    """What the section `orders` says.

    Attributes:
        readers: By endpoint; `None` where an endpoint places nothing.
        refusals: How an answer says that nothing was placed.
        symbols: How symbols are made, each way that some order goes by.
    """

    readers: Mapping[str, Reader | None] = field(factory=dict)
    refusals: Refusals = field(factory=Refusals)
    symbols: tuple[Symbols, ...] = ()


def check_is_json(request: Request) -> None:
    """Refuse a body that says it is no JSON.

    Raises:
        Unreadable: It does.
    """
    for name, value in request.headers:
        is_type = name.lower() == "content-type"
        if is_type and value.partition(";")[0].strip().lower() != "application/json":
            raise Unreadable("the body says that it is no JSON")


def _form_body(request: Request, body_params: BodyParams) -> Pairs:
    """Read a body that is parameters.

    Raises:
        Unreadable: It is something else.
    """
    try:
        return body_params(request)
    except InvalidValue as error:
        if request.body.lstrip()[:1] in (b"{", b"["):
            raise Unreadable(
                "its body is JSON, and the venue reads parameters: send them as a query or a form"
            ) from None
        raise Unreadable(f"its body cannot be read: {error}") from None


def _attached(orders: list[Order], attached: str) -> list[Order]:
    if attached:
        for order in orders:
            order.attached = attached
    return orders


def _numbered(orders: list[Order]) -> list[Order]:
    if len(orders) > 1:
        for index, order in enumerate(orders, start=1):
            order.place = f" {index} of {len(orders)}"
    return orders
