"""httpx and httpx2, which share their interface: a transport beneath a client.

The client above logs and raises with the request that the bot made; the transport beneath gets the
signed one, whose log knows no URLs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from hauberk.clients.carried import headers, target
from hauberk.clients.denials import denial
from hauberk.clients.passage import Passage, Trip
from hauberk.clients.unsigned import unsigned
from hauberk.errors import MisuseError
from hauberk.request import Pairs, Request, Response

if TYPE_CHECKING:
    from hauberk.guard import Guard

#: What an answer keeps of its transport's: the rest leads to a connection.
_KEPT: Final = ("http_version", "reason_phrase")
#: The loggers of hpack: a filter, unlike a level, outlasts how a bot sets up its logs.
_HPACK: Final = ("hpack.hpack", "hpack.table")


@cache
def family(name: str) -> SimpleNamespace:
    """Return the classes for a library: `Denied`, `Transport` and `AsyncTransport`.

    Args:
        name: `httpx` or `httpx2`.

    Raises:
        ImportError: It is not installed.
    """
    library: Any = import_module(name)
    denied = denial(library.RequestError, f"hauberk.clients.{name}")

    class Answer(library.Response):  # type: ignore[misc]
        """An answer that leads nowhere: what was signed is for one URL."""

        @property
        def has_redirect_location(self) -> bool:
            return False

    class Transport(library.BaseTransport):  # type: ignore[misc]
        """Clears each request, sends the signed one through another transport, settles it.

        Args:
            guard: What clears.
            account: Whose requests these are.
            inner: What sends; an `HTTPTransport` unless given. Give one that does not retry.
            timeout_s: How long a request may wait in all.
        """

        def __init__(
            self,
            guard: Guard,
            account: str = "main",
            *,
            inner: Any = None,
            timeout_s: float | None = None,
        ) -> None:
            quiet_hpack()
            self._passage = Passage(guard, account, timeout_s=timeout_s, denied=denied)
            self._inner = inner or library.HTTPTransport()

        def handle_request(self, request: Any) -> Any:
            asked, own = _asked(request, request.read(), self._passage.account)

            def carry(trip: Trip) -> Any:
                answer = self._inner.handle_request(_signed(library, request, trip, own))
                trip.begun(answer.status_code, _pairs(answer))
                try:
                    content = b"".join(answer.stream)
                finally:
                    answer.close()
                return _answer(Answer, answer, content, trip)

            return self._passage.send(asked, carry)

        def close(self) -> None:
            self._inner.close()

    class AsyncTransport(library.AsyncBaseTransport):  # type: ignore[misc]
        """The same for asyncio."""

        def __init__(
            self,
            guard: Guard,
            account: str = "main",
            *,
            inner: Any = None,
            timeout_s: float | None = None,
        ) -> None:
            quiet_hpack()
            self._passage = Passage(guard, account, timeout_s=timeout_s, denied=denied)
            self._inner = inner or library.AsyncHTTPTransport()

        async def handle_async_request(self, request: Any) -> Any:
            asked, own = _asked(request, await request.aread(), self._passage.account)

            async def carry(trip: Trip) -> Any:
                answer = await self._inner.handle_async_request(
                    _signed(library, request, trip, own)
                )
                trip.begun(answer.status_code, _pairs(answer))
                try:
                    content = b"".join([part async for part in answer.stream])
                finally:
                    await answer.aclose()
                return _answer(Answer, answer, content, trip)

            return await self._passage.asend(asked, carry)

        async def aclose(self) -> None:
            await self._inner.aclose()

    for made in (Transport, AsyncTransport):
        made.__module__, made.__qualname__ = f"hauberk.clients.{name}", made.__name__
    return SimpleNamespace(
        library=library, Denied=denied, Transport=Transport, AsyncTransport=AsyncTransport
    )


def quiet_hpack() -> None:
    """Keep HTTP/2's compression from logging: it writes down each header, key and path."""
    for name in _HPACK:
        logging.getLogger(name).addFilter(_is_no_debug)


def _is_no_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def refuse_bypass(options: Mapping[str, Any]) -> None:
    """Refuse options of a client that lead requests past its transport.

    Raises:
        MisuseError: There is one; says what to give instead.
    """
    for name in ("proxy", "proxies", "mounts", "app"):
        if options.get(name) is not None:
            raise MisuseError(
                f"{name} would lead requests past the guard: give a transport that has it, as "
                "transport=HTTPTransport(proxy=...)"
            )


def _asked(request: Any, body: bytes, account: str) -> tuple[Request, Pairs]:
    return unsigned(request.method, str(request.url), _pairs(request), body, account)


def _signed(library: Any, request: Any, trip: Trip, own: Pairs) -> Any:
    signed = trip.cleared.request
    return library.Request(
        signed.method,
        signed.url,
        headers=list(headers(own, trip.cleared)),
        content=signed.body,
        # A URL that is parsed again may be written otherwise; this goes out as it stands.
        extensions={**request.extensions, "target": target(trip.cleared).encode()},
    )


def _answer(kind: Callable[..., Any], answer: Any, content: bytes, trip: Trip) -> Any:
    """Make the answer that the client gets, and the one that the guard is told."""
    extensions = {name: answer.extensions[name] for name in _KEPT if name in answer.extensions}
    made = kind(
        answer.status_code, headers=answer.headers.raw, content=content, extensions=extensions
    )
    trip.response = Response(answer.status_code, _pairs(answer), made.content)
    return made


def _pairs(message: Any) -> Pairs:
    return tuple((_text(name), _text(value)) for name, value in message.headers.raw)


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")
