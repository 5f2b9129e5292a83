"""Chunks are copied while others are verified, and no buffer is touched while it is on its way."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from random import Random

import pytest

pytest.importorskip("numpy")

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plugins.batch.rows import HASHED, batches, sign
from tests.plugins.gpu.fake_device import FakeDevice

from hauberk.batch import Finding, SignedBatch
from hauberk_plugins.batch.reference import ReferenceEngine
from hauberk_plugins.gpu.device import DeviceFailed, DeviceFull
from hauberk_plugins.gpu.engine import LEAST_BYTES, CudaEngine
from hauberk_plugins.gpu.slots import Columns, Sizes

REFERENCE = ReferenceEngine(threads=1)


def batch_of(rows: int, algorithm: str = "hmac-sha256", seed: int = 1) -> SignedBatch:
    """A batch of which every fifth row is wrong."""
    random, keys = Random(seed), [b"one", b"two", b"three"]
    made = []
    for number in range(rows):
        message, index = random.randbytes(random.randrange(90)), random.randrange(3)
        tag = sign(algorithm, keys[index], message)
        made.append((message, bytes(32) if number % 5 == 0 else tag, index))
    return SignedBatch.of(algorithm, made, keys)


def test_while_one_chunk_is_waited_for_the_next_is_on_its_way() -> None:
    device, batch = FakeDevice(), batch_of(23)
    assert CudaEngine(device, 4_096, 4).verify(batch) == REFERENCE.verify(batch)
    launches = [call for call in device.calls if call.name == "launch"]
    waits = [call for call in device.calls if call.name == "wait"]
    assert len(launches) == 1 + 6  # keys, and six chunks
    slots = {call.stream for call in launches[1:]}
    assert len(slots) == 2
    first_waits = _first_waits([call for call in device.calls if call.stream in slots])
    assert len(first_waits) == 6
    # But for the last, which has none after it.
    assert all(call.elsewhere for call in first_waits[:-1])
    assert len(waits) == 1 + 6 + 5  # keys, counts, and what was rejected in all chunks but one


def _first_waits(calls: list) -> list:
    """The waits for chunks: those right behind the copy of what was counted, on their stream."""
    found, pending = [], set()
    for call in calls:
        if call.name == "launch":
            pending.add(call.stream)
        elif call.name == "wait" and call.stream in pending:
            pending.discard(call.stream)
            found.append(call)
    return found


def test_on_each_stream_a_chunk_is_put_only_where_the_one_before_was_waited_for() -> None:
    device = FakeDevice()
    CudaEngine(device, 4_096, 3).verify(batch_of(20))
    for stream in device.streams:
        asked = [call.name for call in device.calls if call.stream == stream.number]
        launches = [at for at, name in enumerate(asked) if name == "launch"]
        for one, other in pairwise(launches):
            between = asked[one + 1 : other]
            assert between[0] == "copy_out"
            assert between[1] == "wait"
            assert "copy_in" not in between[: between.index("wait")]


@pytest.mark.parametrize("algorithm", HASHED)
@settings(max_examples=20)
@given(data=st.data())
def test_whenever_the_device_does_its_work_it_finds_the_same(
    algorithm: str, data: st.DataObject
) -> None:
    batch = data.draw(batches(algorithm, longest=150))
    random = Random(data.draw(st.integers(0, 2**32)))
    eager = data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    device = FakeDevice(
        ahead=lambda streams: random.randrange(streams) if random.random() < eager else None
    )
    engine = CudaEngine(device, data.draw(st.integers(400, 1_000)), data.draw(st.integers(1, 9)))
    for _ in range(2):
        found = engine.verify(batch)
        assert found is None or found == REFERENCE.verify(batch)


@given(
    sizes=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=30),
    room=st.builds(Sizes, st.integers(50, 120), st.integers(1, 9)),
)
def test_chunks_are_all_rows_in_order_and_each_as_large_as_there_is_room(
    sizes: list[tuple[int, int]], room: Sizes
) -> None:
    rows = [(bytes(message), bytes(100 * tag), 0) for message, tag in sizes]
    columns = Columns.of(SignedBatch.of("sha256", rows))
    chunks = columns.chunks(room)
    if any(100 * tag > room.signatures for _, tag in sizes):
        assert chunks is None
        return
    assert [row for chunk in chunks for row in chunk] == list(range(len(rows)))

    def fits(rows: range) -> bool:
        return (
            len(rows) <= room.rows
            and sum(sizes[row][0] for row in rows) <= room.messages
            and sum(100 * sizes[row][1] for row in rows) <= room.signatures
        )

    assert all(fits(chunk) for chunk in chunks)
    assert not any(fits(range(chunk.start, chunk.stop + 1)) for chunk in chunks[:-1])


def test_rows_that_lie_outside_their_column_are_passed_on() -> None:
    def found(offsets: list[int], tags: list[int]) -> bytes | None:
        batch = SignedBatch("sha256", bytes(9), offsets, bytes(64), tags, [0, 0], ())
        return CudaEngine(FakeDevice(), 4_096, 4).verify(batch)

    assert found([0, 4, 9], [0, 32, 64]) == b"\0\0"
    assert found([0, 5, 4], [0, 32, 64]) is None
    assert found([-1, 4, 9], [0, 32, 64]) is None
    assert found([0, 4, 10], [0, 32, 64]) is None
    assert found([0, 4, 9], [0, 65, 65]) is None
    assert found([0, 2**63 - 1, -(2**63)], [0, 32, 64]) is None


def test_a_row_longer_than_a_chunk_is_passed_on_and_so_is_another_algorithm() -> None:
    engine = CudaEngine(FakeDevice(), 1_000, 4)
    assert engine.verify(SignedBatch.of("sha256", [(bytes(1_001), b"", 0)])) is None
    assert engine.verify(SignedBatch.of("sha256", [(b"", bytes(5_000), 0)])) is None
    assert engine.verify(SignedBatch.of("ed25519", [], [bytes(32)])) is None


def test_memory_is_taken_once_and_bounded_and_given_back() -> None:
    device = FakeDevice()
    engine = CudaEngine(device, 1 << 16, 100)
    engine.verify(batch_of(10))
    taken, calls = device.held, len(device.calls)
    assert taken < 2 * (1.1 * (1 << 16) + 100 * 100) + 4_096
    for rows in (1, 99, 350):
        batch = batch_of(rows)
        assert engine.verify(batch) == REFERENCE.verify(batch)
    assert device.held == taken
    assert not {"empty", "pinned", "stream"} & {call.name for call in device.calls[calls:]}
    engine.close()
    assert device.held == device.dropped == 0
    batch = batch_of(3)
    assert engine.verify(batch) == REFERENCE.verify(batch)


def test_room_for_keys_grows_with_them() -> None:
    device = FakeDevice()
    engine = CudaEngine(device, 1 << 12, 8)
    for count in (1, 2, 5, 3, 17, 1):
        keys = [b"%d" % number for number in range(count)]
        rows = [(b"m", sign("hmac-sha512", key, b"m"), number) for number, key in enumerate(keys)]
        assert engine.verify(SignedBatch.of("hmac-sha512", rows, keys)) == b"\1" * count
    engine.close()
    assert device.held == 0


def test_several_threads_take_turns() -> None:
    engine = CudaEngine(FakeDevice(), 4_096, 3)
    made = [batch_of(9, algorithm, seed) for seed in range(4) for algorithm in HASHED]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(engine.verify, made))
    assert found == [REFERENCE.verify(batch) for batch in made]


def test_short_memory_makes_chunks_shorter(caplog: pytest.LogCaptureFixture) -> None:
    batch = batch_of(30)
    device = FakeDevice(memory=5 * LEAST_BYTES)
    with caplog.at_level(logging.WARNING):
        assert CudaEngine(device, 8 * LEAST_BYTES, 16).verify(batch) == REFERENCE.verify(batch)
    assert [record.message for record in caplog.records] == [
        f"the GPU's memory is short: chunks of {times * LEAST_BYTES} bytes at most"
        for times in (4, 2)
    ]


def test_where_memory_does_not_suffice_for_the_least_it_fails_and_holds_none() -> None:
    device = FakeDevice(memory=LEAST_BYTES)
    with pytest.raises(DeviceFull):
        CudaEngine(device, 8 * LEAST_BYTES, 16).verify(batch_of(30))
    assert device.held == 0


def test_a_kernel_that_did_not_run_has_verified_nothing() -> None:
    device = FakeDevice()
    device.is_idle = True
    with pytest.raises(DeviceFailed, match="0 of 2 rows"):
        CudaEngine(device, 4_096, 2).verify(batch_of(4, "sha256"))


@pytest.mark.parametrize("wrong", [-1, 16, 2**62, 8 + Finding.VALID])
def test_rejections_that_make_no_sense_are_a_failure(wrong: int) -> None:
    device = FakeDevice()

    def copy_out(target, source, count, stream):
        if target.itemsize == 8:
            source.data[:count] = wrong
        FakeDevice.copy_out(device, target, source, count, stream)

    device.copy_out = copy_out
    with pytest.raises(DeviceFailed, match="no sense"):
        CudaEngine(device, 4_096, 2).verify(batch_of(2, "sha256"))
