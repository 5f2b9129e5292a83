"""Patterns of endpoints: `POST /wallet/**: transfer`. They only name what is denied by default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hauberk.request import Operation
from hauberk_plugins.venues.endpoints import Endpoint

#: What a pattern may stand for, the gravest first: where several patterns apply, it counts. What is
#: allowed by default is written out, endpoint by endpoint.
GRAVEST: Final = (Operation.WITHDRAW, Operation.ADMIN, Operation.TRANSFER)

_CHARACTER: Final = r"[A-Za-z0-9\-._~!$&'()+,=:@]"
_SEGMENT: Final = rf"(?:{_CHARACTER}+(?:\*{_CHARACTER}*)?|\*{_CHARACTER}*)"
# The first segment is written out, or a pattern would stand for the whole venue.
_PATTERN: Final = re.compile(rf"([A-Z]{{1,16}}) (/{_CHARACTER}+(?:/{_SEGMENT})*(?:/\*\*|/)?)\Z")


def read_pattern(text: str) -> Endpoint | None:
    """Take `METHOD /path` with stars apart; `None` where it is no pattern.

    A `*` stands for any characters of one segment, or none; a segment has one at most. `**` as the
    last segment stands for all that follows, which is something.
    """
    match = _PATTERN.match(text)
    return None if match is None or "*" not in match[2] else (match[1], match[2])


class Patterns:
    """Finds the gravest operation among the patterns that a request fits.

    Args:
        patterns: As `read_pattern` made them, and what each stands for.
    """

    def __init__(self, patterns: Mapping[Endpoint, Operation]) -> None:
        written: dict[str, dict[Operation, list[str]]] = {}
        for (method, path), operation in patterns.items():
            written.setdefault(method, {}).setdefault(operation, []).append(_expression(path))
        self._by_method = {
            method: tuple(
                (re.compile("|".join(found[operation])), operation)
                for operation in GRAVEST
                if operation in found
            )
            for method, found in written.items()
        }

    def operation(self, method: str, path: str) -> Operation:
        """Say what a request is that no endpoint of the file is for; `UNKNOWN` for none."""
        for expression, operation in self._by_method.get(method, ()):
            if expression.fullmatch(path):
                return operation
        return Operation.UNKNOWN


def _expression(path: str) -> str:
    head, rest = (path[:-2], ".+") if path.endswith("/**") else (path, "")
    return "[^/]*".join(map(re.escape, head.split("*"))) + rest
