"""What the fixture `guard` is: guards on one clock and one store, closed after the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from hauberk.accounts import Account
from hauberk.guard import Guard
from hauberk.settings import KernelLimits, Mode
from hauberk.testing.clock import FakeClock
from hauberk.testing.guards import Providers, make_guard, named
from hauberk.testing.ports import MemoryStore


class GuardFactory:
    """Makes guards around plugins; close them by leaving its `with` block.

        def test_nights_are_quiet(guard: GuardFactory) -> None:
            with pytest.raises(hauberk.Denied, match="quiet"):
                guard(QuietHours()).clear(hauberk.Request("POST", DEFAULT_URL))

    Args:
        clock: What every guard goes by.
        store: What the first plugin of each guard gets as its port `store`.
    """

    def __init__(self, clock: FakeClock, store: MemoryStore) -> None:
        self.clock = clock
        self.store = store
        self._made: list[Guard] = []

    def __call__(
        self,
        *plugins: object,
        grants: Mapping[str, Sequence[str]] | None = None,
        required: Sequence[str] = (),
        order: Sequence[str] = (),
        mode: Mode = Mode.ENFORCE,
        accounts: Mapping[str, Account] | None = None,
        limits: KernelLimits | None = None,
        providers: Providers | None = None,
    ) -> Guard:
        """Make a guard; arguments as `hauberk.testing.make_guard`.

        Args:
            plugins: Objects, or (name, object) pairs.
            grants: Plugin name to grants; a port such as `store` is one.
            required: Names of required plugins.
            order: The names of `plugins:`.
            mode: Enforce, or shadow.
            accounts: By name; `main` at the venue `open` unless given.
            limits: Time limits of the kernel.
            providers: The ports; in memory unless given.
        """
        ports = providers or Providers()
        if plugins:
            ports.store.stores.setdefault(named(plugins[0])[0], self.store)
        made = make_guard(
            *plugins, clock=self.clock, grants=grants, required=required, order=order, mode=mode,
            accounts=accounts, limits=limits, providers=ports,
        )  # fmt: skip
        self._made.append(made)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for made in reversed(self._made):
            made.close()
