"""Checking a venue file's data, collecting every problem with its line and path."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from hauberk.errors import ConfigError, ConfigProblem
from hauberk.spelling import nearest

if TYPE_CHECKING:
    from hauberk.yamlfile import Document, KeyPath

_WORDS: Final[dict[type, str]] = {dict: "a mapping", list: "a list", str: "text"}


class Checks:
    """The problems found in one file.

    Args:
        document: The file's data and lines.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems: list[ConfigProblem] = []

    def fault(self, path: KeyPath, message: str) -> None:
        """Note a problem."""
        self.problems.append(self._document.problem(path, message))

    def mapping(self, value: Any, path: KeyPath) -> dict[str, Any]:
        """Return a mapping; note a problem and return an empty one if it is none."""
        if type(value) is dict:
            return value
        self.fault(path, f"must be a mapping, not {_kind(value)}")
        return {}

    def only(self, value: Any, path: KeyPath, known: Collection[str]) -> dict[str, Any]:
        """Return a mapping of known keys; note every other key with the nearest known one."""
        kept = self.mapping(value, path)
        for key in kept:
            if key not in known:
                self.fault((*path, key), f"unknown key{nearest(key, known)}")
        return {key: item for key, item in kept.items() if key in known}

    def text(self, value: Any, path: KeyPath) -> str:
        """Return text that is not empty, or note a problem and return the empty text."""
        if type(value) is str and value:
            return value
        self.fault(path, f"must be text, not {_kind(value)}")
        return ""

    def texts(self, value: Any, path: KeyPath) -> tuple[str, ...]:
        """Return a list of text, each once."""
        if type(value) is not list:
            self.fault(path, f"must be a list, not {_kind(value)}")
            return ()
        kept: list[str] = []
        for index, item in enumerate(value):
            text = self.text(item, (*path, index))
            if text in kept:
                self.fault((*path, index), f"{text!r} stands here twice")
            kept.append(text)
        return tuple(kept)

    def flag(self, value: Any, path: KeyPath) -> bool:
        """Return `true` or `false`, or note a problem."""
        if type(value) is bool:
            return value
        self.fault(path, f"must be true or false, not {_kind(value)}")
        return False

    def choice(self, value: Any, path: KeyPath, known: Collection[str]) -> str:
        """Return one of the known words, or note a problem and return the empty text."""
        text = self.text(value, path)
        if not text or text in known:
            return text
        self.fault(path, f"{text!r} is none of {', '.join(known)}{nearest(text, known)}")
        return ""

    def done(self) -> None:
        """Raise what was found.

        Raises:
            ConfigError: There was something.
        """
        if self.problems:
            raise ConfigError(self.problems)


def frozen_deeply(value: Any) -> Any:
    """Return read-only copies of mappings and lists, all the way down."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen_deeply(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen_deeply(item) for item in value)
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if value == "":
        return "empty text"
    if type(value) in (bool, int, float):
        return f"{str(value).lower()[:20]} without quotes"
    return _WORDS.get(type(value), type(value).__name__)
