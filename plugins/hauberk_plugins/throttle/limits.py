"""`Limits`: the section `limits` of a venue file, checked; and windows that stand in its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

from attrs import evolve, field, frozen

from hauberk.errors import ConfigError, ConfigProblem, InvalidValue
from hauberk.keypath import KeyPath
from hauberk.spelling import nearest
from hauberk_plugins.throttle.windows import Kind, Scope, Window

DEFAULT: Final = "default"
_FIELDS: Final = ("name", "kind", "scope", "seconds", "size", "counts")
_SECTIONS: Final = ("windows", "costs")
_Word = TypeVar("_Word", bound=StrEnum)
#: Where something is wrong, and what.
Fault: TypeAlias = tuple[KeyPath, str]


@frozen
class Limits:
    """What a venue allows, and what each of its endpoints costs.

    Attributes:
        windows: All of them; a request is charged in each whose figure its cost names.
        costs: By `METHOD path`; `default` for every other endpoint.
    """

    windows: tuple[Window, ...] = ()
    costs: Mapping[str, Mapping[str, int]] = field(factory=dict)

    @property
    def figures(self) -> frozenset[str]:
        """What endpoints cost anything of."""
        return frozenset(
            name for cost in self.costs.values() for name, amount in cost.items() if amount
        )

    def replaced(self, windows: Sequence[Window] | None) -> Limits:
        """Return the same with other windows; with its own where there are none."""
        return self if windows is None else evolve(self, windows=tuple(windows))


def read_limits(
    section: Mapping[str, Any], problem: Callable[[KeyPath, str], ConfigProblem]
) -> Limits:
    """Read the section `limits` of a venue file; an empty one means that nothing is paced.

    Args:
        section: The section's data.
        problem: Makes a problem of a path in the venue file, as `Venue.problem` does.

    Raises:
        ConfigError: Lists what cannot be used, or would pace nothing, and where it stands.
    """
    reading = _Reading()
    section = reading.only(section, (), _SECTIONS)
    windows = reading.windows(section.get("windows", ()))
    limits = Limits(
        tuple(window for window in windows if window is not None),
        reading.costs(section.get("costs", {})),
    )
    if windows and DEFAULT not in limits.costs:
        reading.fault(("costs",), f"{DEFAULT!r} is missing")
    reading.faults += repeated([window and window.name for window in windows], ("windows",))
    if limits.costs:  # else all is said already
        reading.faults += uncounted(limits, windows, ("windows",))
    if reading.faults:
        raise ConfigError([problem(("limits", *at), text) for at, text in reading.faults])
    return limits


def repeated(names: Sequence[object], at: KeyPath = ()) -> Iterator[Fault]:
    """Find names of windows that stand twice: both would be kept in one place."""
    for index, name in enumerate(names):
        if name is not None and name in names[:index]:
            yield (*at, index, "name"), f"the name {_cut(name)} stands twice"


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
                f"no endpoint costs any {_cut(window.counts)}, so nothing would be paced{near}",
            )


def unused(windows: Mapping[str, object], venues: Collection[object]) -> Iterator[Fault]:
    """Find windows of venues that no account is at, so that nothing would be paced by them."""
    for venue in windows:
        if venue not in venues:
            near = nearest(venue, [name for name in venues if isinstance(name, str)])
            yield (venue,), f"no account is at venue {_cut(venue)}, so nothing would be paced{near}"


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
        method, _, path = cost.partition(" ")
        if cost != DEFAULT and (name := endpoint(method, path)) != cost:
            near = nearest(cost, [name] if name else endpoints)
            yield (
                ("costs", cost),
                f"no endpoint in `operations` is called so, and the default is charged{near}",
            )


class _Reading:
    """Takes the section apart, noting what is wrong with it."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._counted: set[str] = set()

    def fault(self, at: KeyPath, message: str) -> None:
        self.faults.append((at, message))

    def windows(self, items: Any) -> list[Window | None]:
        """Make each window, or `None` of one that cannot be used."""
        if not isinstance(items, list | tuple):
            self.fault(("windows",), "must be a list")
            return []
        return [self._window(item, ("windows", index)) for index, item in enumerate(items)]

    def costs(self, items: Any) -> dict[str, dict[str, int]]:
        """Take the costs; a figure that no window counts is told once."""
        found = {
            name: self._mapping(cost, ("costs", name))
            for name, cost in self._mapping(items, ("costs",)).items()
        }
        told: set[str] = set()
        for endpoint, cost in found.items():
            for name, amount in cost.items():
                if name not in self._counted | told:
                    told.add(name)
                    self._unknown(("costs", endpoint, name), sorted(self._counted))
                elif type(amount) is not int or amount < 0:
                    self.fault(("costs", endpoint, name), "must be a whole number from 0")
        return found

    def only(self, item: Any, at: KeyPath, known: Collection[str]) -> dict[str, Any]:
        found = self._mapping(item, at)
        for name in found:
            if name not in known:
                self._unknown((*at, name), known)
        return {name: value for name, value in found.items() if name in known}

    def _unknown(self, at: KeyPath, known: Collection[str]) -> None:
        hint = nearest(str(at[-1]), known) or f"; known: {', '.join(known) or 'none'}"
        self.fault(at, f"means nothing here{hint}")

    def _window(self, item: Any, at: KeyPath) -> Window | None:
        before = len(self.faults)
        found = self.only(item, at, _FIELDS)
        if isinstance(found.get("counts"), str):
            self._counted.add(found["counts"])
        if isinstance(item, Mapping):
            self.faults += [(at, f"{name!r} is missing") for name in _FIELDS if name not in found]
        for name, words in (("kind", Kind), ("scope", Scope)):
            if name in found:
                found[name] = self._choice(found[name], (*at, name), words)
        if len(self.faults) > before:
            return None
        try:
            return Window(**found)
        except InvalidValue as error:
            self.fault(at, str(error))
            return None

    def _choice(self, given: Any, at: KeyPath, words: type[_Word]) -> _Word | None:
        for word in words:
            if given == word:
                return word
        known = [str(word) for word in words]
        self.fault(at, f"{_cut(given)} is none of {', '.join(known)}{nearest(str(given), known)}")
        return None

    def _mapping(self, item: Any, at: KeyPath) -> dict[str, Any]:
        if isinstance(item, Mapping):
            return dict(item)
        self.fault(at, "must be a mapping")
        return {}


def _cut(name: object) -> str:
    return repr(str(name)[:40])
