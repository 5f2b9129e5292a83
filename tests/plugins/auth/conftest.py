"""A world to log in to: stores in memory, a clock that tests move, bcrypt at its lowest cost."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import bcrypt
import pyotp
import pytest
from attrs import define, field
from tests.plugins.auth.shell import shell

from hauberk import Secret
from hauberk.testing import FakeClock, MemoryStore
from hauberk_plugins.auth.enrolment import SecondFactors
from hauberk_plugins.auth.passwords import MIN_COST, PasswordHasher
from hauberk_plugins.auth.peppers import Peppers
from hauberk_plugins.auth.user_auth import UserAuth

__all__ = ["shell"]


@define
class World:
    """What one process has; several may share a store and a clock."""

    sealed: MemoryStore = field(factory=MemoryStore)
    clock: FakeClock = field(factory=FakeClock)
    cost: int = MIN_COST
    told: list[tuple[str, Mapping[str, Any]]] = field(factory=list)
    ended: list[str] = field(factory=list)
    peppers: Peppers = field(init=False)
    hasher: PasswordHasher = field(init=False)
    auth: UserAuth = field(init=False)
    factors: SecondFactors = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.peppers = Peppers(lambda: self.sealed, secrets.token_bytes)
        self.hasher = PasswordHasher(self.peppers, secrets.token_bytes, self.cost)
        self.auth = UserAuth(
            lambda: self.sealed,
            self.hasher,
            self.clock.wall_ns,
            tell=lambda kind, fields: self.told.append((kind, fields)),
            end_sessions=self.ended.append,
        )
        self.factors = SecondFactors(
            self.auth.users,
            self.clock.wall_ns,
            secrets.token_bytes,
            tell=lambda kind, fields: self.told.append((kind, fields)),
            end_sessions=self.ended.append,
        )

    def twin(self, cost: int | None = None) -> World:
        """Another process on the same store."""
        return World(self.sealed, self.clock, self.cost if cost is None else cost)

    def code(self, secret: Secret, steps: int = 0) -> Secret:
        """What an authenticator shows, so many steps from now."""
        totp = pyotp.TOTP(secret.reveal_text())
        return Secret(totp.generate_otp(self.clock.wall_ns() // 30_000_000_000 + steps))

    def enrol(self, name: str) -> tuple[Secret, tuple[Secret, ...]]:
        """Give a user a second factor; return its secret and the recovery codes."""
        enrolment = self.factors.begin(name)
        codes = self.factors.enrol(enrolment, self.code(enrolment.secret))
        return enrolment.secret, codes


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def bcrypts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The costs of all that bcrypt computed, in order."""
    costs: list[int] = []
    real: Callable[[bytes, bytes], bytes] = bcrypt.hashpw

    def counted(password: bytes, salt: bytes) -> bytes:
        costs.append(int(salt[4:6]))
        return real(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", counted)
    monkeypatch.setattr(bcrypt, "checkpw", None)  # nothing is computed past the count
    return costs
