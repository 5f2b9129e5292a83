"""Batches on one core and on two: beside a loop, beside copied states, beside the bare lanes.

Everything that is between a batch and its verdicts counts: keys are made ready, rows are checked,
sorted, laid out, transposed, padded and compared. What the engine is compared with runs in turn
with it, in one process.
"""

import hashlib
import hmac
import os
import random
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ed25519

from hauberk.batch import SignedBatch
from hauberk_plugins.batch.cpu import CpuEngine, lanes_here
from hauberk_plugins.batch.pool import cores
from hauberk_plugins.batch.reference import ReferenceEngine
from hauberk_plugins.sha2.family import SHA256, SHA512, Hash

from _rounds import figure, medians

ROUNDS, ROWS, LOOP_ROWS = 9, 200_000, 10_000
SHAPES = {"64 to 256 bytes": (64, 256), "128 bytes": (128, 128)}
Rows = list[tuple[bytes, bytes, int]]


def main() -> None:
    randoms = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "compiled"
        one, two = CpuEngine(threads=1, cache=cache), CpuEngine(threads=2, cache=cache)
        keys = [randoms.randbytes(32) for _ in range(8)]
        for hash_ in (SHA256, SHA512):
            for shape, (low, high) in SHAPES.items():
                rows = _rows(randoms, keys, hash_, low, high)
                _hmac(one, two, hash_, shape, rows, keys)
        _root(one, randoms)
    _ed25519(randoms)


def _rows(randoms: random.Random, keys: list[bytes], hash_: Hash, low: int, high: int) -> Rows:
    rows = []
    for _ in range(ROWS):
        message, key = randoms.randbytes(randoms.randint(low, high)), randoms.randrange(len(keys))
        rows.append((message, hmac.digest(keys[key], message, hash_.name), key))
    return rows


def _hmac(
    one: CpuEngine, two: CpuEngine, hash_: Hash, shape: str, rows: Rows, keys: list[bytes]
) -> None:
    batch = SignedBatch.of(f"hmac-{hash_.name}", rows, keys)
    some = rows[:LOOP_ROWS]
    states = [(_state(hash_, key, 0x36), _state(hash_, key, 0x5C)) for key in keys]
    blocks = [_blocks(hash_, len(message)) for message, _, _ in rows]
    bare = _bare(one, hash_)
    name = f"HMAC-{hash_.name.upper()}, {shape}"
    seconds = medians(
        lambda: one.verify(batch),
        lambda: _loop(some, keys, hash_.name),
        lambda: _copied(some, states),
        bare,
        lambda: two.verify(batch),
        rounds=ROUNDS,
    )
    ours = ROWS / seconds[0]
    is_wide = lanes_here() == 16
    goal = (">= 20" if hash_ is SHA256 else ">= 10") if is_wide else "none: no AVX-512"
    figure(name, ours, "rows/s", "hmac.digest, compare_digest", LOOP_ROWS / seconds[1], goal)
    copied = ">= 10" if is_wide and hash_ is SHA256 else "none"
    figure(name, ours, "rows/s", "copied hashlib states", LOOP_ROWS / seconds[2], copied)
    done = ours * statistics.mean(blocks)
    share = ">= 0.6" if hash_ is SHA256 else "none"
    figure(f"{name}, compressions", done, "1/s", "bare lanes", BARE / seconds[3], share)
    if cores() > 1:
        figure(f"{name}, two cores", ROWS / seconds[4], "rows/s", "one core", ours, ">= 1.7")


def _state(hash_: Hash, key: bytes, pad: int) -> "hashlib._Hash":
    block = key.ljust(hash_.family.block, b"\0")
    return hashlib.new(hash_.name, bytes(byte ^ pad for byte in block))


def _loop(rows: Rows, keys: list[bytes], name: str) -> None:
    digest, same = hmac.digest, hmac.compare_digest
    for message, tag, key in rows:
        if not same(digest(keys[key], message, name), tag):
            raise SystemExit("a right tag was rejected")


def _copied(rows: Rows, states: list[tuple["hashlib._Hash", "hashlib._Hash"]]) -> None:
    same = hmac.compare_digest
    for message, tag, key in rows:
        inner, outer = states[key]
        inner, outer = inner.copy(), outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        if not same(outer.digest(), tag):
            raise SystemExit("a right tag was rejected")


def _blocks(hash_: Hash, length: int) -> int:
    """Return how many compressions a row takes: its own, and the outer one."""
    family = hash_.family
    return (length + 2 * family.word + 1 + family.block - 1) // family.block + 1


#: Compressions of a round of the bare lanes.
BARE = 1_600_000


def _bare(engine: CpuEngine, hash_: Hash) -> Callable[[], None]:
    family = hash_.family
    rows = engine._rows_of(hash_)
    lanes = lanes_here() * 32 // family.bits
    kind = np.uint32 if family.bits == 32 else np.uint64
    state, block = np.zeros((8, lanes), kind), np.zeros((16, lanes), kind)
    active = np.full(lanes, np.iinfo(kind).max, kind)
    return lambda: rows.bare(BARE // lanes, state, block, active)


def _root(engine: CpuEngine, randoms: random.Random) -> None:
    records, size = 1_000_000, 200
    lines = randoms.randbytes(records * size)
    data, offsets = np.frombuffer(lines, np.uint8), np.arange(records + 1, dtype=np.int64) * size
    found: list[bytes] = []
    ours, loop = medians(
        lambda: found.append(engine.root(data, offsets)),
        lambda: found.append(_looped_root(lines, size)),
        rounds=3,
    )
    if len(set(found)) != 1:
        raise SystemExit("the roots differ")
    goal = ">= 8" if lanes_here() == 16 else "none: no AVX-512"
    figure(
        "RFC 6962 root, 200 bytes a record",
        records / ours,
        "records/s",
        "hashlib",
        records / loop,
        goal,
    )


def _looped_root(lines: bytes, size: int) -> bytes:
    sha256 = hashlib.sha256
    level = [sha256(b"\0" + lines[at : at + size]).digest() for at in range(0, len(lines), size)]
    while len(level) > 1:
        above = [
            sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)
        ]
        level = above + level[len(above) * 2 :]
    return level[0]


def _ed25519(randoms: random.Random) -> None:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(randoms.randbytes(32))
    public = private.public_key()
    messages = [randoms.randbytes(200) for _ in range(4_000)]
    rows = [(message, private.sign(message), 0) for message in messages]
    batch = SignedBatch.of("ed25519", rows, [public.public_bytes_raw()])
    reference = ReferenceEngine()

    def loop() -> None:
        for message, signature, _ in rows:
            public.verify(signature, message)

    ours, peer = medians(lambda: reference.verify(batch), loop, rounds=5)
    name = f"Ed25519, {cores()} cores"
    of_all = cores() * len(rows) / peer
    figure(name, len(rows) / ours, "rows/s", "cores times OpenSSL on one", of_all, ">= 0.85")


if __name__ == "__main__":
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    main()
