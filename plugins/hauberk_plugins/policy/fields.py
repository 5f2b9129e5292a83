"""Where a part of an order stands, as the section `orders` of a venue file writes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import field, frozen

from hauberk_plugins.policy.documents import word
from hauberk_plugins.policy.errors import Unreadable

#: Any one member, and the name of the only one.
ANY: Final = "*"
ITS_NAME: Final = "@"
_PART: Final = r"(?:[A-Za-z0-9_-]{1,64}|\*|@)"
_FIELD: Final = re.compile(
    rf"(?:\^?{_PART}(?:\.{_PART})*|\{{[A-Za-z][A-Za-z0-9_-]*\}}|=.{{1,64}})\Z", re.ASCII
)


class Source:
    """What a request says, for one order.

    Args:
        item: The order's own names and values; an array in some venues.
        whole: Those of the whole request.
        segments: What stands in the path for each `{name}` of the endpoint.
        is_text: Whether `item` holds text by plain names, and nothing else.
    """

    __slots__ = ("is_text", "item", "segments", "whole")

    def __init__(
        self, item: Any, whole: Any, segments: Mapping[str, str], *, is_text: bool = False
    ) -> None:
        self.item = item
        self.whole = whole
        self.segments = segments
        self.is_text = is_text


@frozen
class Field:
    """A place, as it is written.

    One of: `name`, `a.b.c` below an item, `^name` beside the items, `{name}` of the path, or
    `=value` whatever the request says.

    In a path, `*` stands for the only member of an object, and `@` for its name.
    """

    text: str
    #: The name, where it is a plain one: the common case, and quick.
    name: str = field(init=False, default="")
    #: The names on the way there; none for a part of the path, or a value.
    parts: tuple[str, ...] = field(init=False, default=())

    def __attrs_post_init__(self) -> None:
        if _FIELD.match(self.text) is None:
            raise ValueError("is no place: as name, a.b.c, ^name, {name} or =value")
        if self.text[0] not in "={":
            parts = tuple(self.text.removeprefix("^").split("."))
            object.__setattr__(self, "parts", parts)
            is_plain = not parts[0].isdigit() and parts[0] not in (ANY, ITS_NAME)
            if len(parts) == 1 and self.text[0] != "^" and is_plain:
                object.__setattr__(self, "name", parts[0])

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it looks for."""
        return tuple(part for part in self.parts if part not in (ANY, ITS_NAME))

    @property
    def is_flat(self) -> bool:
        """Whether parameters without nesting are enough for it."""
        return len(self.parts) < 2 and not {ANY, ITS_NAME}.intersection(self.parts)

    def get(self, source: Source) -> str | None:
        """Return the value's text; `None` where there is none.

        Raises:
            Unreadable: An object or an array stands there, or more than one member where one is
                due.
        """
        return word(self.value(source))

    def value(self, source: Source) -> Any:
        """Return what stands there, whatever it is; `None` where there is nothing."""
        if self.text[0] == "=":
            return self.text[1:]
        if self.text[0] == "{":
            return source.segments.get(self.text[1:-1])
        found = source.whole if self.text[0] == "^" else source.item
        for part in self.parts:
            if found is None:
                return None
            found = self._below(found, part)
        return found

    def _below(self, found: Any, part: str) -> Any:
        if isinstance(found, dict):
            if part not in (ANY, ITS_NAME):
                return found.get(part)
            if len(found) != 1:
                raise Unreadable(f"`{self.text}`: there must be exactly one member")
            return next(iter(found.values() if part == ANY else found))
        if isinstance(found, list) and part.isdigit():
            return found[int(part)] if int(part) < len(found) else None
        raise Unreadable(f"`{self.text}` cannot be looked for: there is no object")


def getter(place: Field, default: str | None) -> Callable[[Source], str | None]:
    """Return what finds a field's text, or a default where there is none; quick for plain names."""
    if not place.name:

        def found(source: Source) -> str | None:
            value = place.get(source)
            return default if value is None else value

        return found
    name = place.name

    def plain(source: Source) -> str | None:
        try:
            value = source.item.get(name)
        except AttributeError:
            raise Unreadable(f"`{name}` cannot be looked for: there is no object") from None
        if type(value) is str:
            return value
        return default if value is None else word(value)

    return plain
