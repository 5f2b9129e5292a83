"""The clients side by side: each behind a guard, each asked in the same words."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import hauberk
from hauberk_plugins.sandbox import Limit, SandboxExchange, SandboxServer

KEY, SECRET = "canarykey" + "k" * 55, "canarysecret" + "s" * 52
SYNC = ("httpx", "httpx2", "requests")
ASYNC = ("httpx.async", "httpx2.async", "aiohttp")

CONFIG = """\
state: state
plugins: [killswitch, policy, bots, throttle, signing]
required: [killswitch, policy, throttle, signing]
accounts:
  main: {{venue: binance, key: env:CANARY_KEY, secret: env:CANARY_SECRET, base_url: "{url}"}}
throttle:
  jitter_ms: 0
  windows:
    binance:
      - {{name: weight, kind: rolling, scope: ip, seconds: {seconds}, size: {weight}, counts: weight}}
      - {{name: orders, kind: rolling, scope: account, seconds: {seconds}, size: {orders}, counts: orders}}
signing: {{sample_clock: {samples}}}
"""  # noqa: E501


class Answer(NamedTuple):
    status: int
    document: Any
    raw: Any


class Caller:
    """One client: `send` blocks, whatever the client is."""

    def __init__(self, name: str, guard: hauberk.Guard, url: str, **options: Any) -> None:
        self.name, self.guard, self.url = name, guard, url
        self.library = import_module(name.partition(".")[0])
        self.module = import_module(f"hauberk.clients.{name.partition('.')[0]}")
        self.is_async = name in ASYNC
        self.runner = asyncio.Runner()
        make = {"requests": "session", "aiohttp": "session"}.get(
            name, "async_client" if self.is_async else "client"
        )
        if self.is_async:
            self.client = self.runner.run(self._made(make, options))
        else:
            self.client = getattr(self.module, make)(guard, **options)

    async def _made(self, make: str, options: dict[str, Any]) -> Any:
        return getattr(self.module, make)(self.guard, **options)

    def send(self, method: str, path: str, data: Any = None, **rest: Any) -> Answer:
        if self.is_async:
            return self.runner.run(self.asend(method, path, data, **rest))
        answer = self.client.request(method, self.url + path, data=data, **rest)
        return Answer(answer.status_code, _json(answer.content), answer)

    async def asend(self, method: str, path: str, data: Any = None, **rest: Any) -> Answer:
        if self.name != "aiohttp":
            answer = await self.client.request(method, self.url + path, data=data, **rest)
            return Answer(answer.status_code, _json(answer.content), answer)
        if "timeout" in rest:
            rest["timeout"] = self.library.ClientTimeout(sock_read=rest["timeout"])
        async with self.client.request(method, self.url + path, data=data, **rest) as answer:
            return Answer(answer.status, _json(await answer.read()), answer)

    def order(self, **changes: Any) -> Answer:
        return self.send("POST", "/api/v3/order", ORDER | changes)

    def close(self) -> None:
        if not self.is_async:
            self.client.close()
        elif self.name == "aiohttp":
            self.runner.run(self.client.close())
        else:
            self.runner.run(self.client.aclose())
        self.runner.close()

    @property
    def error(self) -> type[Exception]:
        """The root of what the library raises."""
        roots = {"requests": "RequestException", "aiohttp": "ClientError"}
        return getattr(self.library, roots.get(self.name, "RequestError"))


ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "30000.00",
}


def _json(content: bytes) -> Any:
    import json

    return json.loads(content) if content[:1] in b"{[" and content else content


class Market(NamedTuple):
    exchange: SandboxExchange
    server: SandboxServer

    @property
    def url(self) -> str:
        return self.server.url

    def paths(self) -> list[tuple[str, str, int]]:
        """What arrived, but for what signing asks by itself."""
        return [
            (one.method, one.path, one.status)
            for one in self.exchange.arrivals
            if one.path != "/api/v3/time"
        ]


@pytest.fixture
def market() -> Iterator[Market]:
    exchange = SandboxExchange(weight_limit=Limit(100_000, 60), order_limits=(Limit(10_000, 60),))
    exchange.add_key(KEY, SECRET, may=("read", "trade", "withdraw"))
    with SandboxServer(exchange) as server:
        yield Market(exchange, server)


@pytest.fixture
def open_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., hauberk.Guard]]:
    monkeypatch.setenv("CANARY_KEY", KEY)
    monkeypatch.setenv("CANARY_SECRET", SECRET)
    opened: list[hauberk.Guard] = []

    def make(
        url: str, clock: Any = None, *, weight: int = 90_000, orders: int = 9_000,
        seconds: int = 60, samples: str = "false", transient: bool = False,
    ) -> hauberk.Guard:  # fmt: skip
        path = tmp_path / "hauberk.yml"
        path.write_text(
            CONFIG.format(url=url, weight=weight, orders=orders, seconds=seconds, samples=samples)
        )
        opened.append(hauberk.open(path, clock=clock, transient=transient))
        return opened[-1]

    yield make
    for guard in opened:
        guard.close()


@pytest.fixture(params=SYNC + ASYNC)
def call(request: pytest.FixtureRequest) -> Iterator[Callable[..., Caller]]:
    """Makes the client under test for a guard and a base URL."""
    made: list[Caller] = []

    def make(guard: hauberk.Guard, url: str, **options: Any) -> Caller:
        made.append(Caller(request.param, guard, url, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(params=ASYNC)
def acall(request: pytest.FixtureRequest) -> Iterator[Callable[..., Caller]]:
    """The same, of asyncio alone."""
    made: list[Caller] = []

    def make(guard: hauberk.Guard, url: str, **options: Any) -> Caller:
        made.append(Caller(request.param, guard, url, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Wire:
    """A raw socket that keeps what arrives, byte for byte, and answers with what it was told to."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self.arrived: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with closing(connection):
                connection.settimeout(20)
                self.arrived.append(_read(connection))
                if answer == b"hang":
                    connection.recv(1)  # until the client hangs up
                elif answer:
                    connection.sendall(answer)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends what waits for a client
        self._listener.close()
        self._thread.join(20)


def _read(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.fixture
def wire() -> Iterator[Callable[..., Wire]]:
    made: list[Wire] = []

    def make(*answers: bytes) -> Wire:
        made.append(Wire(list(answers or (OK,))))
        return made[-1]

    yield make
    for one in made:
        one.close()
