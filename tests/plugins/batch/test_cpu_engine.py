"""The CPU's engine against hashlib: every row of every batch, whatever stands in its columns."""

from __future__ import annotations

import hashlib
import hmac
from array import array
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.batch.rows import EDGES, HASHED, batches, sign

from hauberk.batch import Finding, SignedBatch
from hauberk_plugins.batch.cpu import CpuEngine
from hauberk_plugins.batch.reference import ReferenceEngine
from hauberk_plugins.sha2.family import SHA256, SHA384, SHA512


@pytest.mark.parametrize("algorithm", HASHED)
@given(data=st.data())
def test_it_finds_what_the_reference_finds(
    engine: CpuEngine, reference: ReferenceEngine, algorithm: str, data: st.DataObject
) -> None:
    batch = data.draw(batches(algorithm))
    assert engine.verify(batch) == reference.verify(batch)


@pytest.mark.parametrize("algorithm", HASHED)
def test_every_length_around_the_edges_of_blocks(engine: CpuEngine, algorithm: str) -> None:
    random = Random(7)
    lengths = [*EDGES, *range(300), 65_535, 65_536]
    random.shuffle(lengths)
    keys = [random.randbytes(size) for size in (0, 1, 64, 65, 128, 129, 1_000)]
    rows = []
    for number, length in enumerate(lengths):
        message, index = random.randbytes(length), number % len(keys)
        rows.append((message, sign(algorithm, keys[index], message), index))
    assert engine.verify(SignedBatch.of(algorithm, rows, keys)) == b"\1" * len(rows)


@pytest.mark.parametrize("algorithm", HASHED)
def test_each_flipped_bit_is_caught(engine: CpuEngine, algorithm: str) -> None:
    message, key = bytes(range(100)), b"key"
    tag = sign(algorithm, key, message)
    rows = [(message, tag, 0)]
    for number in range(8 * len(tag)):
        rows.append((message, _flipped(tag, number), 0))
    for number in range(8 * len(message)):
        rows.append((_flipped(message, number), tag, 0))
    found = engine.verify(SignedBatch.of(algorithm, rows, [key]))
    assert found == b"\1" + b"\0" * (len(rows) - 1)


@given(data=st.data())
def test_order_chunks_and_threads_change_nothing(
    compiled, engine: CpuEngine, data: st.DataObject
) -> None:
    batch = data.draw(batches("hmac-sha256"))
    found = engine.verify(batch)
    rows = [batch.row(number) for number in range(len(batch))]
    good = [number for number, row in enumerate(rows) if not isinstance(row, Finding)]
    order = data.draw(st.permutations(good))
    shuffled = SignedBatch.of(
        batch.algorithm,
        [(bytes(rows[n][0]), bytes(rows[n][1]), batch.key_indices[n]) for n in order],
        batch.keys,
    )
    assert engine.verify(shuffled) == bytes(found[number] for number in order)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("hauberk_plugins.batch.cpu.CHUNK", data.draw(st.integers(1, 7)))
        assert engine.verify(batch) == found


def test_a_hundred_thousand_keys(engine: CpuEngine) -> None:
    random = Random(3)
    keys = [random.randbytes(random.choice((16, 32, 64, 100))) for _ in range(100_000)]
    rows = []
    for index in random.sample(range(len(keys)), 500):
        message = random.randbytes(50)
        rows.append((message, hmac.digest(keys[index], message, "sha256"), index))
    assert engine.verify(SignedBatch.of("hmac-sha256", rows, keys)) == b"\1" * 500


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 100, 1_000])
def test_roots_are_those_of_rfc_6962(engine: CpuEngine, size: int) -> None:
    random = Random(size)
    lines = [random.randbytes(random.randrange(0, 200)) for _ in range(size)]
    offsets = np.cumsum([0, *map(len, lines)], dtype=np.int64)
    data = np.frombuffer(b"".join(lines), np.uint8)
    assert engine.root(data, offsets) == _root(lines)


@pytest.mark.parametrize("hash_", [SHA256, SHA384, SHA512], ids=lambda hash_: hash_.name)
def test_digests_are_hashlibs(engine: CpuEngine, hash_) -> None:
    lines = [bytes([n % 256]) * n for n in range(300)]
    offsets = np.cumsum([0, *map(len, lines)], dtype=np.int64)
    found = engine.digests(np.frombuffer(b"".join(lines), np.uint8), offsets, hash_=hash_)
    assert [row.tobytes() for row in found] == [hashlib.new(hash_.name, n).digest() for n in lines]


@pytest.mark.parametrize("offsets", [[0, 5, 3], [-1, 2], [0, 11], []])
def test_offsets_out_of_the_data_are_refused(engine: CpuEngine, offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets"):
        engine.digests(np.zeros(10, np.uint8), np.array(offsets, np.int64))


def test_columns_may_be_of_any_kind_of_buffer(engine: CpuEngine) -> None:
    tags = hmac.digest(b"k", b"ab", "sha256") + hmac.digest(b"k", b"", "sha256")
    made = [
        SignedBatch(
            "hmac-sha256", data, kind([0, 2, 2]), tags, kind([0, 32, 64]), kind([0, 0]), [b"k"]
        )
        for data in (b"ab", bytearray(b"ab"), memoryview(b"ab"), np.frombuffer(b"ab", np.uint8))
        for kind in (tuple, lambda n: array("q", n), lambda n: np.array(n, np.int64))
    ]
    assert {engine.verify(batch) for batch in made} == {b"\1\1"}


def test_what_it_does_not_do_it_passes(engine: CpuEngine) -> None:
    assert engine.verify(SignedBatch.of("ed25519", [], [])) is None


def _flipped(value: bytes, number: int) -> bytes:
    changed = bytearray(value)
    changed[number // 8] ^= 1 << number % 8
    return bytes(changed)


def _root(lines: list[bytes]) -> bytes:
    if len(lines) < 2:
        return hashlib.sha256(b"\0" + lines[0] if lines else b"").digest()
    half = 1 << (len(lines) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + _root(lines[:half]) + _root(lines[half:])).digest()
