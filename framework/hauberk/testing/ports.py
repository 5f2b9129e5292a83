"""Every port but `transport`, in memory."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from attrs import field, frozen

from hauberk.batch import Finding, SignedBatch
from hauberk.errors import (
    ConfigProblem,
    HauberkError,
    InvalidValue,
    SealError,
)
from hauberk.hooks import Plugin, hookimpl
from hauberk.keypath import KeyPath, path_text
from hauberk.memorystore import MemoryStore
from hauberk.ports import Credentials
from hauberk.request import Operation, Pairs, Request, Response
from hauberk.secret import Secret


class MemoryStores:
    """The provider of `store`: a `MemoryStore` for each plugin."""

    def __init__(self) -> None:
        self.stores: dict[str, MemoryStore] = {}

    def scoped(self, plugin: str) -> MemoryStore:
        """Return the plugin's own store."""
        return self.stores.setdefault(plugin, MemoryStore())

    def namespaces(self) -> tuple[str, ...]:
        """Return the plugins that have one, sorted."""
        return tuple(sorted(self.stores))


class MemoryVault:
    """The provider of `vault`. Keeps what it seals; encrypts nothing."""

    def __init__(self, namespace: str = "") -> None:
        self._namespace = namespace

    def scoped(self, plugin: str) -> MemoryVault:
        """Return the plugin's own vault."""
        return MemoryVault(plugin)

    def seal(self, name: str, value: bytes, *, version: int = 0) -> bytes:
        """Bind a value to its name and version, without encrypting it."""
        return self._prefix(name, version) + value

    def open(self, name: str, sealed: bytes, *, version: int = 0) -> Secret:
        """Return what was sealed under this name and version."""
        prefix = self._prefix(name, version)
        if not sealed.startswith(prefix):
            raise SealError(f"{name!r} was not sealed under this name and version")
        return Secret(sealed[len(prefix) :])

    def is_current(self, sealed: bytes) -> bool:  # noqa: ARG002 - there is one key: none
        """Always."""
        return True

    def _prefix(self, name: str, version: int) -> bytes:
        return f"{self._namespace}/{name}/{version}\0".encode()


class StaticKeys:
    """The provider of `keys`: the same credentials for every account."""

    def __init__(self, key: str = "key", secret: str = "secret") -> None:  # noqa: S107
        self._credentials = Credentials(Secret(key), Secret(secret))

    def credentials(self, account: str) -> Credentials:  # noqa: ARG002 - the same for all
        """Return the credentials."""
        return self._credentials


class FixedPrices:
    """The provider of `reference_price`."""

    def __init__(self, prices: Mapping[tuple[str, str], Decimal]) -> None:
        self._prices = dict(prices)

    def price(self, venue: str, symbol: str) -> Decimal | None:
        """Return the price, or `None`."""
        return self._prices.get((venue, symbol))


@frozen
class OpenVenue:
    """A venue that needs no file: every path below `/public`, `/read`, `/trade`, … is mapped.

    `POST /trade/order` trades, `DELETE /cancel/order` cancels, and so on for each operation;
    anything else is unknown. Signing appends `timestamp` and `signature` to the query.
    """

    name: str = "open"
    bases: tuple[str, ...] = ("https://api.open.test",)
    added_params: frozenset[str] = frozenset({"timestamp", "signature"})
    added_headers: frozenset[str] = frozenset({"x-key"})
    credential_headers: frozenset[str] = frozenset({"x-key"})
    sections: Mapping[str, Any] = field(factory=dict)
    sorts_params: bool = False

    def operation(self, method: str, path: str, params: Pairs, body: bytes) -> Operation:  # noqa: ARG002
        """Read the operation off the path's first segment."""
        try:
            return Operation(path.split("/")[1])
        except ValueError:
            return Operation.UNKNOWN

    def sent(self, signed: Request) -> Pairs:
        """Read the query back."""
        return _parsed(signed.url.partition("?")[2]) + _parsed(signed.body.decode())

    def carries(self, body: bytes, signed: Request) -> bool:
        """There is no envelope."""
        return signed.body == body

    def endpoint(self, method: str, path: str) -> str:
        """Every endpoint that is mapped is called as it is."""
        is_known = self.operation(method, path, (), b"") is not Operation.UNKNOWN
        return f"{method} {path}" if is_known else ""

    def endpoints(self) -> tuple[str, ...]:
        """There are no names."""
        return ()

    def said(self, response: Response) -> str:
        """429 is `throttled`, 418 `banned`, 401 `revoked`."""
        return {429: "throttled", 418: "banned", 401: "revoked"}.get(response.status, "")

    def problem(self, path: KeyPath, message: str) -> ConfigProblem:
        """There is no file, and so no line."""
        return ConfigProblem(f"venue {self.name}", 0, path_text(path), message)

    def body_params(self, request: Request) -> Pairs:
        """Read a form back."""
        return _parsed(request.body.decode())

    def section(self, name: str) -> Mapping[str, Any]:
        """A section given to the constructor."""
        section: Mapping[str, Any] = self.sections.get(name, {})
        return section


class OpenVenues:
    """The provider of `venues`: `open`, and whatever else it is given."""

    def __init__(self, *venues: OpenVenue) -> None:
        self._venues = {venue.name: venue for venue in (OpenVenue(), *venues)}

    def venue(self, name: str) -> OpenVenue:
        """Return a venue."""
        if name not in self._venues:
            raise HauberkError(f"unknown venue {name!r}; there are {', '.join(self._venues)}")
        return self._venues[name]

    def names(self) -> tuple[str, ...]:
        """Every name."""
        return tuple(sorted(self._venues))


class PlainSigner(Plugin):
    """Appends a timestamp and a signature that proves nothing."""

    interface = (1, 1)

    @hookimpl
    def sign_request(self, request: Request) -> Request:
        """Put parameters into the query."""
        query = urlencode(
            (*request.params, ("timestamp", "0"), ("signature", "none")), quote_via=quote
        )
        return request.amend(url=f"{request.url}?{query}", params=())


def _parsed(query: str) -> Pairs:
    return tuple(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))


class HmacReference:
    """The provider of `reference`: whole tags of the HMACs, by the standard library."""

    def verify(self, batch: SignedBatch, rows: Sequence[int] | None = None) -> bytes:
        """Verify rows of a batch, all unless given.

        Raises:
            InvalidValue: The batch is of another algorithm.
        """
        if not batch.algorithm.startswith("hmac-"):
            raise InvalidValue(f"HmacReference verifies no {batch.algorithm}")
        name = batch.algorithm.removeprefix("hmac-")
        chosen = range(len(batch)) if rows is None else rows
        return bytes(self._found(batch.row(number), name) for number in chosen)

    def _found(self, row: tuple[memoryview, memoryview, bytes] | Finding, name: str) -> Finding:
        if isinstance(row, Finding):
            return row
        message, signature, key = row
        return Finding(hmac.compare_digest(hmac.digest(key, message, name), signature))


class PlainHashes:
    """The provider of `hashes`: one by one, by the standard library."""

    def digests(self, algorithm: str, data: bytes, offsets: Sequence[int]) -> bytes:
        """Hash rows."""
        prefix = {"sha256": b"", "rfc6962-leaf": b"\0", "rfc6962-node": b"\1"}[algorithm]
        return b"".join(
            hashlib.sha256(prefix + data[start:end]).digest() for start, end in pairwise(offsets)
        )
