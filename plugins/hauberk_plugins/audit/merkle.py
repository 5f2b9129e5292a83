"""The Merkle tree of RFC 6962 (2.1): roots, and proofs that a record or an older tree is in it.

Pure arithmetic over hashes. What a tree is made of comes from a `Reader`: the hash of every
complete subtree, by its level and its place; level 0 is the leaves. A tree of any size is a row of
complete subtrees, one for each bit of the size, so nothing else needs to be kept.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

#: The root of a tree without leaves.
EMPTY: Final = sha256().digest()
HASH_BYTES: Final = 32
#: More leaves than any log has.
MAX_SIZE: Final = 1 << 62
#: So many leaves at once make a subtree of their own.
_ROW_LEVEL: Final = 8
_ROW: Final = 1 << _ROW_LEVEL

#: As `hauberk.ports.Hashes` calls them.
LEAF: Final = "rfc6962-leaf"
NODE: Final = "rfc6962-node"
#: From an algorithm, rows end to end and where each begins, and the end, to their hashes.
Digests: TypeAlias = Callable[[str, bytes, Sequence[int]], bytes]
#: From level and place to the hash of the complete subtree there.
Reader: TypeAlias = Callable[[int, int], bytes]


def leaf_hash(record: bytes) -> bytes:
    """Hash a leaf."""
    return sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: all that is needed to go on and to know the root.

    Args:
        size: How many leaves it has.
        edge: The hashes of its complete subtrees, the largest first.
    """

    __slots__ = ("_edge", "size")

    def __init__(self, size: int = 0, edge: Iterable[bytes] = ()) -> None:
        self.size = size
        self._edge = list(edge)

    @classmethod
    def of(cls, size: int, read: Reader) -> Frontier:
        """Return the frontier of the tree of the first `size` leaves."""
        return cls(size, [read(level, place) for level, place in subtrees(0, size)])

    def copy(self) -> Frontier:
        """Return one that grows apart from it."""
        return Frontier(self.size, self._edge)

    def append(self, leaf: bytes) -> list[tuple[int, bytes]]:
        """Add a leaf's hash; return the subtrees that it completes, by level, itself first."""
        completed = [(0, leaf)]
        level, node, size = 0, leaf, self.size
        while size & 1:
            node = node_hash(self._edge.pop(), node)
            level += 1
            completed.append((level, node))
            size >>= 1
        self._edge.append(node)
        self.size += 1
        return completed

    def extend(
        self,
        leaves: Sequence[bytes],
        rows: list[bytes] | None = None,
        digests: Digests | None = None,
    ) -> None:
        """Add many leaves' hashes; quicker than one by one.

        Args:
            leaves: Their hashes.
            rows: Takes the hashes of the subtrees of 256 leaves that are completed.
            digests: Hashes many nodes at once; one by one unless given.
        """
        at = 0
        while at < len(leaves):
            whole = (len(leaves) - at) // _ROW
            if self.size % _ROW or not whole:
                completed = self.append(leaves[at])
                if rows is not None and len(completed) > _ROW_LEVEL:
                    rows.append(completed[_ROW_LEVEL][1])
                at += 1
                continue
            level = _rows(leaves[at : at + whole * _ROW], digests)
            for node in level:
                size = self.size // _ROW
                if rows is not None:
                    rows.append(node)
                while size & 1:
                    node = node_hash(self._edge.pop(), node)
                    size >>= 1
                self._edge.append(node)
                self.size += _ROW
            at += whole * _ROW

    @property
    def root(self) -> bytes:
        """The root of the whole."""
        return _joined(self._edge)


def _rows(leaves: Sequence[bytes], digests: Digests | None) -> list[bytes]:
    """Return the hashes of the subtrees of 256 leaves each."""
    if digests is None:
        level = list(leaves)
        for _ in range(_ROW_LEVEL):
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        return level
    whole = b"".join(leaves)
    for _ in range(_ROW_LEVEL):
        whole = digests(NODE, whole, range(0, len(whole) + 1, 2 * HASH_BYTES))
    return [whole[at : at + HASH_BYTES] for at in range(0, len(whole), HASH_BYTES)]


def subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield level and place of the complete subtrees that make up leaves `start` to `end`.

    `start` must be a multiple of the largest power of two that is less than the rest, as it is for
    every subtree of RFC 6962; then they are as few as can be, the largest first.
    """
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def root(size: int, read: Reader) -> bytes:
    """Return the root of the first `size` leaves."""
    return _root(0, size, read)


def inclusion_proof(index: int, size: int, read: Reader) -> tuple[bytes, ...]:
    """Return the audit path of a leaf (2.1.1).

    Raises:
        ValueError: The tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            path.append(_root(split, end, read))
            end = split
        else:
            path.append(_root(start, split, read))
            start = split
    return tuple(reversed(path))


def consistency_proof(old: int, size: int, read: Reader) -> tuple[bytes, ...]:
    """Return the proof that a tree of `size` leaves begins with one of `old` (2.1.2).

    Raises:
        ValueError: The old one is empty, or larger.
    """
    if not 0 < old <= size:
        raise ValueError(f"a tree of {size} leaves does not begin with one of {old}")
    path: list[bytes] = []
    start, end, is_whole = 0, size, True
    while old != end:
        split = start + _split(end - start)
        if old <= split:
            path.append(_root(split, end, read))
            end = split
        else:
            path.append(_root(start, split, read))
            start, is_whole = split, False
    if not is_whole:
        path.append(_root(start, end, read))
    return tuple(reversed(path))


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes) -> bool:
    """Whether a path leads from a leaf's hash to a root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last = leaf, size - 1
    for step in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            node = node_hash(step, node)
            while not index & 1 and index:
                index >>= 1
                last >>= 1
        else:
            node = node_hash(node, step)
        index >>= 1
        last >>= 1
    return last == 0 and hmac.compare_digest(node, expected)


def is_consistent(
    old: int, size: int, path: Sequence[bytes], old_root: bytes, new_root: bytes
) -> bool:
    """Whether a path shows that a tree begins with an older one (RFC 9162, 2.1.4.2)."""
    if old == size:
        return not path and hmac.compare_digest(old_root, new_root)
    if not 0 < old < size:
        return False
    steps = list(path)
    if old & (old - 1) == 0:  # the old tree is one of the new one's subtrees
        steps.insert(0, old_root)
    if not steps:
        return False
    index, last = old - 1, size - 1
    while index & 1:
        index >>= 1
        last >>= 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not index & 1 and index:
                index >>= 1
                last >>= 1
        else:
            second = node_hash(second, step)
        index >>= 1
        last >>= 1
    return (
        last == 0 and hmac.compare_digest(first, old_root) and hmac.compare_digest(second, new_root)
    )


def _root(start: int, end: int, read: Reader) -> bytes:
    return _joined([read(level, place) for level, place in subtrees(start, end)])


def _joined(edge: Sequence[bytes]) -> bytes:
    if not edge:
        return EMPTY
    node = edge[-1]
    for left in reversed(edge[:-1]):
        node = node_hash(left, node)
    return node


def _split(count: int) -> int:
    """The largest power of two that is less than a count."""
    return 1 << (count - 1).bit_length() - 1
