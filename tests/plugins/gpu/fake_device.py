"""A device of numpy's arrays that does things late, watches buffers, and fails when it is told.

What is put on a stream is done when the stream is waited for, or some time before, as a schedule
has it. A buffer that is changed while it is on its way is an error; one that is read too early
holds poison.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import define, field, frozen

from hauberk.batch import Finding
from hauberk_plugins.gpu.device import DeviceFailed, DeviceFull, Kernels
from hauberk_plugins.gpu.slots import LEAD
from hauberk_plugins.sha2.family import Hash
from hauberk_plugins.sha2.plain import Plain
from hauberk_plugins.sha2.rounds import compress

POISON = 0xA5


@define(eq=False)
class Stream:
    number: int
    queue: deque[Callable[[], None]] = field(factory=deque)


@define(eq=False, weakref_slot=True)
class OnDevice:
    """An array that only the device may look into."""

    data: Any


@frozen
class Call:
    """What was asked of the device.

    Attributes:
        name: The method.
        stream: The number of its stream, or -1.
        elsewhere: How much was still to be done on other streams.
    """

    name: str
    stream: int
    elsewhere: int


class FakeDevice:
    """A device.

    Args:
        memory: Bytes that can be taken, on the device.
        fails: Is told the number of each call and its name; returns what is raised, or `None`.
        ahead: Says after each call which of so many streams with work gets on with its next piece,
            or `None` for none.
    """

    def __init__(
        self,
        memory: int = 1 << 30,
        fails: Callable[[int, str], BaseException | None] = lambda number, name: None,
        ahead: Callable[[int], int | None] = lambda streams: None,
    ) -> None:
        self.memory, self.fails, self.ahead = memory, fails, ahead
        self.calls: list[Call] = []
        self.streams: list[Stream] = []
        #: Bytes that are taken; and of these, bytes that nobody holds any more.
        self.held = self.dropped = 0
        #: Kernels that are launched do nothing.
        self.is_idle = False

    def kernels(self, hash_: Hash) -> Kernels:
        self._called("kernels")
        return Kernels(lambda *args: _verify(hash_, *args), lambda *args: _states(hash_, *args))

    def stream(self) -> Stream:
        self._called("stream")
        self.streams.append(Stream(len(self.streams)))
        return self.streams[-1]

    def pinned(self, count: int, kind: str) -> Any:
        self._called("pinned")
        return _poisoned(count, kind)

    def empty(self, count: int, kind: str) -> OnDevice:
        self._called("empty")
        array = OnDevice(_poisoned(count, kind))
        if self.held + array.data.nbytes > self.memory:
            raise DeviceFull("the GPU failed: out of memory")
        self.held += array.data.nbytes
        weakref.finalize(array, self._drop, array.data.nbytes)
        return array

    def copy_in(self, target: OnDevice, source: Any, count: int, stream: Stream) -> None:
        assert 0 < count <= min(len(target.data), len(source))
        before = source[:count].copy()

        def do() -> None:
            assert (source[:count] == before).all(), "it was changed while it was on its way"
            target.data[:count] = source[:count]

        self._put("copy_in", stream, do)

    def copy_out(self, target: Any, source: OnDevice, count: int, stream: Stream) -> None:
        assert 0 < count <= min(len(target), len(source.data))
        octets = target[:count].view(np.uint8)
        octets[:] = POISON

        def do() -> None:
            assert (octets == POISON).all(), "it was written while it was on its way"
            target[:count] = source.data[:count]

        self._put("copy_out", stream, do)

    def launch(self, kernel: Any, threads: int, stream: Stream, *args: Any) -> None:
        assert threads > 0

        def do() -> None:
            if not self.is_idle:
                kernel(*(arg.data if isinstance(arg, OnDevice) else arg for arg in args))

        self._put("launch", stream, do)

    def wait(self, stream: Stream) -> None:
        # A device that is lost does no more of what is on its way, but lets go of it.
        work, lost = list(stream.queue), True
        try:
            self._called("wait", stream)
            lost = False
        finally:
            stream.queue.clear()
            for do in () if lost else work:
                do()

    def free(self) -> None:
        self._called("free")
        self.held -= self.dropped
        self.dropped = 0

    def _put(self, name: str, stream: Stream, do: Callable[[], None]) -> None:
        self._called(name, stream)
        stream.queue.append(do)
        busy = [stream for stream in self.streams if stream.queue]
        chosen = self.ahead(len(busy))
        if chosen is not None:
            busy[chosen].queue.popleft()()

    def _called(self, name: str, stream: Stream | None = None) -> None:
        elsewhere = sum(len(other.queue) for other in self.streams if other is not stream)
        self.calls.append(Call(name, -1 if stream is None else stream.number, elsewhere))
        error = self.fails(len(self.calls) - 1, name)
        try:
            if error is not None:
                raise error
        finally:
            del error  # it would hold itself by this frame

    def _drop(self, size: int) -> None:
        self.dropped += size


def lost_at(number: int) -> Callable[[int, str], BaseException | None]:
    """A device that is lost at a call, and at each one after it."""
    return lambda at, name: DeviceFailed("the GPU failed: it is lost") if at >= number else None


def fails_at(number: int, error: BaseException) -> Callable[[int, str], BaseException | None]:
    """A device that fails at one call."""
    return lambda at, name: error if at == number else None


def _poisoned(count: int, kind: str) -> Any:
    return np.full(count * np.dtype(kind).itemsize, POISON, np.uint8).view(kind)


def _verify(
    hash_: Hash,
    messages: Any,
    message_offsets: Any,
    signatures: Any,
    signature_offsets: Any,
    indices: Any,
    states: Any,
    keys: Any,
    rows: Any,
    is_keyed: bool,
    prefix: Any,
    least: Any,
    rejected: Any,
    counts: Any,
) -> None:
    """What the kernel does, one row after the other, the last first."""
    size = hash_.family.block
    for row in reversed(range(rows)):
        message, tag = (
            column.view(np.uint8)[LEAD + offsets[row] : LEAD + offsets[row + 1]].tobytes()
            for column, offsets in ((messages, message_offsets), (signatures, signature_offsets))
        )
        key = int(indices[row]) if is_keyed else 0
        if not 0 <= key < keys:
            finding = Finding.UNKNOWN_KEY
        elif not least <= len(tag) <= hash_.size:
            finding = Finding.SIGNATURE
        else:
            words = [int(word) for word in states[16 * key : 16 * key + 16]]
            lead = bytes([prefix]) if prefix >= 0 else b""
            found = _digest(hash_, words[:8], lead + message, size if is_keyed else 0)
            if is_keyed:
                found = _digest(hash_, words[8:], found, size)
            finding = Finding(found[: len(tag)] == tag)
        if finding != Finding.VALID:
            rejected[counts[0]] = 8 * row + finding
            counts[0] += 1
        counts[1] += 1


def _states(hash_: Hash, blocks: Any, initial: Any, count: Any, written: Any) -> None:
    size = hash_.family.block
    for turn in range(count):
        block = blocks.view(np.uint8)[LEAD + turn * size : LEAD + (turn + 1) * size].tobytes()
        written[8 * turn : 8 * turn + 8] = _compressed(hash_, [int(n) for n in initial[:8]], block)


def _digest(hash_: Hash, state: list[int], message: bytes, before: int) -> bytes:
    """Hash a message, of which so many bytes are already in the state (FIPS 180-4, 5.1)."""
    size, word = hash_.family.block, hash_.family.word
    padded = message + b"\x80"
    padded += bytes(-(len(padded) + 2 * word) % size)
    padded += (8 * (before + len(message))).to_bytes(2 * word, "big")
    for at in range(0, len(padded), size):
        state = _compressed(hash_, state, padded[at : at + size])
    return b"".join(value.to_bytes(word, "big") for value in state)[: hash_.size]


def _compressed(hash_: Hash, state: list[int], block: bytes) -> list[int]:
    word = hash_.family.word
    words = [int.from_bytes(block[at : at + word], "big") for at in range(0, len(block), word)]
    return compress(Plain(hash_.family.bits), hash_.family, state, words)
