"""Words as LLVM's values, a scalar or a vector each: what both engines' machine code is made of."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen


@frozen
class Llvm:
    """Arithmetic that emits instructions.

    Attributes:
        builder: llvmlite's, where they go.
        type: Of a word: an integer, or a vector of them.
        has_funnel: Whether a rotation may be `llvm.fshr`, which is one instruction where the
            processor has it. NVVM's dialect has none, and finds it in two shifts.
    """

    builder: Any
    type: Any
    has_funnel: bool = True
    _bits: int = field(init=False)

    @_bits.default
    def _bits_of_type(self) -> int:
        width: int = getattr(self.type, "element", self.type).width
        return width

    def constant(self, value: int) -> Any:
        """A word that is known, the same in each lane."""
        count = getattr(self.type, "count", 0)
        return self.type([value] * count if count else value)

    def add(self, x: Any, y: Any) -> Any:
        """The sum, modulo two to the word's bits."""
        return self.builder.add(x, y)

    def and_(self, x: Any, y: Any) -> Any:
        """Bit by bit."""
        return self.builder.and_(x, y)

    def xor(self, x: Any, y: Any) -> Any:
        """Bit by bit."""
        return self.builder.xor(x, y)

    def rotate(self, x: Any, count: int) -> Any:
        """Rotate to the right."""
        if self.has_funnel:
            return call(self.builder, "llvm.fshr", [x, x, self.constant(count)])
        left = self.builder.shl(x, self.constant(self._bits - count))
        return self.builder.or_(self.builder.lshr(x, self.constant(count)), left)

    def shift(self, x: Any, count: int) -> Any:
        """Shift to the right."""
        return self.builder.lshr(x, self.constant(count))


def call(builder: Any, name: str, values: list[Any]) -> Any:
    """Call one of LLVM's own functions of equal types, such as `llvm.bswap`."""
    type_ = values[0].type
    element = getattr(type_, "element", type_)
    lanes = f"v{type_.count}" if element is not type_ else ""
    whole = f"{name}.{lanes}i{element.width}"
    function = builder.module.globals.get(whole)
    if function is None:
        # Late: llvmlite comes with numba, an extra.
        from llvmlite import ir

        of_type = ir.FunctionType(type_, [type_] * len(values))
        function = ir.Function(builder.module, of_type, whole)
    return builder.call(function, values)
