"""The engine and its kernels against the reference, on a GPU or its simulator.

`test_on_devices.py` runs this, in a process of its own: which of the two it is stands in the
environment before numba is imported. Batches are small, since the simulator's threads are real.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plugins.batch.rows import EDGES, HASHED, batches, sign

from hauberk.batch import Finding, SignedBatch
from hauberk_plugins.batch.reference import ReferenceEngine
from hauberk_plugins.gpu.device import CudaDevice
from hauberk_plugins.gpu.engine import CudaEngine

KEYED = [name for name in HASHED if name.startswith("hmac")]
Make = Callable[..., CudaEngine]


@pytest.fixture(scope="module")
def make() -> Make:
    device = CudaDevice()

    def made(chunk_bytes: int = 1 << 18, chunk_rows: int = 64) -> CudaEngine:
        return CudaEngine(device, chunk_bytes, chunk_rows)

    return made


@pytest.fixture(scope="module")
def reference() -> ReferenceEngine:
    return ReferenceEngine(threads=1)


@pytest.mark.parametrize("algorithm", HASHED)
def test_every_length_around_the_edges_of_blocks(make: Make, algorithm: str) -> None:
    random = Random(7)
    lengths = [*EDGES, *range(16), 1_000]
    random.shuffle(lengths)
    keys = [random.randbytes(size) for size in (0, 1, 63, 64, 65, 127, 128, 129, 1_000)]
    rows = []
    for number, length in enumerate(lengths):
        message, index = random.randbytes(length), number % len(keys)
        rows.append((message, sign(algorithm, keys[index], message), index))
    assert make().verify(SignedBatch.of(algorithm, rows, keys)) == b"\1" * len(rows)


@pytest.mark.parametrize("algorithm", ["hmac-sha256", "hmac-sha512"])
def test_the_longest_message(make: Make, algorithm: str) -> None:
    message = Random(1).randbytes(1 << 16)
    rows = [(message, sign(algorithm, b"key", message), 0), (message, bytes(32), 0)]
    assert make().verify(SignedBatch.of(algorithm, rows, [b"key"])) == b"\1\0"


@pytest.mark.parametrize("algorithm", HASHED)
def test_a_column_that_is_full_to_its_last_byte_is_not_read_beyond(
    make: Make, algorithm: str
) -> None:
    for length in (1, 47, 55, 56, 63, 64, 111, 112, 127, 128, 129):
        message = bytes(range(length))
        tag = sign(algorithm, b"k", message)
        batch = SignedBatch.of(algorithm, [(message, tag, 0)], [b"k"])
        assert make(length, 1).verify(batch) == b"\1", length


@pytest.mark.parametrize("algorithm", HASHED)
def test_wrong_rows_among_right_ones(
    make: Make, reference: ReferenceEngine, algorithm: str
) -> None:
    random, keys = Random(2), [b"one", b"two", b"x" * 200]
    rows = []
    for number in range(60):
        message, index = random.randbytes(random.randrange(200)), number % 3
        tag = sign(algorithm, keys[index], message)
        half = len(tag) // 2
        wrong = (
            tag,
            tag[:-1],
            tag[:half],
            tag[: half - 1],
            tag[:half] + b"\0" * half,
            tag + b"\0",
            tag + tag * 3,
            b"",
            bytes(len(tag)),
        )
        rows.append((message, wrong[number % len(wrong)], index))
    for number, index in enumerate((-1, 3, 4, -(2**63), 2**63 - 1, 2**31, 2**32, 2**60)):
        message = random.randbytes(30)
        rows.append((message, sign(algorithm, keys[number % 3], message), index))
    random.shuffle(rows)
    batch = SignedBatch.of(algorithm, rows, keys)
    found = make(chunk_rows=9).verify(batch)
    assert found == reference.verify(batch)
    assert 0 < found.count(Finding.VALID) < len(rows)


@pytest.mark.parametrize("algorithm", HASHED)
def test_each_flipped_bit_is_caught(make: Make, algorithm: str) -> None:
    message, key = bytes(range(70)), b"key"
    tag = sign(algorithm, key, message)
    rows = [(message, tag, 0)]
    rows += [(message, _flipped(tag, bit), 0) for bit in range(0, 8 * len(tag), 3)]
    rows += [(_flipped(message, bit), tag, 0) for bit in range(0, 8 * len(message), 7)]
    found = make(chunk_rows=256).verify(SignedBatch.of(algorithm, rows, [key]))
    assert found == b"\1" + b"\0" * (len(rows) - 1)


@pytest.mark.parametrize("size", [12, 17, 31])
def test_of_a_cut_tag_every_bit_counts_and_no_other(make: Make, size: int) -> None:
    tag = sign("hmac-sha256", b"k", b"message")[:size]
    rows = [(b"message", tag, 0)]
    rows += [(b"message", _flipped(tag, bit), 0) for bit in range(8 * size - 9, 8 * size)]
    # What follows in the column is the next row's: no part of this tag.
    found = make().verify(SignedBatch.of("hmac-sha256", rows, [b"k"]))
    assert found == (b"\1" + b"\0" * 9 if size >= 16 else b"\4" * 10)


@pytest.mark.parametrize("algorithm", HASHED)
@pytest.mark.parametrize("kind", ["good", "bad"])
def test_all_rows_alike(make: Make, algorithm: str, kind: str) -> None:
    tag = sign(algorithm, b"k", b"same")
    rows = [(b"same", tag if kind == "good" else bytes(len(tag)), 0)] * 40
    found = make(chunk_rows=7).verify(SignedBatch.of(algorithm, rows, [b"k"]))
    assert found == (b"\1" if kind == "good" else b"\0") * 40


@pytest.mark.parametrize("algorithm", HASHED)
def test_a_batch_of_no_rows(make: Make, algorithm: str) -> None:
    assert make().verify(SignedBatch.of(algorithm, [], [b"k"])) == b""


@pytest.mark.parametrize("algorithm", KEYED)
def test_a_batch_of_no_keys(make: Make, algorithm: str) -> None:
    rows = [(b"", sign(algorithm, b"", b""), index) for index in (0, 1, -1)]
    found = make().verify(SignedBatch.of(algorithm, rows, []))
    assert found == bytes([Finding.UNKNOWN_KEY]) * 3


def test_batches_one_after_the_other_leave_nothing_behind(
    make: Make, reference: ReferenceEngine
) -> None:
    engine, random = make(chunk_rows=5, chunk_bytes=400), Random(5)
    for algorithm in (*HASHED, *reversed(HASHED)):
        keys = [random.randbytes(random.randrange(150)) for _ in range(random.randrange(1, 9))]
        rows = []
        for _ in range(random.randrange(20)):
            index, message = random.randrange(len(keys)), random.randbytes(random.randrange(150))
            tag = sign(algorithm, keys[index], message)
            rows.append((message, random.choice((tag, tag, bytes(32), b"")), index))
        batch = SignedBatch.of(algorithm, rows, keys)
        assert engine.verify(batch) == reference.verify(batch)


def test_many_keys(make: Make) -> None:
    random = Random(3)
    keys = [random.randbytes(random.choice((16, 32, 64, 100))) for _ in range(70)]
    rows = [(b"m", sign("hmac-sha256", key, b"m"), index) for index, key in enumerate(keys)]
    assert make().verify(SignedBatch.of("hmac-sha256", rows, keys)) == b"\1" * 70


@pytest.mark.parametrize("algorithm", HASHED)
@settings(max_examples=8)
@given(data=st.data())
def test_it_finds_what_the_reference_finds(
    make: Make, reference: ReferenceEngine, algorithm: str, data: st.DataObject
) -> None:
    batch = data.draw(batches(algorithm, longest=300))
    rows, size = data.draw(st.integers(1, 20)), data.draw(st.integers(400, 2_000))
    found = make(size, rows).verify(batch)
    if found is None:
        # It passes where rows lie outside of their column, and does nothing else by halves.
        assert any(
            list(offsets) != sorted(offsets)
            or offsets[0] < 0
            or offsets[-1] > len(column)
            or max(b - a for a, b in pairwise(offsets)) > size
            for offsets, column in (
                (batch.message_offsets, batch.messages),
                (batch.signature_offsets, batch.signatures),
            )
        )
    else:
        assert found == reference.verify(batch)


def _flipped(value: bytes, number: int) -> bytes:
    changed = bytearray(value)
    changed[number // 8] ^= 1 << number % 8
    return bytes(changed)
