"""Examining a whole log: its checkpoint, its keys, its lines, and what witnesses hold."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from hauberk_plugins.audit.checkpoint import Checkpoint
from hauberk_plugins.audit.findings import Finding, Verified, What
from hauberk_plugins.audit.keybook import BEGIN, KEY, announced
from hauberk_plugins.audit.merkle import Digests
from hauberk_plugins.audit.record import read_line
from hauberk_plugins.audit.segments import segments
from hauberk_plugins.audit.trust import CHECKPOINT
from hauberk_plugins.audit.verify import verify
from hauberk_plugins.notes.note import MAX_BYTES, NoteError, VerifierKey, read_note

_NONE_YET: Final = (
    "that a checkpoint was removed with what is remembered of it: none is remembered, as before "
    "the first is made (`hauberk audit checkpoint` makes one)"
)
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_HINTS = (BEGIN.encode(), KEY.encode())


def examine(
    folder: Path,
    first: VerifierKey | None,
    witnesses: Iterable[str] = (),
    remembered: str | None = None,
    digests: Digests | None = None,
) -> Verified:
    """Verify a log, whoever holds it; changes nothing.

    Args:
        folder: The log's.
        first: The key of its first epoch, known from elsewhere; `None` where it is not, so that
            nobody says whose log it is.
        witnesses: Notes of checkpoints that are kept elsewhere.
        remembered: The note that is remembered beside the keys, if this is their log; empty where
            none was remembered, `None` where nobody here can know.
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
    held = [_read(note, keys, findings, "a witness's checkpoint", What.WITNESS)
            for note in witnesses]  # fmt: skip
    kept = [_read(remembered, keys, findings, "the checkpoint that is remembered", What.CHECKPOINT)
            ] if remembered else []  # fmt: skip
    # Another epoch begins with a checkpoint, and what a witness holds was made here.
    is_told = bool(remembered) or any(held) or len(keys) > 1
    was_made = None if remembered is None and not is_told else is_told
    checkpoint = _own(folder, keys, findings, was_made=was_made)
    verified = verify(
        folder,
        checkpoint,
        [point for point in held if point is not None],
        [point for point in kept if point is not None],
        digests,
    )
    told = verified.cannot_exclude
    if keys and checkpoint is None and was_made is False and not findings:
        told = (*told, _NONE_YET)
    return evolve(verified, findings=(*findings, *verified.findings), cannot_exclude=told)


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


def _own(
    folder: Path, keys: Sequence[VerifierKey], findings: list[Finding], *, was_made: bool | None
) -> Checkpoint | None:
    try:
        note = _content(folder / CHECKPOINT)
    except FileNotFoundError:
        if keys and was_made is not False:
            perhaps = "" if was_made else ", or this is a copy from before the first was made"
            text = f"there is no checkpoint: it was removed{perhaps}"
            findings.append(Finding(What.CHECKPOINT, text))
        return None
    if note is None:
        findings.append(Finding(What.CHECKPOINT, "the checkpoint: it is no note: it was changed"))
        return None
    return _read(note, keys, findings, "the checkpoint", What.CHECKPOINT)


def _content(path: Path) -> str | None:
    """Read what stands there, whoever owns it: its signature is what counts; `None` for no note."""
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link
            return None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        raw = os.read(descriptor, MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    return raw.decode("utf-8", "replace") if len(raw) <= MAX_BYTES else None


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
