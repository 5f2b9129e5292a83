"""`HttpTransport`: sends a request exactly as it stands, over HTTP/1.1, and never follows."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from attrs import evolve

from hauberk.request import Request, Response
from hauberk_plugins.transport.deadline import Deadline, TimedConnection, TimedTlsConnection

#: An answer that is longer is cut.
MAX_BODY: Final = 4 * 1024 * 1024
_AGENT: Final = "hauberk"


class HttpTransport:
    """Sends one request a connection.

    Redirects are answers, proxies of the environment are not used, and certificates are verified
    against those of the system.

    Args:
        context: How TLS is spoken; the system's defaults unless given.
        monotonic_ns: A clock that never steps, in nanoseconds.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._context = context
        self._monotonic_ns = monotonic_ns

    def send(self, request: Request, *, timeout_s: float) -> Response:
        """Send exactly these bytes.

        Args:
            request: Signed, or public: `params` are not looked at.
            timeout_s: How long everything together may take: finding the host, connecting,
                sending, and the answer to its last byte.

        Returns:
            The answer. Where none came, or not the whole of it, `error` is the name of what was
            raised, and its text is not kept: libraries put URLs there. Of one that was cut off,
            status and headers are there: they may say to stop.
        """
        parts = urlsplit(request.url)
        try:
            connection = self._connection(parts.scheme, parts.netloc, timeout_s)
            try:
                return _sent(connection, request)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError, RuntimeError) as error:
            return Response(error=type(error).__name__)

    def _connection(self, scheme: str, netloc: str, timeout_s: float) -> http.client.HTTPConnection:
        deadline = Deadline(timeout_s, self._monotonic_ns)
        if scheme == "http":
            return TimedConnection(netloc, deadline)
        if self._context is None:
            self._context = ssl.create_default_context()
        return TimedTlsConnection(netloc, deadline, self._context)


def _sent(connection: http.client.HTTPConnection, request: Request) -> Response:
    _, _, rest = request.url.partition("://")
    target = rest[rest.index("/") :]
    connection.putrequest(request.method, target, skip_accept_encoding=True)
    names = {name.lower() for name, _ in request.headers}
    for name, value in request.headers:
        connection.putheader(name, value)
    if "user-agent" not in names:
        connection.putheader("User-Agent", _AGENT)
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        connection.putheader("Content-Length", str(len(request.body)))
    connection.endheaders(request.body or None)
    answer = connection.getresponse()
    begun = Response(answer.status, tuple(answer.getheaders()))
    try:
        body = answer.read(MAX_BODY)
        if answer.length and len(body) < MAX_BODY:  # the connection ended before the answer did
            raise http.client.IncompleteRead(b"", answer.length)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return evolve(begun, error=type(error).__name__)
    return evolve(begun, body=body)
