"""Who is being called right now, in this context: for attribution, re-entrancy and the watchdog."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from hauberk.errors import ReentrancyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hauberk.registry import Impl

#: Responders and observers may call back into the guard, this deep.
MAX_DEPTH: Final = 4

_CURRENT: ContextVar[Frame | None] = ContextVar("hauberk_frame", default=None)


class Frame:
    """One dispatch under way.

    Attributes:
        impl: Whose hook is running, or ran last.
        since_ns: When it was called, by the monotonic clock.
        depth: How many dispatches it is nested in.
        is_open: Whether its hooks may call back into the guard: responders and observers.
        queue: What guards reported and emitted meanwhile, to be sent when the dispatch has ended.
        passed_over: In shadow mode, what would have stopped the request.
    """

    __slots__ = ("depth", "impl", "is_open", "named", "passed_over", "queue", "since_ns")

    def __init__(self, *, is_open: bool = False) -> None:
        around = _CURRENT.get()
        self.depth: int = 0 if around is None else around.depth + 1
        self.is_open = is_open
        self.impl: Impl | None = None
        self.since_ns = 0
        self.named: Impl | None = None
        self.queue: list[Callable[[], Any]] = []
        self.passed_over: list[tuple[Impl, Any]] = []


def current() -> Frame | None:
    """The dispatch that this code is called from, or `None`."""
    return _CURRENT.get()


def refuse_inside(what: str) -> None:
    """Refuse a call that a guard, signer, recorder or lifecycle hook may not make, or too deep.

    Raises:
        ReentrancyError: Names the plugin.
    """
    frame = _CURRENT.get()
    if frame is None:
        return
    name = frame.impl.name if frame.impl is not None else "a plugin"
    if not frame.is_open:
        raise ReentrancyError(f"{name} called {what} from inside a hook that may not: return first")
    if frame.depth + 1 >= MAX_DEPTH:
        raise ReentrancyError(f"{name} called {what} {MAX_DEPTH} dispatches deep")
