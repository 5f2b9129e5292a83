"""An account's credentials with all that can be computed from them beforehand."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from hauberk.errors import SigningError
from hauberk.ports import Credentials
from hauberk.quiet import quietly
from hauberk.request import Pairs
from hauberk.secret import Secret
from hauberk_plugins.signing.algorithms import MACS, OUTPUTS, Mac, algorithm_for
from hauberk_plugins.signing.envelope import Writer
from hauberk_plugins.signing.scheme import OF_KEYS, Scheme

if TYPE_CHECKING:
    from hauberk_plugins.signing.route import Route

CONTENT_TYPE: Final = "Content-Type"
_PRINTABLE: Final = bytes(range(0x21, 0x7F))


class Ready:
    """Credentials made ready for a scheme: what the key stands in, and what signs.

    It holds nothing but what is as secret as the key; its repr shows nothing.

    Args:
        scheme: How the venue signs.
        credentials: The account's.
        constants: Further tokens that are the same in every request.

    Raises:
        SigningError: They are not what the scheme needs.
    """

    __slots__ = (
        *("_typed", "added", "algorithm", "credentials", "digests", "headers", "held"),
        *("is_constant", "longest", "jwt", "message", "output", "pairs", "routes", "writer"),
    )

    def __init__(
        self, scheme: Scheme, credentials: Credentials, constants: Mapping[str, str]
    ) -> None:
        self.credentials = credentials
        # Quietly: what fails in there would show key and secret among its locals.
        self.algorithm = quietly(
            "reading the secret",
            lambda: algorithm_for(
                credentials.secret, scheme.algorithms, scheme.secret, scheme.venue
            ),
            SigningError,
        )
        #: How many characters a signature takes in a URL, at most.
        self.longest = 2 * MACS[self.algorithm.name][1] if self.algorithm.name in MACS else 2_048
        self.output = OUTPUTS[scheme.algorithms[self.algorithm.name]]
        #: What stands for the key and the passphrase, by token.
        self.held = quietly("reading the key", lambda: _of_keys(scheme, credentials), SigningError)
        held = {**constants, **self.held}
        self.message = scheme.message.folded(held)
        self.digests = {name: digest.of.folded(held) for name, digest in scheme.digests.items()}
        self.headers = tuple((name, text.folded(held)) for name, text in scheme.headers.items())
        self.added = {one.param: one.value.folded(held) for one in (*scheme.before, *scheme.after)}
        self.writer = None if scheme.envelope is None else Writer(scheme.envelope, held)
        token = scheme.jwt.get(self.algorithm.name)
        self.jwt = None if token is None else token.folded(held)
        self.is_constant = not any(text.tokens for _, text in self.headers)
        # The same tuple each time, which the kernel then need not look at again.
        self.pairs = (
            tuple((name, text.render({})) for name, text in self.headers)
            if self.is_constant
            else ()
        )
        self._typed: dict[str, Pairs] = {}
        #: What signing comes to, by method and URL.
        self.routes: dict[tuple[str, str], Route] = {}

    def with_content_type(self, headers: Pairs, content_type: str) -> Pairs:
        """Return headers with a content type behind them."""
        if not self.is_constant or headers is not self.pairs:
            return (*headers, (CONTENT_TYPE, content_type))
        known = self._typed.get(content_type)
        if known is None:
            known = self._typed[content_type] = (*headers, (CONTENT_TYPE, content_type))
        return known


def _of_keys(scheme: Scheme, credentials: Credentials) -> dict[str, str]:
    tokens = scheme.tokens()
    found = {}
    if "key" in tokens:
        found["key"] = _header_text(scheme.venue, "key", credentials.key)
    if "passphrase" in tokens or "passphrase_mac" in tokens:
        if credentials.passphrase is None:
            raise SigningError(
                f"{scheme.venue} wants a passphrase: give the account one, as passphrase: env:NAME"
            )
        found["passphrase"] = _header_text(scheme.venue, "passphrase", credentials.passphrase)
        found["passphrase_mac"] = ""
    if "passphrase_mac" in tokens and credentials.passphrase is not None:
        name = next(name for name in scheme.algorithms if name in MACS)
        tag = Mac(name, credentials.secret).sign(credentials.passphrase.reveal())
        found["passphrase_mac"] = b64encode(tag).decode()
    return {name: found[name] for name in OF_KEYS if name in found}


def _header_text(venue: str, what: str, secret: Secret) -> str:
    if not secret or secret.reveal().translate(None, _PRINTABLE):
        raise SigningError(
            f"the API {what} for {venue} is empty or holds a space, a line's end or another "
            "character that no header can carry: check what its reference leads to"
        )
    return secret.reveal().decode("ascii")
