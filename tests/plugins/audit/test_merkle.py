"""The Merkle tree, against the definition in RFC 6962 and its published examples."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.audit.merkle import (
    EMPTY,
    Frontier,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    root,
)


def defined_root(records):
    """MTH, word by word as in RFC 6962, 2.1."""
    if not records:
        return sha256().digest()
    if len(records) == 1:
        return sha256(b"\x00" + records[0]).digest()
    k = 1
    while k * 2 < len(records):
        k *= 2
    left, right = defined_root(records[:k]), defined_root(records[k:])
    return sha256(b"\x01" + left + right).digest()


def reader(records):
    def read(level, place):
        start = place << level
        assert start + (1 << level) <= len(records), "only complete subtrees are kept"
        return defined_root(records[start : start + (1 << level)])

    return read


RECORDS = [bytes([n]) * (n % 5) for n in range(70)]
sizes = st.integers(0, len(RECORDS))


#: The test vectors of certificate-transparency's own tree.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        *("", "00", "10", "2021", "3031", "40414243"),
        *("5051525354555657", "606162636465666768696a6b6c6d6e6f"),
    )
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots_are_reached(size):
    frontier = Frontier()
    for record in LEAVES[:size]:
        frontier.append(leaf_hash(record))
    assert frontier.root.hex() == ROOTS[size - 1]
    assert root(size, reader(LEAVES)).hex() == ROOTS[size - 1]


def test_an_empty_tree_has_the_hash_of_nothing():
    assert Frontier().root == EMPTY == defined_root([])


@given(sizes)
def test_a_frontier_grows_to_the_defined_root_and_tells_every_subtree(size):
    frontier, kept = Frontier(), {}
    for record in RECORDS[:size]:
        for level, node in frontier.append(leaf_hash(record)):
            kept[level, sum(at == level for at, _ in kept)] = node
    assert frontier.root == defined_root(RECORDS[:size])
    read = reader(RECORDS[:size])
    assert kept == {
        (level, place): read(level, place) for level in range(7) for place in range(size >> level)
    }
    again = Frontier.of(size, lambda level, place: kept[level, place])
    again.append(leaf_hash(b"more"))
    assert again.root == defined_root([*RECORDS[:size], b"more"])


@given(st.lists(st.integers(0, 700), max_size=4))
def test_many_leaves_at_once_make_the_same_tree(counts):
    one_by_one, at_once = Frontier(), Frontier()
    for number, count in enumerate(counts):
        leaves = [leaf_hash(b"%d %d" % (number, k)) for k in range(count)]
        for leaf in leaves:
            one_by_one.append(leaf)
        at_once.extend(leaves)
        assert (at_once.size, at_once.root) == (one_by_one.size, one_by_one.root)


@given(st.data())
def test_every_leaf_is_proved_and_no_other_passes_for_it(data):
    size = data.draw(st.integers(1, len(RECORDS)))
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(index, size, reader(RECORDS))
    expected, leaf = defined_root(RECORDS[:size]), leaf_hash(RECORDS[index])
    assert is_included(leaf, index, size, path, expected)
    assert not is_included(leaf_hash(b"forged"), index, size, path, expected)
    other = data.draw(st.integers(-1, size + 1).filter(lambda n: n != index))
    assert not is_included(leaf, other, size, path, expected)
    assert not is_included(leaf, index, size, (*path, leaf), expected)
    if path:
        assert not is_included(leaf, index, size, path[:-1], expected)


@given(st.data())
def test_an_older_tree_is_proved_and_another_is_not(data):
    size = data.draw(st.integers(1, len(RECORDS)))
    old = data.draw(st.integers(1, size))
    path = consistency_proof(old, size, reader(RECORDS))
    before, after = defined_root(RECORDS[:old]), defined_root(RECORDS[:size])
    assert is_consistent(old, size, path, before, after)
    rewritten = defined_root([*RECORDS[: old - 1], b"rewritten"])
    assert not is_consistent(old, size, path, rewritten, after)
    assert not is_consistent(old, size, path, before, rewritten)
    assert not is_consistent(old, size, (*path, before), before, after)
    if path:
        assert not is_consistent(old, size, path[:-1], before, after)
        assert not is_consistent(old, size, path[1:], before, after)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_there_is_no_proof_of_what_is_not_there(index, size):
    with pytest.raises(ValueError, match="has no leaf"):
        inclusion_proof(index, size, reader(RECORDS))


@pytest.mark.parametrize(("old", "size"), [(0, 3), (4, 3), (-1, 3)])
def test_there_is_no_proof_of_a_beginning_that_is_none(old, size):
    with pytest.raises(ValueError, match="does not begin"):
        consistency_proof(old, size, reader(RECORDS))
    assert not is_consistent(old, size, (), EMPTY, EMPTY)
