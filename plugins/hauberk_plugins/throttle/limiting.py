"""`Limiter`: what paces requests, wherever the budget is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias, TypeVar

from attrs import frozen

from hauberk_plugins.throttle.windows import Scope, Window

#: Who shares a meter: venue, base URL (empty for the venue's own), scope, sharer, window. What
#: begins alike is frozen together.
Key: TypeAlias = tuple[str, ...]


@frozen
class Row:
    """How one window stands for one sharer.

    Attributes:
        key: Whose it is.
        window: The window.
        used: What counts, by what was granted here and what the exchange told, whichever is more.
        theirs: What the exchange last said is used in it, or `None` where it said nothing for as
            long as the window is.
        left: What may still be granted, the reserve among it.
        waiting: How many requests wait for it.
        frozen_ns: For how much longer nothing of it is granted, nanoseconds; 0 if it is not frozen.
    """

    key: Key
    window: Window
    used: int
    theirs: int | None
    left: int
    waiting: int
    frozen_ns: int


class Metering(Protocol):
    """What one window holds for one sharer; whoever made it looks inside."""

    @property
    def name(self) -> str:
        """The window's name."""

    @property
    def gone(self) -> Key | None:
        """Its key, once it is forgotten: whoever holds it asks for another."""

    @property
    def size(self) -> int:
        """The most that a request which is no cancel may ever take."""


MeterT = TypeVar("MeterT", bound=Metering)


class Limiter(Protocol[MeterT]):
    """Grants what fits into every window at once, or says when to ask again.

    Never sleeps and reads no clock but what its back-end has. Methods may be called from any
    thread. `now_ns` is the monotonic clock, `wall_ns` the wall clock since the epoch.
    """

    def configure(self, *, lease_ns: int, max_waiting: int) -> None:
        """Take other settings; charges and waiters stay."""

    def meter(self, key: Key, window: Window, jitter_ns: int, *, reshape: bool = True) -> MeterT:
        """Return the meter of a window for one sharer; an existing one keeps what it counted.

        Args:
            key: Whose.
            window: Its description.
            jitter_ns: The longest delay on the way and the difference of the clocks, together.
            reshape: Whether an existing one takes the window's size, length and kind.
        """

    def ask(
        self,
        request_id: str,
        amounts: tuple[tuple[MeterT, int], ...],
        now_ns: int,
        wall_ns: int,
        cancel: bool = False,
    ) -> int:
        """Charge a request, or give it a place.

        Asked again for the same, it is free; while what is charged is frozen, it is not.

        Args:
            request_id: Its key.
            amounts: What it takes of which meters, each meter once; an amount of 0 is granted
                unless the meter is frozen.
            now_ns: Monotonic clock.
            wall_ns: Wall clock.
            cancel: Whether it may take of what is reserved.

        Returns:
            0 when it is charged, else in how many nanoseconds to ask again.

        Raises:
            TooDear: It can never be granted.
            LineFull: Too many wait already.
            Frozen: The exchange has shut us out for longer than anybody would wait.
        """

    def end(self, request_id: str, left: bool, now_ns: int) -> None:
        """Date a request's charge if it left, else give it back; forget the request."""

    def count(self, amounts: tuple[tuple[MeterT, int], ...], now_ns: int) -> None:
        """Count what has left and was never asked for."""

    def learn(self, meter: MeterT, used: int, now_ns: int, wall_ns: int) -> None:
        """Take what the exchange says is used in a window: the larger of ours and theirs counts."""

    def freeze(self, key_prefix: Key, until_ns: int, now_ns: int) -> None:
        """Grant nothing of the meters whose keys begin so, until a time of the monotonic clock.

        A freeze is never shortened.
        """

    def rows(self, now_ns: int, wall_ns: int) -> Iterator[Row]:
        """Say how every meter stands that anybody uses."""


def sharer_of(key: Key) -> str:
    """Return who shares a meter, for a person: an account, a key's reference, an instrument."""
    return key[-2] if len(key) > 1 and key[-2] else str(Scope.IP)
