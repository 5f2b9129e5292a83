"""The report of a verification: a line of JSON a row, and where to go on after an interruption."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from attrs import asdict, define, field

from hauberk.errors import HauberkError

_FORMAT: Final = 1
_MANY: Final = 1 << 20


class ReportUnusable(HauberkError):
    """A report cannot be written, or not gone on with; says why and what to do."""


@define
class Progress:
    """How far a verification has come.

    Attributes:
        job: What is verified by what: whoever goes on must mean the same.
        archive: The number of the archive that comes next.
        row: Its row that comes next.
        position: Where that row stands, as the reader of the archive has it.
        rows: Rows done, of all archives.
        invalid: Of them, rejected.
        written: Bytes of the report that belong to them.
        engines: Names of the engines that have verified.
        seconds: Spent so far.
    """

    job: str
    archive: int = 0
    row: int = 0
    position: int = 0
    rows: int = 0
    invalid: int = 0
    written: int = 0
    engines: list[str] = field(factory=list)
    seconds: float = 0.0


class Report:
    """Writes lines, and beside them, in `NAME.progress`, how far it has come.

    Args:
        path: The report; `None` writes none.
        progress: Where it begins; what stands behind that in the report is cut off.

    Raises:
        ReportUnusable: It cannot be opened.
    """

    def __init__(self, path: Path | None, progress: Progress) -> None:
        self._path = path
        self.progress = progress
        self._file = None
        if path is None:
            return
        try:
            self._file = path.open("r+b" if progress.written else "wb")
            self._file.truncate(progress.written)
            self._file.seek(progress.written)
        except OSError as error:
            raise ReportUnusable(f"{path}: cannot be written: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, rows: Mapping[int, str], **more: Any) -> None:
        """Write a line for each row, and what stands in each."""
        self.progress.invalid += len(rows)
        self.write([{**more, "row": row, "reason": reason} for row, reason in rows.items()])

    def write(self, lines: list[dict[str, Any]]) -> None:
        """Write lines.

        Raises:
            ReportUnusable: They cannot be written.
        """
        if self._file is None or not lines:
            return
        content = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        self._do(lambda: self._file.write(content))
        self.progress.written += len(content)

    def mark(self) -> None:
        """Note how far it has come, so that whoever goes on begins there.

        Raises:
            ReportUnusable: It cannot be noted.
        """
        path, file = self._path, self._file
        if path is None or file is None:
            return
        content = json.dumps({"format": _FORMAT, **asdict(self.progress)})
        aside = _beside(path, ".progress.part")

        def note() -> None:
            file.flush()
            os.fsync(file.fileno())
            aside.write_text(content, encoding="utf-8")
            aside.replace(_beside(path, ".progress"))

        self._do(note)

    def finish(self) -> None:
        """Nothing is left: forget how far it had come.

        Raises:
            ReportUnusable: The last lines cannot be written.
        """
        if self._path is None or self._file is None:
            return
        self._do(self._file.flush)
        _beside(self._path, ".progress").unlink(missing_ok=True)

    def _do(self, work: Any) -> None:
        try:
            work()
        except OSError as error:
            raise ReportUnusable(
                f"{self._path}: cannot be written: {error.strerror}; to go on where it stopped, "
                "once that is mended: --resume"
            ) from None


def resumed(path: Path, job: str) -> Progress:
    """Return how far a report had come; from the beginning where it was finished, or is none.

    Raises:
        ReportUnusable: It is another job's, or what was noted cannot be read.
    """
    try:
        noted = json.loads(_beside(path, ".progress").read_bytes())
    except FileNotFoundError:
        if path.exists():
            raise ReportUnusable(f"{path}: nothing to go on with: it is finished") from None
        return Progress(job)
    except (OSError, ValueError):
        raise ReportUnusable(f"{path}: how far it had come cannot be read: start anew") from None
    try:
        if noted.pop("format") != _FORMAT:
            raise ValueError
        progress = Progress(**noted)
    except (TypeError, ValueError, KeyError, AttributeError):
        raise ReportUnusable(f"{path}: how far it had come cannot be read: start anew") from None
    if progress.job != job:
        raise ReportUnusable(f"{path}: is of other archives or keys: start anew, without --resume")
    if not path.exists() or path.stat().st_size < progress.written:
        raise ReportUnusable(f"{path}: is shorter than it was: start anew, without --resume")
    return progress


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
