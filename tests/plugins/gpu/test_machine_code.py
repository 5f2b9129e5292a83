"""Kernels as machine code, without a GPU: no stack, no spills, as few instructions as need be."""

from __future__ import annotations

import pytest

pytest.importorskip("numba.cuda", reason="what the GPU needs is not installed: make test-gpu")
pytest.importorskip("cuda.core", reason="what the GPU needs is not installed: make test-gpu")

from tests.plugins.gpu.machine_code import compression, machine_code

from hauberk_plugins.gpu.kernels import states_of, types_of, verify_of
from hauberk_plugins.sha2.family import (
    SHA256,
    SHA256_FAMILY,
    SHA384,
    SHA512,
    SHA512_FAMILY,
    Family,
    Hash,
)

pytestmark = pytest.mark.gpu

ARCHITECTURES = [80, 90, 100]
#: Of a thread: with 64 a multiprocessor, which has 65,536, holds 1,024 threads.
REGISTERS = {32: 64, 64: 96}
#: Of a compression, in machine code: what 64 rounds take where nothing is wasted, and 80 of twice
#: the width.
INSTRUCTIONS = {32: 1_410, 64: 3_552}


@pytest.mark.parametrize("sm", ARCHITECTURES)
@pytest.mark.parametrize("hash_", [SHA256, SHA384, SHA512], ids=lambda hash_: hash_.name)
@pytest.mark.parametrize("kernel", ["verify", "states"])
def test_kernels_keep_to_their_registers(kernel: str, hash_: Hash, sm: int) -> None:
    made = {"verify": verify_of, "states": states_of}[kernel](hash_)
    code = machine_code(made, types_of(hash_.family)[kernel], sm)
    assert (code.stack, code.spilled) == (0, 0)
    assert code.registers <= REGISTERS[hash_.family.bits]
    # As much as it must be: what was optimised away was not checked.
    assert code.instructions > INSTRUCTIONS[hash_.family.bits]


@pytest.mark.parametrize("sm", ARCHITECTURES)
@pytest.mark.parametrize("family", [SHA256_FAMILY, SHA512_FAMILY], ids=["sha256", "sha512"])
def test_a_compression_takes_no_more_instructions_than_it_must(family: Family, sm: int) -> None:
    expected = INSTRUCTIONS[family.bits]
    assert 0.9 * expected < compression(family, sm) <= 1.05 * expected
