"""`CpuEngine`: SHA-2 in the processor's vectors, a message a lane, on all cores."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from llvmlite.binding import get_host_cpu_features
from numpy.typing import NDArray

from hauberk.batch import SignedBatch
from hauberk_plugins.batch.compiled import Cache, cache_folder
from hauberk_plugins.batch.pool import on_all_cores
from hauberk_plugins.batch.rows import Rows, rows_of
from hauberk_plugins.sha2.algorithms import INNER, OUTER, SHA2, Algorithm, key_blocks
from hauberk_plugins.sha2.family import SHA256, Hash

#: Rows that a thread takes at once: their columns fit into a core's cache.
CHUNK: Final = 8_192
Numbers = NDArray[np.int64]
Octets = NDArray[np.uint8]


def lanes_here(features: Callable[[], Any] = get_host_cpu_features) -> int:
    """Return how many 32-bit lanes are best here: sixteen where there is AVX-512, else eight."""
    return 16 if features().get("avx512f") else 8


class CpuEngine:
    """Verifies batches of HMAC and of hashes.

    Args:
        threads: How many at once; as many as there are processors unless given.
        lanes: Of 32 bits; what is best for the processor unless given. Of 64 bits, half as many.
        cache: Where what was compiled is kept; `None` keeps nothing.
    """

    def __init__(
        self, threads: int | None = None, lanes: int | None = None, cache: Path | None = None
    ) -> None:
        self._threads = threads
        self._lanes = lanes or lanes_here()
        self._cache = cache
        #: By the bits of a word.
        self._rows: dict[int, Rows] = {}
        self._lock = threading.Lock()

    def verify(self, batch: SignedBatch) -> bytes | None:
        """Return a `Finding` for each row, or `None` for an algorithm that is not done here."""
        kind = SHA2.get(batch.algorithm)
        if kind is None:
            return None
        states = self._key_states(kind, batch.keys) if kind.is_keyed else self._start(kind.hash)
        total = len(batch)
        findings = np.zeros(total, np.uint8)
        do = partial(self._verify_part, self._rows_of(kind.hash), kind, batch, states, findings)
        starts = range(0, total, CHUNK)
        for _ in on_all_cores(do, starts, self._threads):
            pass
        return findings.tobytes()

    def digests(
        self, data: Octets, offsets: Numbers, *, hash_: Hash = SHA256, prefix: int = -1
    ) -> Octets:
        """Hash rows.

        Args:
            data: Bytes, the rows end to end.
            offsets: One more than rows, in order and within `data`.
            hash_: The hash.
            prefix: A byte before each row, or -1.

        Returns:
            A digest a row.

        Raises:
            ValueError: The offsets run backwards or out of `data`.
        """
        if len(offsets) == 0 or offsets[0] < 0 or offsets[-1] > len(data):
            raise ValueError("the offsets do not lie within the data")
        if np.any(offsets[1:] < offsets[:-1]):
            raise ValueError("the offsets run backwards")
        rows, start = self._rows_of(hash_), self._start(hash_)
        total = len(offsets) - 1
        # As the columns of batches are, so that what was compiled for those does for these.
        data, places = _octets(data.data), _numbers(offsets.data)
        no_keys = _numbers(memoryview(b""))
        words = np.empty((total, 8), start.dtype)

        def do(first: int) -> None:
            last = min(first + CHUNK, total)
            rows.digest(
                data,
                places[first:last],
                places[first + 1 : last + 1],
                np.arange(last - first),
                prefix,
                False,
                no_keys,
                start,
                hash_.size,
                words[first:last],
            )

        for _ in on_all_cores(do, range(0, total, CHUNK), self._threads):
            pass
        return words.view(np.uint8)[:, : hash_.size]

    def hash(self, algorithm: str, data: bytes, offsets: Sequence[int]) -> bytes:
        """Hash rows by an algorithm without keys; return the digests end to end."""
        kind = SHA2[algorithm]
        places = np.fromiter(offsets, np.int64, len(offsets))
        found = self.digests(
            np.frombuffer(data, np.uint8), places, hash_=kind.hash, prefix=kind.prefix
        )
        return found.tobytes()

    def root(self, data: Octets, offsets: Numbers) -> bytes:
        """Return the root of the RFC 6962 tree over rows (2.1)."""
        leaves = self.digests(data, offsets, prefix=0)
        return self.root_of(leaves)

    def root_of(self, hashes: Octets) -> bytes:
        """Return the root of the RFC 6962 tree over the hashes of its leaves, 32 bytes each."""
        if len(hashes) == 0:
            return hashlib.sha256().digest()
        level = np.ascontiguousarray(hashes)
        while len(level) > 1:
            pairs = len(level) // 2
            nodes = self.digests(
                level[: 2 * pairs].reshape(-1), np.arange(pairs + 1, dtype=np.int64) * 64, prefix=1
            )
            # The last of an odd number rises as it is: so the largest power of two stands left.
            level = np.ascontiguousarray(
                nodes if len(level) % 2 == 0 else np.concatenate([nodes, level[-1:]])
            )
        return bytes(level[0].tobytes())

    def _verify_part(
        self,
        rows: Rows,
        kind: Algorithm,
        batch: SignedBatch,
        states: NDArray[Any],
        findings: Octets,
        first: int,
    ) -> None:
        last = min(first + CHUNK, len(batch))
        rows.verify(
            _octets(batch.messages),
            _numbers(batch.message_offsets)[first : last + 1],
            _octets(batch.signatures),
            _numbers(batch.signature_offsets)[first : last + 1],
            _numbers(batch.key_indices)[first:last],
            states,
            kind.is_keyed,
            kind.prefix,
            kind.least,
            kind.hash.size,
            findings[first:last],
        )

    def _rows_of(self, hash_: Hash) -> Rows:
        bits = hash_.family.bits
        with self._lock:
            if bits not in self._rows:
                lanes = self._lanes * 32 // bits
                self._rows[bits] = rows_of(
                    hash_.family, lanes, partial(self._kept, f"{lanes}x{bits}")
                )
            return self._rows[bits]

    def _kept(self, name: str, function: Any) -> Any:
        if self._cache is not None:
            function._cache = Cache(self._cache, f"{name}-{function.__name__}")
        return function

    def _start(self, hash_: Hash) -> NDArray[Any]:
        """Return where a hash without a key begins, as states have it."""
        states = np.zeros((1, 16), np.uint32 if hash_.family.bits == 32 else np.uint64)
        states[0, :8] = hash_.initial
        return states

    def _key_states(self, kind: Algorithm, keys: Sequence[bytes]) -> NDArray[Any]:
        """Return the inner and the outer state of each key, computed once."""
        start = self._start(kind.hash)
        states = np.zeros((len(keys), 16), start.dtype)
        if not keys:
            return states
        blocks = np.frombuffer(key_blocks(kind.hash, keys), np.uint8)
        blocks = blocks.reshape(-1, kind.hash.family.block)
        rows = self._rows_of(kind.hash)
        for place, pad in ((0, INNER), (8, OUTER)):
            half = np.empty((len(keys), 8), start.dtype)
            rows.first_blocks(blocks ^ np.uint8(pad), start[0, :8], half)
            states[:, place : place + 8] = half
        return states


def _octets(column: memoryview) -> Octets:
    return np.frombuffer(column.toreadonly(), np.uint8)


def _numbers(column: memoryview) -> Numbers:
    return np.frombuffer(column.toreadonly(), np.int64)


def default_engine() -> CpuEngine:
    """Return an engine for all cores that keeps what it compiles with the user's caches."""
    return CpuEngine(cache=cache_folder())
