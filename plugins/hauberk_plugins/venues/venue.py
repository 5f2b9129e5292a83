"""`VenueFile`: one exchange, as its file describes it. Satisfies `hauberk.ports.Venue`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from hauberk.errors import ConfigProblem, InvalidValue
from hauberk.keypath import KeyPath
from hauberk.request import Operation, Pairs, Request, Response
from hauberk_plugins.venues.answers import Answers
from hauberk_plugins.venues.endpoints import Endpoint, Endpoints
from hauberk_plugins.venues.envelope import EnvelopeForm
from hauberk_plugins.venues.patterns import Patterns
from hauberk_plugins.venues.wire import (
    FORM,
    JSON,
    added_behind,
    certainly_begins,
    read_deeply,
    read_form,
    read_json,
)

#: How a venue reads bodies, and the content type that says so.
BODIES: Final = {"form": FORM, "json": JSON}

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_UNKNOWN: Final = Operation.UNKNOWN
#: What passes where trading would not.
_LAX: Final = frozenset({Operation.PUBLIC, Operation.READ, Operation.CANCEL, Operation.REDUCE})


@frozen
class ByParameter:
    """An operation that depends on what a parameter says.

    Attributes:
        otherwise: Where no rule below applies.
        rules: Parameter, its value and the operation that it makes; the first that applies counts.
            What makes an operation laxer must be there to the byte; what makes it stricter counts
            in any case of letters, since the exchange may take it so.
    """

    otherwise: Operation
    rules: tuple[tuple[str, str, Operation], ...]

    def judge(self, params: Pairs) -> Operation:
        """Apply the rules; a parameter given twice makes it `UNKNOWN`, whichever one counts."""
        given = dict(params)
        # Nor may names differ in the case of letters alone: some servers read them as one.
        if len({name.casefold() for name in given}) != len(params):
            return _UNKNOWN
        for name, value, operation in self.rules:
            said = given.get(name)
            if said is None:
                continue
            if said == value or (
                operation not in _LAX and said.strip().casefold() == value.casefold()
            ):
                return operation
        return self.otherwise


@frozen(eq=False)
class VenueFile:
    """One exchange.

    Attributes:
        name: For example `binance`.
        bases: Base URLs, `scheme://host[:port]`.
        added_params: Names of the parameters that signing may add.
        added_headers: Names of the headers that signing may add, in lower case.
        credential_headers: Names of headers that carry keys or signatures, in lower case.
        body: How the venue reads a body: `form` or `json`.
        sorts_params: Whether it takes parameters sorted by name.
        envelope: What its signed parameters stand in, if it has such a thing.
    """

    name: str
    bases: tuple[str, ...]
    added_params: frozenset[str]
    added_headers: frozenset[str]
    credential_headers: frozenset[str]
    body: str
    sorts_params: bool
    envelope: EnvelopeForm | None
    _operations: Mapping[Endpoint, Operation | ByParameter] = field(repr=False)
    _patterns: Patterns = field(repr=False)
    _sections: Mapping[str, Any] = field(repr=False)
    _answers: Answers = field(repr=False)
    _problem: Callable[[KeyPath, str], ConfigProblem] = field(repr=False)
    _endpoints: Endpoints = field(init=False, repr=False)
    _behind: re.Pattern[bytes] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_endpoints", Endpoints(self._operations))
        object.__setattr__(self, "_behind", added_behind(self.added_params))

    def operation(self, method: str, path: str, params: Pairs, body: bytes) -> Operation:
        """Say what an endpoint does.

        Args:
            method: In capitals.
            path: As in the URL, compared to the byte.
            params: The parameters outside the body.
            body: Read only where the operation depends on a parameter.

        Returns:
            What the file says; `UNKNOWN` where it does not, or where the parameters that it
            depends on cannot be read in one way only.
        """
        found = self._operations.get((method, path))  # most are written out in the file
        if found is None:
            endpoint = self._endpoints.find(method, path)
            if endpoint is None:
                return self._patterns.operation(method, path)
            found = self._operations[endpoint]
        if type(found) is Operation:
            return found
        try:
            inside = read_deeply(body) if body and self.body == "json" else self._read(body)
        except InvalidValue:
            return _UNKNOWN
        if self.body == "json" and any("." in name for name, _ in params):
            return _UNKNOWN  # a rule's dot stands for a member of a member
        judged: Operation = found.judge(params + inside)  # type: ignore[union-attr]
        # Nobody says whether a query beside a body is read: it must not make a difference.
        if params and body and judged is not found.judge(inside):  # type: ignore[union-attr]
            return _UNKNOWN
        return judged

    def endpoint(self, method: str, path: str) -> str:
        """Return the name of an endpoint in this file, as `GET /orders/{id}`; empty for none."""
        found = self._endpoints.find(method, path)
        return "" if found is None else " ".join(found)

    def endpoints(self) -> tuple[str, ...]:
        """Return the names of all endpoints, in the file's order; patterns are none."""
        return tuple(" ".join(endpoint) for endpoint in self._operations)

    def problem(self, path: KeyPath, message: str) -> ConfigProblem:
        """Make a problem of a value in this file, with its line."""
        return self._problem(path, message)

    def sent(self, signed: Request) -> Pairs:
        """Read back the parameters of a signed request, first the query's, then the body's.

        Raises:
            InvalidValue: They can be read in more than one way, or not at all.
        """
        url = signed.url
        pairs = read_form(url[url.index("?") + 1 :]) if "?" in url else ()
        envelope = self.envelope
        if envelope is not None and envelope.is_there(signed):
            return pairs + envelope.read(signed, self.added_params)
        return pairs + self.body_params(signed) if signed.body else pairs

    def certainly_bears(self, params: Pairs, wire: bytes) -> bool:
        """Whether a query or form bears parameters in order, and behind them declared ones alone.

        What `sent` would show, at a glance: where it says no, that is to be read.

        Args:
            params: As judged; those behind them must have other names.
            wire: A query, or a form that is all that the venue reads.
        """
        end = certainly_begins(wire, params)
        return (
            end > 0
            and self.envelope is None
            and self._behind.match(wire, end) is not None
            and self.added_params.isdisjoint(dict(params))
        )

    def carries(self, body: bytes, signed: Request) -> bool:
        """Whether a judged body is the signed one, or stands unchanged in an envelope."""
        if self.envelope is None:
            return signed.body == body
        return self.envelope.carries(body, signed, self.added_params)

    def body_params(self, request: Request) -> Pairs:
        """Read the parameters that a body holds.

        Raises:
            InvalidValue: It is not of the type that the venue reads.
        """
        self._check_type(request.headers)
        return self._read(request.body)

    def reads_form(self, headers: Pairs) -> bool:
        """Whether a signed body beside these headers is read as a form, and nothing else is."""
        if self.envelope is not None or self.body != "form":
            return False
        try:
            self._check_type(headers)
        except InvalidValue:
            return False
        return True

    def _check_type(self, headers: Pairs) -> None:
        wanted = BODIES[self.body]
        for name, value in headers:
            if value == wanted or name.lower() != "content-type":
                continue
            if value.partition(";")[0].strip().lower() != wanted:
                raise InvalidValue(f"{self.name} reads a body of {wanted} only")

    def said(self, response: Response) -> str:
        """Say what an answer means: `skew`, `revoked`, `banned`, `throttled`, or nothing."""
        return self._answers.said(response)

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a section of the file, deeply read-only; empty if it is not there."""
        found: Mapping[str, Any] = self._sections.get(name, _NONE)
        return found

    def _read(self, body: bytes) -> Pairs:
        if not body:
            return ()
        if self.body == "json":
            return read_json(body)
        if not body.isascii():
            raise InvalidValue("a form body is ASCII: percent-encode what is not")
        return read_form(body.decode())
