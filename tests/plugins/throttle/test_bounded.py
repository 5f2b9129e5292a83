"""What hangs, drips or is locked is waited for so long and no longer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hauberk.errors import StoreError
from hauberk.secret import Secret
from hauberk.testing import FakeClock, MemoryStores
from hauberk_plugins.throttle import bounded, kept
from hauberk_plugins.throttle.bounded import Bounded, TimedSocket
from hauberk_plugins.throttle.errors import NotKept
from hauberk_plugins.throttle.kept import Kept
from hauberk_plugins.throttle.meters import Meter
from hauberk_plugins.throttle.shared import store_backend
from hauberk_plugins.throttle.shared.call import Ask, BackendLost, Call, Report
from hauberk_plugins.throttle.shared.redis_backend import RedisBackend
from hauberk_plugins.throttle.shared.shape import Shape
from hauberk_plugins.throttle.shared.store_backend import StoreBackend
from hauberk_plugins.throttle.windows import Kind, Scope, Window

SHAPE = Shape("v/", "rolling", 10_000_000, 0, 5)
SHORT_S, PATIENCE_S = 0.05, 30.0


def call(seq: int = 1) -> Call:
    return Call("aa", seq, 0, reports=(Report(SHAPE),), asks=(Ask(0, 1),), claim="aa1")


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hangs until a test is over, or opens it."""
    made = threading.Event()
    yield made
    made.set()


def test_what_a_function_returns_or_raises_comes_through() -> None:
    one = Bounded("test")
    assert one.call(lambda: 5, PATIENCE_S) == 5
    with pytest.raises(StoreError, match="broken"):
        one.call(lambda: (_ for _ in ()).throw(StoreError("broken")), PATIENCE_S)
    assert one.call(lambda: 6, PATIENCE_S) == 6


def test_who_is_late_is_not_overtaken_and_what_it_makes_is_undone(gate: threading.Event) -> None:
    one, undone = Bounded("test"), threading.Event()
    with pytest.raises(TimeoutError):
        one.call(lambda: gate.wait(PATIENCE_S), SHORT_S, lambda _: undone.set())
    with pytest.raises(TimeoutError):
        one.call(pytest.fail, PATIENCE_S)
    gate.set()
    assert undone.wait(PATIENCE_S)
    assert one._late is not None
    one._late.join(PATIENCE_S)
    assert one.call(lambda: 7, PATIENCE_S) == 7


class Dripping:
    """A socket that has a byte for whoever asks, a tenth of a second later each."""

    def __init__(self) -> None:
        self.now_s, self.timeouts = 0.0, []

    def settimeout(self, timeout_s: float) -> None:
        self.timeouts.append(timeout_s)

    def recv(self, size: int) -> bytes:
        self.now_s += 0.1
        return b"x"

    def recv_into(self, into: Any) -> int:
        into[:1] = self.recv(1)
        return 1


@pytest.mark.parametrize("how", ["recv", "recv_into"])
def test_a_socket_that_drips_has_one_time_for_everything(how: str) -> None:
    drip = Dripping()
    timed = TimedSocket(drip, lambda: drip.now_s)
    into = bytearray(9)
    for _ in range(2):
        timed.begin(0.25)
        for _ in range(3):
            timed.recv(1) if how == "recv" else timed.recv_into(into)
        with pytest.raises(TimeoutError):
            timed.recv(1)
    assert drip.timeouts[0] == drip.timeouts[3] == 0.25
    assert drip.timeouts[1:3] == pytest.approx([0.15, 0.05])


def test_before_a_call_what_the_library_sets_counts() -> None:
    drip = Dripping()
    timed = TimedSocket(drip, lambda: drip.now_s)
    timed.settimeout(3)
    for _ in range(50):
        timed.recv(1)
    assert drip.timeouts == [3]


@contextmanager
def server(serve: Callable[[socket.socket], object]) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        try:
            connection, _ = listener.accept()
            with connection:
                serve(connection)
        except OSError:
            return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    listener.close()
    thread.join(PATIENCE_S)


@pytest.mark.parametrize("word", [b"INFO", b"EVALSHA"])
def test_a_redis_that_drips_is_lost_at_the_end_of_one_timeout(
    word: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = TimedSocket.recv_into, TimedSocket.recv
    monkeypatch.setattr(
        TimedSocket, "recv_into", lambda self, into: read[0](self, memoryview(into)[:1])
    )
    monkeypatch.setattr(TimedSocket, "recv", lambda self, _: read[1](self, 1))

    def serve(connection: socket.socket) -> None:
        while data := connection.recv(1 << 16):
            if word in data:
                connection.sendall(b"$4000000\r\n" + b"x" * 4_000_000 + b"\r\n")
            elif b"INFO" in data:
                connection.sendall(b"$0\r\n\r\n")
            else:
                connection.sendall(b"+OK\r\n" * data.count(b"*"))

    with server(serve) as url:
        backend = RedisBackend(Secret(url), "t", timeout_s=0.2)
        with pytest.raises(BackendLost, match="did not answer within"):
            backend.call(call())
        backend.close()


def test_a_resolver_that_hangs_is_waited_for_no_longer_than_redis(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: Any, **__: Any) -> Any:
        gate.wait(PATIENCE_S)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    backend = RedisBackend(Secret("redis://redis.test:6379/0"), "t", timeout_s=SHORT_S)
    for seq in (1, 2):
        with pytest.raises(BackendLost, match="did not answer within"):
            backend.call(call(seq))


class Locked:
    """A store that nobody gets into before a gate opens."""

    def __init__(self, gate: threading.Event) -> None:
        self._gate = gate
        self._store = MemoryStores().scoped("throttle")

    def __getattr__(self, name: str) -> Any:
        def asked(*args: Any, **options: Any) -> Any:
            self._gate.wait(PATIENCE_S)
            return getattr(self._store, name)(*args, **options)

        return asked


def test_a_store_that_is_locked_is_lost_in_time_and_found_again(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_backend, "TIMEOUT_S", SHORT_S)
    clock = FakeClock()
    backend = StoreBackend(
        Locked(gate), machine="m", wall_ns=clock.wall_ns, monotonic_ns=clock.monotonic_ns
    )
    for seq in (1, 2):
        with pytest.raises(BackendLost, match="something keeps it locked"):
            backend.call(call(seq))
    gate.set()
    late = backend._calling._late
    assert late is not None
    late.join(PATIENCE_S)
    monkeypatch.setattr(store_backend, "TIMEOUT_S", PATIENCE_S)
    assert backend.call(call(2)).status == 0


def test_a_budget_that_cannot_be_kept_in_time_is_not_granted(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bounded.TIMEOUT_S < 1
    monkeypatch.setattr(kept, "TIMEOUT_S", SHORT_S)
    store, gate_of = MemoryStores().scoped("throttle"), threading.Event()
    gate_of.set()

    class Slow:
        def __getattr__(self, name: str) -> Any:
            gate_of.wait(PATIENCE_S)
            return getattr(store, name)

    made = Kept(Slow(), FakeClock(), pytest.fail)
    meter = Meter(Window("w", Kind.ROLLING, Scope.IP, 60, 100, "weight"), 0)
    made.opened(("v", "", "ip", "", "w"), meter, 0)
    assert made.cover(meter, 1)
    gate_of.clear()
    for _ in range(2):
        with pytest.raises(NotKept, match="something keeps it locked"):
            made.cover(meter, 50)
    gate_of.set()
