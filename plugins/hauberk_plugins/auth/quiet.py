"""`hauberk.quiet` with an `AuthError` for whatever is not ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hauberk import quiet
from hauberk_plugins.auth.errors import AuthError

_T = TypeVar("_T")


def quietly(what: str, function: Callable[[], _T]) -> _T:
    """Call a function; see `hauberk.quiet.quietly`."""
    return quiet.quietly(what, function, AuthError)
