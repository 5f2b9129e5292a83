"""`RequestVerifier`: checks a signed request as its exchange would. Pure: time is an argument."""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, NoReturn

from attrs import field, frozen

from hauberk.errors import HauberkError, InvalidValue
from hauberk.ports import Credentials, Venue
from hauberk.request import Pairs, Request, path_of
from hauberk_plugins.signing.algorithms import read_output
from hauberk_plugins.signing.encode import reads_one_way
from hauberk_plugins.signing.jwt import JWT_CLAIMS, JWT_HEADER
from hauberk_plugins.signing.message import Parts, Wording
from hauberk_plugins.signing.objects import read_object
from hauberk_plugins.signing.ready import CONTENT_TYPE, Ready
from hauberk_plugins.signing.scheme import (
    ENVELOPE,
    FORM,
    JSON,
    PARAMS,
    QUERY,
    SPREAD,
    Scheme,
    beside,
)
from hauberk_plugins.signing.template import Template
from hauberk_plugins.signing.times import TIMES

_MS: Final = 1_000_000
#: How far in the future a timestamp may be: clocks differ.
AHEAD_NS: Final = 1_000 * _MS
#: For how long a request may say that it is valid, where the venue's own window is no longer.
MAX_WINDOW_NS: Final = 60_000 * _MS
_HELD: Final = ("key", "passphrase", "passphrase_mac")


class VerificationFailed(HauberkError):
    """A request is not one that its exchange would take.

    Attributes:
        part: `form` (something is missing, twice or unreadable), `key`, `signature` or `time`.
    """

    def __init__(self, part: str, why: str) -> None:
        super().__init__(part, why)
        self.part = part
        self._why = why

    def __str__(self) -> str:
        return f"the request does not verify: {self._why}"


@frozen
class Verified:
    """What a verified request says.

    Attributes:
        params: The parameters as they were sent, without what signing added.
        covers: Which parts of the request the exchange has signed, of `method`, `host`, `path`,
            `query` and `body`: another part may have been changed by anybody on the way. Empty for
            an endpoint that takes the key and no signature.
        at_ns: Its timestamp, nanoseconds since the epoch; `None` where the scheme has none.
        nonce: Its nonce, for the caller to compare with those before; empty where there is none.
        is_whole: Whether `params` has all that was sent. Not where the body is JSON that is no flat
            object: read the body itself then.
    """

    params: Pairs = field(repr=False)
    covers: frozenset[str]
    at_ns: int | None
    nonce: str
    is_whole: bool = True


class RequestVerifier:
    """Verifies what `RequestSigner` signs, by the same scheme, and so for every venue.

    For a gateway, an archive or a test: it says whether the account's credentials signed exactly
    these bytes, and whether the venue would take them at a given time. Nonces it hands back, since
    only the caller knows those before.

    Args:
        venue: Reads parameters off the wire.
        scheme: From `read_scheme`.
    """

    def __init__(self, venue: Venue, scheme: Scheme) -> None:
        self._venue = venue
        self._scheme = scheme
        self._wording = Wording(scheme)
        self._added = {one.param: one.value for one in (*scheme.before, *scheme.after)}
        self._ready: dict[str, Ready] = {}

    def verify(self, signed: Request, credentials: Credentials, at_ns: int | None) -> Verified:
        """Check a signed request.

        Args:
            signed: As it was, or is to be, sent.
            credentials: Of its account. Where the venue takes private keys, the public key in PEM
                does as well.
            at_ns: The exchange's clock, nanoseconds since the epoch; `None` for an archive, where
                every time is as good as another.

        Raises:
            VerificationFailed: Says what is wrong, and shows no value.
            SigningError: The credentials are of no use for this venue.
        """
        ready = self._ready.get(signed.account)
        if ready is None or ready.credentials is not credentials:
            ready = self._ready[signed.account] = Ready(self._scheme, credentials, {})
        try:
            return self._verified(signed, ready, at_ns)
        except (InvalidValue, ValueError, IndexError, RecursionError) as error:
            why = str(error) if isinstance(error, InvalidValue) else "a value cannot be read"
        raise VerificationFailed("form", why)

    def _verified(self, signed: Request, ready: Ready, at_ns: int | None) -> Verified:
        scheme = self._scheme
        base, _, query = signed.url.partition("?")
        if signed.params or (place := scheme.place_of(signed.method, base)) is None:
            _refuse("form", "it is not signed, or its method is none that the venue takes")
        values = _Values()
        body = signed.body.decode()
        if f"{signed.method} {path_of(base)}" in scheme.key_only:
            return self._keyed(signed, ready, values)
        self._from_headers(signed, ready, values)
        if scheme.signature:
            if place == FORM and not scheme.adds_to_query:
                body = self._signature_off(body, values)
            else:
                query = self._signature_off(query, values)
        url = f"{base}?{query}" if query else base
        query_pairs = self._venue.sent(signed.signed(url=url, headers=(), body=b""))
        if self._wording.is_raw_query and not reads_one_way(query_pairs):
            _refuse("form", "its query would be signed alike as other parameters")
        pairs, envelope, members = query_pairs, "", None
        if place == ENVELOPE:
            self._wording.add_path(values, signed.method, base)
            envelope, members = self._from_envelope(signed, values)
            with suppress(InvalidValue):  # JSON that is no flat object is signed as it stands
                pairs += self._venue.sent(
                    signed.signed(url=base, headers=signed.headers, body=signed.body)
                )
        elif body and place != QUERY:
            pairs += self._body_pairs(signed, base, body)
        params = self._from_params(pairs, values)
        parts = Parts(
            signed.method, base, query, query_pairs,
            dict(params) if members is None else members,
            body, _header(signed, CONTENT_TYPE), envelope,
        )  # fmt: skip
        self._check_signature(ready, values, parts)
        self._check_keys(ready, values)
        at = self._check_time(values, at_ns)
        is_whole = not body or place != JSON or body == scheme.empty_body or self._is_flat(body)
        return Verified(tuple(params), self._wording.covers, at, values.get("nonce", ""), is_whole)

    def _keyed(self, signed: Request, ready: Ready, values: _Values) -> Verified:
        """Check a request that bears the key and no signature."""
        self._from_headers(signed, ready, values)
        self._check_keys(ready, values)
        return Verified(self._venue.sent(signed), frozenset(), None, "")

    def _is_flat(self, body: str) -> bool:
        try:
            return all(type(value) is not dict and type(value) is not list
                       for value in read_object(body).values())  # fmt: skip
        except ValueError:
            return False

    def _from_headers(self, signed: Request, ready: Ready, values: _Values) -> None:
        for name, template in self._scheme.headers.items():
            values.take(template, _header(signed, name), f"header {name}")
        if (token := self._scheme.jwt.get(ready.algorithm.name)) is not None:
            header, claims = values.pop(JWT_HEADER), values.pop(JWT_CLAIMS)
            for name, template, text in token.read(header, claims):
                values.take(template, text, f"{name} of the token")

    def _signature_off(self, text: str, values: _Values) -> str:
        """Take the signature, the last parameter, off a query or form."""
        rest, mark, last = text.rpartition("&")
        pairs = self._venue.sent(
            Request("GET", "https://venue.invalid/x").signed(
                url=f"https://venue.invalid/x?{last}", headers=(), body=b""
            )
        )
        if len(pairs) != 1 or pairs[0][0] != self._scheme.signature:
            _refuse("form", f"its last parameter is not {self._scheme.signature}")
        values.note("signature", pairs[0][1])
        return rest if mark else ""

    def _body_pairs(self, signed: Request, base: str, body: str) -> Pairs:
        if body == self._scheme.empty_body:
            return ()
        try:
            return self._venue.sent(signed.signed(url=base, headers=(), body=body.encode()))
        except InvalidValue:
            # JSON that is no flat object is signed as it stands, and holds nothing that was added.
            if self._added and not self._scheme.adds_to_query:
                raise
            return ()

    def _from_params(self, pairs: Pairs, values: _Values) -> Iterable[tuple[str, str]]:
        """Take what signing added, and return the rest."""
        found = [name for name, _ in pairs if name in self._added]
        if len(set(found)) != len(found):
            _refuse("form", f"parameter {found[0]} is there twice")
        for name, value in pairs:
            if name in self._added:
                values.take(self._added[name], value, f"parameter {name}")
        for one in (*self._scheme.before, *self._scheme.after):
            if one.param not in found:
                _refuse("form", f"parameter {one.param} is not there")
        added = self._added.keys() | beside(self._scheme)
        return [pair for pair in pairs if pair[0] not in added]

    def _from_envelope(self, signed: Request, values: _Values) -> tuple[str, dict[str, Any]]:
        """Return an envelope that a header carries, and the parameters that one holds."""
        envelope = self._scheme.envelope
        if envelope is None or (envelope.header and signed.body):
            _refuse("form", "it has a body beside its envelope")
        text = _header(signed, envelope.header) if envelope.header else signed.body.decode()
        members = read_object(b64decode(text, validate=True).decode() if envelope.header else text)
        if not members.keys() <= dict(envelope.members).keys() and not beside(self._scheme):
            _refuse("form", "the envelope holds what the venue does not declare")
        inner: Any = {}
        for name, value in envelope.members:
            if value == PARAMS:
                inner = members if name == SPREAD else members.get(name)
                continue
            found = members.get(name)
            if type(found) is not str:
                _refuse("form", f"the envelope has no {name}")
            values.take(Template(value), found, f"member {name}")
        if type(inner) is not dict:
            _refuse("form", "the envelope holds no parameters")
        return text if envelope.header else "", inner

    def _check_signature(self, ready: Ready, values: _Values, parts: Parts) -> None:
        written = values.pop("signature")
        message = self._wording.message(ready, values, parts)
        try:
            output = self._scheme.algorithms[ready.algorithm.name]
            good = ready.algorithm.verify(message, read_output(output, written))
        except ValueError:
            good = False
        if not good:
            _refuse("signature", "its signature is not one of this request under this key")

    def _check_keys(self, ready: Ready, values: _Values) -> None:
        held = ready.held
        for name in _HELD:
            if name in values and not hmac.compare_digest(
                values[name].encode(), held.get(name, "").encode()
            ):
                _refuse("key", f"its {name.partition('_')[0]} is another account's")

    def _check_time(self, values: _Values, at_ns: int | None) -> int | None:
        form = TIMES[self._scheme.timestamp]
        window_ns = self._scheme.window_ms * _MS
        if "window_ms" in values:
            longest_ns = max(MAX_WINDOW_NS, window_ns)
            if (window_ns := TIMES["ms"].read(values["window_ms"])) > longest_ns:
                _refuse("time", "it would be valid for longer than any exchange has it")
        at = None
        if "timestamp" in values:
            at = form.read(values["timestamp"])
        if "expires" in values:
            expires = form.read(values["expires"])
            if at is None:
                at = expires - window_ns
            window_ns = min(window_ns, expires - at)
        if at is not None and at_ns is not None and not -AHEAD_NS <= at_ns - at <= window_ns:
            _refuse("time", "its time is too far from the exchange's: look at the clock")
        return at


class _Values(dict[str, str]):
    """Tokens read off a request. The same one may stand in several places, with one value."""

    def take(self, template: Template, text: str, where: str) -> None:
        """Note what a template's tokens stand for in a text."""
        found = template.read(text)
        if found is None:
            _refuse("form", f"{where} is not there, or not of the form that the venue takes")
        for token, value in found.items():
            self.note(token, value)

    def note(self, token: str, value: str) -> None:
        """Note a token's value."""
        if self.setdefault(token, value) != value:
            _refuse("form", f"it has two {token} that differ")

    def __repr__(self) -> str:
        return "[values of a signed request]"


def _header(signed: Request, name: str) -> str:
    found = [value for key, value in signed.headers if key.lower() == name.lower()]
    if len(found) > 1:
        _refuse("form", f"header {name} is there twice")
    return found[0] if found else ""


def _refuse(part: str, why: str) -> NoReturn:
    raise VerificationFailed(part, why)
