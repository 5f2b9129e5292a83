"""Who is being called right now, in this context: for attribution, re-entrancy and the watchdog."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from hauberk.errors import ReentrancyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hauberk.registry import Impl
    from hauberk.watch import Watch

#: The program itself, in what is attributed.
BOT: Final = "bot"
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
        is_running: Whether one of its hooks is being called right now.
        queue: What guards reported and emitted meanwhile, to be sent when the dispatch has ended.
        watch: Who looks whether its hooks hang; `None` for nobody.
        passed_over: In shadow mode, what would have stopped the request.
        has_left: Whether the request left in this dispatch.
    """

    __slots__ = ("depth", "has_left", "impl", "is_open", "is_running", "named", "passed_over",
                 "queue", "since_ns", "watch")  # fmt: skip

    def __init__(self, *, is_open: bool = False, watch: Watch | None = None) -> None:
        around = _CURRENT.get()
        self.depth: int = 0 if around is None or not around.is_running else around.depth + 1
        self.is_open = is_open
        self.watch = watch
        self.is_running: bool = False
        self.impl: Impl | None = None
        self.since_ns = 0
        self.named: Impl | None = None
        self.queue: list[Callable[[], Any]] = []
        self.passed_over: list[tuple[Impl, Any]] = []
        self.has_left = False


def current() -> Frame | None:
    """The dispatch that this code is called from, or `None`.

    A task or thread that a hook starts inherits the hook's context. Once the hook has returned,
    such code is not inside it any more: what it reports would be queued and never sent.
    """
    frame = _CURRENT.get()
    return frame if frame is not None and frame.is_running else None


def attributed(source: str) -> str:
    """Say who reports what is reported as the program itself: the plugin whose hook is running."""
    frame = current()
    if source != BOT or frame is None or frame.impl is None:
        return source
    return frame.impl.name


@contextmanager
def after(frame: Frame) -> Iterator[None]:
    """Stand outside a dispatch that has ended, yet as deep as it was, so that depth is bounded."""
    outside = Frame(is_open=True)
    outside.depth, outside.impl, outside.is_running = frame.depth, frame.impl, True
    token = None
    try:
        token = _CURRENT.set(outside)
        yield
    finally:
        outside.is_running = False
        if token is not None:
            _CURRENT.reset(token)


def refuse_inside(what: str) -> None:
    """Refuse a call that a guard, signer, recorder or lifecycle hook may not make, or too deep.

    Raises:
        ReentrancyError: Names the plugin.
    """
    frame = current()
    if frame is None:
        return
    name = frame.impl.name if frame.impl is not None else "a plugin"
    if not frame.is_open:
        raise ReentrancyError(f"{name} called {what} from inside a hook that may not: return first")
    if frame.depth + 1 >= MAX_DEPTH:
        raise ReentrancyError(f"{name} called {what} {MAX_DEPTH} dispatches deep")
