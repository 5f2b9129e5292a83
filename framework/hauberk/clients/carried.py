"""What a library's lower half puts on the wire: the signed request, byte for byte."""

from __future__ import annotations

from hauberk.protocol import Cleared
from hauberk.request import Pairs


def target(cleared: Cleared) -> str:
    """Return path and query as they were signed."""
    url = cleared.request.url
    return url[url.index("/", url.index("//") + 2) :]


def headers(own: Pairs, cleared: Cleared) -> Pairs:
    """Return the client's own headers, then those that were judged and signed."""
    return own + cleared.request.headers
