"""A machine: one store and two clocks, and as many processes over them as a test wants."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import define, field

from hauberk import Secret
from hauberk.errors import StoreError
from hauberk.testing import FakeClock, MemoryStore
from hauberk_plugins.auth.session_record import SessionLimits
from hauberk_plugins.auth.sessions import SessionManager


class CountedStore(MemoryStore):
    """Counts what it is asked, and refuses writes if told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gets = self.puts = 0
        self.refuses_puts = False

    def get(self, name: str) -> Any:
        self.gets += 1
        return super().get(name)

    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        if self.refuses_puts:
            raise StoreError("the disk is full")
        self.puts += 1
        return super().put(name, value, version=version)


@define
class Machine:
    """What several processes share."""

    limits: SessionLimits = field(factory=lambda: SessionLimits(per_user=3, total=6))
    store: CountedStore = field(factory=CountedStore)
    clock: FakeClock = field(factory=FakeClock)
    boot: str = "boot-1"
    told: list[tuple[str, Mapping[str, Any]]] = field(factory=list)
    rechecks: list[None] = field(factory=list)

    def process(self, limits: SessionLimits | None = None) -> SessionManager:
        """Start one."""
        return SessionManager(
            lambda: self.store,
            self.clock.wall_ns,
            self.clock.monotonic_ns,
            secrets.token_bytes,
            limits or self.limits,
            boot=self.boot,
            tell=lambda kind, fields: self.told.append((kind, fields)),
            recheck=lambda: self.rechecks.append(None),
        )

    def is_valid(self, token: Secret) -> bool:
        """Whether a process that has just started lets a token in."""
        return self.process().validate_session(token) is not None

    def reboot(self) -> None:
        """The monotonic clock begins anew, the wall clock goes on."""
        self.clock = FakeClock(wall_ns=self.clock.wall_ns())
        self.boot += "-later"

    def whys(self) -> list[str]:
        """Why sessions ended, as the recorders were told."""
        return [fields["why"] for kind, fields in self.told if kind == "session.ended"]


@pytest.fixture
def machine() -> Machine:
    return Machine()
