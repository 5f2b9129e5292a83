"""`Limits`: what a venue allows and what it costs; and windows that stand in its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from hauberk.keypath import KeyPath
from hauberk.request import Operation
from hauberk.spelling import nearest
from hauberk_plugins.throttle.costs import Amount, Varying, dearest
from hauberk_plugins.throttle.feedback import Freeze, Told
from hauberk_plugins.throttle.windows import Scope, Window

DEFAULT: Final = "default"
#: No part of a window smaller than this is reserved: one of it would be too large a share.
_RESERVABLE: Final = 5
#: Where something is wrong, and what.
Fault: TypeAlias = tuple[KeyPath, str]


@frozen
class Limits:
    """What a venue allows, and what each of its endpoints costs.

    Attributes:
        windows: All of them; a request is charged in each whose figure its cost names.
        costs: By `METHOD path`; `default` for every other endpoint.
        instrument: In which parameters an instrument stands, the first that is given.
        told: The headers of an answer that tell what is used.
        freezes: What to freeze, by what an answer says.
    """

    windows: tuple[Window, ...] = ()
    costs: Mapping[str, Mapping[str, Amount]] = field(factory=dict)
    instrument: tuple[str, ...] = ()
    told: tuple[Told, ...] = ()
    freezes: Mapping[str, Freeze] = field(factory=dict)

    @property
    def figures(self) -> frozenset[str]:
        """What endpoints cost anything of."""
        return frozenset(
            name for cost in self.costs.values() for name, amount in cost.items() if dearest(amount)
        )

    @property
    def has_varying(self) -> bool:
        """Whether what anything costs depends on parameters."""
        return any(type(a) is Varying for cost in self.costs.values() for a in cost.values())

    def dearest(self, figure: str) -> int:
        """Return the most that one request may cost of a figure."""
        return max((dearest(cost.get(figure, 0)) for cost in self.costs.values()), default=0)

    def replaced(self, windows: Sequence[Window] | None) -> Limits:
        """Return the same with other windows; with its own where there are none.

        What the exchange tells of a window, it tells of one that counts the same in the same time
        as well, whatever it is called.
        """
        if windows is None:
            return self
        told = tuple(
            evolve(one, windows=one.windows | {w.name for w in windows if self._is_told(one, w)})
            for one in self.told
        )
        return evolve(self, windows=tuple(windows), told=told)

    def _is_told(self, told: Told, window: Window) -> bool:
        return any(
            theirs.name in told.windows
            and (theirs.counts, theirs.seconds, theirs.scope)
            == (window.counts, window.seconds, window.scope)
            for theirs in self.windows
        )

    def reserving(
        self,
        share: float,
        operation: Callable[[str, str], Operation],
        endpoints: Collection[str] = (),
    ) -> Limits:
        """Return the same with a part of each window reserved for cancels.

        Only of what cancels cost anything of, so that no budget lies idle; never so much that
        something cannot be granted any more. A window that says what is reserved keeps it.

        Args:
            share: Of a window's size.
            operation: What the endpoint of a method and a path does.
            endpoints: The names of those that the venue knows.
        """
        if not share:
            return self
        cancels = [
            self.costs.get(name, self.costs.get(DEFAULT, {}))
            for name in endpoints or self.costs
            if name != DEFAULT and operation(*_parted(name)) is Operation.CANCEL
        ]
        if not endpoints:
            cancels.append(self.costs.get(DEFAULT, {}))
        return evolve(
            self, windows=tuple(self._reserving(window, share, cancels) for window in self.windows)
        )

    def _reserving(
        self, window: Window, share: float, cancels: Sequence[Mapping[str, Amount]]
    ) -> Window:
        figure = window.counts
        least = min((dearest(cost[figure]) for cost in cancels if cost.get(figure)), default=0)
        most = self.dearest(figure)
        if window.reserve or not least or window.size < _RESERVABLE:
            return window
        reserve = min(max(int(window.size * share), least), window.size // 2, window.size - most)
        return evolve(window, reserve=reserve) if reserve >= least else window


def repeated(names: Sequence[object], at: KeyPath = ()) -> Iterator[Fault]:
    """Find names of windows that stand twice: both would be kept in one place."""
    for index, name in enumerate(names):
        if name is not None and name in names[:index]:
            yield (*at, index, "name"), f"the name {cut(name)} stands twice"


def uncounted(
    limits: Limits, windows: Sequence[Window | None], at: KeyPath = ()
) -> Iterator[Fault]:
    """Find windows that would never fill, so that nothing would be paced by them."""
    figures = sorted(limits.figures)
    for index, window in enumerate(windows):
        if window is not None and window.counts not in figures:
            near = nearest(window.counts, figures)
            yield (
                (*at, index, "counts"),
                f"no endpoint costs any {cut(window.counts)}, so nothing would be paced{near}",
            )


def overreserved(
    limits: Limits, windows: Sequence[Window | None], at: KeyPath = ()
) -> Iterator[Fault]:
    """Find windows of which so much is reserved that something could never be granted."""
    for index, window in enumerate(windows):
        if window is None or not window.reserve:
            continue
        most = max(
            (dearest(cost.get(window.counts, 0)) for cost in limits.costs.values()), default=0
        )
        if window.size - window.reserve < most <= window.size:
            yield (
                (*at, index, "reserve"),
                f"leaves {window.size - window.reserve}, and one request may cost {most}",
            )


def unfilled(limits: Limits, windows: Sequence[Window | None], at: KeyPath = ()) -> Iterator[Fault]:
    """Find windows by instrument where nothing says which one a request is for."""
    for index, window in enumerate(windows):
        if window is not None and window.scope is Scope.INSTRUMENT and not limits.instrument:
            yield (
                (*at, index, "scope"),
                "nobody says which instrument a request is for: name its parameters in the venue "
                "file, `instrument: [symbol]`",
            )


def unused(windows: Mapping[str, object], venues: Collection[object]) -> Iterator[Fault]:
    """Find where nothing would be paced: at venues that no account is at, and without a window."""
    for venue, listed in windows.items():
        if venue not in venues:
            near = nearest(venue, [name for name in venues if isinstance(name, str)])
            yield (venue,), f"no account is at venue {cut(venue)}, so nothing would be paced{near}"
        elif isinstance(listed, list | tuple) and not listed:
            yield (venue,), "names no window, so nothing would be paced: leave it out, or name one"


def misnamed(
    limits: Limits, endpoint: Callable[[str, str], str], endpoints: Collection[str] = ()
) -> Iterator[Fault]:
    """Find costs that no request would ever be charged, since no endpoint is called as they are.

    Args:
        limits: The venue's.
        endpoint: Gives the venue's name for a method and a path; empty where it knows none.
        endpoints: All its names.
    """
    for cost in limits.costs:
        if cost != DEFAULT and (name := endpoint(*_parted(cost))) != cost:
            near = nearest(cost, [name] if name else endpoints)
            yield (
                ("costs", cost),
                f"no endpoint in `operations` is called so, and the default is charged{near}",
            )


def cut(name: object) -> str:
    """Return a name for a message, not too long."""
    return repr(str(name)[:40])


def _parted(name: str) -> tuple[str, str]:
    method, _, path = name.partition(" ")
    return method, path
