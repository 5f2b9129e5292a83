"""Text with tokens, `{timestamp}{method}{path}`: how venue files say what is signed and sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from operator import itemgetter
from typing import Any, Final

_TOKEN: Final = re.compile(r"\{([?a-z_]+)\}")


class Template:
    """Text in which each `{token}` stands for a value.

    Args:
        text: As in a venue file. Braces stand for nothing but tokens.

    Raises:
        ValueError: A brace belongs to no token.
    """

    __slots__ = ("_format", "_parts", "_values", "tokens")

    def __init__(self, text: str) -> None:
        parts = _TOKEN.split(text)
        if any("{" in literal or "}" in literal for literal in parts[::2]):
            raise ValueError("a brace belongs to no token: write tokens as {name}")
        self._set(parts)

    def _set(self, parts: list[str]) -> None:
        # Literals at even places, tokens between them.
        self._parts = parts
        names = parts[1::2]
        self.tokens = frozenset(names)
        self._format = "%s".join([part.replace("%", "%%") for part in parts[::2]])
        # Taken out by position, which is quicker than a format that names them.
        self._values: Callable[[Mapping[str, str]], Any] = itemgetter(*names) if names else _none

    @classmethod
    def of_pieces(cls, pieces: list[str]) -> Template:
        """Make one of literals, which may hold braces, at even places, and tokens between them."""
        made = cls.__new__(cls)
        made._set(pieces)
        return made

    def folded(self, constants: Mapping[str, str]) -> Template:
        """Return the same with some tokens replaced for good, such as those of a key.

        What it holds then is as secret as they are; its repr shows nothing.
        """
        parts = [self._parts[0]]
        for token, literal in zip(self._parts[1::2], self._parts[2::2], strict=True):
            if token in constants:
                parts[-1] += constants[token] + literal
            else:
                parts += (token, literal)
        return Template.of_pieces(parts)

    def render(self, values: Mapping[str, str]) -> str:
        """Put values in the place of all tokens."""
        text: str = self._format % self._values(values)
        return text

    def pieces(self) -> list[str]:
        """Return literals at even places, and tokens between them."""
        return list(self._parts)

    def read(self, text: str) -> dict[str, str] | None:
        """Take a rendered text apart: the values by token, or `None` where it does not fit.

        A token that stands twice must have the same value twice. Values between two literals are
        the shortest that fit, so literals should not be part of values.
        """
        pattern, seen = "", set[str]()
        for index, part in enumerate(self._parts):
            if index % 2 == 0:
                pattern += re.escape(part)
            elif part in seen:
                pattern += f"(?P=t{self._number(part)})"
            else:
                seen.add(part)
                pattern += f"(?P<t{self._number(part)}>.*?)"
        match = re.fullmatch(pattern, text, re.DOTALL)
        if match is None:
            return None
        return {token: match[f"t{self._number(token)}"] for token in self.tokens}

    def _number(self, token: str) -> int:
        return sorted(self.tokens).index(token)


def _none(_: Mapping[str, str]) -> tuple[()]:
    return ()


def unknown(template: Template, known: Collection[str]) -> list[str]:
    """Return the tokens that are none of those known, sorted."""
    return sorted(template.tokens.difference(known))
