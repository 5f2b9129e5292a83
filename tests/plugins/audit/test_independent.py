"""An independent implementation of the same tree, pymerkle, gets the same roots."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from hauberk_plugins.audit.merkle import Frontier, leaf_hash, root


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=40), st.data())
@settings(max_examples=50)
def test_roots_are_the_same(records, data):
    tree, frontier, kept = InmemoryTree(algorithm="sha256"), Frontier(), {}
    for index, record in enumerate(records):
        tree.append_entry(record)
        for level, node in frontier.append(leaf_hash(record)):
            kept[level, index >> level] = node
    assert tree.get_root() == frontier.root
    old = data.draw(st.integers(1, len(records)))
    assert tree.get_root(old) == root(old, lambda level, place: kept[level, place])
