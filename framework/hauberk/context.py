"""What a plugin is given at its start: its own door to the kernel and to the ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from hauberk.accounts import Account
from hauberk.emergency import Emergency
from hauberk.errors import ConfigProblem, MisuseError, NotGranted, SealError
from hauberk.pacing import PacedTransport
from hauberk.ports import (
    PORTS,
    Access,
    Clock,
    Hashes,
    Keys,
    Reference,
    ReferencePrice,
    Scoped,
    Store,
    Transport,
    Vault,
    Venues,
)
from hauberk.records import Incident, Severity
from hauberk.registry import EMERGENCY, FIRST
from hauberk.sealed import NAMESPACE, Sealed
from hauberk.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from hauberk.batch import SignedBatch, Verified
    from hauberk.kernel import Kernel
    from hauberk.keypath import KeyPath
    from hauberk.starting import View

_SCOPED: Final = frozenset({"store", "vault", "sealed"})


class Context:
    """Bound to one plugin; everything done through it bears the plugin's name.

    A port is an attribute of its name; reading one without its grant raises `NotGranted`.

    Attributes:
        name: The plugin's name.
        grants: What `hauberk.yml` grants it.
        clock: The injected clock.
        accounts: The accounts of `hauberk.yml` by name, as they now stand.
        state_dir: The state folder, or `None` when the guard keeps nothing.
        folder: Where relative paths in a plugin's configuration start: that of `hauberk.yml`.
        is_resident: Whether the guard stays, as a bot's does, or is a command's that looks or signs
            once and wants no work begun in advance.
        predecessor: During `on_start` in a reload, the instance that this one takes over from,
            else `None`; take its state, so that halts and budgets survive a change of
            configuration.
        store: Durable records in a namespace of the plugin's own.
        vault: Sealing in a namespace of the plugin's own.
        sealed: Durable records like those of `store`, sealed on their way.
        keys: Credentials by account.
        access: Who may do what on the command line.
        transport: The way out; what exchanges count waits there for its turn.
        venues: Venue files by name.
        reference_price: Fair prices.
        hashes: Many hashes at once.
        reference: What every engine is checked by; to have batches verified, `verify_batch`.
    """

    _kernel: Kernel
    _view: View
    _is_settled: bool
    name: str
    grants: frozenset[str]
    clock: Clock
    predecessor: object
    accounts: Mapping[str, Account]
    state_dir: Path | None
    folder: Path
    store: Store
    vault: Vault
    sealed: Store
    keys: Keys
    access: Access
    transport: PacedTransport
    venues: Venues
    reference_price: ReferencePrice
    reference: Reference
    hashes: Hashes

    def __init__(
        self,
        kernel: Kernel,
        name: str,
        grants: frozenset[str],
        view: View,
        predecessor: object = None,
        clock: Clock | None = None,
    ) -> None:
        # Through the dictionary: to its plugin, a context is read-only.
        self.__dict__.update(
            _kernel=kernel, name=name, clock=clock or kernel.clock, predecessor=predecessor
        )
        self._see(view, grants)

    def __getattr__(self, name: str) -> object:
        """Look up a port that is read for the first time since the plugins in place changed."""
        if name not in PORTS:
            raise AttributeError(f"a Context has no {name!r}")
        view = self._view
        if name not in self.grants:
            raise NotGranted(self.name, name)
        provider = view.provider(name)
        if provider is None:
            raise NotGranted(self.name, name, f"name a provider: `ports: {{{name}: …}}`")
        found = cast(Scoped, provider).scoped(self.name) if name in _SCOPED else provider
        if name == "transport":
            paced = cast(Transport, provider)
            found = PacedTransport(paced, self._kernel, lambda: self._view.pacing())
        if view is self._view and self._is_settled:
            self.__dict__[name] = found
            if view is not self._view:  # a reload came between: it may have revoked the grant
                self.__dict__.pop(name, None)
        return found

    def has(self, port: str) -> bool:
        """Whether a port is granted and provided."""
        return port in self.grants and self._view.provider(port) is not None

    @property
    def is_resident(self) -> bool:
        """Whether the guard stays."""
        return self._kernel.is_resident

    @property
    def emergency(self) -> Emergency:
        """The emergency lane, for the kill switch.

        Raises:
            NotGranted: It lacks the grant `emergency`.
        """
        if EMERGENCY not in self.grants:
            raise NotGranted(self.name, EMERGENCY)
        return Emergency(self._kernel, self._view)

    def verify_batch(self, batch: SignedBatch) -> Verified:
        """Have a batch verified by the engines, each of their answers checked.

        Raises:
            NotGranted: The plugin lacks the grant `reference`, or nobody provides that port.
        """
        _ = self.reference  # raises where it is not granted, or nobody provides it
        return self._kernel.engines.verify(batch)

    def unseal(self, sealed: Sealed) -> Secret:
        """Open a sealed value of the plugin's own section of `hauberk.yml`; needs no grant.

        Args:
            sealed: What stands in the plugin's `Config`, in a field of this type.

        Raises:
            NotGranted: It is of another section.
            SealError: It does not open: it was changed, or moved to where it stands, or the key
                is another; or no plugin provides `vault`.
        """
        if type(sealed) is not Sealed:
            raise MisuseError(f"unseal takes a hauberk.sealed.Sealed, not {type(sealed).__name__}")
        if sealed.path.partition(".")[0] != self.name:
            why = f"a plugin opens what is sealed in its own section, {self.name!r}"
            raise NotGranted(self.name, sealed.path, why)
        provider = self._view.provider("vault")
        if provider is None:
            raise SealError(
                f"{sealed.path} is sealed, and no plugin that opens it is started before "
                f"{self.name!r}: name one, `ports: {{vault: …}}`, and list it first if at all"
            )
        vault = cast(Vault, cast(Scoped, provider).scoped(NAMESPACE))
        return vault.open(sealed.path, sealed.blob)

    def problem(self, path: KeyPath, message: str) -> ConfigProblem:
        """Make a problem of the plugin's own section, for a `ConfigError` that `on_start` raises.

        The guard then does not open, whether the plugin is required or not. What needs no port to
        be known is better said by `Plugin.config_problems`, while the file is read.

        Args:
            path: In the section, for example `("limits", 0)`; empty for the whole of it.
            message: What is wrong there, with the name that was probably meant
                (`hauberk.spelling.nearest`).
        """
        return self._view.problem((self.name, *path), message)

    def report(
        self, title: str, severity: Severity, details: Mapping[str, Any] | None = None
    ) -> Incident:
        """Report an incident under the plugin's name.

        Returns:
            The incident with what each responder did. From inside a guard, only with what the
            required ones did, and that only for `HIGH` and `CRITICAL`: the rest follows when the
            guard has returned.
        """
        return self._kernel.report(self.name, title, severity, details)

    def emit(self, kind: str, fields: Mapping[str, Any] | None = None) -> None:
        """Tell the recorders; `kind` is put behind the plugin's name."""
        self._kernel.emit(self.name, f"{self.name}.{kind}", fields)

    @property
    def halted(self) -> str:
        """Why the kill switch halts everything; empty where it does not."""
        return self._kernel.halted()

    def pass_on(self, incident: Incident, *, again: bool = False) -> None:
        """Call the hooks of this process's bots about an incident of another process.

        Once an incident, unless `again`. For the kill switch alone.

        Raises:
            NotGranted: Another plugin called it.
        """
        if self.name != FIRST:
            raise NotGranted(self.name, "pass_on", "it is for the kill switch")
        self._kernel.pass_on(incident, again=again)

    def ended(self, incident_id: str, resolution: str) -> None:
        """Remember that another process has resolved an incident; as `pass_on`."""
        if self.name != FIRST:
            raise NotGranted(self.name, "ended", "it is for the kill switch")
        self._kernel.ended(incident_id, resolution)

    def wake(self, request_id: str) -> None:
        """Have a waiting request asked again now."""
        self._kernel.wake(request_id)

    def recheck(self) -> None:
        """Raise the epoch: whoever has not left yet is asked again. Not for outsiders to cause."""
        self._kernel.recheck()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Context is read-only: {name} cannot be set")

    def _settle(self, grants: frozenset[str]) -> None:
        """Look at the plugins now in place; called by the kernel at the start and each reload."""
        self._see(self._kernel.crew.view, grants)
        for port in PORTS:
            self.__dict__.pop(port, None)
        # The predecessor is let go, or each reload would keep every instance before it.
        self.__dict__.update(_is_settled=True, predecessor=None)

    def _see(self, view: View, grants: frozenset[str]) -> None:
        settings = view.settings
        self.__dict__.update(
            _is_settled=False,
            _view=view,
            grants=grants,
            accounts=settings.accounts,
            state_dir=settings.state_dir,
            folder=settings.folder,
        )
