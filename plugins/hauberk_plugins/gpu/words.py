"""What a thread does with words: reading them from anywhere, padding and compressing them.

Each function exists twice: as emitted instructions, and in plain Python for the simulator. The
rounds are neither: both run the one description in `hauberk_plugins.sha2.rounds`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from attrs import frozen
from llvmlite import ir

from hauberk_plugins.gpu.shim import intrinsic, types
from hauberk_plugins.sha2.family import Family
from hauberk_plugins.sha2.llvm import Llvm
from hauberk_plugins.sha2.plain import Plain
from hauberk_plugins.sha2.rounds import compress as rounds

_I32 = ir.IntType(32)
_I64 = ir.IntType(64)


@frozen
class Words:
    """The steps of one thread.

    Attributes:
        load: From a column of 32-bit words as little-endian memory has them, at any place in
            bytes, sixteen words as numbers. What stands in the four bytes after them is read too.
        pad: Sixteen words of which only so many bytes are the message's: the mark, then zeros. Of
            fewer than none, not even the mark is in this block.
        compress: A state of eight words over a block.
        differ: Other than zero where the first bytes of a state, so many, are not those of a block.
    """

    load: Callable[..., Any]
    pad: Callable[..., Any]
    compress: Callable[..., Any]
    differ: Callable[..., Any]


def words_of(family: Family) -> Words:
    """Make the steps of a family."""
    word = ir.IntType(family.bits)
    number = types.uint32 if family.bits == 32 else types.uint64
    halves = family.bits // 32
    block_type, state_type = types.UniTuple(number, 16), types.UniTuple(number, 8)
    mask = (1 << family.bits) - 1

    def plain_load(column: Any, place: Any) -> tuple[int, ...]:
        first, last = int(place) // 4, int(place) // 4 + 16 * halves + 1
        if not 0 <= first <= last <= len(column):
            raise IndexError(f"words {first} to {last} of {len(column)} are read")
        octets = column[first:last].tobytes()[int(place) % 4 :]
        return tuple(
            int.from_bytes(octets[at : at + family.word], "big")
            for at in range(0, family.block, family.word)
        )

    @intrinsic(plain_load)
    def load(typingctx: Any, column: Any, place: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            first = builder.gep(array.data, [builder.lshr(args[1], _I64(2))])
            bits = builder.shl(builder.and_(builder.trunc(args[1], _I32), _I32(3)), _I32(3))
            raw = [
                builder.load(builder.gep(first, [_I64(at)]), align=4)
                for at in range(16 * halves + 1)
            ]
            found = [
                _swapped(builder, _shifted(builder, low, high, bits)) for low, high in pairwise(raw)
            ]
            if halves == 2:
                found = [
                    builder.or_(
                        builder.shl(builder.zext(high, word), word(32)), builder.zext(low, word)
                    )
                    for high, low in zip(found[::2], found[1::2], strict=True)
                ]
            return context.make_tuple(builder, signature.return_type, found)

        return block_type(column, types.int64), codegen

    def plain_pad(block: Any, held: Any) -> tuple[int, ...]:
        padded = []
        for at, value in enumerate(block):
            left = int(held) - at * family.word
            if left >= family.word:
                padded.append(int(value))
            elif left < 0:
                padded.append(0)
            else:
                kept = mask ^ mask >> 8 * left
                padded.append(int(value) & kept | (1 << family.bits - 1) >> 8 * left)
        return tuple(padded)

    @intrinsic(plain_pad)
    def pad(typingctx: Any, block: Any, held: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            padded = []
            for at in range(16):
                value = builder.extract_value(args[0], at)
                left = builder.sub(args[1], _I32(at * family.word))
                count = left if family.bits == 32 else builder.sext(left, word)
                # What is shifted by is masked, since a shift by all bits and more has no meaning.
                bits = builder.and_(builder.shl(count, word(3)), word(family.bits - 1))
                kept = builder.and_(value, builder.not_(builder.lshr(word(mask), bits)))
                marked = builder.or_(kept, builder.lshr(word(1 << family.bits - 1), bits))
                is_whole = builder.icmp_signed(">=", left, _I32(family.word))
                is_empty = builder.icmp_signed("<", left, _I32(0))
                rest = builder.select(is_empty, word(0), marked)
                padded.append(builder.select(is_whole, value, rest))
            return context.make_tuple(builder, signature.return_type, padded)

        return block_type(block_type, types.int32), codegen

    def plain_compress(state: Any, block: Any) -> tuple[int, ...]:
        words = ([int(value) for value in values] for values in (state, block))
        return tuple(rounds(Plain(family.bits), family, *words))

    @intrinsic(plain_compress)
    def compress(typingctx: Any, state: Any, block: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            before = [builder.extract_value(args[0], at) for at in range(8)]
            taken = [builder.extract_value(args[1], at) for at in range(16)]
            on = Llvm(builder, word, has_funnel=False)
            return context.make_tuple(
                builder, signature.return_type, rounds(on, family, before, taken)
            )

        return state_type(state_type, block_type), codegen

    def plain_differ(state: Any, block: Any, count: Any) -> int:
        ours, theirs = (
            b"".join(int(value).to_bytes(family.word, "big") for value in values)
            for values in (state, block[:8])
        )
        return int(ours[: int(count)] != theirs[: int(count)])

    @intrinsic(plain_differ)
    def differ(typingctx: Any, state: Any, block: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            found = word(0)
            for at in range(8):
                one, other = (builder.extract_value(values, at) for values in args[:2])
                different = builder.xor(one, other)
                left = builder.sub(args[2], _I32(at * family.word))
                count = left if family.bits == 32 else builder.sext(left, word)
                bits = builder.and_(builder.shl(count, word(3)), word(family.bits - 1))
                first = builder.and_(different, builder.not_(builder.lshr(word(mask), bits)))
                is_whole = builder.icmp_signed(">=", left, _I32(family.word))
                is_none = builder.icmp_signed("<=", left, _I32(0))
                rest = builder.select(is_none, word(0), first)
                found = builder.or_(found, builder.select(is_whole, different, rest))
            return found

        return number(state_type, block_type, types.int32), codegen

    return Words(load, pad, compress, differ)


def _shifted(builder: Any, low: Any, high: Any, bits: Any) -> Any:
    """Return 32 bits of two words, from a bit on: one funnel shift of the device."""
    both = builder.or_(builder.shl(builder.zext(high, _I64), _I64(32)), builder.zext(low, _I64))
    return builder.trunc(builder.lshr(both, builder.zext(bits, _I64)), _I32)


def _swapped(builder: Any, value: Any) -> Any:
    """Reverse the bytes of a word: one permutation of the device."""
    left, right = builder.shl(value, _I32(24)), builder.lshr(value, _I32(24))
    middle = builder.and_(builder.shl(value, _I32(8)), _I32(0x00FF0000))
    other = builder.and_(builder.lshr(value, _I32(8)), _I32(0x0000FF00))
    return builder.or_(builder.or_(left, middle), builder.or_(other, right))
