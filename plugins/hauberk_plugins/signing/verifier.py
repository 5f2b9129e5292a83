"""`RequestVerifier`: checks a signed request as its exchange would. Pure: time is an argument."""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Collection, Iterable
from typing import Any, Final

from hauberk.errors import InvalidValue
from hauberk.ports import Credentials, Venue
from hauberk.request import Pairs, Request, base_of, path_of
from hauberk_plugins.signing.algorithms import read_output
from hauberk_plugins.signing.contents import content_types
from hauberk_plugins.signing.encode import begins_json, reads_one_way
from hauberk_plugins.signing.jwt import JWT_CLAIMS, JWT_HEADER
from hauberk_plugins.signing.message import Parts, Wording
from hauberk_plugins.signing.objects import is_strict, read_object
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
from hauberk_plugins.signing.statement import Read, Statement, read_or_refused
from hauberk_plugins.signing.template import Template
from hauberk_plugins.signing.validity import check_time
from hauberk_plugins.signing.values import Values, header_of
from hauberk_plugins.signing.verdict import VerificationFailed, Verified, refuse

_HELD: Final = ("key", "passphrase", "passphrase_mac")
_TOKEN: Final = (JWT_HEADER, JWT_CLAIMS)
_NOT_ITS: Final = "its signature is not one of this request under this key"


class RequestVerifier:
    """Verifies what `RequestSigner` signs, by the same scheme, and so for every venue.

    For a gateway, an archive or a test: it says whether the account's credentials signed exactly
    these bytes, and whether the venue would take them at a given time. Nonces it hands back, since
    only the caller knows those before.

    Some exchanges sign parts with nothing between them (`run_together` says which; so do their
    pages): Phemex path, query and expiry, BitMEX query and expiry. One signed string then has
    several readings, and whoever moves the boundary has a request that verifies too. Give the time,
    which leaves one expiry, and look the path up in the venue's map; where a path there begins
    another (`/orders/active`, `/orders/activeList`), look at the parameters' names as well. An
    archive that does none of it takes every reading.

    Args:
        venue: Reads parameters off the wire.
        scheme: From `read_scheme`.
        bases: Base URLs that count, `scheme://host[:port]`; `None` for the venue's. An account with
            a `base_url` of its own, such as a sandbox's, has that one.
    """

    def __init__(self, venue: Venue, scheme: Scheme, bases: Collection[str] | None = None) -> None:
        self._venue = venue
        self._scheme = scheme
        self._bases = frozenset(
            base.rstrip("/") for base in (venue.bases if bases is None else bases)
        )
        self._types, self._bare_types = content_types(scheme)
        self._says_type = CONTENT_TYPE.lower() in map(str.lower, scheme.headers)
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
        ready = self._made_ready(signed.account, credentials)
        return read_or_refused(lambda: self._verified(signed, ready, at_ns))

    def statement(self, signed: Request, credentials: Credentials) -> Statement:
        """Return what was signed, for somebody else to verify: all that `verify` does but that.

        Times are read, and every one is as good as another, as for an archive.

        Args:
            signed: As it was sent.
            credentials: As `verify` takes them.

        Raises:
            VerificationFailed: Whatever the signature may be, this request would not verify.
            SigningError: The credentials are of no use for this venue.
        """
        ready = self._made_ready(signed.account, credentials)
        return read_or_refused(lambda: self._stated(signed, ready))

    def algorithm(self, account: str, credentials: Credentials) -> str:
        """Return by which algorithm an account's credentials verify, as venue files call it.

        Raises:
            SigningError: The credentials are of no use for this venue.
        """
        return self._made_ready(account, credentials).algorithm.name

    def _made_ready(self, account: str, credentials: Credentials) -> Ready:
        ready = self._ready.get(account)
        if ready is None or ready.credentials is not credentials:
            ready = self._ready[account] = Ready(self._scheme, credentials, {})
        return ready

    def _verified(self, signed: Request, ready: Ready, at_ns: int | None) -> Verified:
        read = self._read(signed, ready)
        if read.parts is None:
            self._check_keys(ready, read.values)
            return Verified(self._venue.sent(signed), frozenset(), None, "")
        message, signature = self._signature_of(ready, read.values, read.parts)
        try:
            good = ready.algorithm.verify(message, signature)
        except ValueError:
            good = False
        if not good:
            refuse("signature", _NOT_ITS)
        self._check_keys(ready, read.values)
        at, expires = check_time(self._scheme, read.values, at_ns)
        return Verified(
            read.params,
            self._wording.covers,
            at,
            read.values.get("nonce", ""),
            is_whole=read.is_whole,
            expires_ns=expires,
        )

    def _stated(self, signed: Request, ready: Ready) -> Statement:
        read = self._read(signed, ready)
        if read.parts is None:
            refuse("signature", "it bears a key and no signature, as its endpoint takes it")
        message, signature = self._signature_of(ready, read.values, read.parts)
        stated = Statement(message, signature, ready.algorithm.name)
        if not stated.has_length():
            refuse("signature", _NOT_ITS)
        self._check_keys(ready, read.values)
        check_time(self._scheme, read.values, None)
        return stated

    def _read(self, signed: Request, ready: Ready) -> Read:
        scheme = self._scheme
        base, _, query = signed.url.partition("?")
        body = signed.body.decode()
        place = self._place(signed, base)
        self._check_wire(signed, place, body)
        values = Values()
        self._from_headers(signed, ready, values)
        if f"{signed.method} {path_of(base)}" in scheme.key_only:
            return Read(values, None)
        if scheme.signature:
            if place == FORM and not scheme.adds_to_query:
                body = self._signature_off(body, values)
            else:
                query = self._signature_off(query, values)
        url = f"{base}?{query}" if query else base
        query_pairs = self._venue.sent(signed.signed(url=url, headers=(), body=b""))
        self._check_query(place, query_pairs, body)
        inside: Pairs | None = ()
        envelope, members = "", None
        if place == ENVELOPE:
            self._wording.add_path(values, signed.method, base)
            envelope, members = self._from_envelope(signed, values)
            inside = self._flat(signed.signed(url=base, headers=signed.headers, body=signed.body))
        elif body:
            inside = self._body_pairs(signed, base, body)
        params = self._from_params(query_pairs + (inside or ()), values)
        parts = Parts(
            signed.method, base, query, query_pairs,
            dict(params) if members is None else members,
            body, header_of(signed, CONTENT_TYPE), envelope,
        )  # fmt: skip
        return Read(values, parts, tuple(params), is_whole=inside is not None)

    def _place(self, signed: Request, base: str) -> str:
        """Return where the parameters of a request go, one to a URL that counts."""
        place = self._scheme.place_of(signed.method, base)
        if signed.params or place is None:
            refuse("form", "it is not signed, or its method is none that the venue takes")
        if base_of(base) not in self._bases:
            refuse("host", "it goes to none of the base URLs that count")
        if "#" in signed.url or signed.url.endswith("?"):
            refuse("form", "its URL is not written as it is signed")
        return place

    def _check_wire(self, signed: Request, place: str, body: str) -> None:
        """Refuse a body that the exchange would not take, or not read as what it is."""
        if place == QUERY and body:
            refuse("form", "it has a body beside its parameters, which go into the query")
        if place == JSON and body not in ("", self._scheme.empty_body) and not is_strict(body):
            refuse("form", "its body is not JSON with every name once")
        wanted = (self._types if body else self._bare_types)[place]
        said = header_of(signed, CONTENT_TYPE).partition(";")[0].strip().lower()
        if wanted and not self._says_type and said != wanted:
            refuse("form", f"its content type is not {wanted}")

    def _check_query(self, place: str, pairs: Pairs, body: str) -> None:
        """Refuse a query that says something else than what was signed."""
        wording = self._wording
        if not pairs:
            return
        if place != QUERY and not wording.binds_query and not self._scheme.adds_to_query:
            refuse("form", "it has a query, of which nothing is signed")
        if wording.is_raw_query and not reads_one_way(pairs):
            refuse("form", "its query would be signed alike as other parameters")
        if place == JSON and wording.joins_body and not begins_json(body):
            refuse("form", "its query would be signed alike as one that ends elsewhere")

    def _from_headers(self, signed: Request, ready: Ready, values: Values) -> None:
        for name, template in self._scheme.headers.items():
            values.take(template, header_of(signed, name), f"header {name}")
        if (token := self._scheme.jwt.get(ready.algorithm.name)) is not None:
            for name, template, text in token.read(values[JWT_HEADER], values[JWT_CLAIMS]):
                values.take(template, text, f"{name} of the token")

    def _signature_off(self, text: str, values: Values) -> str:
        """Take the signature, the last parameter, off a query or form."""
        rest, mark, last = text.rpartition("&")
        pairs = self._venue.sent(
            Request("GET", "https://venue.invalid/x").signed(
                url=f"https://venue.invalid/x?{last}", headers=(), body=b""
            )
        )
        if len(pairs) != 1 or pairs[0][0] != self._scheme.signature:
            refuse("form", f"its last parameter is not {self._scheme.signature}")
        values.note("signature", pairs[0][1])
        return rest if mark else ""

    def _body_pairs(self, signed: Request, base: str, body: str) -> Pairs | None:
        if body == self._scheme.empty_body:
            return ()
        bare = signed.signed(url=base, headers=(), body=body.encode())
        if self._added and not self._scheme.adds_to_query:
            return self._venue.sent(bare)
        return self._flat(bare)

    def _flat(self, signed: Request) -> Pairs | None:
        """Return what a body or envelope holds; `None` for JSON that is no flat object."""
        try:
            return self._venue.sent(signed)
        except InvalidValue:
            return None  # it is signed as it stands, and holds nothing that was added

    def _from_params(self, pairs: Pairs, values: Values) -> Iterable[tuple[str, str]]:
        """Take what signing added, and return the rest."""
        found = [name for name, _ in pairs if name in self._added]
        if len(set(found)) != len(found):
            refuse("form", f"parameter {found[0]} is there twice")
        for name, value in pairs:
            if name in self._added:
                values.take(self._added[name], value, f"parameter {name}")
        for one in (*self._scheme.before, *self._scheme.after):
            if one.param not in found:
                refuse("form", f"parameter {one.param} is not there")
        added = self._added.keys() | beside(self._scheme)
        return [pair for pair in pairs if pair[0] not in added]

    def _from_envelope(self, signed: Request, values: Values) -> tuple[str, dict[str, Any]]:
        """Return an envelope that a header carries, and the parameters that one holds."""
        envelope = self._scheme.envelope
        if envelope is None or (envelope.header and signed.body):
            refuse("form", "it has a body beside its envelope")
        text = header_of(signed, envelope.header) if envelope.header else signed.body.decode()
        members = read_object(b64decode(text, validate=True).decode() if envelope.header else text)
        if not members.keys() <= dict(envelope.members).keys() and not beside(self._scheme):
            refuse("form", "the envelope holds what the venue does not declare")
        inner: Any = {}
        for name, value in envelope.members:
            if value == PARAMS:
                inner = members if name == SPREAD else members.get(name)
                continue
            found = members.get(name)
            if type(found) is not str:
                refuse("form", f"the envelope has no {name}")
            values.take(Template(value), found, f"member {name}")
        if type(inner) is not dict:
            refuse("form", "the envelope holds no parameters")
        return text if envelope.header else "", inner

    def _signature_of(self, ready: Ready, values: Values, parts: Parts) -> tuple[bytes, bytes]:
        """Return what is signed, and the signature."""
        if "signature" not in values:
            refuse("signature", "it bears no signature")
        written = values.pop("signature")
        sent = [values.get(name) for name in _TOKEN]
        message = self._wording.message(ready, values, parts)
        if sent != [values.get(name) for name in _TOKEN]:
            # The message is worded anew: a token with another URL, or claims more, is none of it.
            refuse("signature", "its token is not the one that is signed for this request")
        try:
            return message, read_output(self._scheme.algorithms[ready.algorithm.name], written)
        except ValueError:
            pass
        raise VerificationFailed("signature", _NOT_ITS)

    def _check_keys(self, ready: Ready, values: Values) -> None:
        held = ready.held
        for name in _HELD:
            if name in values and not hmac.compare_digest(
                values[name].encode(), held.get(name, "").encode()
            ):
                refuse("key", f"its {name.partition('_')[0]} is another account's")
