"""The plugin `gpu`: an engine on the GPU. Listed before `batch`, it is asked first."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from attrs import field, frozen, validators

from hauberk.batch import SignedBatch, Verdicts
from hauberk.command import OK, WARN, Check
from hauberk.hooks import Plugin, hookimpl
from hauberk_plugins.gpu.device import CudaDevice, DeviceFailed, DeviceMissing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hauberk_plugins.gpu.engine import CudaEngine

log = logging.getLogger("hauberk")


@frozen
class GpuConfig:
    """How the GPU is used.

    Attributes:
        chunk_mib: Messages that are on their way over the bus at once, in MiB. Of the device's
            memory, and of memory pinned here, twice as much is taken, and some 170 MiB.
        least_rows: Batches of fewer rows are left to the processor.
    """

    chunk_mib: int = field(default=64, validator=[validators.ge(1), validators.le(1_024)])
    least_rows: int = field(default=50_000, validator=validators.ge(0))


class GpuPlugin(Plugin):
    """Engine: HMAC and hashes on the first GPU; passes where there is none, and says so once."""

    interface = (1, 1)
    Config = GpuConfig

    def __init__(self, config: GpuConfig) -> None:
        self._config = config
        self._engine: CudaEngine | None = None
        #: Why there is none; empty until that is known.
        self._why = ""
        self._lock = threading.Lock()

    @hookimpl
    def verify_batch(self, batch: SignedBatch) -> Verdicts | None:
        """Verify on the GPU, or pass."""
        if self._why or len(batch) < self._config.least_rows:
            return None
        try:
            with self._lock:
                engine = self._engine = self._engine or open_engine(self._config.chunk_mib)
            return engine.verify(batch)
        except (DeviceMissing, DeviceFailed) as error:
            with self._lock:
                if not self._why:
                    log.warning("batches are verified by the processor: %s", error)
                self._why = str(error)
                self._engine = None
            return None

    @hookimpl
    def on_stop(self) -> None:
        """Let go of the device's memory."""
        if self._engine is not None:
            self._engine.close()

    @hookimpl
    def on_doctor(self) -> Sequence[Check]:
        """Say whether there is a GPU."""
        try:
            CudaDevice()
        except DeviceMissing as error:
            return [Check("gpu", WARN, str(error), "batches are verified by the processor")]
        return [Check("gpu", OK, "found")]


def open_engine(chunk_mib: int = 64) -> CudaEngine:
    """Return an engine on the first GPU.

    Raises:
        DeviceMissing: There is none.
    """
    device = CudaDevice()
    # Late: it brings numba.
    from hauberk_plugins.gpu.engine import CudaEngine

    return CudaEngine(device, chunk_mib << 20)
