"""`Hasher`: many hashes at once, for whoever builds trees of them; checked like every engine."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Any, Final

from hauberk_plugins.batch.reference import PREFIXES

if TYPE_CHECKING:
    from hauberk_plugins.batch.cpu import CpuEngine

log = logging.getLogger("hauberk")

#: Below this many rows in all, loading the engine takes longer than hashing them one by one.
WORTH_LOADING: Final = 100_000
#: Of each call's rows, how many are hashed again one by one.
SAMPLE: Final = 16
_SIZE: Final = 32


class Hasher:
    """Hashes rows, in vectors once there were enough of them to be worth it.

    Args:
        engine: Makes the engine, or returns `None` where it cannot run.
        report: Is told of an engine that hashed wrongly: a title, and details.
        random: What the sample is drawn by.
    """

    def __init__(self, engine: Any, report: Any, random: Random | None = None) -> None:
        self._make = engine
        self._report = report
        self._random = random or SystemRandom()
        self._engine: CpuEngine | None = None
        self._rows = 0

    def digests(self, algorithm: str, data: bytes, offsets: Sequence[int]) -> bytes:
        """Return the hash of each row, end to end.

        Args:
            algorithm: `sha256`, `rfc6962-leaf` or `rfc6962-node`.
            data: The rows.
            offsets: Where each begins, in order, and the end of the last.
        """
        prefix = PREFIXES[algorithm]
        count = len(offsets) - 1
        self._rows += count
        if self._engine is None and self._rows >= WORTH_LOADING:
            self._engine, self._rows = self._make(), -(1 << 62)
        if self._engine is not None and count > SAMPLE:
            found = self._engine.hash(algorithm, data, offsets)
            rows = self._random.sample(range(count), SAMPLE)
            wrong = [
                row
                for row in rows
                if found[row * _SIZE : (row + 1) * _SIZE] != _hash(prefix, data, offsets, row)
            ]
            if not wrong:
                return found
            self._engine = None
            details = {"engine": "cpu", "algorithm": algorithm, "rows": count, "row": wrong[0]}
            self._report("engine cpu hashed wrongly", details)
        return b"".join(_hash(prefix, data, offsets, row) for row in range(count))


def _hash(prefix: bytes, data: bytes, offsets: Sequence[int], row: int) -> bytes:
    return hashlib.sha256(prefix + data[offsets[row] : offsets[row + 1]]).digest()
