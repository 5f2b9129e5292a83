"""The ports: what plugins need of each other, by protocol, never by import.

A plugin reaches them through its `Context`, each only with the grant of its name. `hauberk.yml`
names each port's provider; `hauberk.testing` has one in memory for each but
`transport`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from attrs import field, frozen

from hauberk.batch import SignedBatch, Verdicts
from hauberk.errors import ConfigProblem
from hauberk.keypath import KeyPath
from hauberk.request import Operation, Pairs, Request, Response
from hauberk.secret import Secret

#: The ports that need a grant, in the order of the documentation.
PORTS: Final = (
    *("store", "vault", "sealed", "keys", "access"),
    *("transport", "venues", "reference_price", "reference", "hashes"),
)


class Clock(Protocol):
    """Time, wall and monotonic, in integer nanoseconds, and the only way to wait."""

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch; may step."""

    def monotonic_ns(self) -> int:
        """Nanoseconds from an arbitrary start; never steps back."""

    def wait(self, woken: threading.Event, ns: int) -> None:
        """Return after `ns`, or as soon as `woken` is set."""

    async def await_(self, woken: asyncio.Event, ns: int) -> None:
        """The same without blocking the event loop."""


class Venue(Protocol):
    """One exchange, as its venue file describes it."""

    @property
    def name(self) -> str:
        """For example `binance`."""

    @property
    def bases(self) -> tuple[str, ...]:
        """Base URLs, `scheme://host[:port]`, each without a path or a trailing slash."""

    @property
    def added_params(self) -> frozenset[str]:
        """Names of the parameters that signing may add."""

    @property
    def added_headers(self) -> frozenset[str]:
        """Names of the headers that signing may add, in lower case."""

    @property
    def credential_headers(self) -> frozenset[str]:
        """Names of headers that carry keys or signatures, in lower case."""

    @property
    def sorts_params(self) -> bool:
        """Whether its parameters are sorted by name: `clear` judges them in that order."""

    def operation(self, method: str, path: str, params: Pairs, body: bytes) -> Operation:
        """Say what an endpoint does: `UNKNOWN` where the map does not say."""

    def sent(self, signed: Request) -> Pairs:
        """Read back the parameters of a signed request as the exchange will.

        From the query and, where the venue's scheme puts them there, from the body or envelope,
        decoded, in order.
        """

    def carries(self, body: bytes, signed: Request) -> bool:
        """Whether a signed request carries a judged body unchanged.

        It is the signed body, or stands in the venue's own envelope, where it has such a thing: in
        the signed body, or in a header beside an empty one.
        """

    def body_params(self, request: Request) -> Pairs:
        """Read the parameters that an unsigned body holds, as the exchange would."""

    def endpoint(self, method: str, path: str) -> str:
        """The name under which the file knows an endpoint, as `GET /orders/{id}`; empty for none.

        It is what other sections of the file, such as costs, call it.
        """

    def endpoints(self) -> tuple[str, ...]:
        """The names of all endpoints that the file knows, in its order."""

    def said(self, response: Response) -> str:
        """What an answer means: `skew`, `revoked`, `banned`, `throttled`, or nothing."""

    def section(self, name: str) -> Mapping[str, Any]:
        """A section of the venue file for a plugin to interpret, for example `limits`."""

    def problem(self, path: KeyPath, message: str) -> ConfigProblem:
        """Make a problem of a value in the file, with its line: what a plugin raises of it."""


class Venues(Protocol):
    """All venues by name."""

    def venue(self, name: str) -> Venue:
        """Return a venue.

        Raises:
            HauberkError: There is none of that name; says which names are near.
        """

    def names(self) -> tuple[str, ...]:
        """Every name, sorted."""


@frozen
class Credentials:
    """What an account signs with."""

    key: Secret
    secret: Secret
    passphrase: Secret | None = None


class Keys(Protocol):
    """Credentials by account, resolved late."""

    def credentials(self, account: str) -> Credentials:
        """Return the account's credentials; the same object until they are rotated.

        Raises:
            CredentialsMissing: Says which reference and where it was looked for.
        """


@frozen
class Record:
    """A stored value and its version, which rises by one with each write, from 1."""

    value: bytes = field(repr=False)
    version: int


class Store(Protocol):
    """Durable records, namespaced by plugin, with compare-and-set and transactions."""

    def get(self, name: str) -> Record | None:
        """Return a record, or `None` where there is none; unreadable is a `StoreError`.

        Through the port `sealed`, a `SealError` where it is not as it was left.
        """

    def get_many(self, names: Iterable[str]) -> dict[str, Record]:
        """Return those records that are there, by name, all as they stood at one moment."""

    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        """Write a record and return its version.

        Args:
            name: The record's name.
            value: Its bytes.
            version: The version that must stand there now, 0 for none; `None` for any.

        Raises:
            StoreConflict: Another version stands there.
        """

    def delete(self, name: str, *, version: int | None = None) -> None:
        """Remove a record if it is there, with the same check of its version."""

    def scan(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        """Yield the records whose names begin with `prefix`, by name."""

    def transaction(self) -> AbstractContextManager[Store]:
        """All or nothing: what is done through the returned store, undone on an exception."""


class Scoped(Protocol):
    """What a provider of `store`, `vault` or `sealed` itself is: one view for each plugin."""

    def scoped(self, plugin: str) -> object:
        """Return the `Store` or `Vault` of a plugin, which sees nothing of another's."""


class BackedUp(Scoped, Protocol):
    """What a provider of `store` also is, so that recovery points can hold what it keeps."""

    def back_up(self, path: Path, told: Callable[[int], object]) -> bool:
        """Write every record of every plugin, as all stood at one moment, into a file.

        Others go on reading and writing meanwhile. Whatever the provider keeps its records in, the
        file has the form of the built-in `store.sqlite`, so that what it holds opens anywhere.

        Args:
            path: The file, in a private folder, where nothing stands.
            told: Told, as it goes on, how much is left.

        Returns:
            Whether there was a store; where there was none, no file is made.

        Raises:
            StoreError: The records cannot be read, or are damaged, or the file cannot be written.
        """

    def put_back(self, path: Path, staying: Collection[str] = ()) -> None:
        """Have the records of such a file stand in place of those there are: all or nothing.

        What stands there and is no sound store is moved aside, and kept.

        Args:
            path: The file; it is only read.
            staying: Plugins whose unsealed records, where they have any, stay as they are.

        Raises:
            StoreError: The file is none, or the records cannot be written; nothing was changed.
        """


class Vault(Protocol):
    """Sealing, namespaced by plugin.

    For records, take the port `sealed`, a `Store` that seals by itself and notices what was put
    back; this one is for what is kept elsewhere.
    """

    def seal(self, name: str, value: bytes, *, version: int = 0) -> bytes:
        """Encrypt under a name and a version, which are bound to the result.

        Raises:
            SealError: There is no key to seal with; says what to do.
        """

    def open(self, name: str, sealed: bytes, *, version: int = 0) -> Secret:
        """Decrypt what was sealed under that name and version.

        Raises:
            SealError: It was not, or not as it stands; the subclass says which.
        """

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed under the key that seals today, so that rotation may skip it."""


class Rotating(Scoped, Protocol):
    """What a provider of `vault` also is."""

    def rotate(self) -> int:
        """Put a fresh key in place, durably, to seal with from here on; return its number."""

    def retire(self, *, unused_s: float = 0) -> int:
        """Forget keys but the one in place: what was sealed under them cannot be opened.

        Args:
            unused_s: Only those that have not sealed for so long, seconds; with 0, all.

        Returns:
            How many were forgotten.
        """


class Resealing(Scoped, Protocol):
    """What a provider of `sealed` also is."""

    def reseal(self) -> Iterator[int]:
        """Seal every record of every plugin under the present key; may be stopped anywhere.

        Yields:
            How many records are left to look at, after each step.
        """


class Access(Protocol):
    """Who may use the command line and the gateway, and for what."""

    def check(self, capability: str, token: Secret | None, *, fresh_s: float = 0) -> str:
        """Return the name of who holds a session and may do something.

        Args:
            capability: For example `vault.write`.
            token: The session's token; `None` for whoever runs this process, and never for
                somebody who asks through it.
            fresh_s: How long ago the login may have been, seconds; 0 for any time. Whoever may
                without a session may in any case.

        Raises:
            Denied: Nobody, one without the role for it, or one whose login is too old; says how
                to log in.
        """


class Transport(Protocol):
    """The way out, for the few plugins that may send by themselves."""

    def send(self, request: Request, *, timeout_s: float) -> Response:
        """Send exactly these bytes; a failure is a `Response` with `error` set."""


class ReferencePrice(Protocol):
    """What a fair price is, for caps and bands."""

    def price(self, venue: str, symbol: str) -> Decimal | None:
        """Return the price in quote units, or `None` where it is not known."""


class Reference(Protocol):
    """What every engine's answers are checked by: slow, and right."""

    def verify(self, batch: SignedBatch, rows: Sequence[int] | None = None) -> Verdicts:
        """Verify rows of a batch.

        Args:
            batch: The batch.
            rows: Which rows; all of them unless given.

        Returns:
            A `Finding` for each, in their order.
        """


class Hashes(Protocol):
    """Many hashes at once, for trees of them."""

    def digests(self, algorithm: str, data: bytes, offsets: Sequence[int]) -> bytes:
        """Hash rows.

        Args:
            algorithm: `sha256`, `rfc6962-leaf` or `rfc6962-node`.
            data: The rows, end to end.
            offsets: Where each begins, in order, and the end of the last.

        Returns:
            32 bytes a row, end to end.
        """
