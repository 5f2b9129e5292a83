"""Taking fields out of a venue file's section, noting every problem with its line and path."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from hauberk.errors import ConfigError, ConfigProblem
from hauberk.keypath import KeyPath
from hauberk.ports import Venue
from hauberk.spelling import nearest
from hauberk_plugins.signing.template import Template, unknown

_NOTHING: Final = Template("")


class Reading:
    """The problems found in one section.

    Args:
        venue: Whose file it is.
        path: Where the section stands in it.
    """

    def __init__(self, venue: Venue, path: KeyPath) -> None:
        self._venue = venue
        self._path = path
        self.problems: list[ConfigProblem] = []

    def fault(self, path: KeyPath, message: str) -> None:
        """Note a problem; the path is within the section."""
        self.problems.append(self._venue.problem((*self._path, *path), message))

    def done(self) -> None:
        """Raise what was found.

        Raises:
            ConfigError: There was something.
        """
        if self.problems:
            raise ConfigError(self.problems)

    def mapping(
        self, value: Any, path: KeyPath, known: Collection[str] | None = None
    ) -> dict[str, Any]:
        """Return a mapping, without unknown keys."""
        if not isinstance(value, Mapping):
            self.fault(path, f"must be a mapping, not {_kind(value)}")
            return {}
        if known is None:
            return dict(value)
        for key in value:
            if key not in known:
                self.fault((*path, key), f"unknown field{nearest(key, known)}")
        return {key: item for key, item in value.items() if key in known}

    def items(self, value: Any, path: KeyPath) -> Iterable[Any]:
        """Return the items of a list."""
        if isinstance(value, tuple | list):
            return value
        self.fault(path, f"must be a list, not {_kind(value)}")
        return ()

    def texts(self, value: Any, path: KeyPath) -> list[str]:
        """Return a list of text."""
        return [
            self.text(item, (*path, index)) for index, item in enumerate(self.items(value, path))
        ]

    def text(self, value: Any, path: KeyPath) -> str:
        """Return text."""
        if type(value) is str:
            return value
        self.fault(path, f"must be text, not {_kind(value)}")
        return ""

    def choice(self, value: Any, path: KeyPath, known: Collection[str]) -> str:
        """Return one of the known words."""
        if type(value) is str and value in known:
            return value
        words = ", ".join(word for word in known if word)
        near = nearest(value, known) if type(value) is str else f", not {_kind(value)}"
        self.fault(path, f"must be one of {words}{near}")
        return ""

    def whole(self, value: Any, path: KeyPath, most: int) -> int:
        """Return a whole number from 1 to `most`."""
        if type(value) is int and 0 < value <= most:
            return value
        self.fault(path, f"must be a whole number from 1 to {most}")
        return 1

    def flag(self, value: Any, path: KeyPath) -> bool:
        """Return `true` or `false`."""
        if type(value) is bool:
            return value
        self.fault(path, f"must be true or false, not {_kind(value)}")
        return False

    def template(self, value: Any, path: KeyPath, known: Collection[str]) -> Template:
        """Return text with tokens, all of them known."""
        text = self.text(value, path)
        try:
            template = Template(text)
        except ValueError as error:
            self.fault(path, str(error))
            return _NOTHING
        for token in unknown(template, known):
            self.fault(path, f"there is no {{{token}}} here{nearest(token, known)}")
        return template


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    return {bool: "true or false", str: "text", tuple: "a list", list: "a list"}.get(
        type(value), "a number"
    )
