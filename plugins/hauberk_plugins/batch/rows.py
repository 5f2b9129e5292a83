"""Rows of a batch to digests and verdicts: sorted by length, laid out in lanes, compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from attrs import frozen
from numba import njit

from hauberk.batch import Finding
from hauberk_plugins.batch.lanes import equal_of, lanes_of, prefetch
from hauberk_plugins.sha2.family import Family

MISMATCH: Final = int(Finding.MISMATCH)
VALID: Final = int(Finding.VALID)
OFFSETS: Final = int(Finding.OFFSETS)
UNKNOWN_KEY: Final = int(Finding.UNKNOWN_KEY)
SIGNATURE: Final = int(Finding.SIGNATURE)
#: Block counts up to this are told apart when rows are sorted; what is longer stands behind them.
SORTED: Final = 64
NEVER: Final = 1 << 62
#: Bytes of signatures that are compared at once: every digest has a multiple of them.
STEP: Final = 16


@frozen
class Rows:
    """The compiled functions of one family and number of lanes."""

    verify: Callable[..., Any]
    digest: Callable[..., Any]
    first_blocks: Callable[..., Any]
    bare: Callable[..., Any]


def rows_of(family: Family, count: int, cached: Callable[[Any], Any] = lambda made: made) -> Rows:
    """Make the functions of a family for a number of lanes.

    Args:
        family: The family; of which hash a digest is, its functions are told by its size.
        count: The lanes.
        cached: Gives a function of numba's where it keeps what it was compiled to.
    """
    size, word = family.block, family.word
    is_wide = family.bits == 64
    lanes = lanes_of(family, count)
    load, load_tail, gather = lanes.load, lanes.load_tail, lanes.gather
    emitted, store = lanes.compress, lanes.store
    kind = np.uint64 if is_wide else np.uint32
    ones = kind(2**family.bits - 1)
    zero, mark = kind(0), kind(1 << (family.bits - 1))
    # A block more is begun by what the mark and the length do not leave room for.
    blocks_room = 2 * word + 1 + size - 1
    size_shift = size.bit_length() - 1
    all_kept = kind(2 ** (family.bits - 8) - 1)
    prefix_shift = kind(family.bits - 8)
    equal = equal_of(STEP)

    def compiled(function):
        # Of what is compiled, names are all that tells one number of lanes from another: two that
        # bear the same would be taken for one where both come from the cache.
        function.__qualname__ = f"{function.__name__}_{count}x{family.bits}"
        return njit(nogil=True)(function)

    @compiled
    def compress(state_at, block_at, active_at):
        """Stand between the rounds, which are long, and those who need them: compiled once."""
        emitted(state_at, block_at, active_at)

    @compiled
    def sort(starts, ends, rows, order):
        """Sort rows by their number of blocks; all of those given are in bounds."""
        places = np.zeros(SORTED + 2, np.int64)
        for place in range(len(rows)):
            row = rows[place]
            blocks = (ends[row] - starts[row] + blocks_room) >> size_shift
            places[min(blocks, SORTED) + 1] += 1
        for blocks in range(SORTED + 1):
            places[blocks + 1] += places[blocks]
        for place in range(len(rows)):
            row = rows[place]
            blocks = min((ends[row] - starts[row] + blocks_room) >> size_shift, SORTED)
            order[places[blocks]] = row
            places[blocks] += 1

    @compiled
    def digest(messages, starts, ends, rows, prefix, is_keyed, key_of, states, hash_size, digests):
        """Write the digest of each row of `rows` to `digests`, at the row's own place.

        Args:
            messages: Bytes.
            starts: Of each row, in `messages`.
            ends: Of each row; the caller has checked that all are in order and in bounds.
            rows: Which rows.
            prefix: A byte before each message, or -1.
            is_keyed: Whether it is an HMAC: `states` holds the inner and the outer state of each
                key; else the first eight words of its first row are where all start.
            key_of: Of each row, a row of `states`; in bounds.
            states: Sixteen words a row.
            hash_size: Bytes of a digest.
            digests: Eight words a row, the bytes in order.
        """
        digest_words = hash_size // word
        order = np.empty(len(rows), np.int64)
        sort(starts, ends, rows, order)
        begin = np.int64(messages.ctypes.data)
        end = begin + len(messages)
        digests_at = np.int64(digests.ctypes.data)
        states_at = np.int64(states.ctypes.data)
        lead = 1 if prefix >= 0 else 0
        prior = size if is_keyed else 0
        at = np.empty(count, np.int64)
        start = np.empty(count, np.int64)
        length = np.empty(count, np.int64)
        blocks_of = np.empty(count, np.int64)
        held = np.empty(count, np.uint8)
        slots = np.zeros((count, size), np.uint8)
        block = np.empty((16, count), kind)
        outer = np.zeros((16, count), kind)
        outer[digest_words] = mark
        outer[15] = kind(8 * (size + hash_size))
        state = np.empty((16, count), kind)
        active = np.empty(count, kind)
        at_at = np.int64(at.ctypes.data)
        held_at = np.int64(held.ctypes.data)
        block_at = np.int64(block.ctypes.data)
        outer_at = np.int64(outer.ctypes.data)
        inner_state_at = np.int64(state.ctypes.data)
        outer_state_at = inner_state_at + 8 * count * word
        active_at = np.int64(active.ctypes.data)
        slots_at = np.int64(slots.ctypes.data)
        for group in range(0, len(order), count):
            for lane in range(count):
                row = order[min(group + lane, len(order) - 1)]
                start[lane] = begin + starts[row] - lead
                length[lane] = ends[row] - starts[row] + lead
                at[lane] = states_at + (key_of[row] * 16 * word if is_keyed else 0)
                if group + count + lane < len(order):
                    # Sorted by length, rows lie anywhere: the next ones come while these are done.
                    row = order[group + count + lane]
                    for place in range(starts[row], ends[row], 64):
                        prefetch(begin + place)
            gather(at_at, inner_state_at)
            most, least, whole, furthest = 0, NEVER, NEVER, 0
            for lane in range(count):
                blocks_of[lane] = (length[lane] + blocks_room) >> size_shift
                most = max(most, blocks_of[lane])
                least = min(least, blocks_of[lane])
                whole = min(whole, length[lane] >> size_shift)
                furthest = max(furthest, start[lane])
            active[:] = ones
            for number in range(most):
                base = number << size_shift
                for lane in range(count):
                    at[lane] = start[lane] + base
                if number < whole and (number or not lead):
                    load(at_at, block_at)
                else:
                    for lane in range(count):
                        held[lane] = min(max(length[lane] - base, -1), size) + 1
                    if furthest + base + size > end or (lead and not number):
                        # What would be read beyond the ends of the messages is read from a slot.
                        for lane in range(count):
                            left = np.int64(held[lane]) - 1
                            if left > 0 and (at[lane] < begin or at[lane] + size > end):
                                for byte in range(left):
                                    place = at[lane] + byte - begin
                                    slots[lane, byte] = messages[place] if place >= 0 else 0
                            if left <= 0 or at[lane] < begin or at[lane] + size > end:
                                at[lane] = slots_at + lane * size
                    load_tail(at_at, held_at, block_at)
                    if lead and not number:
                        for lane in range(count):
                            block[0, lane] = (block[0, lane] & all_kept) | kind(
                                prefix
                            ) << prefix_shift
                    if number >= least - 1:
                        for lane in range(count):
                            bits = (length[lane] + prior) * 8
                            is_last = number == blocks_of[lane] - 1
                            if is_wide:
                                block[15, lane] |= kind(bits) if is_last else zero
                            else:
                                block[14, lane] |= kind(bits >> 32) if is_last else zero
                                block[15, lane] |= kind(bits & 0xFFFFFFFF) if is_last else zero
                if number >= least:
                    for lane in range(count):
                        active[lane] = ones if number < blocks_of[lane] else zero
                compress(inner_state_at, block_at, active_at)
            for lane in range(count):
                at[lane] = digests_at + order[min(group + lane, len(order) - 1)] * 8 * word
            if is_keyed:
                outer[:digest_words] = state[:digest_words]
                active[:] = ones
                compress(outer_state_at, outer_at, active_at)
                store(outer_state_at, at_at)
            else:
                store(inner_state_at, at_at)

    @compiled
    def verify(
        messages,
        message_offsets,
        signatures,
        signature_offsets,
        indices,
        states,
        is_keyed,
        prefix,
        least,
        hash_size,
        findings,
    ):
        """Write a `Finding` for each row.

        Args:
            messages: Bytes.
            message_offsets: Of the rows, one more than there are.
            signatures: Bytes.
            signature_offsets: Of the rows.
            indices: Of the rows, into `states`.
            states: As `digest` takes them.
            is_keyed: As `digest` takes it.
            prefix: As `digest` takes it.
            least: Bytes of the shortest signature.
            hash_size: Bytes of the longest, which is the digest.
            findings: One byte a row, written.
        """
        total = len(indices)
        rows = np.empty(total, np.int64)
        good = 0
        for row in range(total):
            start, end = message_offsets[row], message_offsets[row + 1]
            first, last = signature_offsets[row], signature_offsets[row + 1]
            if (
                start < 0
                or end < start
                or end > len(messages)
                or first < 0
                or last < first
                or last > len(signatures)
            ):
                findings[row] = OFFSETS
            elif is_keyed and (indices[row] < 0 or indices[row] >= len(states)):
                findings[row] = UNKNOWN_KEY
            elif last - first < least or last - first > hash_size:
                findings[row] = SIGNATURE
            else:
                findings[row] = MISMATCH
                rows[good] = row
                good += 1
        rows = rows[:good]
        words = np.empty((total, 8), kind)
        digest(
            messages,
            message_offsets[:-1],
            message_offsets[1:],
            rows,
            prefix,
            is_keyed,
            indices,
            states,
            hash_size,
            words,
        )
        octets = words.view(np.uint8)
        words_at = np.int64(words.ctypes.data)
        signatures_at = np.int64(signatures.ctypes.data)
        for row in rows:
            first = signature_offsets[row]
            if signature_offsets[row + 1] - first == hash_size:
                is_same = True
                for at in range(0, hash_size, STEP):
                    ours, theirs = words_at + row * 8 * word + at, signatures_at + first + at
                    is_same = equal(ours, theirs) and is_same
            else:
                different = np.uint8(0)
                for byte in range(signature_offsets[row + 1] - first):
                    different |= octets[row, byte] ^ signatures[first + byte]
                is_same = different == 0
            findings[row] = VALID if is_same else MISMATCH

    @compiled
    def first_blocks(blocks, initial, states):
        """Compress one whole block a row, each from the same state; write eight words a row."""
        at = np.empty(count, np.int64)
        block = np.empty((16, count), kind)
        state = np.empty((8, count), kind)
        active = np.full(count, ones, kind)
        blocks_at = np.int64(blocks.ctypes.data)
        for group in range(0, len(blocks), count):
            for lane in range(count):
                at[lane] = blocks_at + min(group + lane, len(blocks) - 1) * size
                for number in range(8):
                    state[number, lane] = initial[number]
            load(np.int64(at.ctypes.data), np.int64(block.ctypes.data))
            compress(
                np.int64(state.ctypes.data),
                np.int64(block.ctypes.data),
                np.int64(active.ctypes.data),
            )
            for lane in range(min(count, len(blocks) - group)):
                for number in range(8):
                    states[group + lane, number] = state[number, lane]

    @compiled
    def bare(times, state, block, active):
        """Compress and do nothing else: what the lanes can do at most."""
        for _ in range(times):
            compress(
                np.int64(state.ctypes.data),
                np.int64(block.ctypes.data),
                np.int64(active.ctypes.data),
            )

    return Rows(cached(verify), cached(digest), cached(first_blocks), cached(bare))
