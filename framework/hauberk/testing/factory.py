"""What the fixture `guard` is: guards on one clock and one store, closed after the test."""

from __future__ import annotations

from types import TracebackType
from typing import Self, Unpack

from hauberk.guard import Guard
from hauberk.memorystore import MemoryStore
from hauberk.testing.clock import FakeClock
from hauberk.testing.guards import PlanOptions, Providers, make_guard, named


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
        providers: Providers | None = None,
        **options: Unpack[PlanOptions],
    ) -> Guard:
        """Make a guard; arguments as `hauberk.testing.make_plan`."""
        ports = providers or Providers()
        if plugins:
            ports.store.stores.setdefault(named(plugins[0])[0], self.store)
        made = make_guard(*plugins, clock=self.clock, providers=ports, **options)
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
