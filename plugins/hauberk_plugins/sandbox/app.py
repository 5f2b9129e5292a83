"""The exchange as an ASGI application: framing, nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from math import isinf
from typing import Any, Final, TypeAlias

from attrs import evolve

from hauberk_plugins.sandbox import wire
from hauberk_plugins.sandbox.exchange import SandboxExchange
from hauberk_plugins.sandbox.wire import Answer, HttpCall, Refused

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

MAX_URL: Final = 8 * 1024
MAX_BODY: Final = 64 * 1024
#: How much of an oversized body is read, so that the client gets to see the refusal.
MAX_DRAINED: Final = 1024 * 1024
#: How long a client may take to send its body, seconds.
READ_TIMEOUT_S: Final = 30.0

# What is left of a body that was not read must not be taken for the next request.
_CLOSE: Final = ("Connection", "close")
_FORM: Final = b"application/x-www-form-urlencoded"


class SandboxApp:
    """Serves one exchange.

    Args:
        exchange: What answers.
    """

    def __init__(self, exchange: SandboxExchange) -> None:
        self._exchange = exchange
        self._stopped = False
        self._pending: set[asyncio.Timeout] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; other kinds of scope are ignored."""
        if scope["type"] != "http":
            return
        answer: Answer | None
        try:
            async with asyncio.timeout(0 if self._stopped else None) as limit:
                self._pending.add(limit)
                try:
                    answer = await self._answer(scope, receive)
                finally:
                    self._pending.discard(limit)
        except TimeoutError:
            answer = _backend_timeout()
        if answer is not None:
            await _send(answer, send)

    def stop(self) -> None:
        """Answer 503 to everything that is held back or still arriving; call it on the loop."""
        self._stopped = True
        now = asyncio.get_running_loop().time()
        for limit in self._pending:
            limit.reschedule(now)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                body = await _read_body(receive)
        except ConnectionResetError:
            return None
        call = _call(scope, body)
        answer = self._exchange.handle(call)
        if call.fault:
            answer = evolve(answer, headers=(*answer.headers, _CLOSE))
        if answer.delay_s and await _gone_within(receive, answer.delay_s):
            return None
        return answer


def _call(scope: Scope, body: bytes | None) -> HttpCall:
    headers: list[tuple[bytes, bytes]] = list(scope["headers"])
    client = scope.get("client")
    return HttpCall(
        method=scope["method"],
        path=scope["raw_path"].decode("ascii", "backslashreplace"),
        query=scope["query_string"],
        body=body or b"",
        api_keys=tuple(v.decode("latin-1") for n, v in headers if n == b"x-mbx-apikey"),
        ip=client[0] if client else "",
        fault=_fault(scope, body),
    )


def _fault(scope: Scope, body: bytes | None) -> str:
    if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_URL:
        return f"The URL is longer than {MAX_URL} bytes."
    if body is None:
        return f"The body is longer than {MAX_BODY} bytes."
    named: dict[bytes, bytes] = dict(scope["headers"])
    if b"transfer-encoding" in named:
        return "Send the body with a Content-Length, not in chunks."
    kind = named.get(b"content-type", _FORM).partition(b";")[0].strip().lower()
    if body and kind != _FORM:
        return f"The body must be {_FORM.decode()}."
    return ""


async def _read_body(receive: Receive) -> bytes | None:
    # Returns None where the body is too long.
    body, more = bytearray(), True
    while more and len(body) <= MAX_DRAINED:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body) if len(body) <= MAX_BODY else None


async def _gone_within(receive: Receive, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(None if isinf(seconds) else seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
            return True
    return False


async def _send(answer: Answer, send: Send) -> None:
    body = answer.body()
    headers = [
        (b"content-type", b"application/json;charset=UTF-8"),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in answer.headers),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _backend_timeout() -> Answer:
    return Refused(
        503,
        wire.BACKEND_TIMEOUT,
        "Timeout waiting for response from backend server. Send status unknown; "
        "execution status unknown.",
        (_CLOSE,),
    ).answer()
