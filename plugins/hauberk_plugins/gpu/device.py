"""A device as the engine sees it: buffers, streams, kernels, and what goes wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import frozen

from hauberk.errors import HauberkError
from hauberk_plugins.sha2.family import Hash


class DeviceMissing(HauberkError):
    """There is no GPU that can be used; says why."""


class DeviceFailed(HauberkError):
    """A GPU stopped working in the middle; says what the driver said."""


class DeviceFull(DeviceFailed):
    """A GPU has no memory left for what was asked."""


@frozen
class Kernels:
    """What runs on a device, for one hash; `hauberk_plugins.gpu.kernels` says what they take.

    Attributes:
        verify: Notes the rows that are not valid.
        states: Computes the states of keys.
    """

    verify: Any
    states: Any


class Device(Protocol):
    """One GPU. What is put on a stream is done in order, some time before `wait` returns."""

    def kernels(self, hash_: Hash) -> Kernels:
        """Make the kernels of a hash."""

    def stream(self) -> Any:
        """Make a stream.

        Raises:
            DeviceFailed: As every method.
        """

    def pinned(self, count: int, kind: str) -> Any:
        """Make an array in memory that the device copies from and to by itself."""

    def empty(self, count: int, kind: str) -> Any:
        """Make an array on the device; what is in it is anything."""

    def copy_in(self, target: Any, source: Any, count: int, stream: Any) -> None:
        """Put on a stream: copy the first of an array to the device."""

    def copy_out(self, target: Any, source: Any, count: int, stream: Any) -> None:
        """Put on a stream: copy the first of an array from the device."""

    def launch(self, kernel: Callable[..., Any], threads: int, stream: Any, *args: Any) -> None:
        """Put on a stream: run a kernel in so many threads and a few more."""

    def wait(self, stream: Any) -> None:
        """Return when all that was put on a stream is done."""

    def free(self) -> None:
        """Let go of every array that was made."""


class CudaDevice:
    """The first GPU that numba finds, or its simulator.

    Raises:
        DeviceMissing: There is none, or no driver.
    """

    #: Threads of a block: with 64 registers each, four blocks fill a multiprocessor.
    BLOCK = 256

    def __init__(self) -> None:
        try:
            from hauberk_plugins.gpu import shim

            is_there = shim.is_available()
        except ImportError as error:
            raise DeviceMissing(
                f"what the GPU needs is not installed: pip install 'hauberk[gpu]' ({error})"
            ) from None
        # A driver or a library that numba does not know fails in ways of its own.
        except Exception as error:
            raise DeviceMissing(f"CUDA cannot be used: {_told(error)}") from None
        if not is_there:
            raise DeviceMissing(
                "no NVIDIA GPU or no driver of one was found: `nvidia-smi` must list it"
            )
        self._shim = shim

    @property
    def is_simulated(self) -> bool:
        """Whether kernels run as plain Python."""
        return bool(self._shim.IS_SIMULATED)

    def kernels(self, hash_: Hash) -> Kernels:
        """Make the kernels of a hash; they are compiled where they are first launched."""
        # Late: it brings numba.
        from hauberk_plugins.gpu.kernels import states_of, verify_of

        return Kernels(self._do(verify_of, hash_), self._do(states_of, hash_))

    def stream(self) -> Any:
        """Make a stream."""
        return self._do(self._shim.cuda.stream)

    def pinned(self, count: int, kind: str) -> Any:
        """Make an array in pinned memory."""
        return self._do(self._shim.cuda.pinned_array, count, kind)

    def empty(self, count: int, kind: str) -> Any:
        """Make an array on the device."""
        return self._do(self._shim.cuda.device_array, count, kind)

    def copy_in(self, target: Any, source: Any, count: int, stream: Any) -> None:
        """Copy the first of an array to the device."""
        if count:
            self._do(target[:count].copy_to_device, source[:count], stream)

    def copy_out(self, target: Any, source: Any, count: int, stream: Any) -> None:
        """Copy the first of an array from the device."""
        if count:
            self._do(source[:count].copy_to_host, target[:count], stream)

    def launch(self, kernel: Any, threads: int, stream: Any, *args: Any) -> None:
        """Run a kernel."""
        # The simulator runs each thread as one of the system's: a block is as small as it can be.
        block = min(self.BLOCK, threads) if self.is_simulated else self.BLOCK
        self._do(lambda: kernel[-(-threads // block), block, stream](*args))

    def wait(self, stream: Any) -> None:
        """Return when all is done."""
        self._do(stream.synchronize)

    def free(self) -> None:
        """Let numba give back what nobody holds any more."""
        self._do(self._shim.give_back)

    def _do(self, work: Callable[..., Any], *args: Any) -> Any:
        try:
            return work(*args)
        # The driver, the linker, the compiler: each has errors of its own, and all mean the same.
        except Exception as error:
            why = _told(error)
            failure = DeviceFull if self._shim.is_full(error) else DeviceFailed
        # Here, so that it does not keep what raised it, with all that is on the device.
        raise failure(f"the GPU failed: {why}")


def _told(error: Exception) -> str:
    """Return what an error says, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
