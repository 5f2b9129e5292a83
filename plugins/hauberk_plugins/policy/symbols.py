"""Symbols: which market one names, in what it is quoted, and whether it is in a list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import field, frozen

from hauberk_plugins.policy.amounts import cut
from hauberk_plugins.policy.errors import Unreadable

_SYMBOL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@#-]{0,63}\Z", re.ASCII)
_REMEMBERED: Final = 4_096
#: Symbols that were looked at.
_GOOD: Final[set[str]] = set()
#: In a list of symbols: `*` stands for any characters.
PATTERN: Final = re.compile(r"[A-Za-z0-9._:/@#*-]{1,64}\Z", re.ASCII)


@frozen
class Symbols:
    """How a venue's symbols are made.

    Attributes:
        separator: What stands between base and quote, as `-`; what follows a second one says
            more, as in `BTC-USDT-SWAP`.
        quotes: What symbols without a separator end with.
        prefix: What they begin with and is no part of the base.
        fixed: The quote of every symbol, where none names it.
        aliases: Other names for currencies, to the usual one.
    """

    separator: str = ""
    quotes: Sequence[str] = ()
    prefix: str = ""
    fixed: str = ""
    aliases: Mapping[str, str] = field(factory=dict)
    _known: dict[str, tuple[str, str]] = field(init=False, factory=dict, eq=False, repr=False)

    def split(self, symbol: str) -> tuple[str, str]:
        """Return base and quote in capitals.

        Raises:
            Unreadable: The venue file does not say, or it could be more than one.
        """
        found = self._known.get(symbol)
        if found is None:
            found = self._split(symbol)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[symbol] = found
        return found

    def joined(self, base: str, quote: str) -> str:
        """Return the symbol of a market as the venue writes it."""
        return f"{self.prefix}{base}{self.separator}{quote}"

    def usual(self, currency: str) -> str:
        """Return the usual name of a currency."""
        return self.aliases.get(currency, currency)

    def _split(self, symbol: str) -> tuple[str, str]:
        text = symbol.upper().removeprefix(self.prefix.upper())
        if self.fixed:
            return self.usual(text), self.fixed
        if self.separator and self.separator.upper() in text:
            base, quote, *_ = text.split(self.separator.upper())
            if base and quote:
                return self.usual(base), self.usual(quote)
        ends = [end for end in self.quotes if text.endswith(end) and len(text) > len(end)]
        # Where two fit, as USD and TUSD, nobody can tell, unless both are the same currency.
        if len({self.usual(end) for end in ends}) != 1:
            raise Unreadable(
                f"what {cut(symbol)} is quoted in cannot be told from `orders.symbols` of the "
                "venue's file"
            )
        end = max(ends, key=len)
        return self.usual(text.removesuffix(end)), self.usual(end)


def checked_symbol(text: str | None, what: str) -> str:
    """Return a symbol that can be only one thing.

    Raises:
        Unreadable: There is none, or it has characters that servers may read otherwise.
    """
    if text is None:
        raise Unreadable(f"`{what}` is missing, which says the symbol")
    if text not in _GOOD:
        if _SYMBOL.match(text) is None:
            raise Unreadable(f"`{what}` is {cut(text)}, no symbol")
        if len(_GOOD) >= _REMEMBERED:
            _GOOD.clear()
        _GOOD.add(text)
    return text


class SymbolSet:
    """Symbols by name or pattern; capitals and small letters are alike.

    Args:
        names: Each a symbol, or a pattern with `*`.
    """

    __slots__ = ("_exact", "_patterns", "names")

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._exact = {name.upper() for name in names if "*" not in name}
        self._patterns = [glob(name.upper()) for name in names if "*" in name]

    def __contains__(self, symbol: str) -> bool:
        if symbol in self._exact:
            return True
        name = symbol.upper()
        return name in self._exact or any(one.match(name) for one in self._patterns)

    def meets(self, other: SymbolSet) -> bool:
        """Whether some symbol may be in both; certain where neither has a pattern."""
        if self._patterns and other._patterns:
            return True
        return any(name in other for name in self._exact) or any(
            name in self for name in other._exact
        )

    def __str__(self) -> str:
        return ", ".join(self.names)


def glob(pattern: str) -> re.Pattern[str]:
    """Compile a pattern in which `*` stands for any characters."""
    return re.compile(".*".join(map(re.escape, pattern.split("*"))) + r"\Z", re.DOTALL)
