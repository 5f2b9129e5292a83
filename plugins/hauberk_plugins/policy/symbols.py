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
#: What people write between base and quote, whatever a venue writes.
_SEPARATORS: Final = ("", "/", "-", "_")
_BARE: Final = str.maketrans("", "", "/-_")
_BASE: Final = re.compile(r"[A-Z0-9](?:[A-Z0-9._]*[A-Z0-9])?\Z", re.ASCII)
_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]*)\Z", re.ASCII)


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
        kinds: Those of them that say which kind of market it is as well, and so are another.
        numbered: Whether symbols are numbers.
    """

    separator: str = ""
    quotes: Sequence[str] = ()
    prefix: str = ""
    fixed: str = ""
    aliases: Mapping[str, str] = field(factory=dict)
    kinds: frozenset[str] = frozenset()
    numbered: bool = False
    _known: dict[str, tuple[str, str]] = field(init=False, factory=dict, eq=False, repr=False)
    _spelt: dict[str, frozenset[str]] = field(init=False, factory=dict, eq=False, repr=False)

    def split(self, symbol: str) -> tuple[str, str]:
        """Return base and quote in capitals.

        Raises:
            Unreadable: The venue file does not say, or it could be more than one.
        """
        found = self._known.get(symbol)
        if found is None:
            base, quote, _ = self._parts(symbol)
            found = self.usual(base), self.usual(quote)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[symbol] = found
        return found

    def spellings(self, symbol: str) -> frozenset[str]:
        """Return, in capitals, every way to write a market, as people or the venue may.

        Raises:
            Unreadable: As `split`.
        """
        found = self._spelt.get(symbol)
        if found is None:
            found = self._spellings(symbol)
            if len(self._spelt) >= _REMEMBERED:
                self._spelt.clear()
            self._spelt[symbol] = found
        return found

    def can_be(self, name: str) -> bool:
        """Whether a name that somebody wrote, in whichever way, may be a market of the venue."""
        tried = [name]
        for separator in filter(None, _SEPARATORS):
            if name.count(separator) == 1:
                base, _, quote = name.partition(separator)
                tried.append(self.joined(base, quote))
        return any(map(self._is_one, tried))

    @property
    def quoted_in(self) -> frozenset[str] | None:
        """Every currency that a market may be quoted in; `None` where it may be any."""
        if self.fixed:
            return frozenset((self.fixed,))
        return None if self.separator else frozenset(map(self.usual, self.quotes))

    def joined(self, base: str, quote: str) -> str:
        """Return the symbol of a market as the venue writes it."""
        return f"{self.prefix}{base}{self.separator}{quote}"

    def usual(self, currency: str) -> str:
        """Return the usual name of a currency."""
        return self.aliases.get(currency, currency)

    def _is_one(self, symbol: str) -> bool:
        try:
            base, quote, _ = self._parts(symbol)
        except Unreadable:
            return False
        return _BASE.match(base) is not None and bool(quote)

    def _spellings(self, symbol: str) -> frozenset[str]:
        base, quote, more = self._parts(symbol)
        separators = {*_SEPARATORS, self.separator}
        plain = {
            f"{one}{separator}{other}{more}"
            for one in self._names(base)
            for other in self._names(quote)
            for separator in separators
        }
        prefix = self.prefix.upper()
        return frozenset({symbol.upper(), *plain, *(prefix + one for one in plain)})

    def _names(self, currency: str) -> set[str]:
        """Return a currency's names."""
        if currency in self.kinds:
            return {currency}
        usual = self.usual(currency)
        others = {name for name, one in self.aliases.items() if one == usual}
        return {currency, usual, *others - self.kinds}

    def _parts(self, symbol: str) -> tuple[str, str, str]:
        """Return base and quote as they are written, and what else a symbol says."""
        text = symbol.upper().removeprefix(self.prefix.upper())
        if self.fixed:
            if self.numbered and _NUMBER.match(text) is None:
                raise Unreadable(f"{cut(symbol)} is no number, as symbols are there")
            return text, self.fixed, ""
        separator = self.separator.upper()
        if separator and separator in text:
            base, quote, *more = text.split(separator)
            if base and quote:
                return base, quote, "".join(separator + one for one in more)
        ends = [end for end in self.quotes if text.endswith(end) and len(text) > len(end)]
        # Where two fit, as USD and TUSD, nobody can tell, unless both are the same currency.
        if len({self.usual(end) for end in ends}) != 1:
            raise Unreadable(
                f"what {cut(symbol)} is quoted in cannot be told from `orders.symbols` of the "
                "venue's file"
            )
        end = max(ends, key=len)
        return text.removesuffix(end), end, ""


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

    def lists(self, symbol: str, symbols: Symbols) -> bool:
        """Whether a market is in it, however it is spelt; not where nobody can tell."""
        try:
            return self.holds(symbol, symbols)
        except Unreadable:
            return False

    def holds(self, symbol: str, symbols: Symbols) -> bool:
        """Whether a market is in it, however it is spelt.

        Raises:
            Unreadable: It is not as it is written, and other spellings cannot be told.
        """
        if symbol in self:
            return True
        spellings = symbols.spellings(symbol)
        if not self._exact.isdisjoint(spellings):
            return True
        return any(one.match(name) for one in self._patterns for name in spellings)

    def meets(self, other: SymbolSet) -> bool:
        """Whether some symbol may be in both; certain where neither has a pattern."""
        if self._patterns and other._patterns:
            return True
        return self._may_have(other) or other._may_have(self)

    def _may_have(self, other: SymbolSet) -> bool:
        """Whether one of the other's names may be in it, whatever stands between base and quote."""
        bare = SymbolSet([name.translate(_BARE) for name in self.names])
        return any(name.translate(_BARE) in bare for name in other._exact)

    def __str__(self) -> str:
        return ", ".join(self.names)


def glob(pattern: str) -> re.Pattern[str]:
    """Compile a pattern in which `*` stands for any characters."""
    return re.compile(".*".join(map(re.escape, pattern.split("*"))) + r"\Z", re.DOTALL)
