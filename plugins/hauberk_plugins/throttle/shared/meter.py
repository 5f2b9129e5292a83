"""`SharedMeter`: a window for one sharer, as this process knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from hauberk.errors import InvalidValue
from hauberk_plugins.throttle.limiting import Key
from hauberk_plugins.throttle.shared.shape import Shape, record_name
from hauberk_plugins.throttle.shared.tally import Tally
from hauberk_plugins.throttle.windows import SECOND_NS, Window

if TYPE_CHECKING:
    from hauberk_plugins.throttle.shared.lines import Waiter

#: What a request takes of each window.
SharedAmounts: TypeAlias = "tuple[tuple[SharedMeter, int], ...]"
#: What the record of the part for cancels is called, after the window's own.
_SPARE = "reserve"


class SharedMeter:
    """One window for one sharer; what it holds is in the ledger.

    Attributes:
        key: Whose.
        window: The window.
        jitter_ns: By how much it is widened.
        main: What is told of it.
        spare: The same of the part for cancels; `None` where there is none.
        line: Who claims it here, in order.
        gone: Its key, once it is forgotten here: another may stand in its place.
        used_ns: When it was last asked for, by the monotonic clock.
    """

    __slots__ = ("gone", "jitter_ns", "key", "line", "main", "spare", "used_ns", "window")

    def __init__(self, key: Key, window: Window, jitter_ns: int, aside: int) -> None:
        self.key = key
        self.line: list[Waiter] = []
        self.main, self.spare = self._shapes_of(key, window, jitter_ns, aside)
        self.window, self.jitter_ns = window, jitter_ns
        self.gone: Key | None = None
        self.used_ns = 0

    @property
    def name(self) -> str:
        """The window's name."""
        return self.window.name

    @property
    def size(self) -> int:
        """The most that a request which is no cancel may ever take."""
        return self.main.shape.size

    @property
    def length_ns(self) -> int:
        """How long the window is."""
        return self.window.seconds * SECOND_NS

    def size_for(self, *, is_cancel: bool) -> int:
        """The most that a request may ever take."""
        spare = self.spare.shape.size if is_cancel and self.spare is not None else 0
        return max(self.size, spare)

    def is_idle(self, now_ns: int) -> bool:
        """Whether nothing asked of it here counts, and the ledger knows all there is to know."""
        return (
            now_ns - self.used_ns > self.main.shape.longest_us() * 1_000
            and not self.line
            and not any(tally.open or tally.is_dirty for tally in self.tallies())
        )

    def tallies(self) -> tuple[Tally, ...]:
        """What is told of it, all of it."""
        return (self.main,) if self.spare is None else (self.main, self.spare)

    def reshape(self, window: Window, jitter_ns: int, aside: int) -> None:
        """Take another size, length, kind or jitter; the ledger keeps what was counted."""
        main, spare = self._shapes_of(self.key, window, jitter_ns, aside)
        self.main.shape = main.shape
        if self.spare is None:
            self.spare = spare
        elif spare is not None:
            self.spare.shape = spare.shape
        else:  # what is charged there ends there; nothing more is
            self.spare = None
        self.window, self.jitter_ns = window, jitter_ns

    @staticmethod
    def _shapes_of(
        key: Key, window: Window, jitter_ns: int, aside: int
    ) -> tuple[Tally, Tally | None]:
        def tally(name: str, size: int) -> Tally:
            length = window.seconds * SECOND_NS // 1_000
            return Tally(Shape(name, str(window.kind), length, -(-jitter_ns // 1_000), size))

        size, name = window.size - window.reserve - aside, record_name(key)
        if size < 1:
            raise InvalidValue(
                f"window {window.name!r} holds {window.size}, and what is set aside for cancels "
                "and for when the shared budget cannot be asked leaves nothing of it: lower "
                "`share`, `processes` or the reserve"
            )
        spare = tally(f"{name}{record_name((_SPARE,))}", window.reserve) if window.reserve else None
        return tally(name, size), spare
