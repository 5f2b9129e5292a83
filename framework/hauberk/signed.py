"""The check after signing: what leaves is what was judged, plus what the venue file declares."""

from __future__ import annotations

from hauberk.binding import Binding
from hauberk.request import MAX_BODY, MAX_URL, Pairs, Request


def check_signed(judged: Request, signed: Request, binding: Binding) -> str | None:
    """Compare a signed request with the judged one.

    Args:
        judged: What the guards saw.
        signed: What the signer returned: a `Request`, with anything in its fields.
        binding: The account's venue, which declares what signing adds.

    Returns:
        What is wrong, or `None` when method, host, path, headers, body and parameters stand
        unchanged and in order, and everything added is declared and bears none of their names.
    """
    method, url, params, headers, body, account, request_id, operation = signed
    if type(url) is not str or type(body) is not bytes or type(headers) is not tuple:
        return f"the signer returned a Request whose {signed.problem()}"
    path, query, _ = (url, "", "") if url is judged.url else url.partition("?")
    if path != judged.url or not _same(method, judged.method):
        return "the signer changed method, host or path"
    if not _same(account, judged.account) or not _same(request_id, judged.id):
        return "the signer changed account or id"
    if operation is not judged.operation or params != ():
        return "a signed request has no params: they stand, encoded, in url or body"
    if query and (problem := _query(url)) is not None:
        return problem
    if body is not judged.body and (judged.body or len(body) > MAX_BODY):
        return "the signer changed the body, or made one that is too long"
    return _headers(judged, headers, binding) or _params(judged, signed, binding)


def _query(url: str) -> str | None:
    if "#" in url:
        return "the signer added a fragment"
    return None if url.isascii() and len(url) <= MAX_URL else "the signer's URL cannot be sent"


def _same(signed: str, judged: str) -> bool:
    return signed is judged or (type(signed) is str and signed == judged)


def _headers(judged: Request, headers: Pairs, binding: Binding) -> str | None:
    """Judged headers first, unchanged; then those that the venue file declares."""
    given, kept = judged.headers, 0
    for pair in headers:
        if type(pair) is not tuple or tuple(map(type, pair)) != (str, str):
            return "the signer returned headers that are no pairs of text"
        if kept < len(given):
            if pair != given[kept]:
                return "the signer changed a header"
            kept += 1
            continue
        name, value = pair
        lower = name.lower()
        if lower not in binding.venue.added_headers:
            return f"the signer added header {name}, which the venue file does not declare"
        if given and any(lower == other.lower() for other, _ in given):
            return f"the signer added header {name}, which the request already has"
        if not value.isascii() or not value.isprintable():
            return f"the signer added header {name} with a value that cannot be sent"
    return None if kept == len(given) else "the signer took out a header"


def _params(judged: Request, signed: Request, binding: Binding) -> str | None:
    """Judged parameters unchanged and in order; what was added is declared, under other names."""
    if judged.body:
        # The body is the judged one to the byte: what remains to be read is the query.
        signed = signed._replace(body=b"")
    sent, count, added = binding.venue.sent(signed), len(judged.params), binding.venue.added_params
    if sent[:count] == judged.params:
        behind = {name for name, _ in sent[count:]}
        if behind <= added and (behind.isdisjoint([name for name, _ in judged.params])):
            return None
    names = {name for name, _ in judged.params}
    for name, _ in sent:
        if name not in names and name not in added:
            return f"the signer added parameter {name!r}, which the venue file does not declare"
    kept = tuple(pair for pair in sent if pair[0] in names)
    return None if kept == judged.params else "the signer changed a judged parameter"
