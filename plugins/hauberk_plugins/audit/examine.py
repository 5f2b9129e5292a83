"""Examining a whole log: its checkpoint, its keys, its lines, and what witnesses hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from hauberk.files import read_private
from hauberk_plugins.audit.checkpoint import Checkpoint
from hauberk_plugins.audit.findings import Finding, Verified, What
from hauberk_plugins.audit.keybook import BEGIN, KEY, announced
from hauberk_plugins.audit.merkle import Digests
from hauberk_plugins.audit.note import MAX_BYTES, NoteError, VerifierKey, read_note
from hauberk_plugins.audit.record import read_line
from hauberk_plugins.audit.segments import segments
from hauberk_plugins.audit.trust import CHECKPOINT
from hauberk_plugins.audit.verify import verify

_HINTS = (BEGIN.encode(), KEY.encode())


def examine(
    folder: Path,
    first: VerifierKey | None,
    witnesses: Iterable[str] = (),
    remembered: str = "",
    digests: Digests | None = None,
) -> Verified:
    """Verify a log, whoever holds it; changes nothing.

    Args:
        folder: The log's.
        first: The key of its first epoch, known from elsewhere; `None` where it is not, so that
            nobody says whose log it is.
        witnesses: Notes of checkpoints that are kept elsewhere.
        remembered: The note that is remembered beside the keys, if this is their log.
        digests: Hashes many records at once; one by one unless given.

    Raises:
        OSError: A file cannot be read.
    """
    findings: list[Finding] = []
    keys: list[VerifierKey] = []
    if first is not None:
        try:
            keys = announced(first, key_records(folder))
        except NoteError as error:
            findings.append(Finding(What.KEY, str(error)))
            keys = [first]
    checkpoint = _own(folder, keys, findings)
    held = [_read(note, keys, findings, "a witness's checkpoint", What.WITNESS)
            for note in witnesses]  # fmt: skip
    kept = [_read(remembered, keys, findings, "the checkpoint that is remembered", What.CHECKPOINT)
            ] if remembered else []  # fmt: skip
    verified = verify(
        folder,
        checkpoint,
        [point for point in held if point is not None],
        [point for point in kept if point is not None],
        digests,
    )
    return evolve(verified, findings=(*findings, *verified.findings))


def key_records(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield kind and fields of the records that announce keys, in order."""
    for raw in lines(folder):
        if any(hint in raw for hint in _HINTS):
            record = read_line(raw)
            if record is not None and record.kind in (BEGIN, KEY) and record.source == "audit":
                yield record.kind, record.fields


def lines(folder: Path, start: int = 0) -> Iterator[bytes]:
    """Yield the lines of a log from a record on, without their newlines; no torn tail."""
    found = segments(folder)
    for number, segment in enumerate(found):
        after = found[number + 1].first if number + 1 < len(found) else None
        if after is not None and after <= start:
            continue
        with (folder / segment.name).open("rb") as file:
            for index, raw in enumerate(file, segment.first):
                if index >= start and raw.endswith(b"\n"):
                    yield raw[:-1]


def _own(folder: Path, keys: Sequence[VerifierKey], findings: list[Finding]) -> Checkpoint | None:
    path = folder / CHECKPOINT
    try:
        note = read_private(path, MAX_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        if keys:
            findings.append(Finding(What.CHECKPOINT, "there is no checkpoint: it was removed"))
        return None
    return _read(note, keys, findings, "the checkpoint", What.CHECKPOINT)


def _read(
    note: str, keys: Sequence[VerifierKey], findings: list[Finding], what: str, kind: What
) -> Checkpoint | None:
    """Read a note; `None` where nobody known signed it, which is a finding if anybody is known."""
    try:
        read = read_note(note)
        checkpoint = Checkpoint.parse(read.text)
        if not keys:
            return None
        if not read.signed_by(keys):
            raise NoteError("none of this log's keys signed it: it was forged, or sealed again")
        if checkpoint.origin != keys[0].name:
            raise NoteError("it is another log's")
    except NoteError as error:
        findings.append(Finding(kind, f"{what}: {error}"))
        return None
    return checkpoint
