"""An exchange with its clock in hand, and a client that signs with code of its own."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from hauberk_plugins.sandbox import SandboxExchange
from hauberk_plugins.sandbox.app import SandboxApp

MS = 1_000_000


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    payload: Any

    @property
    def code(self) -> int:
        return self.payload.get("code", 0) if isinstance(self.payload, dict) else 0


class Desk:
    # Key and secret of the examples in Binance's documentation.
    KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
    SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    SIGNED_MS = 1_499_827_319_559

    def __init__(self, runner: asyncio.Runner, may: Any = ("read", "trade"), **settings: Any):
        self._runner = runner
        self.now_ns = (self.SIGNED_MS + 1) * MS
        self.exchange = SandboxExchange(lambda: self.now_ns, **settings)
        self.exchange.add_key(self.KEY, self.SECRET, may=may)
        self.app = SandboxApp(self.exchange)

    @property
    def now_ms(self) -> int:
        return self.now_ns // MS

    def send(
        self,
        method: str,
        path: str,
        query: bytes = b"",
        body: bytes = b"",
        *,
        keys: tuple[str, ...] = (),
        ip: str = "127.0.0.1",
        headers: tuple[tuple[bytes, bytes], ...] = (),
        receive: Any = None,
    ) -> Reply | None:
        """Call the ASGI application; `None` when it sent nothing."""
        sent: list[Any] = []

        async def one_message() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "raw_path": path.encode(),
            "query_string": query,
            "client": (ip, 1),
            "headers": [*headers, *((b"x-mbx-apikey", k.encode("latin-1")) for k in keys)],
        }
        self._runner.run(self.app(scope, receive or one_message, keep))
        if not sent:
            return None
        start, content = sent
        names = [name.decode() for name, _ in start["headers"]]
        assert len(names) == len(set(names))
        answered = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], answered, json.loads(content["body"]))

    def query(self, *, secret: str = SECRET, timestamp: object = None, **parameters: object) -> str:
        """Encode, stamp and sign parameters."""
        pairs = parameters | {"timestamp": self.now_ms if timestamp is None else timestamp}
        text = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in pairs.items())
        return f"{text}&signature={self.sign(text, secret)}"

    @staticmethod
    def sign(text: str, secret: str = SECRET) -> str:
        return hmac.digest(secret.encode(), text.encode(), hashlib.sha256).hex()

    def signed(self, method: str, path: str, *, key: str = KEY, **parameters: object) -> Reply:
        """Send a signed request, its parameters in the query."""
        reply = self.send(method, path, self.query(**parameters).encode(), keys=(key,))
        assert reply is not None
        return reply

    def order(self, **changes: object) -> Reply:
        """Place a limit order of one LTC at 0.1 BTC, or another as changed (`None` removes)."""
        ticket = {
            "symbol": "LTCBTC",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "1",
            "price": "0.1",
        } | changes
        sent = {name: value for name, value in ticket.items() if value is not None}
        return self.signed("POST", "/api/v3/order", **sent)


@pytest.fixture(scope="session")
def desk() -> Iterator[Callable[..., Desk]]:
    with asyncio.Runner() as runner:
        yield lambda **settings: Desk(runner, **settings)
