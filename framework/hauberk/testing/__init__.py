"""The kit for plugin authors: a clock, ports in memory, guards in one line, and conformance.

Installed with `pip install hauberk[testing]`, pytest finds the fixtures by itself.
"""

from __future__ import annotations

from hauberk.testing.clock import FakeClock
from hauberk.testing.guards import DEFAULT_URL, make_guard, make_plan
from hauberk.testing.ports import (
    FixedPrices,
    MemoryStore,
    MemoryStores,
    MemoryVault,
    OpenVenue,
    OpenVenues,
    PlainSigner,
    StaticKeys,
)

__all__ = [
    "DEFAULT_URL",
    "FakeClock",
    "FixedPrices",
    "MemoryStore",
    "MemoryStores",
    "MemoryVault",
    "OpenVenue",
    "OpenVenues",
    "PlainSigner",
    "StaticKeys",
    "make_guard",
    "make_plan",
]
