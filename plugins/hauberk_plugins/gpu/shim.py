"""The one door to numba's CUDA: the device, its simulator, or none.

Everything of this plugin that touches `numba.cuda` takes it from here, so that another package, or
none, is a change of this file. Under `NUMBA_ENABLE_CUDASIM=1`, kernels run as plain Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numba_cuda  # noqa: F401 - where it is missing, `numba.cuda` is another, older one
from numba import config, cuda, types

#: Whether kernels run as plain Python.
IS_SIMULATED: Final = bool(config.ENABLE_CUDASIM)
_OUT_OF_MEMORY: Final = 2  # CUDA_ERROR_OUT_OF_MEMORY

jit = cuda.jit
# The last chunk of a batch may be small, and a batch is: that is nobody's mistake to be warned of.
config.CUDA_LOW_OCCUPANCY_WARNINGS = 0


def is_full(error: Exception) -> bool:
    """Whether what failed is that there is no memory left."""
    return isinstance(error, MemoryError) or getattr(error, "code", None) == _OUT_OF_MEMORY


def is_available() -> bool:
    """Whether there is a device, or the simulator."""
    return bool(cuda.is_available())


def give_back() -> None:
    """Give memory back to the driver that nobody holds any more: numba keeps some for later."""
    if not IS_SIMULATED:
        cuda.current_context().deallocations.clear()


def intrinsic(plain: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make a function of generated code, which has a form in plain Python for the simulator."""

    def made(emitting: Callable[..., Any]) -> Any:
        if IS_SIMULATED:
            return plain
        from numba.cuda.extending import intrinsic as cuda_intrinsic

        return cuda_intrinsic(emitting)

    return made


__all__ = [
    "IS_SIMULATED",
    "cuda",
    "give_back",
    "intrinsic",
    "is_available",
    "is_full",
    "jit",
    "types",
]
