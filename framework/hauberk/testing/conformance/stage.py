"""Where instances of the plugin under test stand: one kernel, and ports of their own for each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from typing import Any, Self

from attrs import evolve, frozen

from hauberk.accounts import Account
from hauberk.context import Context
from hauberk.errors import PluginRefused
from hauberk.hooks import Plugin
from hauberk.registry import Impl, Part, implementations
from hauberk.settings import KernelLimits
from hauberk.starting import View
from hauberk.testing.clock import FakeClock
from hauberk.testing.conformance.failure import ConformanceFailed, Rule
from hauberk.testing.guards import make_guard


@frozen
class Setup:
    """How instances of a plugin are made and started; arguments as `check_plugin`."""

    name: str
    make: Callable[[], object]
    grants: frozenset[str]
    accounts: Mapping[str, Account]
    providers: Callable[[], Plugin]
    limits: KernelLimits
    skip: frozenset[Rule]
    timer: Callable[[], int]


class Stage:
    """The kernel that all instances in one check share; leave its `with` block to close it.

    Args:
        setup: How instances are made.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._guard = make_guard(
            accounts=setup.accounts, limits=setup.limits, providers=setup.providers()
        )
        self.kernel = self._guard.kernel
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._turn = threading.Lock()
        self._known: dict[type, dict[str, Impl]] = {}

    def hooks(self, plugin: object) -> dict[str, Impl]:
        """Return what a plugin implements.

        Raises:
            ConformanceFailed: It may not be registered.
        """
        setup = self.setup
        loop = self._runner.get_loop()
        part = Part(setup.name, plugin, setup.grants, origin="test", loop=loop)
        known = self._known.get(type(plugin))
        if known is None:
            try:
                known = self._known[type(plugin)] = implementations(part)
            except PluginRefused as refused:
                raise self.unloadable(refused.reason) from None
        return {
            hook: Impl(part, hook, getattr(plugin, hook), impl.is_async, impl.is_blocking)
            for hook, impl in known.items()
        }

    def on_loop(self, body: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the one event loop that all `async def` hooks have, as in a bot."""
        with self._turn:
            return self._runner.run(body, context=copy_context())

    def context(self, clock: FakeClock) -> Context:
        """Return a context with ports of its own."""
        settings = self.kernel.settings
        ports = settings.ports
        made = self.setup.providers()
        view = View(
            evolve(settings, ports={**ports, **dict.fromkeys(made.provides, "own")}),
            {"own": (Part("own", made), {})},
        )
        return Context(self.kernel, self.setup.name, self.setup.grants, view, clock=clock)

    def unloadable(self, why: str) -> ConformanceFailed:
        """Make the failure of a plugin that never gets to run."""
        return ConformanceFailed(self.setup.name, "", Rule.LOADS, why)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._guard.close()
        self._runner.close()
