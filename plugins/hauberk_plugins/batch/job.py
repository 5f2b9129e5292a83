"""A verification of archives from beginning to end: read, verify, report, go on."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from hauberk_plugins.batch.archive import ArchiveUnusable, Part, Reader, Start, reader_of
from hauberk_plugins.batch.plot import Histogram, seconds
from hauberk_plugins.batch.report import Progress, Report, resumed

#: How many seconds of work an interruption without a warning costs at most.
NOTED_EVERY_S: Final = 2.0

#: Of a part: why each rejected row is, what else is to be reported, and the engines.
Work = Callable[[Part], tuple[dict[int, str], list[dict[str, Any]], Sequence[str]]]


@frozen
class Done:
    """What came of it.

    Attributes:
        rows: Of all archives.
        invalid: Of them, rejected.
        engines: Which verified, in the order of their names.
        seconds: How long it took, what was done before an interruption included.
    """

    rows: int
    invalid: int
    engines: tuple[str, ...]
    seconds: float


@frozen
class Job:
    """What is to be done.

    Attributes:
        archives: Files, in order.
        identity: What it is that is done, beside the archives: whoever goes on must mean the same.
        work: Does a part.
        needs_key: Whether rows must name their key.
        report: Where the report is written; `None` for nowhere.
        resume: Whether to go on with that report.
        histogram: Counts failures, for a picture.
        told: Told after each part: rows done, and the share of all archives.
        clock: Seconds, rising.
        reader_of: Returns what reads an archive.
    """

    archives: Sequence[Path]
    identity: str
    work: Work
    needs_key: bool = True
    report: Path | None = None
    resume: bool = False
    histogram: Histogram | None = None
    told: Callable[[int, float], None] = lambda rows, share: None  # noqa: ARG005
    clock: Callable[[], float] = time.monotonic
    reader_of: Callable[[Path], Reader] = reader_of
    readers: list[Reader] = field(init=False, repr=False)

    @readers.default
    def _find_readers(self) -> list[Reader]:
        for path in self.archives:
            if not path.is_file():
                raise ArchiveUnusable(f"{path}: there is no such file")
        return [self.reader_of(path) for path in self.archives]

    def run(self) -> Done:
        """Do it.

        Raises:
            ArchiveUnusable: An archive is damaged; what was verified before that is reported.
            ReportUnusable: The report cannot be written.
            KeyboardInterrupt: It was interrupted; `resume` goes on with the report.
        """
        name = self._name()
        is_going_on = self.resume and self.report is not None
        progress = resumed(self.report, name) if is_going_on and self.report else Progress(name)
        began, before = self.clock(), progress.seconds
        with Report(self.report, progress) as report:
            noted = began
            try:
                for number, part in self._parts(progress):
                    self._do(report, number, part)
                    progress.seconds = before + self.clock() - began
                    if self.clock() - noted >= NOTED_EVERY_S:
                        report.mark()
                        noted = self.clock()
            except BaseException:
                report.mark()
                raise
            report.finish()
        return Done(progress.rows, progress.invalid, tuple(progress.engines), progress.seconds)

    def _parts(self, progress: Progress) -> Iterator[tuple[int, Part]]:
        for number in range(progress.archive, len(self.archives)):
            start = Start(progress.row, progress.position, self.needs_key)
            for part in self.readers[number](self.archives[number], start):
                yield number, part
            progress.archive, progress.row, progress.position = number + 1, 0, 0

    def _do(self, report: Report, number: int, part: Part) -> None:
        rejected, lines, engines = self.work(part)
        progress = report.progress
        more = {"file": str(self.archives[number])} if len(self.archives) > 1 else {}
        report.add(rejected, **more)
        report.write([{**more, **line} for line in lines])
        progress.rows += len(part)
        progress.row, progress.position = part.first + len(part), part.position
        progress.engines = sorted({*progress.engines, *engines})
        if self.histogram is not None:
            count(self.histogram, part, rejected, progress.rows - len(part))
        self.told(progress.rows, (number + part.share) / len(self.archives))

    def _name(self) -> str:
        """Return what tells this job from another: the archives as they stand, and what is done."""
        digest = hashlib.sha256(self.identity.encode())
        for path in self.archives:
            found = path.stat()
            digest.update(f"{path.resolve()}\0{found.st_size}\0{found.st_mtime_ns}\0".encode())
        return digest.hexdigest()


def count(histogram: Histogram, part: Part, rejected: dict[int, str], before: int) -> None:
    """Count a part's rows and failures: by time where it says when, else by number."""
    failed = [part.first + row in rejected for row in range(len(part))]
    if part.times is None:
        histogram.add(map(float, range(before, before + len(part))), failed)
        return
    histogram.is_timed = True
    timed = [
        (at, has)
        for at, has in zip(map(seconds, part.times), failed, strict=True)
        if at is not None
    ]
    histogram.add([at for at, _ in timed], [has for _, has in timed])


def attributed(
    signers: Sequence[str | None], part: Part, counts: Counter[str]
) -> tuple[dict[int, str], list[dict[str, Any]]]:
    """Turn a part's signers into what is reported: who signed each row, and why nobody did."""
    rejected, lines = {}, []
    for row, signer in enumerate(signers):
        if signer is None:
            why = part.problems.get(row, "none of the keys signed it")
            rejected[part.first + row] = why
        else:
            counts[signer] += 1
            lines.append({"row": part.first + row, "key": signer})
    return rejected, lines
