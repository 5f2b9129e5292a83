"""Kernels as machine code, made where there is no GPU: what a thread of them takes."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from attrs import frozen
from cuda.core import Linker, LinkerOptions, ObjectCode
from numba import cuda

from hauberk_plugins.gpu.kernels import types_of
from hauberk_plugins.gpu.shim import jit
from hauberk_plugins.gpu.words import words_of
from hauberk_plugins.sha2.family import Family


@frozen
class MachineCode:
    """What the assembler says of a kernel.

    Attributes:
        registers: Of a thread.
        stack: Bytes of it, in the device's memory.
        spilled: Bytes stored to and loaded from there for want of registers.
        instructions: How many there are, each once.
    """

    registers: int
    stack: int
    spilled: int
    instructions: int


def machine_code(kernel: Any, types: tuple[Any, ...], sm: int) -> MachineCode:
    """Compile and link a kernel for an architecture, such as 90 for Hopper."""
    ptx, _ = cuda.compile_ptx(kernel.py_func, types, cc=divmod(sm, 10))
    options = LinkerOptions(arch=f"sm_{sm}", ptxas_options=["-v"])
    linker = Linker(ObjectCode.from_ptx(ptx.encode()), options=options)
    code = bytes(linker.link("cubin").code)
    told = linker.get_info_log()

    def number(pattern: str) -> int:
        # With no match this fails: what was not said was not checked.
        return max(int(found) for found in re.findall(pattern, told))

    return MachineCode(
        registers=number(r"Used (\d+) registers"),
        stack=number(r"(\d+) bytes stack frame"),
        spilled=number(r"(\d+) bytes spill"),
        instructions=sum(size for name, size in _sections(code) if name[:6] == b".text.") // 16,
    )


def _sections(elf: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the name and the size of each section (System V ABI, 4)."""
    at, size, count, names = struct.unpack_from("<Q10xHHH", elf, 40)
    headers = [struct.unpack_from("<IIQQQQ", elf, at + size * number) for number in range(count)]
    start = headers[names][4]
    for header in headers:
        place = start + header[0]
        yield elf[place : elf.index(b"\0", place)], header[5]


def compression(family: Family, sm: int) -> int:
    """Return how many instructions a compression takes: those that a second one adds."""
    words = words_of(family)
    load, compress = words.load, words.compress

    @jit
    def once(column, states, count, written):
        state = (
            *(states[0], states[1], states[2], states[3]),
            *(states[4], states[5], states[6], states[7]),
        )
        state = compress(state, load(column, count))
        written[0] = state[0] ^ state[1] ^ state[2] ^ state[3]
        written[1] = state[4] ^ state[5] ^ state[6] ^ state[7]

    @jit
    def twice(column, states, count, written):
        state = (
            *(states[0], states[1], states[2], states[3]),
            *(states[4], states[5], states[6], states[7]),
        )
        block = load(column, count)
        state = compress(state, block)
        # Words that are new, or the compiler finds much of the second schedule in the first.
        rest = (
            *(state[0] ^ block[8], state[1] ^ block[9], state[2] ^ block[10]),
            *(state[3] ^ block[11], state[4] ^ block[12], state[5] ^ block[13]),
            *(state[6] ^ block[14], state[7] ^ block[15]),
        )
        state = compress(state, state + rest)
        written[0] = state[0] ^ state[1] ^ state[2] ^ state[3]
        written[1] = state[4] ^ state[5] ^ state[6] ^ state[7]

    types = types_of(family)["states"]
    one, two = (machine_code(kernel, types, sm).instructions for kernel in (once, twice))
    return two - one
