"""What a log must agree with before anybody goes on with it.

Its checkpoint stands beside it, where whoever can change the log can remove it. So the newest one
is remembered too, sealed with the keys: who takes the checkpoint away, or puts back an older one
with the lines of that day, does not have another made of what he left.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from hauberk.files import read_private
from hauberk_plugins.audit.checkpoint import Checkpoint
from hauberk_plugins.audit.errors import AuditDamaged
from hauberk_plugins.audit.keybook import BEGIN, KeyBook
from hauberk_plugins.audit.levels import MissingHash
from hauberk_plugins.audit.logfile import LogFile
from hauberk_plugins.audit.merkle import root
from hauberk_plugins.audit.record import read_line
from hauberk_plugins.notes.note import MAX_BYTES, NoteError, VerifierKey, read_note

CHECKPOINT: Final = "checkpoint"
_LOOK: Final = "look at it with `hauberk audit verify`"


@frozen
class Signed:
    """A checkpoint and its note."""

    checkpoint: Checkpoint
    note: str


def left(folder: Path, keys: KeyBook) -> Signed | None:
    """Read the checkpoint that was left beside a log; `None` where none ever was.

    Raises:
        NoteError: It is not one of the log's keys'.
        AuditDamaged: It was removed.
    """
    path, remembered = folder / CHECKPOINT, keys.remembered()
    try:
        note = read_private(path, MAX_BYTES).decode()
    except FileNotFoundError:
        if not remembered:
            return None
        size = Checkpoint.parse(read_note(remembered).text).size
        why = f"it was removed: it vouched for {size} records"
        raise AuditDamaged(path, why, _LOOK) from None
    except UnicodeDecodeError:
        raise NoteError(f"{path}: it is no text: it was changed; {_LOOK}") from None
    return Signed(_signed(note, keys, str(path)), note)


def remembered(keys: KeyBook) -> Checkpoint | None:
    """Return the newest checkpoint that is remembered beside the keys."""
    note = keys.remembered()
    return Checkpoint.parse(read_note(note).text) if note else None


def _signed(note: str, keys: KeyBook, where: str) -> Checkpoint:
    epoch, _ = keys.current()
    known = [keys.signer(number).verifier for number in range(epoch + 1)]
    try:
        read = read_note(note)
        if not read.signed_by(known):
            raise NoteError("none of this log's keys signed it: it was forged, or is another's")
        return Checkpoint.parse(read.text)
    except NoteError as error:
        raise NoteError(f"{where}: {error}; {_LOOK}") from None


def refuse_other(log: LogFile, points: Sequence[tuple[str, Checkpoint]]) -> None:
    """Refuse a log that does not begin with what checkpoints vouch for.

    Args:
        log: The log.
        points: Checkpoints whose signatures were checked, each with who has it.

    Raises:
        AuditDamaged: It is not the log that they saw.
    """
    for who, point in points:
        if log.size < point.size:
            why = f"it holds {log.size} records, and {who} saw {point.size}"
            raise AuditDamaged(log.folder, why, _LOOK)
        try:
            found = root(point.size, log.levels.get)
        except MissingHash as error:  # the start has made all that can be made
            raise AuditDamaged(log.folder, str(error), _LOOK) from None
        if found != point.root:
            why = f"its hashes do not lead to the root that {who} saw"
            raise AuditDamaged(log.folder, why, _LOOK)


def refuse_foreign(log: LogFile, key: VerifierKey) -> None:
    """Refuse a log that says in its first record that another key's holder began it.

    Raises:
        AuditDamaged: It is another's.
    """
    record = read_line(log.first_line(0)) if log.size else None
    if record is None or record.kind != BEGIN:
        return
    said = record.fields.get("key")
    if said is not None and said != str(key):
        why = f"it is another log: it begins with the key {str(said)[:120]!a}"
        raise AuditDamaged(log.folder, why, "give it back to whom it belongs, and start again")
