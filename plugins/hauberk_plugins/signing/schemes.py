"""What signs and verifies for a venue: what its section `signing` says, or a scheme in code."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Protocol

from hauberk.ports import Credentials, Venue
from hauberk.request import Request
from hauberk_plugins.signing.hyperliquid import HyperliquidSigner, HyperliquidVerifier
from hauberk_plugins.signing.reading import Reading
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.signer import RequestSigner
from hauberk_plugins.signing.verifier import RequestVerifier


class Signer(Protocol):
    """Signs requests for one venue."""

    @property
    def nonce(self) -> str:
        """The kind of nonce that it wants with each request; empty for none."""

    def sign(
        self,
        request: Request,
        credentials: Credentials,
        at_ns: int,
        nonce: Callable[[], str] | None = None,
    ) -> Request:
        """Return the request as it is to be sent, signed."""

    def unsigned(self, request: Request) -> Request:
        """Return a public request as it is to be sent."""


#: By the name that venue files use, as `scheme`.
NAMED: Final[dict[str, Callable[[Venue, int | None], Signer]]] = {"hyperliquid": HyperliquidSigner}
VERIFIERS: Final[dict[str, Callable[[Venue, Collection[str] | None], HyperliquidVerifier]]] = {
    "hyperliquid": HyperliquidVerifier
}


def signer_for(venue: Venue, window_ms: int | None = None) -> Signer:
    """Make the signer of a venue.

    Args:
        venue: The venue.
        window_ms: For how long a signed request is valid; `None` for what its file says.

    Raises:
        ConfigError: Lists what is wrong with its section `signing`.
        SigningError: A library that its scheme needs is not installed.
    """
    if "scheme" not in venue.section("signing"):
        return RequestSigner(read_scheme(venue), window_ms)
    return NAMED[_name(venue)](venue, window_ms)


def verifier_for(
    venue: Venue, bases: Collection[str] | None = None
) -> RequestVerifier | HyperliquidVerifier:
    """Make the verifier of a venue, the mirror of its signer; raises as `signer_for`.

    Args:
        venue: The venue.
        bases: Base URLs that count; `None` for the venue's.
    """
    if "scheme" not in venue.section("signing"):
        return RequestVerifier(venue, read_scheme(venue), bases)
    return VERIFIERS[_name(venue)](venue, bases)


def _name(venue: Venue) -> str:
    read = Reading(venue, ("signing",))
    name = read.choice(venue.section("signing")["scheme"], ("scheme",), tuple(NAMED))
    read.done()
    return name
