"""The port `hashes`: what the engine hashes is checked, and what is not worth loading it is not."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.testing import PlainHashes
from hauberk_plugins.batch import hashing
from hauberk_plugins.batch.cpu import CpuEngine
from hauberk_plugins.batch.hashing import Hasher

ALGORITHMS = {"sha256": b"", "rfc6962-leaf": b"\0", "rfc6962-node": b"\1"}


def fails(title: str, details: Any) -> None:
    pytest.fail(title)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "WORTH_LOADING", 20)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(rows=st.lists(st.binary(max_size=70), max_size=60))
def test_every_hash_is_hashlibs(engine: CpuEngine, algorithm: str, rows: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hashing, "WORTH_LOADING", 20)
        hasher = Hasher(lambda: engine, fails, Random(1))
        data, offsets = b"".join(rows), [0]
        for row in rows:
            offsets.append(offsets[-1] + len(row))
        wanted = b"".join(hashlib.sha256(ALGORITHMS[algorithm] + row).digest() for row in rows)
        assert hasher.digests(algorithm, data, offsets) == wanted
        assert PlainHashes().digests(algorithm, data, offsets) == wanted


def test_an_engine_is_loaded_once_there_were_rows_enough(loads: None, engine: CpuEngine) -> None:
    made = []
    hasher = Hasher(lambda: made.append(engine) or engine, fails)
    for count in (10, 9, 1):
        assert not made
        hasher.digests("sha256", bytes(count), range(count + 1))
    assert made == [engine]
    hasher.digests("sha256", bytes(100), range(101))
    assert made == [engine]


def test_one_that_cannot_be_had_is_done_without(loads: None) -> None:
    hasher = Hasher(lambda: None, fails)
    for _ in range(3):
        found = hasher.digests("sha256", bytes(50), range(51))
        assert found == hashlib.sha256(b"\0").digest() * 50


def test_one_that_hashes_wrongly_is_reported_and_not_believed(loads: None) -> None:
    class Lying:
        def hash(self, algorithm: str, data: bytes, offsets: Any) -> bytes:
            right = PlainHashes().digests(algorithm, data, offsets)
            return bytes(byte ^ 1 for byte in right)

    told: list[str] = []
    hasher = Hasher(Lying, lambda title, details: told.append(title))
    data, offsets = bytes(range(100)), range(0, 101, 2)
    wanted = [hashlib.sha256(data[a:b]).digest() for a, b in pairwise(offsets)]
    for _ in range(2):
        assert hasher.digests("sha256", data, offsets) == b"".join(wanted)
    assert told == ["engine cpu hashed wrongly"]
