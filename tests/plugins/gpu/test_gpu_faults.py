"""A device that fails at any call: nothing is held, nothing is believed, the processor does it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier
from traceback import TracebackException
from typing import Any

import pytest

pytest.importorskip("numpy")

from tests.plugins.gpu.fake_device import FakeDevice, fails_at, lost_at
from tests.plugins.gpu.test_streams import REFERENCE, batch_of

from hauberk.batch import Finding, SignedBatch
from hauberk.command import OK, WARN
from hauberk.verifying import Verifier
from hauberk_plugins.batch.reference import ReferenceEngine
from hauberk_plugins.gpu import plugin
from hauberk_plugins.gpu.device import CudaDevice, DeviceFailed, DeviceFull, DeviceMissing
from hauberk_plugins.gpu.engine import LEAST_BYTES, CudaEngine
from hauberk_plugins.gpu.plugin import GpuConfig, GpuPlugin

BATCH = batch_of(9)
RIGHT = REFERENCE.verify(BATCH)


def engine_of(device: FakeDevice) -> CudaEngine:
    return CudaEngine(device, 2_048, 2)


def _calls() -> int:
    device = FakeDevice()
    engine_of(device).verify(BATCH)
    return len(device.calls)


CALLS = range(_calls())


def test_a_fault_at_any_call_leaves_nothing_held_and_the_next_batch_is_verified() -> None:
    for number in CALLS:
        device = FakeDevice(fails=fails_at(number, DeviceFailed("the GPU failed: so it is")))
        engine = engine_of(device)
        with pytest.raises(DeviceFailed, match="so it is"):
            engine.verify(BATCH)
        assert device.held == device.dropped == 0, number
        assert engine.verify(BATCH) == RIGHT


def test_no_error_holds_a_key() -> None:
    for number in CALLS:
        device = FakeDevice(fails=fails_at(number, DeviceFailed("the GPU failed: so it is")))
        with pytest.raises(DeviceFailed) as failed:
            engine_of(device).verify(BATCH)
        assert not _shows_a_key(failed.value), number


def test_a_device_that_is_lost_is_given_up_with_all_that_is_on_it() -> None:
    for number in CALLS:
        device = FakeDevice(fails=lost_at(number))
        with pytest.raises(DeviceFailed, match="lost"):
            engine_of(device).verify(BATCH)
        # Nobody holds a buffer; that the driver does not take them back is its own affair.
        assert device.held == device.dropped, number


def test_an_interrupt_waits_for_what_is_on_its_way_and_goes_on() -> None:
    for number in CALLS:
        device = FakeDevice(fails=fails_at(number, KeyboardInterrupt()))
        engine = engine_of(device)
        with pytest.raises(KeyboardInterrupt):
            engine.verify(BATCH)
        assert not any(stream.queue for stream in device.streams), number
        assert device.held == device.dropped == 0, number
        assert engine.verify(BATCH) == RIGHT


def test_memory_that_is_short_at_any_call_is_tried_again_with_less() -> None:
    for number in CALLS:
        device = FakeDevice(fails=fails_at(number, DeviceFull("the GPU failed: out of memory")))
        assert CudaEngine(device, 2 * LEAST_BYTES, 2).verify(BATCH) == RIGHT


@pytest.mark.parametrize(
    "fault",
    [lost_at, lambda number: fails_at(number, DeviceFailed("the GPU failed: it is lost"))],
    ids=["for good", "once"],
)
def test_the_plugin_passes_says_so_once_and_no_row_is_believed_unverified(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Callable[[int], Any]
) -> None:
    for number in CALLS:
        device = FakeDevice(fails=fault(number))
        gpu, verify = _plugged(monkeypatch, lambda mib, device=device: engine_of(device))
        caplog.clear()
        for _ in range(3):
            assert verify(BATCH) == (RIGHT, "reference")
        assert [record.getMessage() for record in caplog.records] == [
            "batches are verified by the processor: the GPU failed: it is lost"
        ]
        gpu.on_stop()


def test_several_threads_that_see_it_fail_say_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    together = Barrier(4)

    class Failing:
        def verify(self, batch: SignedBatch) -> bytes:
            together.wait()
            raise DeviceFailed("the GPU failed: it is lost")

    monkeypatch.setattr(plugin, "open_engine", lambda mib: Failing())
    gpu = GpuPlugin(GpuConfig(least_rows=0))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(gpu.verify_batch, [BATCH] * 4)) == [None] * 4
    assert len(caplog.records) == 1


def test_the_plugin_verifies_where_the_device_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeDevice()
    gpu, verify = _plugged(monkeypatch, lambda mib: engine_of(device))
    assert verify(BATCH) == (RIGHT, "gpu")
    assert device.held
    gpu.on_stop()
    assert device.held == 0


def test_a_device_that_lies_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeDevice()

    def counted(target, source, count, stream):
        # As if no row were rejected.
        if target.itemsize == 4:
            source.data[0] = 0
        FakeDevice.copy_out(device, target, source, count, stream)

    device.copy_out = counted
    incidents = []
    engine = engine_of(device)
    device.ahead = lambda streams: 0
    verifier = Verifier(Random(1), lambda title, details: incidents.append((title, details)))
    found = verifier.verify(BATCH, [("gpu", engine.verify)], REFERENCE)
    assert (found.verdicts, found.engine) == (RIGHT, "reference")
    assert incidents[0][1]["wrongly_accepted"] == RIGHT.count(Finding.MISMATCH)


def test_small_batches_are_left_to_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "open_engine", lambda mib: pytest.fail("it was opened"))
    assert GpuPlugin(GpuConfig(least_rows=10)).verify_batch(BATCH) is None


def test_without_the_extra_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "hauberk_plugins.gpu.shim", None)
    monkeypatch.delattr(sys.modules["hauberk_plugins.gpu"], "shim", raising=False)
    with pytest.raises(DeviceMissing, match=r"pip install 'hauberk\[gpu\]'"):
        CudaDevice()
    gpu = GpuPlugin(GpuConfig(least_rows=0))
    assert gpu.verify_batch(BATCH) is None
    assert gpu.verify_batch(BATCH) is None
    assert len(caplog.records) == 1
    (check,) = gpu.on_doctor()
    assert check.status == WARN


def test_the_doctor_says_that_a_device_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "CudaDevice", FakeDevice)
    (check,) = GpuPlugin(GpuConfig()).on_doctor()
    assert check.status == OK


def _shows_a_key(error: BaseException) -> bool:
    """Whether a log with the variables of each frame would show one."""
    trace = TracebackException.from_exception(error, capture_locals=True)
    return any(repr(key) in line for line in trace.format() for key in BATCH.keys)


def _plugged(monkeypatch: pytest.MonkeyPatch, opened: Callable[[int], CudaEngine]):
    """A plugin, and what verifies by it and by the reference."""
    monkeypatch.setattr(plugin, "open_engine", opened)
    gpu = GpuPlugin(GpuConfig(least_rows=0))
    verifier = Verifier(Random(1), lambda title, details: pytest.fail(title))

    def verify(batch: SignedBatch) -> tuple[bytes, str]:
        found = verifier.verify(batch, [("gpu", gpu.verify_batch)], ReferenceEngine(1))
        return found.verdicts, found.engine

    return gpu, verify
