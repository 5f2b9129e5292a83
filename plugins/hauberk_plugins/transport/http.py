"""`HttpTransport`: sends a request exactly as it stands, over HTTP/1.1, and never follows."""

from __future__ import annotations

import http.client
import ssl
from typing import Final
from urllib.parse import urlsplit

from hauberk.request import Request, Response

#: An answer that is longer is cut.
MAX_BODY: Final = 4 * 1024 * 1024
_AGENT: Final = "hauberk"


class HttpTransport:
    """Sends one request a connection.

    Redirects are answers, proxies of the environment are not used, and certificates are verified
    against those of the system.

    Args:
        context: How TLS is spoken; the system's defaults unless given.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context

    def send(self, request: Request, *, timeout_s: float) -> Response:
        """Send exactly these bytes.

        Args:
            request: Signed, or public: `params` are not looked at.
            timeout_s: How long each step may take: connecting, sending, each part of the answer.

        Returns:
            The answer. Where none came, `error` is the name of what was raised, and its text is
            not kept: libraries put URLs there.
        """
        parts = urlsplit(request.url)
        try:
            connection = self._connection(parts.scheme, parts.netloc, timeout_s)
            try:
                return _sent(connection, request)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Response(error=type(error).__name__)

    def _connection(self, scheme: str, netloc: str, timeout_s: float) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(netloc, timeout=timeout_s)
        if self._context is None:
            self._context = ssl.create_default_context()
        return http.client.HTTPSConnection(netloc, timeout=timeout_s, context=self._context)


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
    body = answer.read(MAX_BODY)
    return Response(answer.status, tuple(answer.getheaders()), body)
