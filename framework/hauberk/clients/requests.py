"""requests: a session whose requests are cleared, or an adapter for a session of one's own.

session = hauberk.clients.requests.session(guard, account="main")
session.post("https://api.binance.com/api/v3/order", data={"symbol": "BTCUSDT", ...})
"""

from __future__ import annotations

from copy import copy
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hauberk.clients.carried import headers, target
from hauberk.clients.denials import denial
from hauberk.clients.passage import ON_ITS_WAY, Passage, Trip
from hauberk.clients.unsigned import is_own, unsigned
from hauberk.request import Pairs, Response

if TYPE_CHECKING:
    import requests

    from hauberk.guard import Guard


def session(
    guard: Guard, account: str = "main", *, timeout_s: float | None = None
) -> requests.Session:
    """Make a session that is guarded.

    Args:
        guard: What clears its requests.
        account: Whose they are.
        timeout_s: How long a request may wait to be cleared; `kernel.timeout_s` unless given. The
            timeout of a request counts from when it leaves.

    Raises:
        ImportError: requests is not installed: `pip install 'hauberk[requests]'`.
    """
    import requests

    made = requests.Session()
    adapter = parts().Adapter(guard, account, timeout_s=timeout_s)
    for scheme in ("https://", "http://"):
        made.mount(scheme, adapter)
    return made


@cache
def parts() -> SimpleNamespace:
    """Return the classes: `Denied` and `Adapter`.

    Raises:
        ImportError: requests is not installed.
    """
    import requests.adapters
    import requests.structures

    denied = denial(requests.RequestException, __name__)

    class Answer(requests.Response):
        """An answer that leads nowhere: what was signed is for one URL."""

        @property
        def is_redirect(self) -> bool:
            return False

    class Adapter(requests.adapters.HTTPAdapter):
        """Clears each request, puts the signed one on the wire, settles it.

        What is above the connection, urllib3's pool and its log included, sees the request that
        the bot made.

        Args:
            guard: What clears.
            account: Whose requests these are.
            timeout_s: How long a request may wait in all.
            denied: What a denial is raised as.
        """

        def __init__(
            self,
            guard: Guard,
            account: str = "main",
            *,
            timeout_s: float | None = None,
            denied: Any = denied,
        ) -> None:
            self._passage = Passage(guard, account, timeout_s=timeout_s, denied=denied)
            super().__init__(max_retries=0)  # each attempt is to be cleared

        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options)
            self.poolmanager.pool_classes_by_scheme = _pools()

        def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
            manager: Any = super().proxy_manager_for(proxy, **options)
            if not proxy.lower().startswith("socks"):
                manager.pool_classes_by_scheme = _pools()
                return manager
            raise requests.exceptions.InvalidProxyURL("SOCKS would lead requests past the guard")

        def send(self, request: Any, *args: Any, **options: Any) -> Any:
            if ON_ITS_WAY.get() is not None:  # cleared above
                return self._sent(request, *args, **options)
            asked, _ = unsigned(
                request.method, request.url, _pairs(request.headers), _body(request),
                self._passage.account,
            )  # fmt: skip

            def carry(trip: Trip) -> Any:
                before = ON_ITS_WAY.set(trip)
                try:
                    answer = self._sent(request, *args, **options)
                finally:
                    ON_ITS_WAY.reset(before)
                trip.response = Response(answer.status_code, _received(answer), answer.content)
                return answer

            return self._passage.send(asked, carry)

        def _sent(self, request: Any, *args: Any, **options: Any) -> Any:
            """Send with what is the client's own; a connection writes the rest, as signed."""
            own = [pair for pair in _pairs(request.headers) if is_own(pair[0].lower(), pair[1])]
            bare = copy(request)  # shallow: the request itself stays as the bot made it
            bare.headers, bare.body = type(request.headers)(own), None
            answer: Any = super().send(bare, *args, **options)
            answer.content  # noqa: B018 - read while it is on its way
            answer.request = request
            return answer

        def build_response(self, req: Any, resp: Any) -> Any:
            answer = super().build_response(req, resp)
            answer.__class__ = Answer
            if (trip := ON_ITS_WAY.get()) is not None:
                trip.begun(answer.status_code, _received(answer))
            return answer

    class Straight(requests.Session):
        """Takes what was cleared above straight to the adapter: there is nothing to merge."""

        def request(self, method: Any, url: Any, *args: Any, **options: Any) -> Any:
            if ON_ITS_WAY.get() is None or self.trust_env or args:
                return super().request(method, url, *args, **options)
            prepared = requests.PreparedRequest()
            prepared.method, prepared.url = method, url
            prepared.headers = requests.structures.CaseInsensitiveDict(options["headers"])
            kept = {name: options[name] for name in ("timeout", "verify") if name in options}
            proxies = options.get("proxies") or self.proxies
            return self.get_adapter(url).send(prepared, proxies=proxies, **kept)

    Adapter.__qualname__ = "Adapter"
    return SimpleNamespace(Adapter=Adapter, Denied=denied, Straight=Straight)


@cache
def _pools() -> dict[str, Any]:
    """Make urllib3's pools with connections that write what was signed."""
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    def made(scheme: str, pool: Any, connection: Any) -> Any:
        class Connection(connection):  # type: ignore[misc]
            debuglevel = 0  # or http.client prints what it sends

            def request(
                self, method: str, url: str, body: Any = None, headers: Any = None, **rest: Any
            ) -> None:
                trip = ON_ITS_WAY.get()
                if trip is None:
                    raise RuntimeError("nothing was cleared for this connection")
                base = f"{scheme}://{_netloc(self.host, self.port, scheme)}"
                url, body, headers = _signed(trip, base, url, headers)
                super().request(method, url, body=body, headers=headers, **rest)

        return type(pool.__name__, (pool,), {"ConnectionCls": Connection})

    return {
        "http": made("http", HTTPConnectionPool, HTTPConnection),
        "https": made("https", HTTPSConnectionPool, HTTPSConnection),
    }


def _signed(trip: Trip, base: str, url: str, given: Any) -> tuple[str, bytes | None, Any]:
    """Return what to write in place of what was given."""
    from urllib3 import HTTPHeaderDict

    signed = trip.take(base + url if url.startswith("/") else url).request
    written = HTTPHeaderDict()
    for name, value in headers(_pairs(given), trip.cleared):
        written.add(name, value)
    # A plain proxy is told the whole URL.
    url = target(trip.cleared) if url.startswith("/") else signed.url
    return url, signed.body or None, written


def _netloc(host: str, port: int | None, scheme: str) -> str:
    host = f"[{host}]" if ":" in host else host
    return host if port in (None, {"http": 80, "https": 443}[scheme]) else f"{host}:{port}"


def _pairs(headers: Any) -> Pairs:
    return tuple((_text(name), _text(value)) for name, value in headers.items())


def _received(answer: Any) -> Pairs:
    """Return the headers as they came: requests itself joins those of one name."""
    return _pairs(answer.raw.headers)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _body(request: Any) -> bytes:
    body = request.body
    if body is None or isinstance(body, str | bytes):
        return body.encode() if isinstance(body, str) else body or b""
    return b"".join(part.encode() if isinstance(part, str) else part for part in body)


def __getattr__(name: str) -> Any:
    """Make `Denied` and `Adapter` when they are first asked for."""
    if name not in ("Denied", "Adapter"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(parts(), name)
