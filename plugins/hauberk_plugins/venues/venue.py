"""`VenueFile`: one exchange, as its file describes it. Satisfies `hauberk.ports.Venue`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from hauberk.errors import InvalidValue
from hauberk.request import Operation, Pairs, Request
from hauberk_plugins.venues.wire import FORM, JSON, read_form, read_json

Endpoint: TypeAlias = tuple[str, str]
#: How a venue reads bodies, and the content type that says so.
BODIES: Final = {"form": FORM, "json": JSON}

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_UNKNOWN: Final = Operation.UNKNOWN


@frozen
class ByParameter:
    """An operation that depends on what a parameter says.

    Attributes:
        otherwise: Where no rule below applies.
        rules: Parameter, its exact value and the operation that it makes; the first that applies
            counts.
    """

    otherwise: Operation
    rules: tuple[tuple[str, str, Operation], ...]

    def judge(self, params: Pairs) -> Operation:
        """Apply the rules; a parameter given twice makes it `UNKNOWN`, whichever one counts."""
        given = dict(params)
        if len(given) != len(params):
            return _UNKNOWN
        for name, value, operation in self.rules:
            if given.get(name) == value:
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
    """

    name: str
    bases: tuple[str, ...]
    added_params: frozenset[str]
    added_headers: frozenset[str]
    credential_headers: frozenset[str]
    body: str
    _operations: Mapping[Endpoint, Operation | ByParameter] = field(repr=False)
    _sections: Mapping[str, Any] = field(repr=False)

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
        found = self._operations.get((method, path), _UNKNOWN)
        if type(found) is Operation:
            return found
        try:
            return found.judge(params + self._read(body))  # type: ignore[union-attr]
        except InvalidValue:
            return _UNKNOWN

    def sent(self, signed: Request) -> Pairs:
        """Read back the parameters of a signed request, first the query's, then the body's.

        Raises:
            InvalidValue: They can be read in more than one way, or not at all.
        """
        url = signed.url
        pairs = read_form(url[url.index("?") + 1 :]) if "?" in url else ()
        return pairs + self.body_params(signed) if signed.body else pairs

    def body_params(self, request: Request) -> Pairs:
        """Read the parameters that a body holds.

        Raises:
            InvalidValue: It is not of the type that the venue reads.
        """
        wanted = BODIES[self.body]
        for name, value in request.headers:
            if value == wanted or name.lower() != "content-type":
                continue
            if value.partition(";")[0].strip().lower() != wanted:
                raise InvalidValue(f"{self.name} reads a body of {wanted} only")
        return self._read(request.body)

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
