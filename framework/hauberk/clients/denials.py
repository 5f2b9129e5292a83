"""Denials that are a library's own errors too, so that a bot's `except` clauses see them."""

from __future__ import annotations

from typing import Any, Final

from hauberk.errors import Denied

_ABOUT: Final = "A request was denied by Hauberk: it is a `hauberk.Denied` and one of {} errors."


def denial(base: type[Exception], module: str) -> type[Denied]:
    """Make the class of denials of a module.

    Args:
        base: The library's error that fits best.
        module: The module that has the class as its `Denied`, where pickle finds it.

    Returns:
        A class that is made and shown like `hauberk.Denied`.
    """

    def __init__(  # noqa: N807 - of the class made below
        self: Any,
        plugin: str,
        reason: str,
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        base.__init__(self, reason)  # what the library's own handlers look at, such as `request`
        self.args = (plugin, reason, retry_after, request_id)
        self.plugin, self.reason = plugin, reason
        self.retry_after, self.request_id = retry_after, request_id

    about = _ABOUT.format(base.__module__.partition(".")[0] + "'s")
    body = {"__init__": __init__, "__module__": module, "__doc__": about}
    return type("Denied", (Denied, base), body)
