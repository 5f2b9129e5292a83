"""`RequestSigner`: signs requests for one venue. Pure: the time comes by argument."""

from __future__ import annotations

from typing import Final

from hauberk.errors import SigningError
from hauberk.ports import Credentials
from hauberk.request import MAX_URL, Pairs, Request, path_of
from hauberk.secret import Secret
from hauberk_plugins.signing.encode import encode
from hauberk_plugins.signing.mac import Mac
from hauberk_plugins.signing.scheme import FORM, TIMESTAMP, WINDOW, Added, Scheme

CONTENT_TYPE: Final = ("Content-Type", "application/x-www-form-urlencoded")
_PRINTABLE: Final = bytes(range(0x21, 0x7F))


class _Ready:
    """Credentials made ready: the MAC's states and the headers. Its repr shows nothing."""

    __slots__ = ("credentials", "form_headers", "mac", "query_headers")

    def __init__(self, scheme: Scheme, credentials: Credentials) -> None:
        if not credentials.secret:
            raise SigningError(f"the API secret for {scheme.venue} is empty")
        self.credentials = credentials
        self.mac = Mac(scheme.mac, credentials.secret)
        key = _header_text(scheme.venue, credentials.key)
        self.query_headers: Pairs = tuple((name, key) for name in scheme.headers)
        self.form_headers: Pairs = (*self.query_headers, CONTENT_TYPE)


class RequestSigner:
    """Signs as a venue's scheme says.

    The bytes that are signed are the bytes that are sent: parameters are encoded once, in the
    caller's order, and the signature is put behind them.

    Args:
        scheme: From `read_scheme`.
        window_ms: For how long a signed request is valid; `None` for what the scheme says.
    """

    def __init__(self, scheme: Scheme, window_ms: int | None = None) -> None:
        self._scheme = scheme
        window = str(scheme.window_ms if window_ms is None else window_ms)
        self._optional = frozenset(added.param for added in scheme.after if added.optional)
        self._reserved = frozenset(
            {scheme.signature, *(added.param for added in scheme.after if not added.optional)}
        )
        self._tails: dict[frozenset[str], str] = {}
        self._window = window
        self._signature = f"&{scheme.signature}="
        self._form_methods = frozenset(m for m, where in scheme.place.items() if where == FORM)
        # Paths by method.
        self._keyed: dict[str, set[str]] = {}
        for endpoint in scheme.key_only:
            method, _, path = endpoint.partition(" ")
            self._keyed.setdefault(method, set()).add(path)
        self._ready: dict[str, _Ready] = {}

    def sign(self, request: Request, credentials: Credentials, at_ns: int) -> Request:
        """Sign a request.

        Args:
            request: Unsigned; it is not changed.
            credentials: Of its account. What can be computed from them beforehand is kept until
                another object comes.
            at_ns: Wall clock for the timestamp, nanoseconds since the epoch.

        Returns:
            The request as it is to be sent: `params` empty, everything in `url`, `headers` and
            `body`. The id, the account and the operation are those of `request`.

        Raises:
            SigningError: It cannot be signed as it stands; says what to do, and shows no value.
        """
        given = self._checked(request)
        ready = self._ready.get(request.account)
        if ready is None or ready.credentials is not credentials:
            ready = self._ready[request.account] = _Ready(self._scheme, credentials)
        keyed = self._keyed.get(request.method)
        if keyed is not None and path_of(request.url) in keyed:
            return self._placed(request, encode(request.params), ready)
        if not self._reserved.isdisjoint(given):
            raise self._taken(request)
        kept = self._optional.intersection(given)
        tail = self._tails.get(kept) or self._tail(kept)
        text = encode(request.params) + tail.replace(TIMESTAMP, str(at_ns // 1_000_000))
        if not given:
            text = text[1:]
        return self._placed(request, text + self._signature + ready.mac.hex(text.encode()), ready)

    def unsigned(self, request: Request) -> Request:
        """Make a public request ready: parameters where they go, no key, nothing added.

        Raises:
            SigningError: It cannot be sent as it stands.
        """
        self._checked(request)
        return self._placed(request, encode(request.params), None)

    def _checked(self, request: Request) -> dict[str, str]:
        """Return the parameters by name, or say why they cannot be signed."""
        given = dict(request.params)
        if len(given) != len(request.params):
            raise SigningError(
                f"parameter {_repeated(request.params)!r} is given twice, and servers differ in "
                "which one they take: give it once"
            )
        if "" in given:
            raise SigningError("a parameter has no name: name it or leave it out")
        if request.body:
            raise SigningError(
                f"{self._scheme.venue} takes no body but its parameters: give them in params, "
                "and leave body empty"
            )
        if request.method not in self._scheme.place:
            methods = ", ".join(self._scheme.place)
            raise SigningError(
                f"{self._scheme.venue} is not asked with {request.method}: use one of {methods}"
            )
        return given

    def _placed(self, request: Request, text: str, ready: _Ready | None) -> Request:
        """Put encoded parameters and headers where the method wants them."""
        url, in_form = request.url, request.method in self._form_methods
        if text and not in_form:
            url = f"{url}?{text}"
            if len(url) > MAX_URL:
                raise SigningError(
                    f"with its parameters the URL is longer than {MAX_URL} characters"
                )
        if request.headers:
            self._check_beside(request.headers, in_form, ready is not None)
        # From here on nothing fails: a traceback that shows locals would show the key.
        if ready is not None:
            headers = ready.form_headers if in_form else ready.query_headers
        else:
            headers = (CONTENT_TYPE,) if in_form else ()
        body = text.encode() if in_form else b""
        return request.signed(url=url, headers=request.headers + headers, body=body)

    def _tail(self, kept: frozenset[str]) -> str:
        """What comes behind the caller's parameters when he gives some of it himself."""
        added = [one for one in self._scheme.after if one.param not in kept]
        tail = "".join([f"&{encode(((one.param, ''),))}{self._value(one)}" for one in added])
        self._tails[kept] = tail
        return tail

    def _value(self, added: Added) -> str:
        if added.value == TIMESTAMP:
            return TIMESTAMP
        value = self._window if added.value == WINDOW else added.value
        return encode((("", value),))[1:]

    def _taken(self, request: Request) -> SigningError:
        name = next(name for name, _ in request.params if name in self._reserved)
        return SigningError(f"parameter {name!r} is set by signing: leave it out")

    def _check_beside(self, given: Pairs, in_form: bool, is_signed: bool) -> None:
        """Refuse a header of the caller's that signing sets."""
        added = [*self._scheme.headers] if is_signed else []
        taken = {name.lower() for name in (*added, *([CONTENT_TYPE[0]] if in_form else []))}
        for name, _ in given:
            if name.lower() in taken:
                raise SigningError(f"header {name} is set by signing: leave it out")


def _repeated(params: Pairs) -> str:
    names = [name for name, _ in params]
    return next(name for name in names if names.count(name) > 1)


def _header_text(venue: str, key: Secret) -> str:
    if not key or key.reveal().translate(None, _PRINTABLE):
        raise SigningError(
            f"the API key for {venue} is empty or holds a space, a line's end or another character "
            "that no header can carry: check what its reference leads to"
        )
    return key.reveal().decode("ascii")
