"""What a plugin is given at its start: its own door to the kernel and to the ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from hauberk.accounts import Account
from hauberk.errors import NotGranted
from hauberk.ports import Clock, Keys, ReferencePrice, Scoped, Store, Transport, Vault, Venues
from hauberk.records import Incident, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from hauberk.kernel import Kernel
    from hauberk.lifecycle import View

_SCOPED: Final = frozenset({"store", "vault"})


class Context:
    """Bound to one plugin; everything done through it bears the plugin's name.

    Attributes:
        name: The plugin's name.
        grants: What `hauberk.yml` grants it.
        clock: The injected clock.
        predecessor: The instance that this one takes over from in a reload, or `None`; take its
            state, so that halts and budgets survive a change of configuration.
    """

    def __init__(
        self,
        kernel: Kernel,
        name: str,
        grants: frozenset[str],
        view: View,
        predecessor: object = None,
    ) -> None:
        self._kernel = kernel
        self._view = view
        self._found: dict[str, object] = {}
        self.name = name
        self.grants = grants
        self.predecessor = predecessor

    @property
    def clock(self) -> Clock:
        """The injected clock."""
        return self._kernel.clock

    @property
    def accounts(self) -> Mapping[str, Account]:
        """The accounts of `hauberk.yml` by name, as they now stand."""
        return self._view.settings.accounts

    @property
    def state_dir(self) -> Path | None:
        """The state folder, or `None` when the guard keeps nothing."""
        return self._view.settings.state_dir

    @property
    def folder(self) -> Path:
        """Where relative paths in a plugin's configuration start: the folder of `hauberk.yml`."""
        from pathlib import Path

        return self._view.settings.folder or Path()

    @property
    def store(self) -> Store:
        """Durable records in a namespace of the plugin's own."""
        return cast(Store, self._port("store"))

    @property
    def vault(self) -> Vault:
        """Sealing in a namespace of the plugin's own."""
        return cast(Vault, self._port("vault"))

    @property
    def keys(self) -> Keys:
        """Credentials by account."""
        return cast(Keys, self._port("keys"))

    @property
    def transport(self) -> Transport:
        """The way out."""
        return cast(Transport, self._port("transport"))

    @property
    def venues(self) -> Venues:
        """Venue files by name."""
        return cast(Venues, self._port("venues"))

    @property
    def reference_price(self) -> ReferencePrice:
        """Fair prices."""
        return cast(ReferencePrice, self._port("reference_price"))

    def has(self, port: str) -> bool:
        """Whether a port is granted and provided."""
        return port in self.grants and self._view.provider(port) is not None

    def report(
        self, title: str, severity: Severity, details: Mapping[str, Any] | None = None
    ) -> Incident:
        """Report an incident under the plugin's name.

        Returns:
            The incident with its outcomes; without, when called from inside a guard, since it is
            then dispatched when the guard has returned.
        """
        return self._kernel.report(self.name, title, severity, details)

    def emit(self, kind: str, fields: Mapping[str, Any] | None = None) -> None:
        """Tell the recorders; `kind` is put behind the plugin's name."""
        self._kernel.emit(self.name, f"{self.name}.{kind}", fields)

    def wake(self, request_id: str) -> None:
        """Have a waiting request asked again now."""
        self._kernel.wake(request_id)

    def recheck(self) -> None:
        """Raise the epoch: whoever has not left yet is asked again. Not for outsiders to cause."""
        self._kernel.recheck()

    def settle(self, grants: frozenset[str]) -> None:
        """Look at the plugins now in place; called by the kernel at the start and each reload."""
        self._view = self._kernel.crew.view
        self._found = {}
        self.grants = grants
        # Let go, or each reload would keep every instance before it.
        self.predecessor = None

    def _port(self, port: str) -> object:
        found = self._found.get(port)
        if found is not None:
            return found
        if port not in self.grants:
            raise NotGranted(self.name, port)
        provider = self._view.provider(port)
        if provider is None:
            raise NotGranted(self.name, port, f"name a provider: `ports: {{{port}: …}}`")
        found = cast(Scoped, provider).scoped(self.name) if port in _SCOPED else provider
        self._found[port] = found
        return found
