"""Parts of an archive to batches: which key verifies which row, and why a row is rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from attrs import frozen

from hauberk.batch import Finding, SignedBatch, Verified
from hauberk_plugins.batch.archive import Part
from hauberk_plugins.batch.keyfile import Key

Verify = Callable[[SignedBatch], Verified]

_UNKNOWN: Final = Finding.UNKNOWN_KEY.reason


@frozen
class Judged:
    """What came of a part.

    Attributes:
        rejected: Rows of the archive, in order, and why.
        engines: Which verified it.
    """

    rejected: dict[int, str]
    engines: frozenset[str]


class Judge:
    """Verifies parts.

    Args:
        keys: By identifier.
        verify: Verifies a batch.
    """

    def __init__(self, keys: Mapping[str, Key], verify: Verify) -> None:
        self._verify = verify
        self._keys = keys
        #: Of each algorithm, its keys, and where in the tuple an identifier's stands.
        self._of: dict[str, tuple[tuple[bytes, ...], dict[str | None, int]]] = {}
        for algorithm in dict.fromkeys(key.algorithm for key in keys.values()):
            mine = [key for key in keys.values() if key.algorithm == algorithm]
            places: dict[str | None, int] = {key.id: at for at, key in enumerate(mine)}
            self._of[algorithm] = tuple(key.value for key in mine), places

    def judge(self, part: Part) -> Judged:
        """Verify every row of a part."""
        reasons = dict(part.problems)
        engines = set()
        for batch, rows in self._batches(part, reasons):
            verified = self._verify(batch)
            engines.add(verified.engine)
            for at in verified.rejected():
                row = at if rows is None else rows[at]
                reasons.setdefault(row, Finding(verified.verdicts[at]).reason)
        rejected = {part.first + row: reasons[row] for row in sorted(reasons)}
        return Judged(rejected, frozenset(engines))

    def _batches(
        self, part: Part, reasons: dict[int, str]
    ) -> Iterable[tuple[SignedBatch, list[int] | None]]:
        """Yield batches of one algorithm each, and which rows they hold; `None` for all."""
        if part.algorithms is None and len(self._of) == 1:
            ((algorithm, (keys, places)),) = self._of.items()
            batch = SignedBatch(
                algorithm,
                part.messages,
                part.message_offsets,
                part.signatures,
                part.signature_offsets,
                part.key_ids.indices(places),
                keys,
            )
            if not batch.has_keys:
                self._note_unknown(part, reasons)
            yield batch, None
            return
        by_algorithm: dict[str, list[int]] = {}
        for row, key_id in enumerate(part.key_ids):
            if row in reasons:
                continue
            key = self._keys.get(key_id or "")
            said = part.algorithms[row] if part.algorithms is not None else None
            if key is None:
                reasons[row] = _UNKNOWN
            elif said not in (None, key.algorithm):
                reasons[row] = f"it says algorithm {said[:40]!r}, and its key is of {key.algorithm}"
            else:
                by_algorithm.setdefault(key.algorithm, []).append(row)
        for algorithm, rows in by_algorithm.items():
            yield self._taken(part, algorithm, rows), rows

    def _note_unknown(self, part: Part, reasons: dict[int, str]) -> None:
        for row, key_id in enumerate(part.key_ids):
            if key_id not in self._keys:
                reasons.setdefault(row, _UNKNOWN)

    def _taken(self, part: Part, algorithm: str, rows: list[int]) -> SignedBatch:
        """Copy some rows into a batch of their own."""
        keys, places = self._of[algorithm]
        messages, signatures = memoryview(part.messages), memoryview(part.signatures)
        at, ends = part.message_offsets, part.signature_offsets
        return SignedBatch.of(
            algorithm,
            [
                (
                    messages[at[row] : at[row + 1]],
                    signatures[ends[row] : ends[row + 1]],
                    places[part.key_ids[row]],
                )
                for row in rows
            ],
            keys,
        )
