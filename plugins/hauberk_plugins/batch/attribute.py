"""Which of many keys signed which row."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

from hauberk.batch import Finding, SignedBatch, Verdicts
from hauberk_plugins.batch.archive import Part
from hauberk_plugins.batch.keyfile import Key
from hauberk_plugins.batch.reference import ReferenceEngine

#: Rows of those that a key did not sign, which the reference looks at again for each key.
SAMPLE: Final = 16


class Attribution:
    """Finds each row's signer by trying every key.

    Every match that the engine finds is verified again by the reference; of what it says does not
    match, which is nearly everything, a random sample. An engine that disagrees is reported and
    set aside, and the part is done again without it.

    Args:
        keys: The keys, in the order in which they are tried; by the first that fits, a row is
            attributed.
        ask: Verifies a batch by an engine, unchecked; `None` where it does not.
        report: Is told of an engine that verified wrongly.
        random: What the sample is drawn by.
    """

    def __init__(
        self,
        keys: Mapping[str, Key],
        ask: Callable[[SignedBatch], Verdicts | None] | None,
        report: Callable[[str, dict[str, Any]], Any],
        random: Random,
    ) -> None:
        self._keys = list(keys.values())
        self._ask = ask
        self._report = report
        self._random = random
        self._reference = ReferenceEngine()
        self.engines: set[str] = set()

    def attribute(self, part: Part, name: str) -> list[str | None]:
        """Return the identifier of the key that signed each row, `None` where none did.

        Args:
            part: The rows; the keys that they name play no role.
            name: Of the engine, for what is said of it.
        """
        signers: list[str | None] = [None] * len(part)
        left = [row for row in range(len(part)) if row not in part.problems]
        for key in self._keys:
            if not left:
                break
            batch = _tried(part, key, left)
            matches = self._matches(batch, left, name)
            for row in matches:
                signers[row] = key.id
            if matches:
                taken = set(matches)
                left = [row for row in left if row not in taken]
        return signers

    def _matches(self, batch: SignedBatch, left: list[int], name: str) -> list[int]:
        answer = self._ask(batch) if self._ask is not None else None
        if answer is not None:
            matches = [row for row in left if answer[row] == Finding.VALID]
            others = [row for row in left if answer[row] != Finding.VALID]
            sample = self._random.sample(others, min(SAMPLE, len(others)))
            checked = self._reference.verify(batch, [*matches, *sample])
            wanted = bytes([Finding.VALID]) * len(matches)
            if checked[: len(matches)] == wanted and Finding.VALID not in checked[len(matches) :]:
                self.engines.add(name)
                return matches
            self._ask = None
            details = {"engine": name, "algorithm": batch.algorithm, "rows": len(batch)}
            self._report(f"engine {name} verified wrongly", details)
        self.engines.add("reference")
        found = self._reference.verify(batch, left)
        return [row for row, one in zip(left, found, strict=True) if one == Finding.VALID]


def _tried(part: Part, key: Key, left: list[int]) -> SignedBatch:
    """Make the batch of all rows under one key; those that are done already point at none."""
    indices = array("q", [-1]) * len(part)
    for row in left:
        indices[row] = 0
    return SignedBatch(
        key.algorithm,
        part.messages,
        part.message_offsets,
        part.signatures,
        part.signature_offsets,
        indices,
        (key.value,),
    )
