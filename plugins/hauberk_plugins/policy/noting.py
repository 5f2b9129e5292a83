"""Taking data apart that somebody wrote by hand, noting all that is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from hauberk.keypath import KeyPath
from hauberk.spelling import nearest
from hauberk_plugins.policy.fields import Field


class Noting:
    """Reads values of a kind; where one is of another, notes that and goes on with nothing.

    Attributes:
        faults: Where something is wrong, and what.
    """

    def __init__(self) -> None:
        self.faults: list[tuple[KeyPath, str]] = []

    def fault(self, at: KeyPath, message: str) -> None:
        """Note a problem."""
        self.faults.append((at, message))

    def values(self, said: Any, at: KeyPath) -> tuple[tuple[Field, frozenset[str]], ...]:
        """Read places, each with the words that may stand there."""
        found = []
        for name, values in self.mapping(said, at).items():
            place = self.field(name, (*at, name))
            words = self.words([values] if isinstance(values, str) else values, (*at, name))
            if place is not None:
                found.append((place, words))
        return tuple(found)

    def words(self, said: Any, at: KeyPath) -> frozenset[str]:
        """Read a list of words, in small letters."""
        words = self.listed(said, at)
        for index, one in enumerate(words):
            if type(one) is not str or not one:
                self.fault((*at, index), "must be text, in quotes if it looks like something else")
        return frozenset(str(one).lower() for one in words)

    def fields(self, said: Any, at: KeyPath) -> tuple[Field, ...]:
        """Read a list of places."""
        found = [self.field(one, (*at, i)) for i, one in enumerate(self.listed(said, at))]
        return tuple(place for place in found if place is not None)

    def field(self, said: Any, at: KeyPath) -> Field | None:
        """Read a place."""
        if type(said) is not str or not said:
            self.fault(at, "must say where it stands: name, a.b.c, ^name, {name} or =value")
            return None
        try:
            return Field(said)
        except ValueError as error:
            self.fault(at, str(error))
            return None

    def texts(self, said: Any, at: KeyPath) -> dict[str, str]:
        """Read a mapping of text to text."""
        return {key: str(value) for key, value in self.mapping_of_text(said, at).items()}

    def mapping_of_text(self, said: Any, at: KeyPath) -> dict[str, Any]:
        """Read a mapping whose values are text."""
        found = self.mapping(said, at)
        for key, value in found.items():
            if type(value) is not str:
                self.fault((*at, key), "must be text, in quotes if it looks like something else")
        return {key: value for key, value in found.items() if type(value) is str}

    def only(self, said: Any, at: KeyPath, known: Collection[str]) -> dict[str, Any]:
        """Read a mapping of known keys; note every other one."""
        found = self.mapping(said, at)
        for key in found:
            if key not in known:
                self.fault((*at, key), f"means nothing here{nearest(str(key), known)}")
        return {key: value for key, value in found.items() if key in known}

    def mapping(self, said: Any, at: KeyPath) -> dict[str, Any]:
        """Read a mapping."""
        if isinstance(said, Mapping):
            return dict(said)
        self.fault(at, "must be a mapping")
        return {}

    def listed(self, said: Any, at: KeyPath) -> list[Any]:
        """Read a list."""
        if isinstance(said, list | tuple):
            return list(said)
        self.fault(at, "must be a list")
        return []
