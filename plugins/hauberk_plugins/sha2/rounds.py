"""The SHA-2 compression, described once, over any arithmetic on words (FIPS 180-4, 6.2 and 6.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from hauberk_plugins.sha2.family import Family

W = TypeVar("W")


class Arithmetic(Protocol[W]):
    """What the rounds need of a word: a number, or a vector of them, or the code of either."""

    def constant(self, value: int) -> W:
        """A word that is known."""

    def add(self, x: W, y: W) -> W:
        """The sum, modulo two to the word's bits."""

    def and_(self, x: W, y: W) -> W:
        """Bit by bit."""

    def xor(self, x: W, y: W) -> W:
        """Bit by bit."""

    def rotate(self, x: W, count: int) -> W:
        """Rotate to the right."""

    def shift(self, x: W, count: int) -> W:
        """Shift to the right."""


def compress(on: Arithmetic[W], family: Family, state: Sequence[W], block: Sequence[W]) -> list[W]:
    """Compress one block.

    Args:
        on: The arithmetic.
        family: Which compression.
        state: Eight words.
        block: Sixteen words, as numbers (the bytes are read as big-endian).

    Returns:
        The state after it.
    """
    schedule = list(block)
    a, b, c, d, e, f, g, h = state
    # maj(a, b, c) = b ^ ((a ^ b) & (b ^ c)), and what is a ^ b in a round is b ^ c in the next.
    b_or_c = on.xor(b, c)
    for number, constant in enumerate(family.constants):
        if number >= 16:
            schedule[number % 16] = _expand(on, family, schedule, number)
        word = on.add(schedule[number % 16], on.constant(constant))
        choice = on.xor(g, on.and_(e, on.xor(f, g)))
        first = on.add(on.add(h, word), on.add(_big(on, family.big[1], e), choice))
        a_or_b = on.xor(a, b)
        majority = on.xor(b, on.and_(a_or_b, b_or_c))
        second = on.add(_big(on, family.big[0], a), majority)
        a, b, c, d, e, f, g, h = on.add(first, second), a, b, c, on.add(d, first), e, f, g
        b_or_c = a_or_b
    return [on.add(x, y) for x, y in zip(state, (a, b, c, d, e, f, g, h), strict=True)]


def _expand(on: Arithmetic[W], family: Family, schedule: Sequence[W], number: int) -> W:
    low = _small(on, family.small[0], schedule[(number - 15) % 16])
    high = _small(on, family.small[1], schedule[(number - 2) % 16])
    older = on.add(schedule[number % 16], schedule[(number - 7) % 16])
    return on.add(on.add(older, low), high)


def _big(on: Arithmetic[W], counts: tuple[int, int, int], x: W) -> W:
    one, two, three = counts
    return on.xor(on.xor(on.rotate(x, one), on.rotate(x, two)), on.rotate(x, three))


def _small(on: Arithmetic[W], counts: tuple[int, int, int], x: W) -> W:
    one, two, shifted = counts
    return on.xor(on.xor(on.rotate(x, one), on.rotate(x, two)), on.shift(x, shifted))
