"""The scheme `hyperliquid`: an action is signed with a wallet's key."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from hauberk.errors import SigningError
from hauberk.ports import Credentials, Venue
from hauberk.request import Pairs, Request, base_of, path_of
from hauberk_plugins.signing.hyperliquid_actions import (
    ADDED,
    SOURCES,
    Actions,
    is_u64,
    read_body,
)
from hauberk_plugins.signing.objects import read_whole
from hauberk_plugins.signing.reading import Reading
from hauberk_plugins.signing.values import header_of
from hauberk_plugins.signing.verdict import VerificationFailed, Verified, refuse
from hauberk_plugins.signing.wallet import Wallet, libraries, recovered, wallet_address

PATH: Final = "/exchange"
_TYPE: Final = "application/json"
_HEADERS: Final[Pairs] = (("Content-Type", _TYPE),)
_MS: Final = 1_000_000
#: "Nonces must be within (T - 2 days, T + 1 day)".
_OLDEST_NS: Final = 2 * 86_400 * 1_000 * _MS
_AHEAD_NS: Final = 86_400 * 1_000 * _MS


class HyperliquidSigner:
    """Signs actions. The body is the caller's, to the byte, with a nonce and a signature behind it.

    Args:
        venue: Its section `signing` names the networks.
        window_ms: Not used: an action expires where it says so, with `expiresAfter`.

    Raises:
        ConfigError: The section is not of that form.
        SigningError: The libraries are not installed.
    """

    #: Rising per wallet, near the time.
    nonce = "ms"

    def __init__(self, venue: Venue, window_ms: int | None = None) -> None:  # noqa: ARG002
        self._networks = networks(venue)
        self._libraries = libraries()
        self._actions = Actions(self._libraries)
        self._wallets: dict[str, Wallet] = {}

    def sign(
        self,
        request: Request,
        credentials: Credentials,
        at_ns: int,
        nonce: Callable[[], str] | None = None,
    ) -> Request:
        """Sign a request; the same as `RequestSigner.sign`.

        The time is in the nonce. Actions that have one of their own (`time`, `nonce`) keep it,
        where the exchange would take it at that time.
        """
        network = network_of(self._networks, request)
        text = _text_of(request)
        try:
            asked = read_body(text, ())
            number = asked.nonce()
            if number is None:
                if nonce is None:
                    raise SigningError("hyperliquid wants a nonce with each request: give one")
                number = int(nonce())
            elif not _is_near(number, at_ns):
                raise ValueError(
                    "its time must be the present, in milliseconds: the exchange takes none that "
                    "is two days old, or a day ahead"
                )
            data = self._actions.digest(asked, number, network)
        except ValueError as error:
            raise SigningError(f"the body cannot be signed for hyperliquid: {error}") from None
        r, s, v = self._wallet(request.account, credentials).sign(data)
        added = f'"nonce":{number},"signature":{{"r":"{r}","s":"{s}","v":{v}}}'
        body = f"{text[:-1]},{added}}}"
        return request.signed(
            url=request.url, headers=_with_type(request.headers), body=body.encode()
        )

    def unsigned(self, request: Request) -> Request:
        """Make a public request ready; the same as `RequestSigner.unsigned`."""
        if request.params:
            raise SigningError("hyperliquid is asked with a JSON body: leave params empty")
        return request.signed(
            url=request.url, headers=_with_type(request.headers), body=request.body
        )

    def _wallet(self, account: str, credentials: Credentials) -> Wallet:
        wallet = self._wallets.get(account)
        if wallet is None or wallet.credentials is not credentials:
            wallet = self._wallets[account] = Wallet(credentials, self._libraries)
        return wallet


class HyperliquidVerifier:
    """Verifies what `HyperliquidSigner` signs; the same as `RequestVerifier`.

    Args:
        venue: Its section `signing` names the networks.
        bases: Base URLs that count; `None` for all whose network is named. A signature is good on
            one network alone.

    Raises:
        ConfigError: The section is not of that form.
        SigningError: The libraries are not installed.
    """

    def __init__(self, venue: Venue, bases: Collection[str] | None = None) -> None:
        self._networks = networks(venue)
        counting = self._networks if bases is None else bases
        self._bases = frozenset(base.rstrip("/") for base in counting)
        self._libraries = libraries()
        self._actions = Actions(self._libraries)

    def verify(self, signed: Request, credentials: Credentials, at_ns: int | None) -> Verified:
        """Check a signed request; of the credentials, only the address is looked at.

        Raises:
            VerificationFailed: Says what is wrong, and shows no value.
            SigningError: The key is no address.
        """
        mine = wallet_address(credentials.key)
        if base_of(signed.url) not in self._bases:
            refuse("host", "it goes to none of the base URLs that count")
        if header_of(signed, "Content-Type").partition(";")[0].strip().lower() != _TYPE:
            refuse("form", f"its content type is not {_TYPE}")
        nonce, signer = self._read(signed)
        if signer != mine:
            refuse("signature", "its signature is not one of this request under this key")
        if at_ns is not None and not _is_near(nonce, at_ns):
            refuse("time", "its time is too far from the exchange's: look at the clock")
        return Verified((), frozenset({"body"}), nonce * _MS, str(nonce), is_whole=False)

    def _read(self, signed: Request) -> tuple[int, bytes | None]:
        """Return the nonce, and who signed."""
        try:
            return self._recovered(signed)
        except (SigningError, ValueError) as error:
            why = str(error)
        raise VerificationFailed("form", why)

    def _recovered(self, signed: Request) -> tuple[int, bytes | None]:
        network = network_of(self._networks, signed)
        text = _text_of(signed)
        asked = read_body(text, ADDED)
        members = read_whole(text)
        nonce, signature = members.get("nonce"), members.get("signature")
        if type(nonce) is not int or not is_u64(nonce) or asked.nonce() not in (None, nonce):
            raise ValueError("it has no nonce, or two that differ")
        data = self._actions.digest(asked, nonce, network)
        return nonce, recovered(signature, data, self._libraries)


def networks(venue: Venue) -> dict[str, str]:
    """Read which base URL is which network.

    Raises:
        ConfigError: The section `signing` does not say so.
    """
    read = Reading(venue, ("signing",))
    section = read.mapping(venue.section("signing"), (), ("scheme", "networks"))
    given = read.mapping(section.get("networks"), ("networks",))
    found = {
        base: read.choice(name, ("networks", base), tuple(SOURCES)) for base, name in given.items()
    }
    read.done()
    return found


def network_of(known: dict[str, str], request: Request) -> str:
    """Return the network that a request goes to.

    A signature is good on its network whoever hands it in, wherever it was sent first: nothing is
    signed for a URL whose network is not known.

    Raises:
        SigningError: It is not known, or the request is none that is signed.
    """
    base = base_of(request.url)
    if base not in known:
        raise SigningError(f"which network is {base}? Name it in the venue file, signing.networks")
    if request.method != "POST" or path_of(request.url) != PATH:
        raise SigningError(f"hyperliquid signs POST {PATH} and nothing else")
    return known[base]


def _is_near(nonce: int, at_ns: int) -> bool:
    """Whether the exchange takes a nonce at a time."""
    return -_AHEAD_NS < at_ns - nonce * _MS < _OLDEST_NS


def _text_of(request: Request) -> str:
    """Return the body's text, or say why it cannot be signed."""
    if request.params:
        raise SigningError("hyperliquid signs a JSON body with an action: leave params empty")
    try:
        return request.body.decode().strip()
    except UnicodeDecodeError:
        raise SigningError("hyperliquid takes JSON as a body: this one is not UTF-8") from None


def _with_type(headers: Pairs) -> Pairs:
    for name, _ in headers:
        if name.lower() == "content-type":
            raise SigningError(f"header {name} is set by signing: leave it out")
    # The same tuple each time, which the kernel then need not look at again.
    return headers + _HEADERS if headers else _HEADERS
