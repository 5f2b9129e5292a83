"""What ccxt would sign, without what signing adds: its `sign` runs, with nothing to sign with.

ccxt builds each venue's requests in `sign`, together with their signatures. It is given stand-ins
for key, secret and cryptography; what the venue file says that signing adds is then taken away
again. What is left by mistake is judged, and the signer refuses it.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

from hauberk.ports import Venue
from hauberk.request import base_of

#: Stands where a signature would; nothing with it in it ever leaves.
MARK: Final = "unsigned-by-hauberk"
#: Stand-ins for credentials: of a form that every venue's `sign` takes, and good for nothing.
STAND_INS: Final = {
    "apiKey": f"account-organizations/{MARK}/apiKeys/{MARK}",
    "secret": "aGF1YmVyaw==",
    "password": MARK,
    "uid": MARK,
    "token": MARK,
}
_FORM: Final = "application/x-www-form-urlencoded"


def stripped(
    signed: Mapping[str, Any], given: Collection[str], venue: Venue, base_url: str
) -> dict[str, Any]:
    """Take away what signing added.

    Args:
        signed: What ccxt's `sign` returned: `url`, `method`, `headers`, `body`.
        given: Names of parameters that the bot gave itself, which stay.
        venue: Says what signing adds.
        base_url: Where the account is, if not at the venue's own base URLs.

    Returns:
        The same, unsigned.
    """
    added = venue.added_params - frozenset(given)
    url, mark, query = str(signed["url"]).partition("?")
    if base_url and base_of(url) in venue.bases:
        url = base_url.rstrip("/") + url[len(base_of(url)) :]
    if mark and (query := _without(query, added)):
        url = f"{url}?{query}"
    given_headers = {name: str(text) for name, text in (signed["headers"] or {}).items()
                     if text is not None}  # fmt: skip
    headers = {
        name: text
        for name, text in given_headers.items()
        if name.lower() not in venue.added_headers and MARK not in text
    }
    body = _body(signed["body"], given_headers, added, venue)
    if body and body[0] not in "{[":
        headers = {name: headers[name] for name in headers if name.lower() != "content-type"}
        headers["Content-Type"] = _FORM
    return {"url": url, "method": signed["method"], "headers": headers, "body": body or None}


def _without(pairs: str, added: frozenset[str]) -> str:
    """Leave out what was added of a query or a form, and leave the rest as it is written."""
    return "&".join(
        piece
        for piece in pairs.split("&")
        if unquote_plus(piece.partition("=")[0]) not in added and MARK not in piece
    )


def _body(body: Any, headers: Mapping[str, str], added: frozenset[str], venue: Venue) -> str:
    """Return the body that the bot's parameters make."""
    envelope = venue.section("signing").get("envelope") or {}
    carrier = str(envelope.get("header", "")).lower()
    for name, text in headers.items():
        if carrier and name.lower() == carrier:
            body = b64decode(text).decode()
    if not body:
        return ""
    if not isinstance(body, str) or body[0] not in "{[":
        return _without(body if isinstance(body, str) else "", added)
    document = json.loads(body)
    if not isinstance(document, dict):
        return body
    inside = next((name for name, of in dict(envelope.get("members", {})).items()
                   if of == "{params}" and name != "*"), None)  # fmt: skip
    if inside is not None and inside in document:
        return _written(document[inside])
    kept = {name: value for name, value in document.items() if name not in added}
    return body if len(kept) == len(document) else _written(kept)


def _written(document: Any) -> str:
    # Nothing in it: the signer writes the venue's own form of that.
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return "" if text == "{}" else text
