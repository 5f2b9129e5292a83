"""`Registry`: makes meters, restores what was kept of them, freezes and forgets them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from attrs import evolve

from hauberk_plugins.throttle.limiting import Key, Row
from hauberk_plugins.throttle.line import Amounts
from hauberk_plugins.throttle.meters import Meter, replay
from hauberk_plugins.throttle.pools import Pools
from hauberk_plugins.throttle.windows import Window

#: What an aside adds to the key of its window.
ASIDE: Final = "~cancels"


class Keeping(Protocol):
    """What makes durable how far each window may be used, before it is."""

    def opened(self, key: Key, meter: Meter, now_ns: int) -> Iterable[tuple[int, int]]:
        """Take charge of a meter; return what left before and may count, oldest first."""

    def level(self, meter: Meter) -> int:
        """How far it may be used without another record."""

    def cover(self, meter: Meter, used: int) -> int:
        """Make durable that it may be used so far; return how far.

        Raises:
            NotKept: That cannot be done.
        """

    def forgotten(self, meter: Meter) -> None:
        """Let go of a meter that is idle."""


class Registry:
    """All meters of a limiter. Not locked: its limiter is.

    `now` and `anchor` are as a `Meter` takes them.

    Args:
        keeper: Makes durable what is granted; `None` where nothing does.

    Attributes:
        freezes: What is or was frozen, and until when.
    """

    def __init__(self, keeper: Keeping | None) -> None:
        self.keeper = keeper
        self.freezes: dict[Key, int] = {}
        self._pools = Pools(self._let_go)
        # What the exchange said of a meter, and when.
        self._theirs: dict[Meter, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._pools)

    def meter(
        self,
        key: Key,
        window: Window,
        jitter_ns: int,
        now: int,
        anchor: int | None,
        *,
        reshape: bool,
    ) -> tuple[Meter, bool]:
        """Return the meter of a key, and whether it has taken another shape."""
        meter = self._pools.get(key)
        if meter is None:
            meter = self._opened(key, window, jitter_ns, now, anchor)
            self._pools.add(key, meter, now)
        elif reshape and (meter.shape.window != window or meter.shape.jitter != jitter_ns):
            meter.reshape(window, jitter_ns, anchor)
            self._set_aside(key, meter, now, anchor)
            self.settle(meter, now)
            return meter, True
        return meter, False

    def parts(self) -> Iterator[tuple[Key, Meter]]:
        """Yield every meter, and the parts for cancels as meters of their own."""
        for key, meter in self._pools.items():
            yield key, meter
            if meter.aside is not None:
                yield _aside_key(key), meter.aside

    def freeze(self, prefix: Key, until: int, now: int) -> None:
        """Grant nothing of the meters whose keys begin so, until a time."""
        self.freezes = {key: end for key, end in self.freezes.items() if end > now}
        if until > max(now, self.freezes.get(prefix, 0)):
            self.freezes[prefix] = until
            for _, whole in self._pools.items(prefix):
                for meter in with_asides((whole,)):
                    meter.frozen = max(meter.frozen, until)
                    meter.limit = -1

    def learn(
        self, meter: Meter, used: int, now: int, offset: int | None, anchor: int | None
    ) -> None:
        """Count what the exchange says is used beyond what we know, as if it had left now."""
        meter = self._revive(meter, now)
        self._theirs[meter] = (used, now)
        aside = meter.aside
        ordinary = used - (aside.used(now, offset) if aside is not None else 0)
        more = ordinary - meter.used(now, offset)
        if more > 0 and not meter.is_of_before(ordinary, now, offset):
            meter.date(more, now, anchor)
            # What the ordinary part cannot hold was taken of the part for cancels.
            beyond = meter.used(now, offset) - meter.size
            if aside is not None and beyond > 0:
                aside.date(min(beyond, more, aside.size), now, anchor)

    def present(self, amounts: Amounts, now: int) -> Amounts:
        """Replace meters that were forgotten, and let those go on whose freeze is over."""
        if any(meter.gone is not None for meter, _ in amounts):
            amounts = tuple((self._revive(meter, now), amount) for meter, amount in amounts)
        for meter in with_asides(meter for meter, _ in amounts):
            if meter.limit < 0 and meter.frozen <= now:
                self.settle(meter, now)
        return amounts

    def cover(self, taken: Amounts, now: int, offset: int | None) -> None:
        """Make durable what is about to be granted.

        Raises:
            NotKept: That cannot be done.
        """
        if self.keeper is None:
            return
        for meter, amount in taken:
            used = meter.used(now, offset) + amount
            if used > meter.limit and amount:
                meter.limit = min(meter.size, self.keeper.cover(meter, used))

    def settle(self, meter: Meter, now: int) -> None:
        """Say what may be used of a meter without a second look."""
        if meter.frozen > now or meter.gone is not None:
            meter.limit = -1
        elif self.keeper is not None:
            meter.limit = min(meter.size, self.keeper.level(meter))
        else:
            meter.limit = meter.size

    def rows(self, now: int, offset: int | None) -> list[Row]:
        """Say how every meter stands that anybody uses."""
        return [
            self._row(key, meter, now, offset)
            for key, meter in self._pools.items()
            if not meter.is_idle(now)
        ]

    def _opened(
        self, key: Key, window: Window, jitter_ns: int, now: int, anchor: int | None
    ) -> Meter:
        meter = Meter(window, jitter_ns)
        if self.keeper is not None:
            replay(meter, self.keeper.opened(key, meter, now), anchor)
        for prefix, until in self.freezes.items():
            if key[: len(prefix)] == prefix:
                meter.frozen = max(meter.frozen, until)
        self._set_aside(key, meter, now, anchor)
        self.settle(meter, now)
        return meter

    def _set_aside(self, key: Key, meter: Meter, now: int, anchor: int | None) -> None:
        """Make, reshape or take away the part for cancels; what was taken of it stays counted."""
        window = meter.shape.window
        if not window.reserve:
            if meter.aside is not None:
                replay(meter, meter.aside.departures(), anchor)
                meter.aside.limit = -1
                meter.aside = None
            return
        part = evolve(window, size=window.reserve, reserve=0)
        if meter.aside is not None:
            meter.aside.reshape(part, meter.shape.jitter, anchor)
        else:
            meter.aside = Meter(part, meter.shape.jitter)
            if self.keeper is not None:
                left = self.keeper.opened(_aside_key(key), meter.aside, now)
                replay(meter.aside, left, anchor)
            meter.aside.frozen = meter.frozen
        self.settle(meter.aside, now)

    def _let_go(self, meter: Meter) -> None:
        for one in with_asides((meter,)):
            self._theirs.pop(one, None)
            if self.keeper is not None:
                self.keeper.forgotten(one)

    def _revive(self, meter: Meter, now: int) -> Meter:
        key = meter.gone
        found = self._pools.revive(meter, now)
        if key is not None and found is meter:
            if self.keeper is not None:
                self.keeper.opened(key, meter, now)
                if meter.aside is not None:
                    self.keeper.opened(_aside_key(key), meter.aside, now)
            for part in with_asides((meter,)):
                self.settle(part, now)
        return found

    def _row(self, key: Key, meter: Meter, now: int, offset: int | None) -> Row:
        parts = with_asides((meter,))
        said, at = self._theirs.get(meter, (None, 0))
        frozen = max(part.frozen for part in parts)
        return Row(
            key=key,
            window=meter.shape.window,
            used=sum(part.used(now, offset) for part in parts),
            theirs=said if now - at <= meter.shape.span else None,
            left=sum(max(0, part.size - part.used(now, offset)) for part in parts),
            waiting=meter.waiting,
            frozen_ns=max(0, frozen - now),
        )


def _aside_key(key: Key) -> Key:
    return (*key[:-1], key[-1] + ASIDE)


def with_asides(meters: Iterable[Meter]) -> list[Meter]:
    """Return meters, each with the part of it that is kept for cancels."""
    parts = []
    for meter in meters:
        parts.append(meter)
        if meter.aside is not None:
            parts.append(meter.aside)
    return parts
