"""`AuditLogger`: records what happened, so that nobody can rewrite it unseen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hauberk.errors import HauberkError
from hauberk.files import write_private
from hauberk_plugins.audit.checkpoint import Checkpoint
from hauberk_plugins.audit.disk import REAL, Disk
from hauberk_plugins.audit.errors import AuditUnwritable
from hauberk_plugins.audit.index import Index, Query
from hauberk_plugins.audit.keybook import BEGIN, KEY, KeyBook
from hauberk_plugins.audit.logfile import LogFile
from hauberk_plugins.audit.record import Record, epoch_ns, line, nanoseconds, read_line
from hauberk_plugins.audit.trust import (
    CHECKPOINT,
    Signed,
    left,
    refuse_foreign,
    refuse_other,
    remembered,
)
from hauberk_plugins.notes.note import NoteError, VerifierKey, sign_note

#: The source of the log's own records.
_SOURCE: Final = "audit"
#: So many records may wait to be written with others, and so many bytes; more are refused.
MAX_PENDING: Final = 10_000
MAX_PENDING_BYTES: Final = 64 << 20


class AuditLogger:
    """One log in one folder. Every method may be called from any thread.

    Args:
        folder: Where; made, 0700, where there is none.
        keys: What signs checkpoints; `None` where nothing does, so that nothing vouches for it.
        wall_ns: The wall clock.
        max_bytes: As `LogFile`.
        max_age_s: A file whose first record is older is ended, when somebody calls `rotate`.
        disk: The operating system.

    Raises:
        AuditError: It cannot be opened, or was changed since its last checkpoint.
        NoteError: Its checkpoint is not one of its keys'.
    """

    def __init__(
        self,
        folder: Path,
        keys: KeyBook | None,
        wall_ns: Callable[[], int],
        *,
        max_bytes: int = 64 << 20,
        max_age_s: float = 30 * 86_400,
        disk: Disk = REAL,
    ) -> None:
        self._folder = folder
        self._max_age_ns = int(max_age_s * 1e9)
        #: Records that found no place among those that wait, since the last that was written.
        self._lost = 0
        self._keys = keys
        self._wall_ns = wall_ns
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._lock = threading.Lock()
        self._last: Signed | None = None
        points: list[tuple[str, Checkpoint]] = []
        if keys is not None:
            if (last := left(folder, keys)) is not None:
                self._last = last
                points.append(("its checkpoint", last.checkpoint))
            if (newest := remembered(keys)) is not None:
                points.append(("the checkpoint that is remembered of it", newest))
        self._log = LogFile(
            folder,
            self._torn,
            begin=None if points else self._begin,
            trusted=max((point.size for _, point in points), default=0),
            max_bytes=max_bytes,
            disk=disk,
        )
        try:
            refuse_other(self._log, points)
            if keys is not None:
                refuse_foreign(self._log, keys.signer(0).verifier)
            self._announce()
        except BaseException:
            self._log.close()
            raise

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._folder

    @property
    def size(self) -> int:
        """How many records it holds."""
        return self._log.size

    @property
    def checkpoint(self) -> Signed | None:
        """The newest checkpoint; `None` where there is none yet."""
        return self._last

    def log(self, *lines: bytes) -> int:
        """Record what must be durable now, and all that waits; return the index of the first.

        Raises:
            AuditError: It is not in the log.
        """
        with self._taken() as waiting:
            return self._log.append([*waiting, *lines]) + len(waiting)

    def log_later(self, line: bytes) -> None:
        """Record what may wait for others; `flush` or the next `log` writes it.

        Raises:
            AuditUnwritable: It is no record, or too many wait: the disk takes nothing.
        """
        self._log.refuse_unwritable([line])
        with self._lock:
            waiting, size = len(self._pending), self._pending_bytes + len(line)
            if waiting >= MAX_PENDING or size > MAX_PENDING_BYTES:
                self._lost += 1
                why = f"{waiting} records wait to be written"
                raise AuditUnwritable(self._folder, why, "look at the disk")
            self._pending.append(line)
            self._pending_bytes = size

    def log_own(self, kind: str, fields: Mapping[str, Any]) -> int:
        """Record what concerns the log itself; return its index when it is durable.

        Raises:
            AuditError: It is not in the log.
        """
        return self.log(line(kind, self._wall_ns(), _SOURCE, fields))

    def log_action(self, user: str, action: str, details: Mapping[str, Any] | None = None) -> int:
        """Record what somebody did; return its index when it is durable.

        Raises:
            AuditError: It is not in the log.
        """
        return self.log_own(action, {**(details or {}), "user": user})

    def flush(self) -> None:
        """Make durable what waits.

        Raises:
            AuditError: It still waits.
        """
        with self._taken() as waiting:
            if waiting:
                self._log.append(waiting)

    def rotate(self) -> None:
        """End the file of the log that is written to, if its first record is old enough.

        Raises:
            AuditError: It cannot be ended.
        """
        latest = self._wall_ns() - self._max_age_ns

        def is_over(first: bytes) -> bool:
            record = read_line(first)
            at = None if record is None else nanoseconds(record.at)
            return at is not None and at <= latest

        self._log.rotate(is_over)

    def get_user_actions(
        self, user: str, start: datetime | None = None, end: datetime | None = None
    ) -> list[Record]:
        """Return what a user did, oldest first, in time proportional to the answer.

        Args:
            user: Who.
            start: From when on, with its time zone.
            end: Before when, likewise.

        Raises:
            AuditError: What waits to be written cannot be.
        """
        self.flush()
        since, until = (None if at is None else epoch_ns(at) for at in (start, end))
        with closing(Index(self._folder)) as index:
            query = Query(user=user, since_ns=since, until_ns=until)
            return [record for _, record in index.find(query)]

    def check(self, who: str, checkpoint: Checkpoint) -> None:
        """Compare it with a checkpoint, its signature checked, that somebody else has.

        Raises:
            AuditDamaged: It is not the log that was seen.
        """
        refuse_other(self._log, [(who, checkpoint)])

    def seal(self) -> Signed | None:
        """Sign a checkpoint of all there is; the one there is where nothing was added.

        Returns:
            The newest; `None` where nothing signs.

        Raises:
            AuditError: It cannot be written.
        """
        self.flush()
        if self._keys is None:
            return None
        _, signer = self._keys.current()  # somebody else may have begun an epoch
        state = self._log.state()
        if self._last is not None and self._last.checkpoint.size == state.size:
            return self._last
        made = Checkpoint(signer.verifier.name, state.size, state.root)
        note = sign_note(made.text, [signer])
        try:
            self._log.levels.sync()
            write_private(self._folder / CHECKPOINT, note.encode())
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise AuditUnwritable(self._folder / CHECKPOINT, why, "look at the disk") from error
        self._keys.remember(made.size, note)
        self._last = Signed(made, note)
        return self._last

    def rotate_key(self) -> VerifierKey:
        """Begin another epoch: its key is certified by the old one, in the log.

        Raises:
            AuditError: It cannot be recorded.
            NoteError: Nothing signs here.
        """
        if self._keys is None:
            raise NoteError("there is no key to change: nothing signs this log")
        self.seal()
        epoch = self._keys.turn()
        self._announce()
        self.seal()
        return self._keys.signer(epoch).verifier

    def close(self) -> None:
        """Write what waits, seal, and close; what fails is left to the next start."""
        with suppress(HauberkError):
            self.seal()
        self._log.close()

    @contextmanager
    def _taken(self) -> Iterator[list[bytes]]:
        """Yield what waits, to be written; where that fails, it waits on."""
        with self._lock:
            waiting, self._pending = self._pending, []
            self._pending_bytes = 0
            lost, self._lost = self._lost, 0
        told = [line("audit.lost", self._wall_ns(), _SOURCE, {"records": lost})] if lost else []
        try:
            yield [*waiting, *told]
        except BaseException:
            with self._lock:
                self._pending = waiting + self._pending
                self._pending_bytes = sum(map(len, self._pending))
                self._lost += lost
            raise

    def _announce(self) -> None:
        """Tell in the log of every epoch that it may not tell of yet."""
        if self._keys is None:
            return
        for epoch, key, certified in self._keys.unannounced():
            fields = {"epoch": epoch, "key": str(key), "certified": certified}
            self.log_own(KEY, fields)
            self._keys.mark(epoch)

    def _begin(self) -> bytes:
        fields: dict[str, Any] = {}
        if self._keys is not None:
            key = self._keys.signer(0).verifier
            fields = {"origin": key.name, "key": str(key)}
        return line(BEGIN, self._wall_ns(), _SOURCE, fields)

    def _torn(self, name: str, size: int, digest: str) -> bytes:
        fields = {"file": name, "bytes": size, "sha256": digest}
        return line("audit.torn", self._wall_ns(), _SOURCE, fields)
