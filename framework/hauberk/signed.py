"""The check after signing: what leaves is what was judged, plus what the venue file declares."""

from __future__ import annotations

from typing import Final

from hauberk.binding import Binding
from hauberk.request import (
    MAX_BODY,
    MAX_URL,
    Pairs,
    Request,
    body_problem,
    headers_problem,
    url_problem,
)

#: Tuples of headers that an account's signer was seen to add.
_REMEMBERED: Final = 4
_INVALID: Final = "the signer returned a Request whose "


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
    if len(signed) != len(judged):
        return _INVALID + (signed.problem() or "")
    if _is_plainly_good(judged, signed, binding):
        return None
    method, url, params, headers, body, account, request_id, operation = signed
    # What is the judged object itself was checked when it was made.
    if url is not judged.url:
        if (problem := url_problem(url)) is not None:
            return _INVALID + problem
        if "#" in url:
            return "the signer added a fragment"
        if url.partition("?")[0] != judged.url:
            return "the signer changed method, host or path"
    if not _same(method, judged.method):
        return "the signer changed method, host or path"
    if not _same(account, judged.account) or not _same(request_id, judged.id):
        return "the signer changed account or id"
    if operation is not judged.operation or type(params) is not tuple or params:
        return "a signed request has no params: they stand, encoded, in url or body"
    if body is not judged.body and (problem := body_problem(body)) is not None:
        return _INVALID + problem
    if judged.body and not binding.venue.carries(judged.body, signed):
        return "the signer changed the body"
    if (problem := _headers(judged.headers, headers, binding)) is not None:
        return problem
    if (problem := _params(judged, signed, binding)) is not None:
        return problem
    if body and not judged.body and binding.reads_form(headers):
        _remember(binding.form_headers, headers)
    return None


def _is_plainly_good(judged: Request, signed: Request, binding: Binding) -> bool:
    """Whether all is well at a glance, as with nearly every request; if not, a closer look tells.

    Nothing but parameters was judged, and they stand in a form or a query as they would be written
    in any case, with what the venue declares behind them.
    """
    method, url, params, headers, body, account, request_id, operation = signed
    asked, to, given, beside, content, whose, known_as, does = judged
    if (
        method is not asked
        or account is not whose
        or request_id is not known_as
        or operation is not does
        or type(params) is not tuple
        or params
        or beside
        or content
        or type(body) is not bytes
    ):
        return False
    if url is to:
        is_known = binding.form_headers.get(id(headers)) is headers
        return is_known and len(body) <= MAX_BODY and binding.certainly_bears(given, body)
    if body or type(url) is not str or len(url) > MAX_URL:
        return False
    if binding.good_headers.get(id(headers)) is not headers or not url.startswith(f"{to}?"):
        return False
    return url.isascii() and binding.certainly_bears(given, url[len(to) + 1 :].encode())


def _same(signed: str, judged: str) -> bool:
    return signed is judged or (type(signed) is str and signed == judged)


def _headers(given: Pairs, headers: Pairs, binding: Binding) -> str | None:
    """Judged headers first, unchanged; then those that the venue file declares.

    A signer mostly adds the same tuple each time: once found good, it is known by identity.
    """
    if not given and binding.good_headers.get(id(headers)) is headers:
        return None
    if (problem := headers_problem(headers)) is not None:
        return _INVALID + problem
    if headers[: len(given)] != given:
        return "the signer changed a header"
    names = {name.lower() for name, _ in given}
    for name, _ in headers[len(given) :]:
        if name.lower() in names:
            return f"the signer added header {name}, which the request already has"
        if name.lower() not in binding.venue.added_headers:
            return f"the signer added header {name}, which the venue file does not declare"
    if not given:
        _remember(binding.good_headers, headers)
    return None


def _remember(known: dict[int, Pairs], headers: Pairs) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[id(headers)] = headers


def _params(judged: Request, signed: Request, binding: Binding) -> str | None:
    """Judged parameters unchanged and in order; what was added is declared, under other names."""
    if judged.body:
        # The body is the judged one to the byte, wherever it stands. What remains to be read is the
        # query, and the headers, unless it stands in one of them.
        headers = signed.headers if signed.body else ()
        signed = signed.signed(url=signed.url, headers=headers, body=b"")
    sent, count, added = binding.venue.sent(signed), len(judged.params), binding.venue.added_params
    names = dict(judged.params)
    if sent[:count] == judged.params:
        for name, _ in sent[count:]:
            if name in names or name not in added:
                break
        else:
            return None
    for name, _ in sent:
        if name not in names and name not in added:
            return f"the signer added parameter {name!r}, which the venue file does not declare"
    kept = tuple(pair for pair in sent if pair[0] in names)
    return None if kept == judged.params else "the signer changed a judged parameter"
