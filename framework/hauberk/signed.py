"""The check after signing: what leaves is what was judged, plus what the venue file declares."""

from __future__ import annotations

from hauberk.binding import Binding
from hauberk.request import Request


def check_signed(judged: Request, signed: Request, binding: Binding) -> str | None:
    """Compare a signed request with the judged one.

    Args:
        judged: What the guards saw.
        signed: What the signer returned, of exact type and valid fields.
        binding: The account's venue, which declares what signing adds.

    Returns:
        What is wrong, or `None` when method, host, path, headers, body and parameters stand
        unchanged and in order, and everything added is declared and bears none of their names.
    """
    if signed.method != judged.method or signed.url.partition("?")[0] != judged.url:
        return "the signer changed method, host or path"
    if signed.account != judged.account or signed.id != judged.id:
        return "the signer changed account or id"
    if signed.operation is not judged.operation or signed.params:
        return "a signed request has no params: they stand, encoded, in url or body"
    if "#" in signed.url:
        return "the signer added a fragment"
    return (
        _headers(judged, signed, binding)
        or _body(judged, signed)
        or _params(judged, signed, binding)
    )


def _headers(judged: Request, signed: Request, binding: Binding) -> str | None:
    kept = len(judged.headers)
    if signed.headers[:kept] != judged.headers:
        return "the signer changed a header"
    given = {name.lower() for name, _ in judged.headers}
    for name, _ in signed.headers[kept:]:
        if name.lower() in given:
            return f"the signer added header {name}, which the request already has"
        if name.lower() not in binding.venue.added_headers:
            return f"the signer added header {name}, which the venue file does not declare"
    return None


def _body(judged: Request, signed: Request) -> str | None:
    return "the signer changed the body" if judged.body and signed.body != judged.body else None


def _params(judged: Request, signed: Request, binding: Binding) -> str | None:
    if judged.body:
        # The body is the judged one to the byte: what remains to be read is the query.
        signed = signed.amend(body=b"")
    names = {name for name, _ in judged.params}
    added = binding.venue.added_params
    kept = []
    for pair in binding.venue.sent(signed):
        if pair[0] in names:
            kept.append(pair)
        elif pair[0] not in added:
            return f"the signer added parameter {pair[0]!r}, which the venue file does not declare"
    return None if tuple(kept) == judged.params else "the signer changed a judged parameter"
