"""Endpoints: `METHOD /path`, where `{name}` stands for one segment of a path."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

Endpoint: TypeAlias = tuple[str, str]

_SEGMENT: Final = r"(?:\{[A-Za-z][A-Za-z0-9_-]*\}|[A-Za-z0-9\-._~!$&'()+,=:@]+)"
_ENDPOINT: Final = re.compile(rf"([A-Z]{{1,16}}) ((?:/{_SEGMENT})+/?)\Z")
#: Stands for any one segment in an index.
_ANY: Final = "{}"


def read_endpoint(text: str) -> Endpoint | None:
    """Take `METHOD /path` apart; `None` where it is none."""
    match = _ENDPOINT.match(text)
    return None if match is None else (match[1], match[2])


class Endpoints:
    """Finds the endpoint that a request is for.

    A path that is written out wins over one with `{name}` in it; among those, the one with the
    most that is written out, the leftmost first.

    Args:
        endpoints: Each once.
    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._plain: dict[Endpoint, Endpoint] = {}
        self._open: dict[tuple[str, int], list[tuple[list[str], Endpoint]]] = {}
        for endpoint in endpoints:
            method, path = endpoint
            if "{" not in path:
                self._plain[endpoint] = endpoint
                continue
            parts = [_ANY if part.startswith("{") else part for part in path.split("/")]
            self._open.setdefault((method, len(parts)), []).append((parts, endpoint))
        for found in self._open.values():
            found.sort(key=lambda item: [part == _ANY for part in item[0]])
            found.sort(key=lambda item: item[0].count(_ANY))

    def find(self, method: str, path: str) -> Endpoint | None:
        """Return the endpoint of a method and a path, compared to the byte; `None` for none."""
        if (plain := self._plain.get((method, path))) is not None or not self._open:
            return plain
        given = path.split("/")
        for parts, endpoint in self._open.get((method, len(given)), ()):
            if all(
                part == one or (part == _ANY and one)
                for part, one in zip(parts[1:], given[1:], strict=True)
            ):
                return endpoint
        return None


def alike(endpoints: Iterable[Endpoint]) -> list[tuple[Endpoint, Endpoint]]:
    """Return pairs that differ in nothing but what their `{name}` are called."""
    seen: dict[Endpoint, Endpoint] = {}
    found = []
    for method, path in endpoints:
        bare = (method, re.sub(r"\{[^}]*\}", _ANY, path))
        if bare in seen:
            found.append((seen[bare], (method, path)))
        seen.setdefault(bare, (method, path))
    return found
