"""The pytest plugin: the fixtures `clock`, `store`, `guard` and `sandbox`.

pytest loads it in every run where Hauberk is installed, so it imports nothing but pytest; each
fixture imports what it needs when a test asks for it. A fixture of the same name in a `conftest.py`
takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hauberk.memorystore import MemoryStore
    from hauberk.testing.clock import FakeClock
    from hauberk.testing.factory import GuardFactory
    from hauberk.testing.sandbox import RunningSandbox


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only the test moves; waiting moves it too."""
    from hauberk.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def store() -> MemoryStore:
    """The store that `guard` gives to the first plugin it is made with."""
    from hauberk.memorystore import MemoryStore

    return MemoryStore()


@pytest.fixture
def guard(clock: FakeClock, store: MemoryStore) -> Iterator[GuardFactory]:
    """Make guards: `guard(MyPlugin(), …)`, on `clock` and `store`, closed after the test."""
    from hauberk.testing.factory import GuardFactory

    with GuardFactory(clock, store) as factory:
        yield factory


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[RunningSandbox]:
    """A sandbox exchange on loopback that goes by `clock`, with a key that may trade."""
    from hauberk.testing.sandbox import running_sandbox

    with running_sandbox(clock) as running:
        yield running
