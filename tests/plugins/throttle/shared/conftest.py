"""A Redis server of the tests' own, and what runs a limiter on it in other processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from time import monotonic

import pytest

from hauberk.secret import Secret

from .world import World

try:
    import redis
except ModuleNotFoundError:
    redis = None

PASSWORD = "c4nary-pass-word"
PATIENCE_S = 30.0
FULL = os.environ.get("HAUBERK_SWEEP") == "full"
WORKER = Path(__file__).with_name("_worker.py")
_names = count()


class RedisServer:
    """A server on a Unix socket in a folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.path = str(folder / "socket")
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *("redis-server", "--port", "0", "--unixsocket", self.path, "--save", ""),
                *("--dir", str(self.folder), "--logfile", f"{self.folder}/log", *self._options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = monotonic() + PATIENCE_S
        while True:
            assert self._process.poll() is None, Path(f"{self.folder}/log").read_text()
            assert monotonic() < until, "the server does not answer"
            try:
                with closing(self.client()) as client:
                    client.ping()
                return
            except redis.exceptions.AuthenticationError:
                return
            except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
                continue

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=self.path)

    @property
    def url(self) -> Secret:
        return Secret(f"unix://{self.path}")

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it as an operator does."""
        self.go_on()
        self._process.terminate()
        self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.wait(PATIENCE_S)


@pytest.fixture(scope="session")
def needs_redis() -> None:
    if redis is None or shutil.which("redis-server") is None:
        pytest.skip("needs Redis: apt-get install redis-server, pip install 'hauberk[redis]'")


@pytest.fixture
def make_redis(needs_redis: None) -> Iterator[Callable[..., RedisServer]]:
    """Makes servers, each of a test's own."""
    servers: list[RedisServer] = []

    def make(*options: str) -> RedisServer:
        # A socket's path is short, and pytest's are not.
        folder = Path(tempfile.mkdtemp(prefix="hauberk-redis-"))
        servers.append(RedisServer(folder, *options))
        return servers[-1]

    yield make
    for server in servers:
        server.go_on()
        server.kill()
        shutil.rmtree(server.folder)


@pytest.fixture(scope="session")
def one_redis(needs_redis: None) -> Iterator[RedisServer]:
    folder = Path(tempfile.mkdtemp(prefix="hauberk-redis-"))
    server = RedisServer(folder)
    yield server
    server.kill()
    shutil.rmtree(folder)


@pytest.fixture
def server(one_redis: RedisServer) -> RedisServer:
    """The server that tests share which leave it as it is; empty."""
    with closing(one_redis.client()) as client:
        client.flushall()
    return one_redis


class Workers:
    """Processes that ask a shared limiter as often as they can, and say what left when."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.outputs: list[Path] = []

    def start(self, **settings: object) -> subprocess.Popen[bytes]:
        output = self._folder / f"left-{next(_names)}"
        with output.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, str(WORKER), json.dumps(settings)],
                stdout=out,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self.processes.append(process)
        self.outputs.append(output)
        return process

    def wait(self) -> list[tuple[int, int, int]]:
        """Wait for all; return what left: monotonic and wall nanoseconds, and the amount."""
        for process in self.processes:
            assert process.wait(60) in (0, -signal.SIGKILL)
        return self.left()

    def left(self) -> list[tuple[int, int, int]]:
        lines = [line for output in self.outputs for line in output.read_text().splitlines(True)]
        whole = [line.split() for line in lines if line.startswith("left ") and line.endswith("\n")]
        return sorted((int(at), int(wall), int(amount)) for _, at, wall, amount in whole)

    def said(self) -> list[str]:
        lines = [line for output in self.outputs for line in output.read_text().splitlines()]
        return [line for line in lines if not line.startswith("left ")]


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    made = Workers(tmp_path)
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE_S)


def most_in_any(left: list[tuple[int, int, int]], length_ns: int) -> int:
    """The most that left within any stretch of a length: looked at from each departure."""
    most, start, total = 0, 0, 0
    for at, _, amount in left:
        total += amount
        while left[start][0] <= at - length_ns:
            total -= left[start][2]
            start += 1
        most = max(most, total)
    return most


def most_in_a_cell(left: list[tuple[int, int, int]], length_ns: int) -> int:
    """The most that left between two boundaries of the wall clock."""
    cells: dict[int, int] = {}
    for _, wall, amount in left:
        cells[wall // length_ns] = cells.get(wall // length_ns, 0) + amount
    return max(cells.values(), default=0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def world() -> World:
    return World()
