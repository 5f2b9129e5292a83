"""The section `limits` of a venue file, checked: every mistake at once, where it stands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

from hauberk.errors import ConfigError, ConfigProblem, InvalidValue
from hauberk.keypath import KeyPath
from hauberk.spelling import nearest
from hauberk_plugins.throttle.costs import Amount, Case, Varying
from hauberk_plugins.throttle.feedback import BANNED, THROTTLED, Freeze, Told
from hauberk_plugins.throttle.limits import (
    DEFAULT,
    Fault,
    Limits,
    cut,
    overreserved,
    repeated,
    uncounted,
    unfilled,
)
from hauberk_plugins.throttle.windows import Kind, Scope, Window

_FIELDS: Final = ("name", "kind", "scope", "seconds", "size", "counts")
_OPTIONAL: Final = ("reserve",)
_SECTIONS: Final = ("windows", "costs", "instrument", "headers", "freeze")
#: What a case may say of its parameter; one of them.
_CASES: Final = ("is", "upto", "items", "each")
#: The longest that a file may have a scope frozen: a day.
_MAX_FREEZE_S: Final = 86_400
_Word = TypeVar("_Word", bound=StrEnum)


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
        reading.names(section.get("instrument", ()), ("instrument",)),
        reading.headers(section.get("headers", {})),
        reading.freezes(section.get("freeze", {})),
    )
    if windows and DEFAULT not in limits.costs:
        reading.fault(("costs",), f"{DEFAULT!r} is missing")
    reading.faults += repeated([window and window.name for window in windows], ("windows",))
    if limits.costs:  # else all is said already
        reading.faults += uncounted(limits, windows, ("windows",))
        reading.faults += overreserved(limits, windows, ("windows",))
    reading.faults += unfilled(limits, windows, ("windows",))
    if reading.faults:
        raise ConfigError([problem(("limits", *at), text) for at, text in reading.faults])
    return limits


class _Reading:
    """Takes the section apart, noting what is wrong with it."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._counted: set[str] = set()
        self._named: set[str] = set()

    def fault(self, at: KeyPath, message: str) -> None:
        self.faults.append((at, message))

    # Windows.

    def windows(self, items: Any) -> list[Window | None]:
        """Make each window, or `None` of one that cannot be used."""
        if not isinstance(items, list | tuple):
            self.fault(("windows",), "must be a list")
            return []
        return [self._window(item, ("windows", index)) for index, item in enumerate(items)]

    def _window(self, item: Any, at: KeyPath) -> Window | None:
        before = len(self.faults)
        found = self.only(item, at, (*_FIELDS, *_OPTIONAL))
        if isinstance(found.get("counts"), str):
            self._counted.add(found["counts"])
        if isinstance(found.get("name"), str):
            self._named.add(found["name"])
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

    # Costs.

    def costs(self, items: Any) -> dict[str, dict[str, Amount]]:
        """Take the costs; a figure that no window counts is told once."""
        found = {
            name: self._mapping(cost, ("costs", name))
            for name, cost in self._mapping(items, ("costs",)).items()
        }
        told: set[str] = set()
        costs: dict[str, dict[str, Amount]] = {}
        for endpoint, cost in found.items():
            costs[endpoint] = {}
            for name, amount in cost.items():
                at = ("costs", endpoint, name)
                if name not in self._counted | told:
                    told.add(name)
                    self._unknown(at, sorted(self._counted))
                elif name in self._counted:
                    costs[endpoint][name] = self._amount(amount, at)
        return costs

    def _amount(self, item: Any, at: KeyPath) -> Amount:
        if not isinstance(item, list | tuple):
            return self._whole(item, at, "; leave out what costs nothing")
        if len(item) < 2:
            self.fault(at, "must be cases, and last what it costs otherwise")
            return 1
        cases = [self._case(case, (*at, index)) for index, case in enumerate(item[:-1])]
        otherwise = self._whole(item[-1], (*at, len(item) - 1), ": what it costs otherwise")
        return Varying(tuple(case for case in cases if case is not None), otherwise)

    def _case(self, item: Any, at: KeyPath) -> Case | None:
        before = len(self.faults)
        found = self.only(item, at, ("param", "equals", "most", *_CASES))
        param = found.get("param")
        if not isinstance(param, str) or not param:
            self.fault(at, "'param' must name a parameter")
        said = [name for name in _CASES if name in found]
        if len(said) != 1:
            self.fault(at, f"must say one of {', '.join(_CASES)}")
        if len(self.faults) > before:
            return None
        [name], value = said, found[said[0]]
        if ("equals" in found and name != "is") or ("most" in found) is not (name == "each"):
            self.fault(at, "`equals` goes with `is`, and `most` with `each`, which needs it")
            return None
        place = (*at, name)
        if name in ("upto", "items"):
            return Case(str(param), steps=self._steps(value, place), counts_items=name == "items")
        amount = self._whole(value, place)
        if name == "is":
            equals = str(found["equals"]) if "equals" in found else None
            return Case(str(param), amount, equals)
        return Case(str(param), each=amount, most=self._whole(found["most"], (*at, "most")))

    def _steps(self, item: Any, at: KeyPath) -> tuple[tuple[int, int], ...]:
        steps: list[tuple[int, int]] = []
        if not isinstance(item, list | tuple) or not item:
            self.fault(at, "must be a list of pairs, up to how much and what it costs")
            return ()
        for index, pair in enumerate(item):
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                self.fault((*at, index), "must be a pair, up to how much and what it costs")
                continue
            upto = self._whole(pair[0], (*at, index, 0))
            if steps and upto <= steps[-1][0]:
                self.fault((*at, index, 0), "must be more than the one before")
            steps.append((upto, self._whole(pair[1], (*at, index, 1))))
        return tuple(steps)

    # Answers.

    def headers(self, items: Any) -> tuple[Told, ...]:
        """Take what headers tell of windows."""
        return tuple(
            told
            for header, item in self._mapping(items, ("headers",)).items()
            if (told := self._told(header, item, ("headers", header))) is not None
        )

    def _told(self, header: str, item: Any, at: KeyPath) -> Told | None:
        found = self.only(item, at, ("used", "left", "of"))
        said = [name for name in ("used", "left") if name in found]
        if len(said) != 1 or ("of" in found and said != ["left"]):
            if isinstance(item, Mapping):
                self.fault(at, "must say of which windows it tells what is `used`, or `left`")
            return None
        listed = found[said[0]]
        windows = self.names((listed,) if isinstance(listed, str) else listed, (*at, said[0]))
        for name in windows:
            if name not in self._named:
                self._unknown((*at, said[0], name), sorted(self._named))
        is_left = said == ["left"]
        return Told(header.lower(), frozenset(windows), is_left, str(found.get("of", "")).lower())

    def freezes(self, items: Any) -> dict[str, Freeze]:
        """Take what to freeze when the exchange refuses."""
        found = self.only(items, ("freeze",), (THROTTLED, BANNED))
        return {said: self._freeze(item, ("freeze", said)) for said, item in found.items()}

    def _freeze(self, item: Any, at: KeyPath) -> Freeze:
        found = self.only(item, at, ("scope", "seconds", "until_ms"))
        scope = self._choice(found.get("scope", Scope.IP), (*at, "scope"), Scope)
        if scope is Scope.INSTRUMENT:
            self.fault((*at, "scope"), "no answer says which instrument: ip, account or key")
        seconds = found.get("seconds", 0)
        if "seconds" in found:
            seconds = self._whole(seconds, (*at, "seconds"))
            if seconds > _MAX_FREEZE_S:
                self.fault((*at, "seconds"), "is more than a day")
        return Freeze(scope or Scope.IP, seconds, str(found.get("until_ms", "")).lower())

    # Parts.

    def names(self, items: Any, at: KeyPath) -> tuple[str, ...]:
        """Take a list of names."""
        if isinstance(items, list | tuple) and all(type(item) is str and item for item in items):
            return tuple(items)
        self.fault(at, "must be a list of names")
        return ()

    def only(self, item: Any, at: KeyPath, known: Collection[str]) -> dict[str, Any]:
        """Take a mapping of known keys."""
        found = self._mapping(item, at)
        for name in found:
            if name not in known:
                self._unknown((*at, name), known)
        return {name: value for name, value in found.items() if name in known}

    def _whole(self, item: Any, at: KeyPath, more: str = "") -> int:
        if type(item) is int and item >= 1:
            return item
        self.fault(at, f"must be a whole number from 1{more}")
        return 1

    def _unknown(self, at: KeyPath, known: Collection[str]) -> None:
        hint = nearest(str(at[-1]), known) or f"; known: {', '.join(known) or 'none'}"
        self.fault(at, f"means nothing here{hint}")

    def _choice(self, given: Any, at: KeyPath, words: type[_Word]) -> _Word | None:
        for word in words:
            if given == word:
                return word
        known = [str(word) for word in words]
        self.fault(at, f"{cut(given)} is none of {', '.join(known)}{nearest(str(given), known)}")
        return None

    def _mapping(self, item: Any, at: KeyPath) -> dict[str, Any]:
        if isinstance(item, Mapping):
            return dict(item)
        self.fault(at, "must be a mapping")
        return {}
