"""What is signed: the scheme's message, made of a request as it stands on the wire."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from hauberk.request import Pairs
from hauberk_plugins.signing.algorithms import OUTPUTS
from hauberk_plugins.signing.binding import COVER
from hauberk_plugins.signing.encode import raw
from hauberk_plugins.signing.objects import concat
from hauberk_plugins.signing.ready import Ready
from hauberk_plugins.signing.scheme import RAW, Scheme
from hauberk_plugins.signing.template import Template

_HASHES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "sha256": lambda data: hashlib.sha256(data).digest(),
    "sha512": lambda data: hashlib.sha512(data).digest(),
}


_RAW_QUERY: Final = frozenset({"raw_query", "?raw_query"})


class Parts(NamedTuple):
    """A request on its way to the wire, or back from it, without its signature.

    Attributes:
        method: In capitals.
        url: Without a query.
        query: As sent.
        query_pairs: The same, decoded.
        members: The parameters by name, wherever they stand, without what signing adds to an
            envelope; of a body of the caller's that it holds, the members of that.
        body: As sent, UTF-8, unless it is an envelope.
        content_type: What the body is; empty where there is none.
        envelope: An envelope that a header carries.
    """

    method: str
    url: str
    query: str = ""
    query_pairs: Pairs = ()
    members: Mapping[str, Any] = MappingProxyType({})
    body: str = ""
    content_type: str = ""
    envelope: str = ""


class Wording:
    """Words the messages of one scheme.

    Args:
        scheme: From `read_scheme`.
    """

    def __init__(self, scheme: Scheme) -> None:
        tokens = scheme.tokens() | scheme.message.tokens
        wanted: list[tuple[str, Callable[[Parts], str]]] = [
            ("method", lambda parts: parts.method),
            ("host", lambda parts: parts.url.split("/", 3)[2]),
            ("path", lambda parts: parts.url[parts.url.index("/", 8) :]),
            ("tail", self._tail),
            ("content_type", lambda parts: parts.content_type),
            ("query", lambda parts: parts.query),
            ("?query", lambda parts: parts.query and f"?{parts.query}"),
            ("raw_query", lambda parts: raw(parts.query_pairs)),
            ("?raw_query", lambda parts: f"?{raw(parts.query_pairs)}" if parts.query_pairs else ""),
            ("body", lambda parts: parts.body),
            ("concat", lambda parts: concat(parts.members)),
            ("envelope", lambda parts: parts.envelope),
        ]
        self._makers = [(name, make) for name, make in wanted if name in tokens]
        self._cut = scheme.cut
        self._digests = [
            (name, _HASHES[digest.hash], OUTPUTS.get(digest.written))
            for name, digest in scheme.digests.items()
        ]
        self._is_raw = any(digest.written == RAW for digest in scheme.digests.values())
        #: Which parts of a request are signed.
        self.covers = frozenset(part for part, by in COVER.items() if not by.isdisjoint(tokens))
        self.binds_query = "query" in self.covers
        self.is_raw_query = not _RAW_QUERY.isdisjoint(tokens)
        #: Whether an unescaped query runs into the body.
        self.joins_body = any(
            map(_joins, [scheme.message, *[digest.of for digest in scheme.digests.values()]])
        )

    def message(self, ready: Ready, values: dict[str, str], parts: Parts) -> bytes:
        """Return the bytes that are signed.

        Args:
            ready: The account's credentials.
            values: `OF_TIME`, as far as the scheme uses them; gains what the message is made of.
            parts: The request.
        """
        for name, make in self._makers:
            values[name] = make(parts)
        if ready.jwt is not None:
            ready.jwt.write(values)
        if not self._digests:
            return ready.message.render(values).encode()
        raws: dict[str, bytes] = {}
        for name, hashing, output in self._digests:
            digest = hashing(ready.digests[name].render(values).encode())
            if output is None:
                raws[name] = digest
            else:
                values[name] = output(digest)
        if not raws:
            return ready.message.render(values).encode()
        pieces = ready.message.pieces()
        found = [piece.encode() for piece in pieces]
        for index in range(1, len(pieces), 2):
            name = pieces[index]
            found[index] = raws[name] if name in raws else values[name].encode()
        return b"".join(found)

    def add_path(self, values: dict[str, str], method: str, url: str) -> None:
        """Add what an envelope may hold of the request's method and path."""
        path = url[url.index("/", 8) :]
        values |= {"method": method, "path": path, "tail": path.removeprefix(self._cut)}

    def _tail(self, parts: Parts) -> str:
        url = parts.url
        return url[url.index("/", 8) :].removeprefix(self._cut)


def _joins(template: Template) -> bool:
    pieces = template.pieces()
    return any(
        left in _RAW_QUERY and not between and right == "body"
        for left, between, right in zip(pieces[1::2], pieces[2::2], pieces[3::2], strict=False)
    )
