"""Trust, but verify: engines are asked in order, and their answers checked by the reference."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, Final, TypeAlias

from hauberk.batch import KNOWN, Finding, SignedBatch, Verdicts, Verified, rejected
from hauberk.errors import MisuseError
from hauberk.ports import Reference

log = logging.getLogger("hauberk")

#: Under which name the reference is said to have verified a batch.
REFERENCE: Final = "reference"
#: Of so many accepted rows, one is checked again, chosen at random; and so many at least.
ONE_IN: Final = 2_048
AT_LEAST: Final = 32

#: An engine's name, and how to ask it; it contains what the engine raises, and answers `None` then.
Engine: TypeAlias = tuple[str, Callable[[SignedBatch], Any]]


class Verifier:
    """Verifies batches by engines, and holds each to the reference.

    Every row that an engine rejects, and a random sample of those that it accepts, are verified
    again by the reference. An engine that disagrees in a single row is an incident and no result:
    it is set aside, and the reference verifies the whole batch.

    Args:
        random: What the sample is drawn by; an engine must not be able to foretell it.
        report: Is told of a disagreement: a title, and details.

    Attributes:
        set_aside: Names of the engines that are not asked again.
    """

    def __init__(self, random: Random, report: Callable[[str, dict[str, Any]], Any]) -> None:
        self._random = random
        self._report = report
        self.set_aside: set[str] = set()

    def verify(
        self, batch: SignedBatch, engines: Iterable[Engine], reference: Reference | None
    ) -> Verified:
        """Verify a batch by the first engine that answers, or by the reference.

        Raises:
            MisuseError: There is no reference: nothing is believed unchecked.
        """
        if reference is None:
            raise MisuseError(
                "nothing can be verified: engines are checked by the port `reference`, which "
                "nobody provides; list `batch` in `plugins:`, or name a provider in `ports:`"
            )
        for name, ask in engines:
            if name in self.set_aside:
                continue
            answer = ask(batch)
            if answer is None:
                continue
            verdicts = _sound(answer, len(batch))
            if verdicts is None:
                log.warning("engine %s answered what are no verdicts for %d rows", name, len(batch))
                continue
            rows = self._to_check(verdicts)
            checked = bytearray(verdicts)
            for row, found in zip(rows, _checked(reference, batch, rows), strict=True):
                checked[row] = found
            wrong = [row for row in rows if _differ(checked[row], verdicts[row])]
            if not wrong:
                return Verified(bytes(checked), name)
            self._set_aside(name, batch, verdicts, wrong)
            break
        return Verified(_checked(reference, batch, range(len(batch))), REFERENCE)

    def _to_check(self, verdicts: bytes) -> Sequence[int]:
        """Return every row that was rejected, and some of the others, in order."""
        rows = len(verdicts)
        size = max(AT_LEAST, rows // ONE_IN)
        if size >= rows:
            return range(rows)
        chosen = set(self._random.sample(range(rows), size))
        return sorted(chosen.union(rejected(verdicts)))

    def _set_aside(
        self, name: str, batch: SignedBatch, verdicts: bytes, wrong: Sequence[int]
    ) -> None:
        self.set_aside.add(name)
        accepted = sum(verdicts[row] == Finding.VALID for row in wrong)
        self._report(
            f"engine {name} verified wrongly",
            {
                "engine": name,
                "algorithm": batch.algorithm,
                "rows": len(batch),
                "wrongly_accepted": accepted,
                "wrongly_rejected": len(wrong) - accepted,
                "first_row": wrong[0],
            },
        )


def _checked(reference: Reference, batch: SignedBatch, rows: Sequence[int]) -> bytes:
    """Have rows verified by the reference, all of them or none.

    Raises:
        MisuseError: It answered for other rows.
    """
    verdicts = _sound(reference.verify(batch, rows), len(rows))
    if verdicts is None:
        raise MisuseError(f"the reference answered what are no verdicts for {len(rows)} rows")
    return verdicts


def _sound(answer: Verdicts, rows: int) -> bytes | None:
    """Return verdicts if they are some: one byte for each row, and each with a meaning."""
    if not isinstance(answer, bytes | bytearray | memoryview):
        return None
    verdicts = bytes(answer)
    return verdicts if len(verdicts) == rows and KNOWN.issuperset(verdicts) else None


def _differ(one: int, other: int) -> bool:
    """Whether two findings differ in what counts: whether the row is valid."""
    return (one == Finding.VALID) is not (other == Finding.VALID)
