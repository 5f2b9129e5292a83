"""The kit for plugin authors: a clock, ports in memory, guards in one line, and conformance.

Installed with the extra `testing`, pytest finds the fixtures by itself:

    def test_it_keeps_the_contract() -> None:
        check_plugin(QuietHoursPlugin)

`hauberk.testing.strategies` has a hypothesis strategy for every kernel type. Each name is loaded
when it is first used, since pytest imports this package in every run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hauberk.memorystore import MemoryStore
    from hauberk.testing.clock import FakeClock
    from hauberk.testing.conformance import ConformanceFailed, Rule, check_plugin
    from hauberk.testing.factory import GuardFactory
    from hauberk.testing.guards import DEFAULT_URL, PlanOptions, Providers, make_guard, make_plan
    from hauberk.testing.ports import (
        FixedPrices,
        HmacReference,
        MemoryStores,
        MemoryVault,
        OpenVenue,
        OpenVenues,
        PlainHashes,
        PlainSigner,
        StaticKeys,
    )
    from hauberk.testing.sandbox import RunningSandbox
    from hauberk.testing.storecontract import STORE_RULES, BrokenStore, check_store

_WHERE = {
    "clock": ("FakeClock",),
    "conformance": ("ConformanceFailed", "Rule", "check_plugin"),
    "factory": ("GuardFactory",),
    "guards": ("DEFAULT_URL", "PlanOptions", "Providers", "make_guard", "make_plan"),
    "ports": (
        *("FixedPrices", "HmacReference", "MemoryStore", "MemoryStores", "MemoryVault"),
        *("OpenVenue", "OpenVenues", "PlainHashes", "PlainSigner", "StaticKeys"),
    ),
    "sandbox": ("RunningSandbox",),
    "storecontract": ("STORE_RULES", "BrokenStore", "check_store"),
}
_LATER = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "DEFAULT_URL",
    "STORE_RULES",
    "BrokenStore",
    "ConformanceFailed",
    "FakeClock",
    "FixedPrices",
    "GuardFactory",
    "HmacReference",
    "MemoryStore",
    "MemoryStores",
    "MemoryVault",
    "OpenVenue",
    "OpenVenues",
    "PlainHashes",
    "PlainSigner",
    "PlanOptions",
    "Providers",
    "Rule",
    "RunningSandbox",
    "StaticKeys",
    "check_plugin",
    "check_store",
    "make_guard",
    "make_plan",
]


def __getattr__(name: str) -> Any:
    """Load a name's module when it is first asked for (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module 'hauberk.testing' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"hauberk.testing.{_LATER[name]}"), name)
    globals()[name] = value
    return value
