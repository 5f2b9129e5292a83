"""From what a client is about to send to a `Request`: nothing of it is left unjudged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from hauberk.errors import InvalidValue
from hauberk.request import Pairs, Request

#: Headers that say nothing to the exchange about what is asked: they pass beside what is judged.
_OWN: Final = frozenset({"accept", "accept-encoding", "accept-language", "user-agent"})
_FORM: Final = "application/x-www-form-urlencoded"
#: Types that the signer writes itself, once it has written the body.
_WRITTEN: Final = frozenset({_FORM, "application/json"})
_PORTS: Final = {"http": ":80", "https": ":443"}


def unsigned(
    method: str,
    url: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    account: str = "main",
) -> tuple[Request, Pairs]:
    """Take apart what a client would have sent.

    Args:
        method: In capitals.
        url: With its query; a fragment, which no client sends, is left out.
        headers: All of them, in order.
        body: As it would stand on the wire. A form becomes parameters, so that guards can judge
            them and the signer puts them where the venue takes them.
        account: Whose request it is.

    Returns:
        The request to be cleared, and the headers that are the client's own and go beside it.

    Raises:
        InvalidValue: It cannot be read in one way; the text shows no value.
    """
    bare, _, query = url.partition("#")[0].partition("?")
    judged: list[tuple[str, str]] = []
    own: list[tuple[str, str]] = []
    is_form = False
    for name, value in headers:
        lower = name.lower()
        if lower == "content-type" and (kind := _kind(value)) in _WRITTEN:
            is_form = kind == _FORM
        elif is_own(lower, value):
            own.append((name, value))
        elif not _is_framing(lower, value, bare, body):
            judged.append((name, value))
    params = _read(query, "query")
    if is_form and body:
        params += _read(_text(body), "form")
        body = b""
    return Request(method, bare, params, judged, body, account), tuple(own)


def is_own(name: str, value: str) -> bool:
    """Whether a header, its name in lower case, goes beside what is judged and signed."""
    return name in _OWN or (name == "connection" and value.lower() in ("keep-alive", "close"))


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _is_framing(name: str, value: str, url: str, body: bytes) -> bool:
    """Whether a header says only what the client's library says again of the signed request.

    One that says something else is judged, and the kernel refuses it: it would steer.
    """
    if name == "content-length":
        return value == str(len(body))
    if name == "host":
        parts = urlsplit(url)
        return value.lower() in (
            parts.netloc,
            parts.netloc.removesuffix(_PORTS.get(parts.scheme, "")),
        )
    return False


def _read(text: str, what: str) -> Pairs:
    if not text:
        return ()
    if "%" not in text and "+" not in text:  # then `parse_qsl` does just this
        pairs = tuple([(name, value) for name, equals, value in _parts(text) if equals])
        if len(pairs) == text.count("&") + 1:
            return pairs
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict"))
    except ValueError:
        pass  # its text quotes what it could not read
    raise InvalidValue(f"the {what} cannot be read: name=value, joined by '&', encoded as UTF-8")


def _parts(text: str) -> list[tuple[str, str, str]]:
    return [piece.partition("=") for piece in text.split("&")]


def _text(body: bytes) -> str:
    if body.isascii():
        return body.decode()
    raise InvalidValue("a form body is ASCII: percent-encode what is not")
