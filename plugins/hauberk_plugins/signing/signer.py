"""`RequestSigner`: signs requests for one venue. Pure: the time and nonces come by argument."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

from hauberk.errors import SigningError
from hauberk.ports import Credentials
from hauberk.request import MAX_URL, Pairs, Request, path_of
from hauberk_plugins.signing.contents import content_types
from hauberk_plugins.signing.encode import begins_json, encode, json_object, reads_one_way
from hauberk_plugins.signing.message import Parts, Wording
from hauberk_plugins.signing.objects import is_strict, read_object
from hauberk_plugins.signing.ready import CONTENT_TYPE, Ready
from hauberk_plugins.signing.route import Route
from hauberk_plugins.signing.scheme import (
    ENVELOPE,
    FORM,
    JSON,
    QUERY,
    Scheme,
    beside,
)
from hauberk_plugins.signing.times import TIMES

_MS: Final = 1_000_000
#: Endpoints of an account for which it is remembered what signing comes to; then it begins anew.
_REMEMBERED: Final = 1_024


class RequestSigner:
    """Signs as a venue's scheme says.

    The bytes that are signed are the bytes that are sent: parameters are written once, and what
    goes out is what the message was made of.

    Args:
        scheme: From `read_scheme`.
        window_ms: For how long a signed request is valid; `None` for what the scheme says.

    Attributes:
        nonce: The kind of nonce that it wants; empty for none.
    """

    def __init__(self, scheme: Scheme, window_ms: int | None = None) -> None:
        self._scheme = scheme
        self.nonce = scheme.nonce
        window = scheme.window_ms if window_ms is None else window_ms
        self._window_ns = window * _MS
        self._constants = {"window_ms": str(window)}
        added = (*scheme.before, *scheme.after)
        self._optional = frozenset(one.param for one in added if one.optional)
        self._reserved = frozenset(
            {scheme.signature, *(one.param for one in added if not one.optional), *beside(scheme)}
            - {""}
        )
        self._form = TIMES[scheme.timestamp].write
        tokens = scheme.tokens()
        self._has_time, self._has_expiry = "timestamp" in tokens, "expires" in tokens
        self._wording = Wording(scheme)
        # Paths by method.
        self._keyed: dict[str, set[str]] = {}
        for endpoint in scheme.key_only:
            method, _, path = endpoint.partition(" ")
            self._keyed.setdefault(method, set()).add(path)
        headers = {*map(str.lower, scheme.headers)}
        self._says_type = "content-type" in headers
        self._carrier = "" if scheme.envelope is None else scheme.envelope.header
        self._types, self._bare_types = content_types(scheme)
        self._places = {
            method: place for method, place in scheme.place.items() if method not in scheme.special
        }
        if self._carrier:
            headers.add(self._carrier.lower())
        self._set = frozenset(headers | {CONTENT_TYPE.lower()})
        self._ready: dict[str, Ready] = {}

    def sign(
        self,
        request: Request,
        credentials: Credentials,
        at_ns: int,
        nonce: Callable[[], str] | None = None,
    ) -> Request:
        """Sign a request.

        Args:
            request: Unsigned; it is not changed.
            credentials: Of its account. What can be computed from them beforehand is kept until
                another object comes.
            at_ns: Wall clock for the timestamp, nanoseconds since the epoch.
            nonce: Gives a nonce of the scheme's kind; asked where the scheme wants one.

        Returns:
            The request as it is to be sent: `params` empty, everything in `url`, `headers` and
            `body`. The id, the account and the operation are those of `request`.

        Raises:
            SigningError: It cannot be signed as it stands; says what to do, and shows no value.
        """
        scheme = self._scheme
        method, sent_to = at = request.method, request.url
        ready = self._ready.get(request.account)
        if ready is not None and ready.credentials is credentials:
            route = ready.routes.get(at) or self._route(request, ready)
            if route.is_usual and (signed := route.sign(request, at_ns)) is not None:
                return signed
        place = self._places.get(method) or self._place(request)
        given = self._checked(request, place)
        if ready is None or ready.credentials is not credentials:
            ready = self._ready[request.account] = Ready(scheme, credentials, self._constants)
        keyed = self._keyed.get(method)
        if keyed is not None and path_of(sent_to) in keyed:
            return self._unsigned(request, ready.pairs)
        if not self._reserved.isdisjoint(given):
            raise self._taken(given)
        values: dict[str, str] = {}
        if self._has_time:
            values["timestamp"] = self._form(at_ns)
        if self._has_expiry:
            values["expires"] = self._form(at_ns + self._window_ns)
        if scheme.nonce:
            if nonce is None:
                raise SigningError(f"{scheme.venue} wants a nonce with each request: give one")
            values["nonce"] = nonce()
        query_pairs: Pairs = ()
        body_pairs: Pairs = ()
        if place != ENVELOPE or ready.added:
            query_pairs, body_pairs = self._pairs(request, given, ready, values, place)
        query = encode(query_pairs, scheme.safe) if query_pairs else ""
        body, envelope = self._body(request, ready, values, place, body_pairs)
        if query:  # before anything is signed: what fails later has a signature among its locals
            self._check_length(sent_to, query, ready)
        content_type = self._content_type(place, body)
        made = (method, sent_to, query, query_pairs, given, body, content_type, envelope)
        parts: Parts = tuple.__new__(Parts, made)  # in half the time of a call
        message = self._wording.message(ready, values, parts)
        values["signature"] = signature = ready.output(ready.algorithm.sign(message))
        if scheme.signature:
            written = encode(((scheme.signature, signature),))
            if place == FORM and not scheme.adds_to_query:
                body = f"{body}&{written}" if body else written
            else:
                query = f"{query}&{written}" if query else written
        if place == ENVELOPE and not envelope:
            body = self._enveloped(request, ready, values)
        url = self._url(sent_to, query) if query else sent_to
        headers = request.headers + self._added_headers(ready, values, content_type, envelope)
        return request.signed(url=url, headers=headers, body=body.encode())

    def _route(self, request: Request, ready: Ready) -> Route:
        """Work out what signing comes to at an endpoint, for the next time as well."""
        method, url = request.method, request.url
        place = self._scheme.place_of(method, url) or ""
        is_keyed = path_of(url) in self._keyed.get(method, ())
        route = Route(
            self._scheme, ready, method, url, "" if is_keyed else place,
            self._types.get(place, ""), self._says_type, self._form, self._window_ns,
        )  # fmt: skip
        if len(ready.routes) >= _REMEMBERED:
            ready.routes.clear()
        ready.routes[method, url] = route
        return route

    def unsigned(self, request: Request) -> Request:
        """Make a public request ready: parameters where they go, no key, nothing added.

        Raises:
            SigningError: It cannot be sent as it stands.
        """
        self._checked(request, self._place(request))
        return self._unsigned(request, ())

    def _unsigned(self, request: Request, headers: Pairs) -> Request:
        place = self._place(request)
        params = self._sorted(request.params)
        query, body = "", request.body.decode()
        if place == QUERY:
            query = encode(params, self._scheme.safe)
        elif place == FORM:
            body = encode(params, self._scheme.safe)
        elif params:
            body = json_object(params)
        content_type = self._content_type(place, body)
        if content_type and not (headers and self._says_type):
            headers = (*headers, (CONTENT_TYPE, content_type))
        return request.signed(
            url=self._url(request.url, query),
            headers=request.headers + headers,
            body=body.encode(),
        )

    def _checked(self, request: Request, place: str) -> dict[str, Any]:
        """Return what is given, by name, or say why it cannot be signed."""
        given = dict(request.params)
        if len(given) != len(request.params):
            raise SigningError(
                f"parameter {_repeated(request.params)!r} is given twice, and servers differ in "
                "which one they take: give it once"
            )
        if "" in given:
            raise SigningError("a parameter has no name: name it or leave it out")
        if request.body:
            self._check_body(request, place)
        if self._wording.is_raw_query and (place == QUERY or request.body):
            self._check_raw(request.params)
        if request.headers:
            self._check_beside(request.headers)
        return self._members(request.body.decode()) if request.body and place == ENVELOPE else given

    def _place(self, request: Request) -> str:
        place = self._scheme.place_of(request.method, request.url)
        if place is None:
            methods = ", ".join(self._scheme.place)
            raise SigningError(
                f"{self._scheme.venue} is not asked with {request.method}: use one of {methods}"
            )
        return place

    def _check_body(self, request: Request, place: str) -> None:
        venue = self._scheme.venue
        if place not in (JSON, ENVELOPE):
            raise SigningError(
                f"{venue} takes no body but its parameters: give them in params, and leave body "
                "empty"
            )
        if request.params and place == ENVELOPE:
            raise SigningError(f"{venue} takes parameters in one place: params, or the body")
        if request.params and not self._wording.binds_query:
            raise SigningError(
                f"{venue} signs no query beside a body: give everything in the body, or in params"
            )
        if (
            request.params
            and self._wording.joins_body
            and not begins_json(request.body.decode("latin-1"))
        ):
            raise SigningError(
                f"{venue} signs a query unescaped, right before the body: let the body begin with "
                "'{' or '[', without a space before it"
            )
        try:
            # What an envelope carries is read when it is put there.
            good = place == ENVELOPE or is_strict(request.body.decode())
        except UnicodeDecodeError:
            good = False
        if not good:
            raise SigningError(
                f"{venue} takes JSON as a body, in UTF-8 and with every name once: this one is not"
            )

    def _members(self, body: str) -> dict[str, Any]:
        """Return what a body holds, or refuse what no envelope could hold as it stands."""
        try:
            return read_object(body)
        except ValueError:
            pass
        raise SigningError(
            f"{self._scheme.venue} takes a JSON object as a body, every name in it once: this one "
            "is none"
        )

    def _check_raw(self, params: Pairs) -> None:
        """Refuse what would sign like other parameters, where a query is signed unescaped."""
        if not reads_one_way(params):
            raise SigningError(
                f"{self._scheme.venue} signs queries unescaped: a parameter may hold no '&', and "
                "its name no '='"
            )

    def _check_beside(self, given: Pairs) -> None:
        """Refuse a header of the caller's that signing sets."""
        for name, _ in given:
            if name.lower() in self._set:
                raise SigningError(f"header {name} is set by signing: leave it out")

    def _pairs(
        self,
        request: Request,
        given: dict[str, Any],
        ready: Ready,
        values: dict[str, str],
        place: str,
    ) -> tuple[Pairs, Pairs]:
        """Return what goes into the query, and what goes into the body."""
        scheme = self._scheme
        params = self._sorted(request.params)
        in_query = place == QUERY or bool(request.body)
        if not ready.added:
            return (params, ()) if in_query else ((), params)
        before, after = (
            [
                (one.param, ready.added[one.param].render(values))
                for one in added
                if one.param not in given
            ]
            for added in (scheme.before, scheme.after)
        )
        if scheme.adds_to_query and not in_query:
            return self._all((*before, *after)), params
        pairs = self._all((*before, *params, *after))
        return (pairs, ()) if in_query else ((), pairs)

    def _sorted(self, params: Pairs) -> Pairs:
        return params if self._scheme.sorts == "nothing" else tuple(sorted(params))

    def _all(self, pairs: Pairs) -> Pairs:
        return tuple(sorted(pairs)) if self._scheme.sorts == "all" else pairs

    def _body(
        self, request: Request, ready: Ready, values: dict[str, str], place: str, pairs: Pairs
    ) -> tuple[str, str]:
        """Return the body, and the envelope if a header carries it."""
        if place == QUERY or (place == ENVELOPE and not self._carrier):
            return "", ""
        if place == FORM:
            return encode(pairs, self._scheme.safe) or self._scheme.empty_body, ""
        if place == JSON:
            if request.body:
                return request.body.decode(), ""
            return (json_object(pairs) if pairs else self._scheme.empty_body), ""
        self._wording.add_path(values, request.method, request.url)
        text = self._enveloped(request, ready, values)
        return "", b64encode(text.encode()).decode()

    def _enveloped(self, request: Request, ready: Ready, values: dict[str, str]) -> str:
        if ready.writer is None:
            return ""
        url = request.url
        if '"' in url or "\\" in url:
            raise SigningError("the path holds a quotation mark or a backslash: escape it")
        inner = request.body.decode().strip() if request.body else json_object(request.params)
        return ready.writer.write(values, inner)

    def _content_type(self, place: str, body: str) -> str:
        return (self._types if body else self._bare_types)[place]

    def _added_headers(
        self, ready: Ready, values: dict[str, str], content_type: str, envelope: str
    ) -> Pairs:
        headers = (
            ready.pairs
            if ready.is_constant
            else tuple([(name, text.render(values)) for name, text in ready.headers])
        )
        if envelope:
            headers = (*headers, (self._carrier, envelope))
        if content_type and not self._says_type:
            return ready.with_content_type(headers, content_type)
        return headers

    def _check_length(self, url: str, query: str, ready: Ready) -> None:
        signature = len(self._scheme.signature) and len(self._scheme.signature) + ready.longest + 2
        if len(url) + 1 + len(query) + signature > MAX_URL:
            raise SigningError(f"with its parameters the URL is longer than {MAX_URL} characters")

    def _url(self, url: str, query: str) -> str:
        if not query:
            return url
        url = f"{url}?{query}"
        if len(url) > MAX_URL:
            raise SigningError(f"with its parameters the URL is longer than {MAX_URL} characters")
        return url

    def _taken(self, given: dict[str, Any]) -> SigningError:
        name = next(name for name in given if name in self._reserved)
        return SigningError(f"parameter {name!r} is set by signing: leave it out")


def _repeated(params: Pairs) -> str:
    names = [name for name, _ in params]
    return next(name for name in names if names.count(name) > 1)
