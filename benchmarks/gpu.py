"""Batches on a GPU: the kernels alone, and from columns to verdicts, beside the bus and the cores.

Where there is no GPU, one line says so, and nothing is measured.
"""

import hmac
import random
import sys
import tempfile
from pathlib import Path

from hauberk.batch import SignedBatch
from hauberk_plugins.batch.cpu import CpuEngine
from hauberk_plugins.batch.pool import cores
from hauberk_plugins.gpu import engine as engine_module
from hauberk_plugins.gpu.device import CudaDevice, DeviceMissing
from hauberk_plugins.gpu.engine import CudaEngine
from hauberk_plugins.gpu.slots import Columns
from hauberk_plugins.sha2.family import SHA256, SHA512, Hash

from _rounds import figure, medians

ROUNDS, LAUNCHES, ROWS = 9, 20, 2_000_000
SHAPES = {"64 to 256 bytes": (64, 256), "128 bytes": (128, 128)}
#: Instructions of a compression; `tests/plugins/gpu/test_machine_code.py` holds the kernels to it.
INSTRUCTIONS = {32: 1_392, 64: 3_552}
#: Integer instructions that a multiprocessor begins in a clock (Ampere to Blackwell).
A_CLOCK = 64


def main() -> None:
    try:
        device = CudaDevice()
        if device.is_simulated:
            raise DeviceMissing("the simulator is no GPU")
    except DeviceMissing as error:
        sys.stdout.write(f"nothing is measured: {error}\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        peer = CpuEngine(cache=Path(folder) / "compiled")
        bus = _bus(device)
        for hash_ in (SHA256, SHA512):
            for shape, bounds in SHAPES.items():
                _hmac(CudaEngine(device), peer, hash_, shape, bounds, bus)


def _hmac(
    engine: CudaEngine,
    peer: CpuEngine,
    hash_: Hash,
    shape: str,
    bounds: tuple[int, int],
    bus: float,
) -> None:
    batch, compressions = _batch(hash_, *bounds)
    right = b"\1" * len(batch)
    if not engine.verify(batch) == peer.verify(batch) == right:
        raise SystemExit("a right tag was rejected")
    name = f"HMAC-{hash_.name.upper()}, {shape}"
    rows, seconds = _kernel(engine, batch)
    on_paper = _on_paper(hash_)
    rate = compressions / len(batch) * rows / seconds
    figure(f"{name}, kernel", rate, "compressions/s", "integers on paper", on_paper, "none")
    ours, theirs = medians(lambda: engine.verify(batch), lambda: peer.verify(batch), rounds=ROUNDS)
    figure(
        f"{name}, end to end",
        len(batch) / ours,
        "rows/s",
        f"the processor, {cores()} cores",
        len(batch) / theirs,
        "none",
    )
    moved = len(batch.messages) + len(batch.signatures) + 12 * len(batch)
    figure(f"{name}, end to end", moved / ours / 1e9, "GB/s", "the bus", bus / 1e9, "none")
    engine.close()


def _batch(hash_: Hash, low: int, high: int) -> tuple[SignedBatch, int]:
    """Return a batch, and how many compressions it takes."""
    randoms = random.Random(1)
    keys = [randoms.randbytes(32) for _ in range(8)]
    family, rows, total = hash_.family, [], 0
    for _ in range(ROWS):
        message, key = randoms.randbytes(randoms.randint(low, high)), randoms.randrange(len(keys))
        rows.append((message, hmac.digest(keys[key], message, hash_.name), key))
        total += (len(message) + 2 * family.word + family.block) // family.block + 1
    return SignedBatch.of(f"hmac-{hash_.name}", rows, keys), total


def _kernel(engine: CudaEngine, batch: SignedBatch) -> tuple[int, float]:
    """Return how many rows a chunk has that lies on the device, and the seconds of verifying it."""
    kind, columns = engine_module._KINDS[batch.algorithm], Columns.of(batch)
    if columns is None:
        raise SystemExit("the columns are broken")
    states, slot = engine._states(kind, batch), engine._ready()[0]
    chunk = (columns.chunks(engine._room) or [])[0]
    slot.send(columns, chunk)
    engine._device.wait(slot.stream)

    def launched() -> None:
        for _ in range(LAUNCHES):
            engine._launch(slot, kind, states, columns.keys)
        engine._device.wait(slot.stream)

    (seconds,) = medians(launched, rounds=ROUNDS)
    engine.close()
    return len(chunk), seconds / LAUNCHES


def _bus(device: CudaDevice) -> float:
    """Return bytes a second from pinned memory to the device."""
    count = 16 << 20
    here, there, stream = (
        device.pinned(count, "uint32"),
        device.empty(count, "uint32"),
        device.stream(),
    )
    here[:] = 0

    def copied() -> None:
        for _ in range(LAUNCHES):
            device.copy_in(there, here, count, stream)
        device.wait(stream)

    (seconds,) = medians(copied, rounds=ROUNDS)
    return 4 * count * LAUNCHES / seconds


def _on_paper(hash_: Hash) -> float:
    """Return compressions a second if integer instructions were all there is."""
    from hauberk_plugins.gpu.shim import cuda

    device = cuda.get_current_device()
    clock = 1_000 * device.CLOCK_RATE  # in kHz
    each = INSTRUCTIONS[hash_.family.bits]
    return float(device.MULTIPROCESSOR_COUNT * clock * A_CLOCK / each)


if __name__ == "__main__":
    main()
