"""aiohttp: a session whose requests are cleared.

async with hauberk.clients.aiohttp.session(guard, account="main") as session:
    await session.post("https://api.binance.com/api/v3/order", data={"symbol": "BTCUSDT", ...})
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from hauberk.clients.carried import headers
from hauberk.clients.denials import denial
from hauberk.clients.passage import ON_ITS_WAY, Passage, Trip
from hauberk.clients.unsigned import is_own, unsigned
from hauberk.errors import MisuseError
from hauberk.request import Pairs, Response

if TYPE_CHECKING:
    import aiohttp

    from hauberk.guard import Guard


def session(
    guard: Guard, account: str = "main", *, timeout_s: float | None = None, **options: Any
) -> aiohttp.ClientSession:
    """Make a session that is guarded.

    WebSockets pass: nothing in them is signed. A redirect is raised as `aiohttp.TooManyRedirects`:
    what was signed is for one URL.

    Args:
        guard: What clears its requests.
        account: Whose they are.
        timeout_s: How long a request may wait to be cleared; `kernel.timeout_s` unless given. The
            session's own total timeout counts from when it is asked, waiting included.
        **options: As for `aiohttp.ClientSession`. Middlewares of yours see the unsigned request.

    Raises:
        ImportError: aiohttp is not installed: `pip install 'hauberk[aiohttp]'`.
        MisuseError: An option would lead past the guard.
    """
    import aiohttp

    if "request_class" in options:
        raise MisuseError("request_class is what puts signed requests on the wire: leave it out")
    made = parts()
    passage = Passage(guard, account, timeout_s=timeout_s, denied=made.Denied)
    options["middlewares"] = (*options.get("middlewares", ()), made.middleware(passage))
    guarded = aiohttp.ClientSession(request_class=made.Carrier, **options)
    # It would send what may be sent twice again by itself, after the other side has hung up.
    guarded._retry_connection = False
    return guarded


@cache
def parts() -> SimpleNamespace:
    """Return the classes `Denied` and `Carrier`, and what makes the middleware.

    Raises:
        ImportError: aiohttp is not installed.
    """
    import aiohttp
    from multidict import CIMultiDict, CIMultiDictProxy
    from yarl import URL

    class Carrier(aiohttp.ClientRequest):
        """Writes the signed request, and shows the one that the bot made."""

        trip: Trip | None = None
        _shown: Any = None

        @property
        def request_info(self) -> Any:
            """What answers and errors tell of the request."""
            return self._shown or super().request_info

        async def send(self, conn: Any) -> Any:
            """Write what was signed: `%7E` stays `%7E`."""
            trip = self.trip or ON_ITS_WAY.get()
            if trip is None:
                return await super().send(conn)
            signed = trip.take(str(self.url)).request
            self._shown = super().request_info._replace(
                headers=CIMultiDictProxy(self.headers.copy())
            )
            shown = (self.url, self.headers, self._skip_auto_headers)
            own = [
                pair
                for pair in _pairs(self.headers)
                if pair[0] == "Host" or is_own(pair[0].lower(), pair[1])
            ]
            await self.update_body(signed.body or None)
            length = self.headers.get("Content-Length", "")
            self.url = URL(signed.url, encoded=True)
            self.headers = CIMultiDict(headers(tuple(own), trip.cleared))
            if length:
                self.headers["Content-Length"] = length
            self._skip_auto_headers = CIMultiDict({"Content-Type": None})
            try:
                return await super().send(conn)
            finally:
                self.url, self.headers, self._skip_auto_headers = shown

        async def _on_headers_request_sent(self, method: str, url: Any, headers: Any) -> None:
            info = self._shown
            if info is not None:
                url, headers = info.url, CIMultiDict(info.headers)
            await super()._on_headers_request_sent(method, url, headers)

        async def _on_chunk_request_sent(self, method: str, url: Any, chunk: bytes) -> None:
            if self._shown is None:  # or it is part of what was signed
                await super()._on_chunk_request_sent(method, url, chunk)

    def middleware(passage: Passage) -> Any:
        async def guarded(request: Any, handler: Any) -> Any:
            if _is_websocket(request):
                return await handler(request)
            if (above := ON_ITS_WAY.get()) is not None:  # cleared above
                answer = await handler(request)
                above.begun(answer.status, _pairs(answer.headers))
                return _unredirected(answer)
            body = await request.body.as_bytes() if request.body else b""
            pairs, url = _pairs(request.headers), str(request.url)
            asked, _ = unsigned(request.method, url, pairs, body, passage.account)

            async def carry(trip: Trip) -> Any:
                request.trip = trip
                answer = await handler(request)
                pairs = _pairs(answer.headers)
                trip.begun(answer.status, pairs)
                content = await answer.read()
                trip.response = Response(answer.status, pairs, content)
                return _unredirected(answer)

            return await passage.asend(asked, carry)

        return guarded

    def _unredirected(answer: Any) -> Any:
        if answer.status in _REDIRECTS and "Location" in answer.headers:
            answer.close()
            info, status = answer.request_info, answer.status
            raise aiohttp.TooManyRedirects(info, (), status=status, message=_ONE_URL)
        return answer

    denied = denial(aiohttp.ClientError, __name__)
    return SimpleNamespace(Denied=denied, Carrier=Carrier, middleware=middleware)


_ONE_URL: Final = "what was signed is for one URL: redirects are not followed"
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


def _pairs(headers: Any) -> Pairs:
    # Names are of a subclass of str, which nothing beneath would take.
    return tuple((str.__str__(name), str.__str__(value)) for name, value in headers.items())


def _is_websocket(request: Any) -> bool:
    return request.url.scheme in ("ws", "wss") and request.method == "GET"


def __getattr__(name: str) -> Any:
    """Make `Denied` when it is first asked for."""
    if name != "Denied":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return parts().Denied
