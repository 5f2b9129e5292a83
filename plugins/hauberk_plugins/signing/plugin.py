"""The plugin `signing`: signs for every account that names no other signer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import field, frozen, validators

from hauberk.accounts import Account
from hauberk.command import Command
from hauberk.context import Context
from hauberk.errors import MisuseError, SigningError
from hauberk.hooks import Plugin, hookimpl
from hauberk.ports import Venue
from hauberk.request import Operation, Request, Response, base_of
from hauberk_plugins.signing.asking import Clocks
from hauberk_plugins.signing.commands import COMMANDS
from hauberk_plugins.signing.noncebook import NonceBook, open_nonces
from hauberk_plugins.signing.nonces import UNITS
from hauberk_plugins.signing.schemes import Signer, signer_for

_PUBLIC: Final = Operation.PUBLIC


@frozen
class SigningConfig:
    """The section `signing` of `hauberk.yml`.

    Attributes:
        recv_window_ms: For how long a signed request is valid, in milliseconds, where the request
            does not say so itself; `null` for what the venue file says.
        sample_clock: Whether exchanges are asked for their time, at the start and now and then,
            where the venue file names an endpoint for it and `transport` is granted. Without, this
            machine's clock counts.
    """

    recv_window_ms: int | None = field(
        default=None,
        validator=validators.optional([validators.ge(1), validators.le(60_000)]),
    )
    sample_clock: bool = True


@frozen(eq=False)
class _Desk:
    """What signs for one account, as it stands in `hauberk.yml`."""

    account: Account
    venue: Venue
    signer: Signer
    nonce: str


class SigningPlugin(Plugin):
    """Signer. Needs the grants `sign`, `keys` and `venues`.

    With `store`, nonces rise across restarts, whatever the clock does; with `transport`, exchanges
    are asked for their time, and requests are signed by their clocks.
    """

    interface = (1, 1)
    Config = SigningConfig
    _clocks: Clocks

    def __init__(self, config: SigningConfig) -> None:
        self._window_ms = config.recv_window_ms
        self._asks = config.sample_clock
        self._context: Context | None = None
        self._desks: dict[str, _Desk] = {}
        self._nonces = NonceBook()

    @hookimpl
    def on_start(self, context: Context) -> None:
        """Read the schemes of its accounts, so that a faulty one stops the start."""
        self._context = context
        before = context.predecessor
        if isinstance(before, SigningPlugin):
            self._nonces = before._nonces
            self._clocks = Clocks(context, before=before._clocks)
        else:
            self._clocks = Clocks(context)
        for name, account in context.accounts.items():
            if account.signer == context.name:
                self._desk(context, name, account)
        if self._asks and context.is_resident:
            self._clocks.begin(
                (desk.venue, desk.account.base_url.rstrip("/") or desk.venue.bases[0])
                for desk in self._desks.values()
            )

    @hookimpl
    def on_stop(self) -> None:
        """Let go of every key's state."""
        self._desks = {}
        self._nonces.close()

    @hookimpl
    def sign_request(self, request: Request) -> Request:
        """Sign with the account's credentials and the present time; a public one needs no key."""
        context = self._context or self._started()
        name = request.account
        account = context.accounts.get(name)
        desk = self._desks.get(name)
        # Every reload makes accounts anew, so the same one has the same venue.
        if desk is None or desk.account is not account:
            desk = self._desk(context, name, account)
        if request.operation is _PUBLIC:
            return desk.signer.unsigned(request)
        credentials = context.keys.credentials(name)
        at_ns = self._clocks.plain_ns(request.url) if self._asks else context.clock.wall_ns()
        if at_ns is None:
            at_ns = self._clocks.time_ns(desk.venue, base_of(request.url), request.url)
        if not desk.nonce:
            return desk.signer.sign(request, credentials, at_ns)
        nonce = self._nonces.taker(context, desk.venue.name, desk.nonce, credentials.key)
        return desk.signer.sign(request, credentials, at_ns, nonce)

    @hookimpl
    def on_response(self, request: Request, response: Response) -> None:
        """Measure the exchange's clock again once it found a time wrong."""
        desk = self._desks.get(request.account)
        if desk is not None and self._asks and desk.venue.said(response) == "skew":
            self._clocks.skewed(desk.venue, base_of(request.url))

    @hookimpl
    def on_commands(self) -> Sequence[Command]:
        """Contribute `nonces reset`."""
        return COMMANDS

    def forget_nonces(self, account: str) -> str:
        """Forget which nonces an account's key has used; return what kind they are.

        Raises:
            SigningError: There is no such account, or they cannot be forgotten.
            CredentialsMissing: It has no key.
        """
        context = self._started()
        desk = self._desk(context, account, context.accounts.get(account))
        if desk.nonce in UNITS:
            key = context.keys.credentials(account).key
            open_nonces(context, desk.venue.name, desk.nonce, key).forget()
        return desk.nonce

    def _desk(self, context: Context, name: str, account: Account | None) -> _Desk:
        if account is None:
            raise SigningError(f"there is no account {name!r}: name it in hauberk.yml")
        venue = context.venues.venue(account.venue)
        signer = signer_for(venue, self._window_ms)
        desk = _Desk(account, venue, signer, signer.nonce)
        self._desks[name] = desk
        return desk

    def _started(self) -> Context:
        if self._context is None:
            raise MisuseError("the plugin 'signing' has not been started")
        return self._context
