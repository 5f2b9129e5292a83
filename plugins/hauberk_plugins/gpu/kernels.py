"""The kernels: a thread a row, from its bytes to its finding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from hauberk.batch import Finding
from hauberk_plugins.gpu.shim import cuda, jit, types
from hauberk_plugins.gpu.slots import LEAD
from hauberk_plugins.gpu.words import words_of
from hauberk_plugins.sha2.family import Family, Hash

MISMATCH: Final = int(Finding.MISMATCH)
VALID: Final = int(Finding.VALID)
UNKNOWN_KEY: Final = int(Finding.UNKNOWN_KEY)
SIGNATURE: Final = int(Finding.SIGNATURE)


def verify_of(hash_: Hash) -> Callable[..., Any]:
    """Make the kernel that verifies rows by a hash."""
    family = hash_.family
    words = words_of(family)
    load, pad, compress, differ = words.load, words.pad, words.compress, words.differ
    size, size_shift = family.block, family.block.bit_length() - 1
    room = 2 * family.word + 1 + size - 1
    hash_size, digest_words = hash_.size, hash_.size // family.word
    number = np.uint32 if family.bits == 32 else np.uint64
    is_wide = family.bits == 64
    outer_bits = number(8 * (size + hash_.size))
    mark, zero = number(1 << family.bits - 1), number(0)
    kept, shift = number(2 ** (family.bits - 8) - 1), number(family.bits - 8)

    @jit
    def verify(
        messages,
        message_offsets,
        signatures,
        signature_offsets,
        indices,
        states,
        keys,
        rows,
        is_keyed,
        prefix,
        least,
        rejected,
        counts,
    ):
        """Note each row that is not valid: its number and the finding, in one number.

        Args:
            messages: 32-bit words; the first row's bytes begin `LEAD` bytes in.
            message_offsets: Of the rows, in bytes from the first; the caller has seen to it that
                they rise, and lie within.
            signatures: As `messages`.
            signature_offsets: As `message_offsets`.
            indices: Of the rows, into `states`; whatever they are.
            states: Sixteen words a key: the inner state, the outer.
            keys: How many there are.
            rows: How many there are: columns are as long as the longest chunk.
            is_keyed: Whether it is an HMAC; else all rows begin with the first state.
            prefix: A byte before each message, or -1.
            least: Bytes of the shortest signature.
            rejected: Written: 8 * row + finding, in any order.
            counts: Added to: how many were rejected, and of how many rows.
        """
        row = cuda.grid(1)
        finding = VALID
        if row < rows:
            key = np.int64(indices[row]) if is_keyed else np.int64(0)
            tag_at = np.int64(signature_offsets[row])
            tag_size = np.int64(signature_offsets[row + 1]) - tag_at
            if key < 0 or key >= keys:
                finding = UNKNOWN_KEY
            elif tag_size < least or tag_size > hash_size:
                finding = SIGNATURE
            else:
                lead = 1 if prefix >= 0 else 0
                start = LEAD + np.int64(message_offsets[row]) - lead
                length = np.int64(message_offsets[row + 1]) + LEAD - start
                bits = (length + (size if is_keyed else 0)) * 8
                blocks = (length + room) >> size_shift
                at = key * 16
                state = (
                    states[at],
                    states[at + 1],
                    states[at + 2],
                    states[at + 3],
                    states[at + 4],
                    states[at + 5],
                    states[at + 6],
                    states[at + 7],
                )
                for turn in range(blocks):
                    block = load(messages, start + turn * size)
                    if turn == 0 and lead:
                        block = ((block[0] & kept) | number(prefix) << shift,) + block[1:]
                    left = length - turn * size
                    if left < size:
                        block = pad(block, np.int32(max(left, -1)))
                    if turn == blocks - 1:
                        if is_wide:
                            block = block[:15] + (number(bits),)
                        else:
                            low = number(bits & 0xFFFFFFFF)
                            block = block[:14] + (number(bits >> 32), low)
                    state = compress(state, block)
                if is_keyed:
                    outer = (
                        states[at + 8],
                        states[at + 9],
                        states[at + 10],
                        states[at + 11],
                        states[at + 12],
                        states[at + 13],
                        states[at + 14],
                        states[at + 15],
                    )
                    if digest_words == 8:
                        rest = (mark, zero, zero, zero, zero, zero, zero, outer_bits)
                        block = state + rest
                    else:
                        rest = (mark, zero, zero, zero, zero, zero, zero, zero, zero, outer_bits)
                        block = state[:6] + rest
                    state = compress(outer, block)
                tag = load(signatures, LEAD + tag_at)
                if differ(state, tag, np.int32(tag_size)) != zero:
                    finding = MISMATCH
            if finding != VALID:
                place = cuda.atomic.add(counts, 0, 1)
                rejected[place] = 8 * row + finding
        seen = cuda.syncthreads_count(1 if row < rows else 0)
        if cuda.threadIdx.x == 0:
            cuda.atomic.add(counts, 1, seen)

    return verify


def states_of(hash_: Hash) -> Callable[..., Any]:
    """Make the kernel that computes the states of keys."""
    family = hash_.family
    words = words_of(family)
    load, compress = words.load, words.compress
    size = family.block

    @jit
    def states(blocks, initial, count, written):
        """Compress a block a thread, each from the same state.

        Args:
            blocks: 32-bit words; the first block begins `LEAD` bytes in.
            initial: Eight words.
            count: How many blocks there are.
            written: Eight words a block, written.
        """
        turn = cuda.grid(1)
        if turn >= count:
            return
        state = (
            initial[0],
            initial[1],
            initial[2],
            initial[3],
            initial[4],
            initial[5],
            initial[6],
            initial[7],
        )
        state = compress(state, load(blocks, np.int64(LEAD + turn * size)))
        at = 8 * turn
        written[at] = state[0]
        written[at + 1] = state[1]
        written[at + 2] = state[2]
        written[at + 3] = state[3]
        written[at + 4] = state[4]
        written[at + 5] = state[5]
        written[at + 6] = state[6]
        written[at + 7] = state[7]

    return states


def types_of(family: Family) -> dict[str, tuple[Any, ...]]:
    """Return what the kernels take, in numba's types: to compile them where there is no device."""
    raw, narrow, wide = (
        types.Array(kind, 1, "C") for kind in (types.uint32, types.int32, types.int64)
    )
    words = types.Array(types.uint32 if family.bits == 32 else types.uint64, 1, "C")
    size, yes = types.int64, types.boolean
    return {
        "verify": (
            *(raw, narrow, raw, narrow, narrow, words),
            *(size, size, yes, size, size, wide, narrow),
        ),
        "states": (raw, words, size, words),
    }
