"""Binding a request to its account's venue: keys sign for their venue and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from hauberk.accounts import Account
from hauberk.errors import Denied
from hauberk.ports import Venue, Venues
from hauberk.request import Operation, Pairs, Request, base_of

# Unreserved, sub-delimiters but ";", ":" and "@" (RFC 3986, 3.3), and percent-encoded bytes where
# that is the only spelling: nothing that may stand as it is, capital digits (6.2.2.1), and nothing
# that servers or proxies decode at will and then act on ("%", "/", "\", "?", "#", controls).
# Some servers cut a segment at ";": for them "/..;/" is "/../" and "/a;b" is "/a".
_SEGMENT: Final = (
    r"(?:[A-Za-z0-9\-._~!$&'()*+,=:@]"
    r"|%(?:2[02]|3[CE]|5[BDE]|60|7[B-D]|[89A-F][0-9A-F]))"
)
_PATH: Final = re.compile(rf"(?:/(?!\.{{1,2}}(?:/|\Z)){_SEGMENT}+)+/?\Z")
_BEYOND_ASCII: Final = re.compile("%[89A-F]")
#: Headers that say where a request goes, how long it is or what it does, whatever was judged.
STEERING: Final = frozenset(
    {"connection", "content-encoding", "expect", "te",
     "host", "content-length", "transfer-encoding", "trailer", "upgrade", "forwarded",
     "x-forwarded-host", "x-forwarded-prefix", "x-http-method", "x-http-method-override",
     "x-method-override", "x-original-url", "x-rewrite-url"}
)  # fmt: skip
_REMEMBERED: Final = 1_024


@frozen(eq=False)
class Binding:
    """An account with its venue and the only base URLs that it may be used for.

    Attributes:
        name: The account's name.
        account: Its configuration.
        venue: Its venue file.
        bases: `scheme://host[:port]`, without a trailing slash.
    """

    name: str
    account: Account
    venue: Venue
    bases: tuple[str, ...]
    #: Headers that signing added and that were found good, by identity; and those beside which a
    #: body was read as a form, all of it.
    good_headers: dict[int, Pairs] = field(init=False, factory=dict, repr=False)
    form_headers: dict[int, Pairs] = field(init=False, factory=dict, repr=False)
    #: Of the venue, where it has such things: what `sent` would show, at a glance.
    certainly_bears: Callable[[Pairs, bytes], bool] = field(init=False, repr=False)
    reads_form: Callable[[Pairs], bool] = field(init=False, repr=False)
    _paths: dict[str, str] = field(init=False, factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        for name in ("certainly_bears", "reads_form"):
            object.__setattr__(self, name, getattr(self.venue, name, _cannot_say))

    def path(self, url: str) -> str:
        """Check a URL and return its path.

        Raises:
            Denied: It is not exactly a base URL of the venue and a plain path.
        """
        path = self._paths.get(url)
        if path is None:
            path = self._checked_path(url)
            if len(self._paths) >= _REMEMBERED:
                self._paths.clear()
            self._paths[url] = path
        return path

    def _checked_path(self, url: str) -> str:
        for base in self.bases:
            if url.startswith(base):
                path = url[len(base) :]
                if _PATH.match(path) and _is_plain_text(path):
                    return path
        raise Denied("kernel", f"account {self.name!r}: {_why(url, self.bases)}")

    def judged(self, request: Request, request_id: str | None = None) -> Request:
        """Return the request with its operation, after every check that needs no plugin.

        Args:
            request: As it was given.
            request_id: The id that it gets; its own unless given.

        Raises:
            Denied: Its URL is not of the venue, or a parameter is both in query and body.
        """
        method, url, params, headers, body, account, own_id, _ = request
        path = self._paths.get(url) or self.path(url)
        for name, _ in headers:
            if name.lower() in STEERING:
                raise Denied("kernel", f"header {name} would steer it past what is judged")
        if body and params:
            in_body = {name for name, _ in self.venue.body_params(request)}
            both = in_body & {name for name, _ in params}
            if both:
                raise Denied("kernel", f"parameter {sorted(both)[0]!r} is in both query and body")
        operation = self.venue.operation(method, path, params, body)
        if type(operation) is not Operation:
            raise Denied("kernel", f"venue {self.account.venue!r} does not say what it does")
        if params and self.venue.sorts_params:
            params = tuple(sorted(params))
        known_as = own_id if request_id is None else request_id
        made = (method, url, params, headers, body, account, known_as, operation)
        return tuple.__new__(Request, made)  # as `stamped`, in half the time

    def without_credentials(self, request: Request) -> Request:
        """Return what observers and recorders may see of a judged request."""
        if not request.headers:
            return request
        hidden = self.venue.credential_headers | {"authorization", "cookie", "proxy-authorization"}
        kept = tuple(pair for pair in request.headers if pair[0].lower() not in hidden)
        return request if kept == request.headers else request.amend(headers=kept)


def _cannot_say(*_: object) -> bool:
    return False


def bind_accounts(accounts: Mapping[str, Account], venues: Venues | None) -> dict[str, Binding]:
    """Bind every account to its venue.

    Raises:
        HauberkError: A venue is unknown; says which names are near.
    """
    if venues is None:
        return {}
    bindings = {}
    for name, account in accounts.items():
        venue = venues.venue(account.venue)
        bases = (account.base_url.rstrip("/"),) if account.base_url else tuple(venue.bases)
        bindings[name] = Binding(name, account, venue, bases)
    return bindings


def _is_plain_text(path: str) -> bool:
    """Whether what is encoded beyond ASCII is UTF-8 in the one form that nothing normalises.

    An overlong form of "/" is not UTF-8, and a full-width one becomes "/" under NFKC.
    """
    if _BEYOND_ASCII.search(path) is None:
        return True
    from unicodedata import is_normalized

    try:
        text = unquote(path, errors="strict")
    except UnicodeDecodeError:
        return False
    return is_normalized("NFKC", text) and text.isprintable()


def _why(url: str, bases: tuple[str, ...]) -> str:
    """Say which rule a refused URL breaks, without repeating what may be a secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the URL cannot be read"
    base = base_of(url)
    if "@" in base:
        return "the URL holds user information before its host"
    if "#" in url:
        return "the URL has a fragment"
    if "?" in url:
        return "the URL has a query: give parameters in params, so that guards can judge them"
    if base not in bases:
        return f"{base[:100]} is none of its venue's base URLs ({', '.join(bases)})"
    if parts.path in ("", "/"):
        return "the URL has no path"
    if "//" in parts.path:
        return "the path contains //"
    if re.search(r"(?:^|/)\.{1,2}(?:/|\Z)", parts.path):
        return "the path contains a dot segment"
    return "the path holds a character that is not allowed there, or one encoded that may not be"
