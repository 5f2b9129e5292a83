"""`Route`: what signing for one account at one endpoint comes to, worked out once.

It does what `RequestSigner` does with the requests that nearly all are: parameters of which nothing
needs escaping, in a query, a form or a JSON object, and nothing beside them. To any other it says
nothing, and the signer looks at that one closely.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from attrs import define, field

from hauberk.request import MAX_URL, Pairs, Request, path_of
from hauberk_plugins.signing.algorithms import OUTPUTS
from hauberk_plugins.signing.encode import is_plain, json_object
from hauberk_plugins.signing.ready import Ready
from hauberk_plugins.signing.scheme import FORM, JSON, QUERY, Scheme
from hauberk_plugins.signing.template import Template

_TIMES: Final = frozenset({"timestamp", "expires"})
_TEXTS: Final = frozenset({"query", "?query", "body"})
_HEX: Final = OUTPUTS["hex"]
#: A message that is what is sent.
_ITSELF: Final = (["", "query", ""], ["", "body", ""])


@define(eq=False)
class Route:
    """Signs for one account at one endpoint.

    Attributes:
        scheme: How the venue signs.
        ready: The account's credentials.
        method: Of the endpoint.
        url: Where it is.
        place: Where its parameters go.
        content_type: What a body is there; empty where there is none.
        says_type: Whether the scheme's own headers say so.
        form: Writes a moment.
        window_ns: For how long a signed request is valid.
        is_usual: Whether it ever signs: not where the scheme wants more than it knows of.
    """

    scheme: Scheme = field(repr=False)
    ready: Ready = field(repr=False)
    method: str
    url: str
    place: str
    content_type: str
    says_type: bool
    form: Callable[[int], str] = field(repr=False)
    window_ns: int
    is_usual: bool = field(init=False)
    _count: int = field(init=False)
    _taken: frozenset[str] = field(init=False)
    _frame: Template = field(init=False, repr=False)
    _message: Template = field(init=False, repr=False)
    _is_text: bool = field(init=False)
    _expires: bool = field(init=False)
    _is_simple: bool = field(init=False)
    _headers: Pairs = field(init=False, repr=False)
    _room: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        scheme, ready, place = self.scheme, self.ready, self.place
        added = (*scheme.before, *scheme.after)
        self._count = len(added)
        self._taken = frozenset({"", scheme.signature, *(one.param for one in added)})
        self._frame = _frame(scheme, ready)
        self._message = ready.message.folded(self._fixed())
        self._is_text = self._message.pieces() in _ITSELF
        self._headers = ready.pairs
        if self.content_type and not self.says_type:
            self._headers = ready.with_content_type(ready.pairs, self.content_type)
        written = [self._frame, self._message, *[text for _, text in ready.headers]]
        self._expires = any("expires" in text.tokens for text in written)
        # Before anything is signed: how long it may be, which matters in a URL.
        self._room = MAX_URL - len(self.url) - ready.longest - len(scheme.signature) - 3
        self.is_usual = (
            (place in (QUERY, FORM) or (place == JSON and not added))
            and not (scheme.digests or scheme.nonce)
            and not (added and (scheme.sorts == "all" or (scheme.adds_to_query and place == FORM)))
            and not (scheme.signature and place == JSON)
            and self._frame.tokens <= {*_TIMES, "params"}
            and self._message.tokens <= _TIMES | _TEXTS
            and all(text.tokens <= {*_TIMES, "signature"} for _, text in ready.headers)
        )

        self._is_simple = (
            place in (QUERY, FORM)
            and self._is_text
            and ready.is_constant
            and ready.output is _HEX
            and scheme.signature != ""
            and scheme.sorts == "nothing"
            and not self._expires
        )

    def sign(self, request: Request, at_ns: int) -> Request | None:
        """Sign a request as `RequestSigner.sign`; `None` for one that takes a closer look.

        Args:
            request: Of this account at this endpoint.
            at_ns: Wall clock for the timestamp, nanoseconds since the epoch.
        """
        _, url, params, headers, body, _, _, _ = request
        given = dict(params)
        if body or headers or len(given) != len(params) or not self._taken.isdisjoint(given):
            return None
        if self._is_simple:
            text = self._frame.render(
                {"timestamp": self.form(at_ns), "params": "&".join(map("=".join, params))}
            )
            sent = text.encode()
            if not is_plain(sent, len(params) + self._count) or len(sent) > self._room:
                return None
            signature = self.ready.algorithm.sign(sent).hex()
            text = f"{text}&{self.scheme.signature}={signature}"
            if self.place == FORM:
                return request.signed(url=url, headers=self._headers, body=text.encode())
            return request.signed(url=f"{url}?{text}", headers=self._headers, body=b"")
        if not params:
            return None
        scheme, ready, place = self.scheme, self.ready, self.place
        if scheme.sorts != "nothing":
            params = tuple(sorted(params))
        values = {"timestamp": self.form(at_ns)}
        if self._expires:
            values["expires"] = self.form(at_ns + self.window_ns)
        if place == JSON:
            text = json_object(params)
            sent = text.encode()
        else:
            values["params"] = "&".join(map("=".join, params))
            text = self._frame.render(values)
            sent = text.encode()
            if not is_plain(sent, len(params) + self._count):
                return None
            if place == QUERY and len(text) > self._room:
                return None
        message = sent
        if not self._is_text:
            values["query"] = values["body"] = text
            values["?query"] = f"?{text}"
            message = self._message.render(values).encode()
        values["signature"] = signature = ready.output(ready.algorithm.sign(message))
        if scheme.signature:
            if ready.output is not _HEX:
                signature = quote(signature, safe="")
            text = f"{text}&{scheme.signature}={signature}"
            sent = text.encode()
        pairs = self._headers
        if not ready.is_constant:
            pairs = tuple([(name, of.render(values)) for name, of in ready.headers]) + pairs
        if place == QUERY:
            return request.signed(url=f"{url}?{text}", headers=pairs, body=b"")
        return request.signed(url=url, headers=pairs, body=sent)

    def _fixed(self) -> dict[str, str]:
        """Return the tokens of the message that are the same in every request."""
        url, path = self.url, path_of(self.url)
        fixed = {
            "method": self.method,
            "host": url.split("/", 3)[2],
            "path": path,
            "tail": path.removeprefix(self.scheme.cut),
            "content_type": "" if self.place == QUERY else self.content_type,
        }
        empty = ("body",) if self.place == QUERY else ("query", "?query")
        return {**fixed, **dict.fromkeys(empty, "")}


def _frame(scheme: Scheme, ready: Ready) -> Template:
    """Return what a query or a form is: the parameters, and what is added around them."""
    parts: list[list[str]] = []
    for one in scheme.before:
        parts += [f"{one.param}="], ready.added[one.param].pieces(), ["&"]
    parts.append(["", "params", ""])
    for one in scheme.after:
        parts += [f"&{one.param}="], ready.added[one.param].pieces()
    pieces = [""]
    for first, *rest in parts:
        pieces[-1] += first
        pieces += rest
    return Template.of_pieces(pieces)
