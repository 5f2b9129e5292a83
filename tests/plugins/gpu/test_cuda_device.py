"""`CudaDevice`: what it asks of numba, and what it makes of numba's errors, behind the shim."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("numpy")

import numpy as np

from hauberk_plugins.gpu.device import CudaDevice, DeviceFailed, DeviceFull, DeviceMissing


class DriverError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code, "as the driver\nhas it")
        self.code = code


class Array:
    """A device array, as numba has them: slices are views."""

    def __init__(self, data: Any, asked: list) -> None:
        self.data, self.asked = data, asked

    def __getitem__(self, part: slice) -> Array:
        return Array(self.data[part], self.asked)

    def copy_to_device(self, source: Any, stream: Any) -> None:
        self.asked.append(("in", len(source), stream))
        self.data[:] = source

    def copy_to_host(self, target: Any, stream: Any) -> None:
        self.asked.append(("out", len(target), stream))
        target[:] = self.data


class Shim:
    """What the engine takes of numba."""

    IS_SIMULATED = False

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.error: BaseException | None = None
        self.is_there = True
        self.cuda = SimpleNamespace(
            stream=self._made(lambda: SimpleNamespace(synchronize=self._made(lambda: None))),
            pinned_array=self._made(np.zeros),
            device_array=self._made(lambda *args: Array(np.zeros(*args), self.asked)),
        )

    def is_available(self) -> bool:
        if self.error is not None:
            raise self.error
        return self.is_there

    def is_full(self, error: Exception) -> bool:
        return isinstance(error, MemoryError) or getattr(error, "code", None) == 2

    def give_back(self) -> None:
        self.asked.append("free")

    def _made(self, do: Any) -> Any:
        def asked(*args: Any) -> Any:
            if self.error is not None:
                raise self.error
            return do(*args)

        return asked


@pytest.fixture
def shim(monkeypatch: pytest.MonkeyPatch) -> Shim:
    shim = Shim()
    monkeypatch.setitem(sys.modules, "hauberk_plugins.gpu.shim", shim)
    monkeypatch.setattr("hauberk_plugins.gpu.shim", shim, raising=False)
    return shim


def test_only_the_first_of_an_array_is_copied_on_its_stream(shim: Shim) -> None:
    device = CudaDevice()
    there, here = device.empty(9, "int32"), device.pinned(9, "int32")
    here[:] = range(9)
    device.copy_in(there, here, 4, "a stream")
    assert list(there.data) == [0, 1, 2, 3, 0, 0, 0, 0, 0]
    back = device.pinned(5, "int32")
    device.copy_out(back, there, 3, "another")
    assert list(back) == [0, 1, 2, 0, 0]
    device.copy_in(there, here, 0, "a stream")
    assert shim.asked == [("in", 4, "a stream"), ("out", 3, "another")]


@pytest.mark.parametrize(("threads", "blocks"), [(1, 1), (256, 1), (257, 2), (100_000, 391)])
def test_a_kernel_runs_in_as_many_blocks_as_are_needed(
    shim: Shim, threads: int, blocks: int
) -> None:
    class Kernel:
        def __getitem__(self, how: tuple) -> Any:
            return lambda *args: shim.asked.append((how, args))

    CudaDevice().launch(Kernel(), threads, "a stream", 1, 2)
    assert shim.asked == [((blocks, 256, "a stream"), (1, 2))]


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (DriverError(2), DeviceFull),
        (MemoryError(), DeviceFull),
        (DriverError(700), DeviceFailed),
        (RuntimeError("compiler"), DeviceFailed),
    ],
)
def test_whatever_numba_raises_is_a_failure_of_the_device(
    shim: Shim, error: Exception, becomes: type[DeviceFailed]
) -> None:
    device = CudaDevice()
    stream = device.stream()
    shim.error = error
    for do in (
        device.stream,
        lambda: device.empty(1, "int32"),
        lambda: device.pinned(1, "int32"),
        lambda: device.wait(stream),
    ):
        with pytest.raises(becomes, match=f"the GPU failed: {type(error).__name__}: ") as failed:
            do()
        assert type(failed.value) is becomes
        assert "\n" not in str(failed.value)
        # What raised it would hold what is on the device.
        assert failed.value.__context__ is None


def test_an_interrupt_is_none_of_them(shim: Shim) -> None:
    device = CudaDevice()
    shim.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        device.stream()


def test_where_there_is_no_device_it_says_how_to_see(shim: Shim) -> None:
    shim.is_there = False
    with pytest.raises(DeviceMissing, match="nvidia-smi"):
        CudaDevice()


def test_a_driver_that_numba_cannot_use_is_no_device(shim: Shim) -> None:
    shim.error = RuntimeError("another\nversion")
    with pytest.raises(DeviceMissing, match="CUDA cannot be used: RuntimeError: another version"):
        CudaDevice()
