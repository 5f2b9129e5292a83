"""How a venue wants requests signed: the section `signing` of its file, checked.

Every field is data: another venue is another section, not another branch. What no venue file uses
yet is not here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from attrs import frozen

from hauberk.errors import ConfigError, ConfigProblem
from hauberk.ports import Venue
from hauberk.spelling import nearest
from hauberk_plugins.signing.mac import MACS

QUERY: Final = "query"
FORM: Final = "form"
#: What values, headers and the message may be made of.
TIMESTAMP: Final = "{timestamp_ms}"
WINDOW: Final = "{window_ms}"
PARAMS: Final = "{params}"
KEY: Final = "{key}"

_FIELDS: Final = (
    *("mac", "output", "place", "window_ms", "after", "message", "signature", "headers"),
    "key_only",
)


@frozen
class Added:
    """A parameter that signing adds.

    Attributes:
        param: Its name.
        value: `{timestamp_ms}`, `{window_ms}`, or text.
        optional: Whether a caller may give it himself; it is not added then.
    """

    param: str
    value: str
    optional: bool = False


@frozen
class Scheme:
    """A checked scheme.

    Attributes:
        venue: The venue's name, for errors.
        mac: A name from `mac.MACS`.
        place: Where the parameters go, `query` or `form`, by method.
        window_ms: For how long a signed request is valid.
        after: What is put behind the caller's parameters, in order.
        signature: The parameter that carries the signature, last.
        headers: Headers that carry the API key.
        key_only: Endpoints, `METHOD /path`, that take those headers and no signature.
    """

    venue: str
    mac: str
    place: Mapping[str, str]
    window_ms: int
    after: tuple[Added, ...]
    signature: str
    headers: tuple[str, ...]
    key_only: frozenset[str]


def read_scheme(venue: Venue) -> Scheme:
    """Read a venue's section `signing`.

    Raises:
        ConfigError: It is not there, or lists what is wrong with it: fields that are missing,
            unknown or of the wrong form, and what it adds without the venue file declaring it.
    """
    section = venue.section("signing")
    reading = _Reading(venue)
    for name in section:
        if name not in _FIELDS:
            reading.fault(name, f"unknown field{nearest(name, _FIELDS)}")
    scheme = Scheme(
        venue=venue.name,
        mac=reading.choice(section, "mac", tuple(MACS)),
        place=reading.place(section),
        window_ms=reading.window(section),
        after=reading.after(section),
        signature=reading.signature(section),
        headers=reading.headers(section),
        key_only=reading.key_only(section),
    )
    reading.choice(section, "output", ("hex",))
    reading.choice(section, "message", (PARAMS,))
    if not reading.problems:
        reading.declared(scheme)
    if reading.problems:
        raise ConfigError(reading.problems)
    return scheme


class _Reading:
    """Takes fields out of the section, noting problems."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.problems: list[ConfigProblem] = []

    def fault(self, name: str, message: str) -> None:
        file = f"venue file {self._venue.name}"
        self.problems.append(ConfigProblem(file, 0, f"signing.{name}", message))

    def choice(self, section: Mapping[str, Any], name: str, known: Collection[str]) -> str:
        value = section.get(name)
        if type(value) is str and value in known:
            return value
        near = nearest(value, known) if type(value) is str else ""
        self.fault(name, f"must be one of {', '.join(known)}{near}")
        return ""

    def place(self, section: Mapping[str, Any]) -> dict[str, str]:
        place = self._mapping(section, "place")
        for method, where in place.items():
            if where not in (QUERY, FORM):
                self.fault(f"place.{method}", f"must be {QUERY} or {FORM}")
        return place

    def window(self, section: Mapping[str, Any]) -> int:
        value = section.get("window_ms")
        if type(value) is int and value > 0:
            return value
        self.fault("window_ms", "must be a whole number of milliseconds above 0")
        return 1

    def after(self, section: Mapping[str, Any]) -> tuple[Added, ...]:
        value = section.get("after")
        items = value if isinstance(value, tuple) else ()
        good = all(
            isinstance(item, Mapping)
            and {"param", "value"} <= item.keys() <= {"param", "value", "optional"}
            and type(item["param"]) is type(item["value"]) is str
            and type(item.get("optional", False)) is bool
            for item in items
        )
        if not items or not good:
            self.fault("after", "must be a list of {param: NAME, value: TEXT, optional: BOOL}")
            return ()
        for item in items:
            if "{" in item["value"] and item["value"] not in (TIMESTAMP, WINDOW):
                self.fault(f"after.{item['param']}", f"must be {TIMESTAMP}, {WINDOW} or text")
        return tuple(Added(**item) for item in items)

    def signature(self, section: Mapping[str, Any]) -> str:
        value = self._mapping(section, "signature")
        if value.keys() == {"param"}:
            return value["param"]
        self.fault("signature", "must be {param: NAME}")
        return ""

    def headers(self, section: Mapping[str, Any]) -> tuple[str, ...]:
        headers = self._mapping(section, "headers")
        for name, value in headers.items():
            if value != KEY:
                self.fault(f"headers.{name}", f"must be {KEY}")
        return tuple(headers)

    def key_only(self, section: Mapping[str, Any]) -> frozenset[str]:
        value = section.get("key_only", ())
        if isinstance(value, tuple) and all(type(item) is str for item in value):
            return frozenset(value)
        self.fault("key_only", "must be a list of endpoints, for example GET /path")
        return frozenset()

    def declared(self, scheme: Scheme) -> None:
        """What is added must be declared, or the kernel denies every signed request."""
        params = {scheme.signature, *(added.param for added in scheme.after)}
        for name in sorted(params - self._venue.added_params):
            self.fault("after", f"adds {name!r}: declare it in adds.params")
        headers = {name.lower() for name in scheme.headers}
        if FORM in scheme.place.values():
            headers.add("content-type")
        for name in sorted(headers - self._venue.added_headers):
            self.fault("headers", f"adds {name!r}: declare it in adds.headers")

    def _mapping(self, section: Mapping[str, Any], name: str) -> dict[str, str]:
        value = section.get(name)
        if isinstance(value, Mapping) and all(
            type(key) is type(item) is str for key, item in value.items()
        ):
            return dict(value)
        self.fault(name, "must be a mapping of text to text")
        return {}
