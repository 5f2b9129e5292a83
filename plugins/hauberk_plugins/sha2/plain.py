"""Words as Python's integers: the simulator's arithmetic, and the tests'."""

from __future__ import annotations

from attrs import frozen


@frozen
class Plain:
    """Arithmetic on integers of so many bits."""

    bits: int

    def constant(self, value: int) -> int:
        """A word that is known."""
        return value

    def add(self, x: int, y: int) -> int:
        """The sum, modulo two to the word's bits."""
        return (x + y) & ((1 << self.bits) - 1)

    def and_(self, x: int, y: int) -> int:
        """Bit by bit."""
        return x & y

    def xor(self, x: int, y: int) -> int:
        """Bit by bit."""
        return x ^ y

    def rotate(self, x: int, count: int) -> int:
        """Rotate to the right."""
        return (x >> count | x << (self.bits - count)) & ((1 << self.bits) - 1)

    def shift(self, x: int, count: int) -> int:
        """Shift to the right."""
        return x >> count
