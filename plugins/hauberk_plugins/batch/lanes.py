"""What runs in vectors: loading, byte order, transposing and compressing, a message a lane.

Numba compiles it as instructions of LLVM, which makes of a vector what the processor has: sixteen
lanes of 32 bits are one register of AVX-512, two of AVX2, four of SSE2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hauberk_plugins.sha2.family import Family
from hauberk_plugins.sha2.llvm import Llvm, call
from hauberk_plugins.sha2.rounds import compress

_BYTE = ir.IntType(8)
_ADDRESS = ir.IntType(64)


@frozen
class Lanes:
    """The steps of one block, for so many messages at once. All take addresses.

    A block is kept by word: sixteen rows of a word of each lane.

    Attributes:
        load: From one address a lane, a whole block each, to a block.
        load_tail: The same, but only the first `held - 1` bytes of a lane are its message's; then
            stands the mark that ends it, then zeros. With 0, not even the mark is in this block;
            with more than a block's bytes plus one, all are the message's.
        compress: A state (eight rows) over a block, in those lanes whose `active` is all ones.
        gather: Sixteen words from one address a lane, as they stand in memory, to a block.
        store: From a state, each lane's eight words to an address of its own, the bytes in order.
    """

    load: Callable[..., Any]
    load_tail: Callable[..., Any]
    gather: Callable[..., Any]
    compress: Callable[..., Any]
    store: Callable[..., Any]


def equal_of(size: int) -> Callable[..., Any]:
    """Make what compares so many bytes at two addresses, all of them at once."""
    whole = ir.IntType(8 * size)

    @intrinsic
    def equal(typingctx: Any, one: Any, other: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values = [builder.load(_at(builder, address, 0, whole), align=1) for address in args]
            return builder.icmp_unsigned("==", *values)

        return types.boolean(types.int64, types.int64), codegen

    return equal


@intrinsic
def prefetch(typingctx: Any, address: Any) -> Any:
    """Have the line of an address brought near, whether or not anything is there."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        name, flag = "llvm.prefetch.p0", ir.IntType(32)
        pointer = _BYTE.as_pointer()
        function = builder.module.globals.get(name) or ir.Function(
            builder.module, ir.FunctionType(ir.VoidType(), [pointer, flag, flag, flag]), name
        )
        # To be read; of high locality; data.
        values = [builder.inttoptr(args[0], pointer), flag(0), flag(3), flag(1)]
        builder.call(function, values)
        return context.get_dummy_value()

    return types.void(types.int64), codegen


def lanes_of(family: Family, count: int) -> Lanes:
    """Make the steps of a family for a number of lanes: 1, 2, 4, 8 or 16."""
    word = ir.IntType(family.bits)
    row = ir.VectorType(word, count)
    signature = types.void

    def rows_at(builder: Any, address: Any, number: int) -> Any:
        return _at(builder, address, number * count * family.word, row)

    def load_lanes(builder: Any, addresses: Any, held: Any | None) -> list[Any]:
        """Return the sixteen rows, in the order of words, transposed and as numbers."""
        rows = []
        for part in range(16 // count):
            loaded = [_load_part(builder, addresses, lane, part, held) for lane in range(count)]
            rows += _transposed(builder, loaded)
        return rows

    def _load_part(builder: Any, addresses: Any, lane: int, part: int, held: Any | None) -> Any:
        address = builder.load(_at(builder, addresses, lane * 8, _ADDRESS))
        size = count * family.word
        value = builder.load(_at(builder, address, part * size, row), align=1)
        if held is None:
            return value
        in_bytes = ir.VectorType(_BYTE, size)
        place = in_bytes([part * size + byte + 1 for byte in range(size)])
        here = builder.load(_at(builder, held, lane, _BYTE))
        wide = _splat(builder, here, in_bytes)
        kept = builder.select(
            builder.icmp_unsigned("<", place, wide),
            builder.bitcast(value, in_bytes),
            in_bytes([0] * size),
        )
        mark = builder.select(
            builder.icmp_unsigned("==", place, wide), in_bytes([0x80] * size), in_bytes([0] * size)
        )
        return builder.bitcast(builder.or_(kept, mark), row)

    @intrinsic
    def load(typingctx: Any, addresses: Any, block: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            for number, value in enumerate(load_lanes(builder, args[0], None)):
                builder.store(
                    _swapped(builder, value), rows_at(builder, args[1], number), align=family.word
                )
            return context.get_dummy_value()

        return signature(types.int64, types.int64), codegen

    @intrinsic
    def load_tail(typingctx: Any, addresses: Any, held: Any, block: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            for number, value in enumerate(load_lanes(builder, args[0], args[1])):
                builder.store(
                    _swapped(builder, value), rows_at(builder, args[2], number), align=family.word
                )
            return context.get_dummy_value()

        return signature(types.int64, types.int64, types.int64), codegen

    @intrinsic
    def gather(typingctx: Any, addresses: Any, block: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            for number, value in enumerate(load_lanes(builder, args[0], None)):
                builder.store(value, rows_at(builder, args[1], number), align=family.word)
            return context.get_dummy_value()

        return signature(types.int64, types.int64), codegen

    @intrinsic
    def compress_(typingctx: Any, state: Any, block: Any, active: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            def loaded(address: Any, number: int) -> Any:
                return builder.load(rows_at(builder, address, number), align=family.word)

            before = [loaded(args[0], number) for number in range(8)]
            block = [loaded(args[1], number) for number in range(16)]
            is_active = builder.icmp_unsigned("!=", loaded(args[2], 0), row([0] * count))
            after = compress(Llvm(builder, row), family, before, block)
            for number, (old, new) in enumerate(zip(before, after, strict=True)):
                value = builder.select(is_active, new, old)
                builder.store(value, rows_at(builder, args[0], number), align=family.word)
            return context.get_dummy_value()

        return signature(types.int64, types.int64, types.int64), codegen

    @intrinsic
    def store(typingctx: Any, state: Any, addresses: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            taken = min(count, 8)
            part = ir.VectorType(word, taken)
            first = ir.VectorType(ir.IntType(32), taken)(list(range(taken)))
            places = [
                builder.load(_at(builder, args[1], lane * 8, _ADDRESS)) for lane in range(count)
            ]
            for start in range(0, 8, taken):
                rows = [
                    builder.load(rows_at(builder, args[0], start + number), align=family.word)
                    for number in range(taken)
                ]
                rows = [_swapped(builder, value) for value in rows]
                rows += [row([0] * count)] * (count - taken)
                for place, value in zip(places, _transposed(builder, rows), strict=True):
                    if taken < count:
                        value = builder.shuffle_vector(value, value, first)
                    builder.store(value, _at(builder, place, start * family.word, part), align=1)
            return context.get_dummy_value()

        return signature(types.int64, types.int64), codegen

    return Lanes(load, load_tail, gather, compress_, store)


def _at(builder: Any, address: Any, offset: int, type_: Any) -> Any:
    place = builder.add(address, _ADDRESS(offset))
    return builder.inttoptr(place, type_.as_pointer())


def _splat(builder: Any, value: Any, type_: Any) -> Any:
    one = builder.insert_element(type_(ir.Undefined), value, ir.IntType(32)(0))
    zeros = ir.VectorType(ir.IntType(32), type_.count)([0] * type_.count)
    return builder.shuffle_vector(one, type_(ir.Undefined), zeros)


def _swapped(builder: Any, value: Any) -> Any:
    """Reverse the bytes of each word."""
    return call(builder, "llvm.bswap", [value])


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Turn lanes into words: square blocks change places, of half the size each time."""
    count = len(rows)
    distance = count // 2
    while distance:
        mixed = list(rows)
        for low in range(count):
            if low & distance:
                continue
            high = low | distance
            taken = [
                [
                    place if not place & distance else count + (place ^ distance)
                    for place in range(count)
                ],
                [
                    place ^ distance if not place & distance else count + place
                    for place in range(count)
                ],
            ]
            for number, places in zip((low, high), taken, strict=True):
                mask = ir.VectorType(ir.IntType(32), count)(places)
                mixed[number] = builder.shuffle_vector(rows[low], rows[high], mask)
        rows = mixed
        distance //= 2
    return rows
