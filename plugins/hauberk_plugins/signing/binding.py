"""What a scheme's signature binds: checked once, so that no venue file signs next to nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from hauberk.keypath import KeyPath
from hauberk.ports import Venue
from hauberk.request import Operation
from hauberk_plugins.signing.jwt import JWT_CLAIMS, JWT_HEADER
from hauberk_plugins.signing.template import Template

if TYPE_CHECKING:
    from hauberk_plugins.signing.scheme import Scheme

#: By which tokens a part of a request gets into the message.
COVER: Final[dict[str, frozenset[str]]] = {
    "method": frozenset({"method"}),
    "host": frozenset({"host"}),
    "path": frozenset({"path", "tail"}),
    "query": frozenset({"query", "?query", "raw_query", "?raw_query"}),
    "body": frozenset({"body", "concat", "envelope"}),
}
#: By which tokens the parameters get into it, by the place where they go.
_BINDS: Final[dict[str, tuple[str, ...]]] = {
    "query": ("query", "?query", "raw_query", "?raw_query", "concat"),
    "form": ("body", "concat"),
    "json": ("body",),
    "envelope": ("concat",),
}
#: What begins with no sign of its own, unlike `/path`, `?query`, `METHOD` and `{"body": 1}`.
_UNMARKED: Final = frozenset(
    {"query", "raw_query", "timestamp", "expires", "window_ms", "nonce", "content_type", "concat"}
)
_HELD: Final = frozenset({"key", "passphrase", "passphrase_mac"})
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110, 5.6.2
_HEADER_TEXT: Final = re.compile(r"(?! )[ -~]*(?<! )\Z")  # RFC 9110, 5.5


def signed_tokens(scheme: Scheme) -> frozenset[str]:
    """Return what the message is made of, all the way down: digests, token and envelope opened."""
    found = set(scheme.message.tokens)
    for name, digest in scheme.digests.items():
        if name in found:
            found |= digest.of.tokens
    if not found.isdisjoint({JWT_HEADER, JWT_CLAIMS}):
        parts = [one for token in scheme.jwt.values() for one in token.templates()]
        found = found.union(*[part.tokens for part in parts])
    return frozenset(found)


def faults(scheme: Scheme, venue: Venue) -> Iterator[tuple[KeyPath, str]]:
    """Say what a scheme leaves unsigned without saying so; paths are within the section.

    Args:
        scheme: Whose fields are well-formed.
        venue: Whose operations say which endpoints are asked with a signature.
    """
    tokens = signed_tokens(scheme)
    if tokens.isdisjoint(frozenset().union(*COVER.values())):
        known = ", ".join(f"{{{token}}}" for token in ("method", "path", "query", "body"))
        yield ("message",), f"signs nothing of the request: it must hold some of {known}"
    for name in scheme.digests:
        if name not in scheme.message.tokens:
            yield ("digests", name), f"is signed by nothing: {{{name}}} must stand in `message`"
    used = _signed_places(scheme, venue)
    for place in sorted(used):
        wanted = _BINDS[place]
        if place == "envelope" and scheme.envelope is not None and scheme.envelope.header:
            wanted = ("envelope", *wanted)
        is_bound = not tokens.isdisjoint(wanted)
        if not is_bound and place not in scheme.unsigned:
            named = " or ".join(f"{{{token}}}" for token in wanted)
            yield (
                ("message",),
                f"signs nothing of what goes into {place}: it must hold {named}, or, where the "
                f"exchange signs none of it, `unsigned` must name {place}",
            )
        if is_bound and place in scheme.unsigned:
            yield ("unsigned",), f"names {place}, which `message` signs"
    for place in sorted(scheme.unsigned - used):
        yield ("unsigned",), f"names {place}, into which nothing goes that is signed"


def run_together(message: Template) -> tuple[tuple[str, str], ...]:
    """Return the tokens of a message between which nothing stands, and whose boundary may move.

    One signed string can then be read as more than one request: so the exchange has it. Left out
    is what begins with a sign that the part before cannot hold, or stands behind a key, which is
    known.
    """
    pieces = message.pieces()
    pairs = zip(pieces[1::2], pieces[2::2], pieces[3::2], strict=False)
    return tuple(
        (left, right)
        for left, between, right in pairs
        if not between and left not in _HELD and right in _UNMARKED
    )


def header_faults(scheme: Scheme) -> Iterator[tuple[KeyPath, str]]:
    """Say which headers no request could carry as one: a line's end in one begins another."""
    for name, template in scheme.headers.items():
        if not _HEADER_NAME.match(name):
            yield ("headers", name), "must be a header's name: letters, digits and '-'"
        if not _HEADER_TEXT.match("x".join(template.pieces()[::2])):
            yield (
                ("headers", name),
                "must be printable ASCII without a line's end, and no space around it",
            )
    carrier = "" if scheme.envelope is None else scheme.envelope.header
    if carrier and not _HEADER_NAME.match(carrier):
        yield ("envelope", "header"), "must be a header's name: letters, digits and '-'"


def _signed_places(scheme: Scheme, venue: Venue) -> frozenset[str]:
    """Return where the parameters of those endpoints go that are asked with a signature."""
    found = set()
    for endpoint in venue.endpoints():
        method, _, path = endpoint.partition(" ")
        if endpoint in scheme.key_only:
            continue
        if venue.operation(method, path, (), b"") is not Operation.PUBLIC:
            found.add(scheme.place_of(method, f"https://venue.invalid{path}"))
    return frozenset(place for place in found if place is not None)
