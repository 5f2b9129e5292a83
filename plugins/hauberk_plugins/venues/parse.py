"""From a venue file's data to a `VenueFile`: strict, with every problem at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from hauberk.request import Operation
from hauberk_plugins.venues.answers import SAID, Answers
from hauberk_plugins.venues.checks import Checks, frozen_deeply
from hauberk_plugins.venues.emergency import check_cancels, read_emergency
from hauberk_plugins.venues.endpoints import Endpoint, alike, read_endpoint
from hauberk_plugins.venues.envelope import EnvelopeForm
from hauberk_plugins.venues.patterns import GRAVEST, Patterns, read_pattern
from hauberk_plugins.venues.venue import BODIES, ByParameter, VenueFile

if TYPE_CHECKING:
    from hauberk.yamlfile import Document, KeyPath

#: The sections that other plugins interpret: signing, throttle, policy.
_OPEN: Final = ("signing", "limits", "orders")
_REQUIRED: Final = ("name", "base_urls", "operations")
_KEYS: Final = (
    *_REQUIRED,
    *("body", "sorted", "envelope", "adds", "errors", "server_time", "key_check"),
    "emergency",
    *_OPEN,
)
_ADDS: Final = ("params", "headers", "credential_headers")
#: What a body is, by the place where parameters go.
_READS: Final = {"form": "form", "json": "json", "envelope": "json"}
#: A header's name (RFC 9110, 5.6.2).
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
#: Endpoints that other sections name: by which method they are asked, and what they must do.
_NAMED: Final = (
    (
        "key_check",
        ("GET", "POST"),
        Operation.READ,
        "must be a request that reads, and does no more",
    ),
    ("server_time", ("GET",), Operation.PUBLIC, "must be a GET that needs no key: public"),
)
_UNITS: Final = ("s", "ms", "us", "ns")
_OPERATIONS: Final = tuple(o.value for o in Operation if o is not Operation.UNKNOWN)

_NO_HEADER: Final = "must be a header's name: letters, digits and '-'"
_NO_ENVELOPE: Final = (
    "must be {header: NAME} (a header carries the parameters), {member: NAME} (a member of the "
    "body does), or body (they stand there beside what signing adds)"
)
_NO_PATTERN: Final = (
    "must be a method and a path whose first segment is written out, with one '*' at most in each "
    "further segment or '**' as the last, and no {name}"
)
_TOO_LAX: Final = (
    f"a pattern may stand for {', '.join(GRAVEST)} alone: write out, endpoint by endpoint, what is "
    "allowed by default"
)

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# Plain http only on loopback: keys do not cross a network in the clear.
_BASE: Final = re.compile(
    rf"(?:https://{_LABEL}(?:\.{_LABEL})*|http://(?:127\.0\.0\.1|\[::1\]|localhost))"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?\Z"
)
_MAX_PORT: Final = 65_535


def parse_venue(document: Document) -> VenueFile:
    """Check what a venue file says and make a `VenueFile` of it.

    Raises:
        ConfigError: Lists every problem with file, line, path and, where one is near, the valid
            name.
    """
    checks = Checks(document)
    top = checks.only(document.data, (), _KEYS)
    for key in _REQUIRED:
        if key not in top:
            checks.fault((), f"{key!r} is missing")
    adds = checks.only(top.get("adds", {}), ("adds",), _ADDS)
    added = {key: checks.texts(adds.get(key, []), ("adds", key)) for key in _ADDS}
    for key in _ADDS[1:]:
        for index, name in enumerate(added[key]):
            if name and not _HEADER.match(name):
                checks.fault(("adds", key, index), _NO_HEADER)
    venue = VenueFile(
        name=checks.text(top.get("name", "-"), ("name",)),
        bases=_bases(checks, top["base_urls"]) if "base_urls" in top else (),
        added_params=frozenset(added["params"]),
        added_headers=frozenset(map(str.lower, added["headers"])),
        credential_headers=frozenset(map(str.lower, added["credential_headers"])),
        body=checks.choice(top.get("body", "form"), ("body",), tuple(BODIES)),
        sorts_params=checks.flag(top.get("sorted", False), ("sorted",)),
        envelope=_envelope(checks, top),
        operations=_operations(checks, top.get("operations", {})),
        patterns=_patterns(checks, top.get("operations", {})),
        sections=_sections(checks, top),
        answers=_answers(checks, top.get("errors", {})),
        problem=document.problem,
    )
    if not checks.problems:
        _check_named(checks, venue)
        _check_places(checks, venue)
        check_cancels(checks, venue)
    checks.done()
    return venue


def _check_named(checks: Checks, venue: VenueFile) -> None:
    """Endpoints that other sections name are in the map: one only reads, one is public."""
    for what, methods, wanted, why in _NAMED:
        if not (section := venue.section(what)):
            continue
        method, _, path = section["endpoint"].partition(" ")
        params = tuple(section.get("params", {}).items())
        body = section.get("body", "").encode()
        if not venue.endpoint(method, path):
            checks.fault((what, "endpoint"), "is none of `operations`")
        elif "{" in path:
            checks.fault((what, "endpoint"), "must be one path, without {name}: it is asked so")
        elif method not in methods or venue.operation(method, path, params, body) is not wanted:
            checks.fault((what, "endpoint"), why)


def _check_places(checks: Checks, venue: VenueFile) -> None:
    """What signing writes into a body is what bodies are read as: it is judged by that."""
    place = venue.section("signing").get("place")
    for endpoint, where in place.items() if isinstance(place, Mapping) else ():
        reads = _READS.get(where, venue.body) if type(where) is str else venue.body
        if where == "envelope" and venue.body == "json" and venue.envelope is None:
            checks.fault(("signing", "place", endpoint), "needs `envelope` at the top of the file")
        if reads != venue.body:
            checks.fault(
                ("signing", "place", endpoint),
                f"{where!r} contradicts `body: {venue.body}`, by which bodies are judged: one of "
                "them must be another",
            )


def _bases(checks: Checks, value: Any) -> tuple[str, ...]:
    bases = checks.texts(value, ("base_urls",))
    for index, base in enumerate(bases):
        match = _BASE.match(base)
        if base and (match is None or int(match["port"] or 1) > _MAX_PORT):
            checks.fault(
                ("base_urls", index),
                "must be https://host or https://host:port in small letters, without a path "
                "(http only on loopback)",
            )
    if value == []:
        checks.fault(("base_urls",), "must name one base URL at least, as https://api.acme.example")
    return bases


def _operations(checks: Checks, value: Any) -> dict[Endpoint, Operation | ByParameter]:
    found: dict[Endpoint, Operation | ByParameter] = {}
    for name, meaning in checks.mapping(value, ("operations",)).items():
        path = ("operations", name)
        if "*" in name:
            continue
        if (endpoint := _endpoint(checks, name, path)) is None:
            continue
        if type(meaning) is dict:
            found[endpoint] = _by_parameter(checks, meaning, path)
        else:
            found[endpoint] = _operation(checks, meaning, path)
    for one, other in alike(found):
        checks.fault(("operations", " ".join(other)), f"is the same as {' '.join(one)}")
    return found


def _patterns(checks: Checks, value: Any) -> Patterns:
    """Read `POST /wallet/**: transfer`: what a pattern covers, nobody has looked at one by one."""
    found: dict[Endpoint, Operation] = {}
    for name, meaning in value.items() if type(value) is dict else ():
        path = ("operations", name)
        if "*" not in name:
            continue
        if (pattern := read_pattern(name)) is None:
            checks.fault(path, _NO_PATTERN)
        elif meaning not in GRAVEST:
            checks.fault(path, _TOO_LAX)
        else:
            found[pattern] = Operation(meaning)
    return Patterns(found)


def _envelope(checks: Checks, top: dict[str, Any]) -> EnvelopeForm | None:
    """Read `{header: X-PAYLOAD}`, `{member: params}` or `body`."""
    if "envelope" not in top:
        return None
    given = top["envelope"]
    if given == "body":
        return EnvelopeForm()
    if type(given) is not dict or len(given) != 1:
        checks.fault(("envelope",), _NO_ENVELOPE)
        return None
    parts = checks.only(given, ("envelope",), ("header", "member"))
    texts = {key: checks.text(item, ("envelope", key)) for key, item in parts.items()}
    if texts.get("header") and not _HEADER.match(texts["header"]):
        checks.fault(("envelope", "header"), _NO_HEADER)
    return EnvelopeForm(texts.get("header", "").lower(), texts.get("member", ""))


def _by_parameter(checks: Checks, value: Any, path: KeyPath) -> ByParameter:
    """Read `{otherwise: trade, when: {reduceOnly: {"true": reduce}}}`."""
    parts = checks.only(value, path, ("otherwise", "when"))
    rules = [
        (name, wanted, _operation(checks, operation, (*path, "when", name, wanted)))
        for name, by_value in checks.mapping(parts.get("when"), (*path, "when")).items()
        for wanted, operation in checks.mapping(by_value, (*path, "when", name)).items()
    ]
    otherwise = _operation(checks, parts.get("otherwise"), (*path, "otherwise"))
    return ByParameter(otherwise, tuple(rules))


def _operation(checks: Checks, value: Any, path: KeyPath) -> Operation:
    return Operation(checks.choice(value, path, _OPERATIONS) or Operation.UNKNOWN)


def _endpoint(checks: Checks, text: str, path: KeyPath) -> Endpoint | None:
    if (endpoint := read_endpoint(text)) is None:
        checks.fault(path, "must be a method and a path, as GET /api/v3/time or GET /orders/{id}")
    return endpoint


def _sections(checks: Checks, top: dict[str, Any]) -> dict[str, Any]:
    sections: dict[str, Any] = {
        key: checks.mapping(top[key], (key,)) for key in _OPEN if key in top
    }
    if "errors" in top:  # read above; whoever checks keys wants to know where codes stand
        sections["errors"] = top["errors"]
    if "server_time" in top:
        sections["server_time"] = _server_time(checks, top["server_time"])
    if "emergency" in top:
        sections["emergency"] = read_emergency(checks, top["emergency"])
    if "key_check" in top:
        sections["key_check"] = _key_check(checks, top["key_check"])
    return {key: frozen_deeply(section) for key, section in sections.items()}


def _answers(checks: Checks, value: Any) -> Answers:
    """Read what an answer says: by HTTP status, or by a code in its body."""
    errors = checks.only(value, ("errors",), (*SAID, "field"))
    field = errors.pop("field", [])
    fields = checks.texts([field] if type(field) is str else field, ("errors", "field"))
    statuses: dict[int, str] = {}
    codes: dict[str, str] = {}
    for name, signs in errors.items():
        for kind, listed in checks.only(signs, ("errors", name), ("status", "code")).items():
            wanted = (int,) if kind == "status" else (int, str)
            if type(listed) is not list or any(type(code) not in wanted for code in listed):
                checks.fault(("errors", name, kind), "must be a list of codes")
                continue
            for code in listed:
                found: dict[Any, str] = statuses if kind == "status" else codes
                key = code if kind == "status" else str(code)
                if found.setdefault(key, name) != name:
                    checks.fault(("errors", name, kind), f"{code} is under {found[key]} already")
    if codes and not fields:
        checks.fault(("errors",), "'field' is missing: where in a JSON answer the code stands")
    return Answers(fields, statuses, codes)


def _key_check(checks: Checks, value: Any) -> dict[str, Any]:
    """Read the request that tells whether a key works: one that changes nothing."""
    path: KeyPath = ("key_check",)
    parts = checks.only(value, path, ("endpoint", "params", "body", "good"))
    endpoint = checks.text(parts.get("endpoint"), (*path, "endpoint"))
    if endpoint:
        _endpoint(checks, endpoint, (*path, "endpoint"))
    params = checks.mapping(parts.get("params", {}), (*path, "params"))
    for name, text in params.items():
        checks.text(text, (*path, "params", name))
    good = checks.only(parts.get("good", {}), (*path, "good"), ("field", "value"))
    for name in ("field", "value") if "good" in parts else ():
        checks.text(good.get(name), (*path, "good", name))
    if "body" in parts:
        checks.text(parts["body"], (*path, "body"))
    return parts


def _server_time(checks: Checks, value: Any) -> dict[str, Any]:
    path: KeyPath = ("server_time",)
    parts = checks.only(value, path, ("endpoint", "field", "unit"))
    endpoint = checks.text(parts.get("endpoint"), (*path, "endpoint"))
    if endpoint:
        _endpoint(checks, endpoint, (*path, "endpoint"))
    checks.text(parts.get("field"), (*path, "field"))
    checks.choice(parts.get("unit"), (*path, "unit"), _UNITS)
    return parts
