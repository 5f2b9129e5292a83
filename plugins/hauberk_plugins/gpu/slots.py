"""What chunks and keys take of the device's memory: made once, used again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from attrs import define, frozen
from numpy.typing import NDArray

from hauberk.batch import Finding, SignedBatch
from hauberk_plugins.gpu.device import Device, DeviceFailed
from hauberk_plugins.sha2.algorithms import INNER, OUTER, key_blocks
from hauberk_plugins.sha2.family import Family, Hash

#: Bytes of a column on the device that stand before its data: what begins with a prefix is read
#: from before the row.
LEAD: Final = 64
#: Bytes behind the data: a row's last block begins up to its length's 16 bytes behind the row, and
#: is read in whole, with the word after it.
SLACK: Final = 256


@define(eq=False)
class Column:
    """An array that is filled or read here, in pinned memory, and its like on the device."""

    host: Any
    device: Any

    @classmethod
    def of(cls, device: Device, count: int, kind: str) -> Column:
        """Make one of so many numbers of a kind."""
        return cls(device.pinned(count, kind), device.empty(count, kind))


@frozen
class Sizes:
    """How much a chunk has room for.

    Attributes:
        messages: Bytes of messages.
        rows: Rows.
    """

    messages: int
    rows: int

    @property
    def signatures(self) -> int:
        """Bytes of signatures: the longest of each row."""
        return max(1 << 12, 64 * self.rows)

    def half(self) -> Sizes:
        """Room for half as much."""
        return Sizes(self.messages // 2, max(1, self.rows // 2))


@frozen
class Columns:
    """The columns of a batch, whose rows lie within them, in order."""

    messages: memoryview
    message_offsets: NDArray[np.int64]
    signatures: memoryview
    signature_offsets: NDArray[np.int64]
    indices: NDArray[np.int64]
    keys: int

    @classmethod
    def of(cls, batch: SignedBatch) -> Columns | None:
        """Take a batch's columns, or none where rows lie outside of them or out of order."""
        found = [
            np.frombuffer(column, np.int64)
            for column in (batch.message_offsets, batch.signature_offsets, batch.key_indices)
        ]
        messages, signatures, indices = found
        for offsets, data in ((messages, batch.messages), (signatures, batch.signatures)):
            if offsets[0] < 0 or offsets[-1] > len(data) or np.any(offsets[1:] < offsets[:-1]):
                return None
        return cls(batch.messages, messages, batch.signatures, signatures, indices, len(batch.keys))

    def chunks(self, room: Sizes) -> list[range] | None:
        """Part the rows into chunks that have room, or none where a row alone has not."""
        total = len(self.indices)
        limits = (
            (self.message_offsets, room.messages),
            (self.signature_offsets, room.signatures),
        )
        if total and any(np.diff(offsets).max() > most for offsets, most in limits):
            return None
        found, first = [], 0
        while first < total:
            # Up to the last offset that is not too far: several are equal where rows are empty.
            last = min(
                int(np.searchsorted(offsets, offsets[first] + most, "right")) - 1
                for offsets, most in limits
            )
            found.append(range(first, min(last, first + room.rows, total)))
            first = found[-1].stop
        return found


class Slot:
    """The room of one chunk, and the stream on which it comes and goes.

    Args:
        device: The GPU.
        room: How much there is.
    """

    def __init__(self, device: Device, room: Sizes) -> None:
        self._device = device
        self.stream = device.stream()
        self.messages = Column.of(device, (LEAD + room.messages + SLACK) // 4, "uint32")
        self.signatures = Column.of(device, (LEAD + room.signatures + SLACK) // 4, "uint32")
        self.message_offsets = Column.of(device, room.rows + 1, "int32")
        self.signature_offsets = Column.of(device, room.rows + 1, "int32")
        self.indices = Column.of(device, room.rows, "int32")
        self.rejected = Column.of(device, room.rows, "int64")
        #: Zeros to begin with, and what comes back.
        self.counts = Column.of(device, 2, "int32")
        self.counts.host[:] = 0
        self._counted = device.pinned(2, "int32")
        #: The rows that are on their way, or `None`.
        self.rows: range | None = None

    def send(self, columns: Columns, rows: range) -> None:
        """Put rows on their way to the device."""
        self.rows = rows
        self._send_bytes(
            self.messages, self.message_offsets, columns.messages, columns.message_offsets
        )
        self._send_bytes(
            self.signatures, self.signature_offsets, columns.signatures, columns.signature_offsets
        )
        indices = columns.indices[rows.start : rows.stop]
        self.indices.host[: len(rows)] = np.clip(indices, -1, columns.keys)
        self._copy_in(self.indices, len(rows))
        self._copy_in(self.counts, 2)

    def fetch(self) -> None:
        """Put on its way back how many rows were rejected."""
        self._device.copy_out(self._counted, self.counts.device, 2, self.stream)

    def findings(self) -> NDArray[np.int64]:
        """Wait until all is done, and return 8 * row + finding for each rejected row.

        Raises:
            DeviceFailed: As ever, or what came back makes no sense.
        """
        rows = len(self.rows or ())
        self._device.wait(self.stream)
        rejected, seen = (int(count) for count in self._counted)
        # Without this, a kernel that did not run would be one that found nothing wrong.
        if seen != rows or not 0 <= rejected <= rows:
            raise DeviceFailed(f"the GPU failed: {seen} of {rows} rows came back")
        found = np.zeros(0, np.int64)
        if rejected:
            self._device.copy_out(self.rejected.host, self.rejected.device, rejected, self.stream)
            self._device.wait(self.stream)
            found = np.array(self.rejected.host[:rejected])
            if found.min() < 0 or found.max() >= 8 * rows or np.any(found % 8 == Finding.VALID):
                raise DeviceFailed("the GPU failed: what came back makes no sense")
        self.rows = None
        return found

    def _send_bytes(
        self, column: Column, places: Column, data: memoryview, offsets: NDArray[np.int64]
    ) -> None:
        rows = self.rows or range(0)
        start, end = int(offsets[rows.start]), int(offsets[rows.stop])
        octets = column.host.view(np.uint8)
        octets[LEAD : LEAD + end - start] = np.frombuffer(data[start:end], np.uint8)
        places.host[: len(rows) + 1] = offsets[rows.start : rows.stop + 1] - start
        self._copy_in(column, min(-(-(LEAD + end - start + SLACK) // 4), len(column.host)))
        self._copy_in(places, len(rows) + 1)

    def _copy_in(self, column: Column, count: int) -> None:
        self._device.copy_in(column.device, column.host, count, self.stream)


class KeyRoom:
    """The states of keys on the device: room for as many as a batch has had.

    Args:
        device: The GPU.
        family: Of the hashes.
    """

    def __init__(self, device: Device, family: Family) -> None:
        self._device = device
        self._family = family
        self._word = "uint32" if family.bits == 32 else "uint64"
        self.stream = device.stream()
        self._initial = Column.of(device, 16, self._word)
        self._blocks: Column | None = None
        self._states: Any = None
        self._room = 0

    def initial(self, hash_: Hash) -> Any:
        """Return where a hash without a key begins, as states have it."""
        self._send_initial(hash_)
        self._device.wait(self.stream)
        return self._initial.device

    def states(self, hash_: Hash, keys: Sequence[bytes], kernel: Any) -> Any:
        """Return the inner and the outer state of each key, computed on the device."""
        blocks = self._blocks_for(len(keys))
        size, count = self._family.block, 2 * len(keys)
        plain = np.frombuffer(key_blocks(hash_, keys), np.uint8).reshape(-1, size)
        pairs = blocks.host.view(np.uint8)[LEAD : LEAD + count * size].reshape(-1, 2, size)
        for place, pad in enumerate((INNER, OUTER)):
            pairs[:, place] = plain ^ np.uint8(pad)
        words = (LEAD + count * size + SLACK) // 4
        self._device.copy_in(blocks.device, blocks.host, words, self.stream)
        self._send_initial(hash_)
        self._device.launch(
            kernel,
            count,
            self.stream,
            *(blocks.device, self._initial.device, np.int64(count), self._states),
        )
        self._device.wait(self.stream)
        return self._states

    def _send_initial(self, hash_: Hash) -> None:
        self._initial.host[:] = hash_.initial * 2
        self._device.copy_in(self._initial.device, self._initial.host, 16, self.stream)

    def _blocks_for(self, keys: int) -> Column:
        if self._blocks is None or keys > self._room:
            # What is too small is let go of before more is taken.
            self._blocks = self._states = None
            self._room = 1 << (keys - 1).bit_length()
            count = (LEAD + 2 * self._room * self._family.block + SLACK) // 4
            self._states = self._device.empty(16 * self._room, self._word)
            self._blocks = Column.of(self._device, count, "uint32")
        return self._blocks
