"""The same on what keeps sessions in earnest: sealed records in SQLite, two processes' worth."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from hauberk import Secret
from hauberk.testing import FakeClock, MemoryVault
from hauberk_plugins.auth.session_record import PREFIX, SessionLimits
from hauberk_plugins.auth.sessions import SessionManager
from hauberk_plugins.auth.tokens import BotTokens
from hauberk_plugins.storage.secure_storage import SecureStorage
from hauberk_plugins.storage.sqlite import SQLiteStores

LIMITS = SessionLimits(per_user=4, total=12)


class Machine:
    """One file, one clock; each process has connections and knowledge of its own."""

    def __init__(self, file: Path, stack: ExitStack) -> None:
        self.clock = FakeClock()
        self._file, self._stack = file, stack

    def store(self):
        stores = self._stack.enter_context(closing(SQLiteStores(self._file)))
        return SecureStorage(stores, MemoryVault()).scoped("auth")

    def process(self) -> SessionManager:
        store, clock = self.store(), self.clock
        return SessionManager(
            lambda: store, clock.wall_ns, clock.monotonic_ns, secrets.token_bytes, LIMITS
        )

    def tokens(self) -> BotTokens:
        store, clock = self.store(), self.clock
        return BotTokens(
            lambda: store, clock.wall_ns, clock.monotonic_ns, secrets.token_bytes, lambda: ["main"]
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with ExitStack() as stack:
        yield Machine(tmp_path / "state" / "store.sqlite", stack)


def is_valid(sessions: SessionManager, token: Secret) -> bool:
    return sessions.validate_session(token) is not None


def test_sessions_begin_end_and_outlast_a_restart(machine: Machine) -> None:
    sessions, other = machine.process(), machine.process()
    first, second = sessions.create("alice", ("admin",)), other.create("alice")
    assert is_valid(other, first)
    assert is_valid(machine.process(), second)
    other.end_session(first)
    machine.clock.advance(1)
    assert not is_valid(sessions, first)
    assert sessions.end_all() == 1
    assert not is_valid(machine.process(), second)
    assert list(machine.store().scan(PREFIX)) == []


def test_processes_that_log_in_at_once_leave_as_many_as_there_may_be(machine: Machine) -> None:
    processes = [machine.process() for _ in range(3)]
    start = threading.Barrier(6)

    def log_in(turn: int) -> list[Secret]:
        start.wait()
        return [processes[turn % 3].create(f"user-{turn % 2}") for _ in range(4)]

    with ThreadPoolExecutor(6) as pool:
        tokens = [token for some in pool.map(log_in, range(6)) for token in some]
    machine.clock.advance(1)
    last = machine.process()
    assert [is_valid(last, token) for token in tokens].count(True) == 8
    assert [len(last.list(user)) for user in ("user-0", "user-1")] == [4, 4]
    assert last._shared.state.count == 8


def test_bot_tokens_are_made_rotated_and_revoked(machine: Machine) -> None:
    tokens, other = machine.tokens(), machine.tokens()
    old = tokens.create("maker", ["main"], ["read"], 30)
    fresh = other.rotate("maker", 1)
    assert all(machine.tokens().validate(token) for token in (old, fresh))
    tokens.revoke("maker")
    machine.clock.advance(1)
    assert not any(other.validate(token) for token in (old, fresh))
