"""All witnesses of one log: asked at a start, and given each checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from hauberk_plugins.audit.checkpoint import Checkpoint
from hauberk_plugins.audit.keybook import KeyBook
from hauberk_plugins.audit.logger import AuditLogger
from hauberk_plugins.audit.witness import Witness, WitnessFailed
from hauberk_plugins.notes.note import NoteError, VerifierKey, read_note

log = logging.getLogger("hauberk.audit")


class Witnesses:
    """Those of one log.

    Args:
        all_: The witnesses.
        tell: Told of one that takes no checkpoints, once until all take them again.
    """

    def __init__(self, all_: Sequence[Witness], tell: Callable[[WitnessFailed], object]) -> None:
        self.all = tuple(all_)
        self._tell = tell
        self._is_told = False

    def compare(self, logger: AuditLogger, keys: KeyBook) -> None:
        """Refuse a log that is not the one that a witness has seen.

        Raises:
            AuditDamaged: It is not.
            WitnessFailed: One cannot be asked, or holds a checkpoint of another log.
        """
        known = [keys.signer(number).verifier for number in range(keys.current()[0] + 1)]
        for witness in self.all:
            note = witness.held()
            if note is not None:
                logger.check(f"witness {witness.where}", _seen(witness, note, known))

    def give(self, note: str) -> None:
        """Have each hold a note, whatever the others do."""
        failed = [error for error in (_given(witness, note) for witness in self.all) if error]
        for error in failed:
            log.warning("%s", error)
        if failed and not self._is_told:
            self._tell(failed[0])
        self._is_told = bool(failed)


def _given(witness: Witness, note: str) -> WitnessFailed | None:
    try:
        witness.give(note)
    except WitnessFailed as error:
        return error
    return None


def _seen(witness: Witness, note: str, known: Sequence[VerifierKey]) -> Checkpoint:
    try:
        read = read_note(note)
        seen = Checkpoint.parse(read.text) if read.signed_by(known) else None
    except NoteError as error:
        raise WitnessFailed(witness.where, f"what it holds is no checkpoint: {error}") from None
    if seen is None:
        raise WitnessFailed(witness.where, "it holds a checkpoint of another log")
    return seen
