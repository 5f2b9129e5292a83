"""`CudaEngine`: batches in chunks over the bus, copied while the chunk before is verified."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from traceback import clear_frames
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hauberk.batch import Finding, SignedBatch
from hauberk_plugins.gpu.device import Device, DeviceFailed, DeviceFull, Kernels
from hauberk_plugins.gpu.slots import Columns, KeyRoom, Sizes, Slot
from hauberk_plugins.sha2.algorithms import SHA2, Algorithm
from hauberk_plugins.sha2.family import Hash

log = logging.getLogger("hauberk")

#: Bytes of messages of a chunk, and rows: what the device's memory is taken for, twice.
CHUNK_BYTES: Final = 64 << 20
CHUNK_ROWS: Final = 1 << 20
#: Places within a chunk are 32 bits wide.
MOST_BYTES: Final = 1 << 30
MOST_ROWS: Final = 1 << 23
#: Below this, less memory gains nothing.
LEAST_BYTES: Final = 1 << 20
#: Keys of a batch: their states are on the device all at once.
MOST_KEYS: Final = 1 << 20
#: Chunks that are on their way at once: one is copied, one verified.
SLOTS: Final = 2


class CudaEngine:
    """Verifies batches of HMAC and of hashes on a GPU, one batch at a time.

    Args:
        device: The GPU.
        chunk_bytes: Of messages, of a chunk, at most `MOST_BYTES`; halved where the device's memory
            does not suffice.
        chunk_rows: Rows of a chunk, at most `MOST_ROWS`.
    """

    def __init__(
        self, device: Device, chunk_bytes: int = CHUNK_BYTES, chunk_rows: int = CHUNK_ROWS
    ) -> None:
        self._device = device
        self._room = Sizes(min(chunk_bytes, MOST_BYTES), min(chunk_rows, MOST_ROWS))
        self._slots: list[Slot] = []
        #: By the bits of a word.
        self._keys: dict[int, KeyRoom] = {}
        self._kernels: dict[str, Kernels] = {}
        # The buffers are one batch's at a time, and so is what is compiled.
        self._lock = threading.Lock()

    def verify(self, batch: SignedBatch) -> bytes | None:
        """Return a `Finding` for each row, or `None` for what is not done here.

        That is another algorithm; offsets that run backwards or out of their column; a row longer
        than a chunk; and more than `MOST_KEYS` keys.

        Raises:
            DeviceFailed: The device stopped working, or its memory does not suffice for the least.
        """
        kind = SHA2.get(batch.algorithm)
        if kind is None or len(batch.keys) > MOST_KEYS:
            return None
        columns = Columns.of(batch)
        if columns is None:
            return None
        with self._lock:
            while True:
                try:
                    return self._verified(kind, columns, batch)
                except DeviceFull:
                    if self._room.messages // 2 < LEAST_BYTES:
                        raise
                self._room = self._room.half()
                log.warning(
                    "the GPU's memory is short: chunks of %d bytes at most", self._room.messages
                )

    def close(self) -> None:
        """Let go of the device's memory; what is verified after this takes it again."""
        with self._lock:
            self._let_go()

    def _verified(self, kind: Algorithm, columns: Columns, batch: SignedBatch) -> bytes | None:
        chunks = columns.chunks(self._room)
        if chunks is None:
            return None
        findings = np.zeros(len(columns.indices), np.uint8)
        try:
            self._run(kind, columns, batch, chunks, findings)
        except BaseException as error:
            # Its frames hold buffers and keys by their variables.
            clear_frames(error.__traceback__)
            self._let_go()
            raise
        return findings.tobytes()

    def _run(
        self,
        kind: Algorithm,
        columns: Columns,
        batch: SignedBatch,
        chunks: list[range],
        findings: NDArray[np.uint8],
    ) -> None:
        if not chunks:
            return
        states = self._states(kind, batch)
        slots = self._ready()
        for number, rows in enumerate(chunks):
            slot = slots[number % SLOTS]
            _collect(slot, findings)
            slot.send(columns, rows)
            self._launch(slot, kind, states, columns.keys if kind.is_keyed else 1)
            slot.fetch()
        for slot in slots:
            _collect(slot, findings)

    def _launch(self, slot: Slot, kind: Algorithm, states: Any, keys: int) -> None:
        rows = len(slot.rows or ())
        self._device.launch(
            self._kernels_of(kind.hash).verify,
            rows,
            slot.stream,
            slot.messages.device,
            slot.message_offsets.device,
            slot.signatures.device,
            slot.signature_offsets.device,
            slot.indices.device,
            states,
            np.int64(keys),
            np.int64(rows),
            kind.is_keyed,
            np.int64(kind.prefix),
            np.int64(kind.least),
            slot.rejected.device,
            slot.counts.device,
        )

    def _states(self, kind: Algorithm, batch: SignedBatch) -> Any:
        """Return on the device where rows begin: by key, or all alike."""
        bits = kind.hash.family.bits
        if bits not in self._keys:
            self._keys[bits] = KeyRoom(self._device, kind.hash.family)
        room = self._keys[bits]
        if not kind.is_keyed or not batch.keys:
            return room.initial(kind.hash)
        return room.states(kind.hash, batch.keys, self._kernels_of(kind.hash).states)

    def _ready(self) -> list[Slot]:
        while len(self._slots) < SLOTS:
            self._slots.append(Slot(self._device, self._room))
        return self._slots

    def _let_go(self) -> None:
        """Give up all buffers, none of which is still on its way: the device writes into them."""
        self._wait()
        self._slots.clear()
        self._keys.clear()
        with suppress(DeviceFailed):
            self._device.free()

    def _wait(self) -> None:
        for slot in self._slots:
            with suppress(DeviceFailed):
                self._device.wait(slot.stream)
        for room in self._keys.values():
            with suppress(DeviceFailed):
                self._device.wait(room.stream)

    def _kernels_of(self, hash_: Hash) -> Kernels:
        if hash_.name not in self._kernels:
            self._kernels[hash_.name] = self._device.kernels(hash_)
        return self._kernels[hash_.name]


def _collect(slot: Slot, findings: NDArray[np.uint8]) -> None:
    """Wait for a chunk, and take over what was found of its rows."""
    rows = slot.rows
    if rows is None:
        return
    rejected = slot.findings()
    findings[rows.start : rows.stop] = Finding.VALID
    findings[rows.start + rejected // 8] = rejected % 8
