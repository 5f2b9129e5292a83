"""The plugin `signing`: signs for every account that names no other signer."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen, validators

from hauberk.accounts import Account
from hauberk.context import Context
from hauberk.errors import MisuseError, SigningError
from hauberk.hooks import Plugin, hookimpl
from hauberk.request import Operation, Request
from hauberk_plugins.signing.scheme import read_scheme
from hauberk_plugins.signing.signer import RequestSigner

_PUBLIC: Final = Operation.PUBLIC


@frozen
class SigningConfig:
    """The section `signing` of `hauberk.yml`.

    Attributes:
        recv_window_ms: For how long a signed request is valid, in milliseconds, where the request
            does not say so itself; `null` for what the venue file says.
    """

    recv_window_ms: int | None = field(
        default=None,
        validator=validators.optional([validators.ge(1), validators.le(60_000)]),
    )


class SigningPlugin(Plugin):
    """Signer. Needs the grants `sign`, `keys` and `venues`."""

    interface = (1, 1)
    Config = SigningConfig

    def __init__(self, config: SigningConfig) -> None:
        self._window_ms = config.recv_window_ms
        self._context: Context | None = None
        self._signers: dict[str, tuple[Account, RequestSigner]] = {}

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Read the schemes of its accounts, so that a faulty one stops the start."""
        self._context = context
        for name, account in context.accounts.items():
            if account.signer == context.name:
                self._signer(context, name, account)

    @hookimpl
    def on_stop(self) -> None:
        """Let go of every key's state."""
        self._signers = {}

    @hookimpl
    def sign_request(self, request: Request) -> Request:
        """Sign with the account's credentials and the present time; a public one needs no key."""
        context = self._started()
        account = context.accounts.get(request.account)
        known = self._signers.get(request.account)
        # Every reload makes accounts anew, so the same one has the same venue.
        if known is not None and known[0] is account:
            signer = known[1]
        else:
            signer = self._signer(context, request.account, account)
        if request.operation is _PUBLIC:
            return signer.unsigned(request)
        credentials = context.keys.credentials(request.account)
        return signer.sign(request, credentials, context.clock.wall_ns())

    def _signer(self, context: Context, name: str, account: Account | None) -> RequestSigner:
        if account is None:
            raise SigningError(f"there is no account {name!r}: name it in hauberk.yml")
        scheme = read_scheme(context.venues.venue(account.venue))
        signer = RequestSigner(scheme, self._window_ms)
        self._signers[name] = (account, signer)
        return signer

    def _started(self) -> Context:
        if self._context is None:
            raise MisuseError("the plugin 'signing' has not been started")
        return self._context
