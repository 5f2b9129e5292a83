"""The request and the response: deeply immutable, of exact types.

`Request` is tuple-backed rather than an attrs class: its fields cannot be assigned even through
`object.__setattr__`, so what one hook was shown is what the next is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from itertools import chain
from math import isfinite
from typing import Any, Final, NamedTuple, TypeAlias

from attrs import field, frozen

from hauberk.errors import InvalidValue

Pairs: TypeAlias = tuple[tuple[str, str], ...]
ParamValue: TypeAlias = str | int | float | Decimal | bool
Params: TypeAlias = Mapping[str, ParamValue] | Iterable[tuple[str, ParamValue]]

_METHOD: Final = re.compile(r"[A-Z]{1,16}\Z")
_USUAL: Final = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH"})
_TEXT: Final = {str}
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110, 5.6.2: token
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e]*\Z")
MAX_URL: Final = 8_192
MAX_BODY: Final = 16 * 1024 * 1024
_NOTHING: Final[Pairs] = ()
_EMPTY: Final = b""
# Wider than any float's; beyond it a number of a few characters is written out as gigabytes.
_MAX_EXPONENT: Final = 400


class Operation(StrEnum):
    """What a request does at its venue, as the venue file's map says."""

    PUBLIC = "public"
    READ = "read"
    TRADE = "trade"
    #: An order that the venue file marks as reducing a position only.
    REDUCE = "reduce"
    CANCEL = "cancel"
    TRANSFER = "transfer"
    WITHDRAW = "withdraw"
    ADMIN = "admin"
    #: An endpoint that the venue's map does not know: denied, whatever its method.
    UNKNOWN = "unknown"


_UNKNOWN: Final = Operation.UNKNOWN


class _RequestFields(NamedTuple):
    method: str
    url: str
    params: Pairs
    headers: Pairs
    body: bytes
    account: str
    id: str
    operation: Operation


class Request(_RequestFields):
    """An HTTP request to a venue, before or after signing.

    Before signing, `url` has no query and `params` holds the parameters in order. After signing,
    `params` is empty and `url`, `headers` and `body` are exactly what is to be sent.

    Args:
        method: `GET`, `POST`, … in capitals.
        url: Scheme, host and path; no query.
        params: Mapping or ordered pairs. Numbers are written out without an exponent, booleans
            as `true` and `false`.
        headers: Mapping or ordered pairs.
        body: Bytes, or text (sent as UTF-8).
        account: The account in `hauberk.yml` that it is for.

    Attributes:
        id: Set by `clear`; the same through every pass, amendment and hook.
        operation: Set by `clear` from the venue's map.

    Raises:
        InvalidValue: A value has the wrong type or cannot be put on the wire.
    """

    __slots__ = ()

    def __new__(  # noqa: D102 - the class says it
        cls,
        method: str,
        url: str,
        params: Params = (),
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = _NOTHING,
        body: bytes | str = b"",
        account: str = "main",
    ) -> Request:
        if (
            type(params) is dict
            and headers is _NOTHING
            and body is _EMPTY
            and url_problem(url) is None
        ):  # what nearly every request is; any other is looked at one by one
            pairs = tuple(params.items())
            texts = [method, account, *chain.from_iterable(pairs)]
            is_ascii = {*map(type, texts)} == _TEXT and "".join(texts).isascii()
            if is_ascii and method in _USUAL and account:
                made = (method, url, pairs, _NOTHING, _EMPTY, account, "", _UNKNOWN)
                return tuple.__new__(cls, made)
        made = tuple.__new__(
            cls,
            (
                method,
                url,
                _pairs(params, "params", _text),
                _pairs(headers, "headers", _same),
                _bytes(body) if type(body) is str else body,
                account,
                "",
                Operation.UNKNOWN,
            ),
        )
        if (problem := made.problem()) is not None:
            raise InvalidValue(f"Request: {problem}")
        return made

    def amend(
        self,
        *,
        method: str | None = None,
        url: str | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        body: bytes | str | None = None,
    ) -> Request:
        """Return a copy with some fields replaced and the same id and account.

        A guard with the grant `amend` returns it from `on_request`.
        """
        changed = Request(
            self.method if method is None else method,
            self.url if url is None else url,
            self.params if params is None else params,
            self.headers if headers is None else headers,
            self.body if body is None else body,
            self.account,
        )
        return changed.stamped(self.id, self.operation)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Request:  # type: ignore[override]
        """Check like the constructor, so that `_replace` makes nothing that it would refuse."""
        made: Request = tuple.__new__(cls, iterable)
        if (problem := made.problem()) is not None:
            raise InvalidValue(f"Request: {problem}")
        return made

    def signed(self, *, url: str, headers: Pairs, body: bytes) -> Request:
        """Return the signed copy, as a signer returns it: no params, all else as it is sent.

        Args:
            url: With the query.
            headers: Those of the request, then those that signing adds.
            body: As it is sent.

        What is given is not checked here: the kernel does, against what was judged.
        """
        method, _, _, _, _, account, request_id, operation = self
        made: Request = tuple.__new__(
            Request, (method, url, (), headers, body, account, request_id, operation)
        )
        return made

    def stamped(
        self, request_id: str, operation: Operation, params: Pairs | None = None
    ) -> Request:
        """Return a copy with this id and operation; the kernel's word always wins over it.

        Args:
            request_id: The id.
            operation: What it does.
            params: The parameters in another order; `None` for as they are.
        """
        method, url, given, headers, body, account, _, _ = self
        params = given if params is None else params
        return tuple.__new__(
            Request, (method, url, params, headers, body, account, request_id, operation)
        )

    def problem(self) -> str | None:
        """Say what is wrong with the fields, or `None` when all are of exact type and form.

        The kernel asks again on what a plugin returns: `tuple.__new__` goes round `__new__`.
        """
        if len(self) != len(self._fields):
            return f"fields are not {', '.join(self._fields)}"
        method, url, params, headers, body, account, request_id, operation = self
        if type(method) is not str or not _METHOD.match(method):
            return f"method must be capitals such as GET, not {_show(method)}"
        if type(account) is not str or not account:
            return "account must be a name from hauberk.yml"
        if type(request_id) is not str or type(operation) is not Operation:
            return "id and operation are set by the kernel"
        return (
            url_problem(url)
            or body_problem(body)
            or _pairs_problem("params", params)
            or headers_problem(headers)
        )

    def __repr__(self) -> str:
        """Show what it is for, never a value: a signed one carries keys and signatures."""
        url = self.url.partition("?")[0]
        shown = f" id={self.id}" if self.id else ""
        return f"<Request {self.method} {url} for {self.account!r}{shown}>"

    def __rich_repr__(self) -> Iterator[str]:
        """Show the same to rich, which would look into any tuple."""
        yield self.method
        yield self.url.partition("?")[0]
        yield self.account

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, tuple(self)


def path_of(url: str) -> str:
    """Return the path of a URL without a query."""
    return url[url.index("/", url.index("//") + 2) :]


def base_of(url: str) -> str:
    """Return scheme, host and port of a URL that was checked."""
    return "/".join(url.split("/", 3)[:3])


def url_problem(url: object) -> str | None:
    """Say why a URL cannot be sent, or `None`."""
    if type(url) is not str or not 0 < len(url) <= MAX_URL:
        return f"url must be text of at most {MAX_URL} characters"
    if not (url.isascii() and url.isprintable()) or " " in url:
        return "url must be visible ASCII: percent-encode what is not"
    return None


def body_problem(body: object) -> str | None:
    """Say why a body cannot be sent, or `None`."""
    if type(body) is not bytes or len(body) > MAX_BODY:
        return f"body must be bytes, at most {MAX_BODY}"
    return None


def headers_problem(headers: object) -> str | None:
    """Say why headers cannot be sent, or `None`."""
    if (problem := _pairs_problem("headers", headers)) is not None:
        return problem
    for name, value in headers:  # type: ignore[attr-defined]
        if not _HEADER_NAME.match(name) or not _HEADER_VALUE.match(value):
            return f"header {_show(name)} cannot be sent: a token, then printable ASCII"
    return None


def _pairs_problem(what: str, pairs: object) -> str | None:
    if type(pairs) is not tuple:
        return f"{what} must be a tuple of pairs"
    if set(map(type, pairs)) == {tuple} and set(map(len, pairs)) == {2}:
        texts = [*chain.from_iterable(pairs)]
        if set(map(type, texts)) == {str} and "".join(texts).isascii():
            return None
    for pair in pairs:
        if type(pair) is not tuple or len(pair) != 2:
            return f"{what} must hold pairs of str"
        name, value = pair
        if type(name) is not str or type(value) is not str:
            return f"{what} must hold pairs of str"
        if not (name.isascii() and value.isascii()) and not _is_unicode(name + value):
            return f"{what} must be valid Unicode (no lone surrogate)"
    return None


def _remake(*fields: Any) -> Request:
    """Unpickle: checked like any other."""
    made = tuple.__new__(Request, fields)
    if len(fields) != len(Request._fields) or made.problem() is not None:
        raise InvalidValue("Request: unpickled from fields that do not make one")
    return made


def _headers(given: Any) -> Pairs:
    return _pairs(given, "headers", _same)


@frozen
class Response:
    """What came back for a cleared request.

    Attributes:
        status: HTTP status; 0 when no answer came.
        headers: Ordered pairs.
        body: Bytes as received.
        error: Name of the exception that took the place of an answer, for example
            `ConnectTimeout`; its text is not kept, since clients put signed URLs there.
    """

    status: int = 0
    headers: Pairs = field(default=(), converter=_headers)
    body: bytes = field(default=b"", repr=False)
    error: str = ""

    def __attrs_post_init__(self) -> None:
        if type(self.status) is not int or not (self.status == 0 or 100 <= self.status <= 999):
            raise InvalidValue(f"Response: status must be 0 or 100 to 999, not {self.status!r}")
        if type(self.body) is not bytes or type(self.error) is not str:
            raise InvalidValue("Response: body must be bytes and error text")

    def header(self, name: str) -> str | None:
        """Return the first header of that name, in any case of letters, or `None`."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


def _pairs(given: Any, what: str, convert: Any) -> Pairs:
    """Turn a mapping or pairs into a tuple of pairs of str; an exact one passes as it is."""
    if type(given) is tuple and all(
        type(pair) is tuple and len(pair) == 2 and type(pair[0]) is type(pair[1]) is str
        for pair in given
    ):
        return given
    # A set has no order; text unpacks into its characters, and so would a pair that is text.
    if isinstance(given, str | bytes | set | frozenset):
        raise InvalidValue(f"{what} must be a mapping or pairs, not {type(given).__name__}")
    pairs = given.items() if isinstance(given, Mapping) else given
    try:
        pairs = [pair if isinstance(pair, tuple | list) else () for pair in pairs]
        return tuple((_same(name, what), convert(value, name)) for name, value in pairs)
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidValue):
            raise
        raise InvalidValue(f"{what} must be a mapping or pairs of (name, value)") from None


def _same(value: Any, what: str) -> str:
    if type(value) is not str:
        raise InvalidValue(f"{what}: expected text, got {type(value).__name__}")
    return value


def _text(value: Any, name: str) -> str:
    """Write a parameter out as exchanges read it: no exponent, no capital in booleans."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if kind is float and isfinite(value):
        return format(Decimal(repr(value)), "f")
    if kind is Decimal and value.is_finite() and _is_written_out(value):
        return format(value, "f")
    raise InvalidValue(
        f"param {name!r}: this {kind.__name__} has no unambiguous text; pass str, int, or a finite "
        "Decimal or float of ordinary size"
    )


def _is_written_out(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and max(abs(exponent), abs(value.adjusted())) <= _MAX_EXPONENT


def _bytes(body: str) -> bytes:
    if not _is_unicode(body):
        raise InvalidValue("Request: body must be valid Unicode (no lone surrogate), or bytes")
    return body.encode()


def _is_unicode(text: str) -> bool:
    """Whether it can be encoded; an error that quoted the text must not come into being."""
    return _SURROGATE.search(text) is None


def _show(value: object) -> str:
    # Of anything else not even the type is asked for its name: its metaclass may raise.
    return repr(value)[:40] if type(value) is str else "what is not text"
