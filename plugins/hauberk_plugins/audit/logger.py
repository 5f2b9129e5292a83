"""`AuditLogger`: records what happened, so that nobody can rewrite it unseen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from hauberk.errors import HauberkError
from hauberk.files import read_private, write_private
from hauberk_plugins.audit.checkpoint import Checkpoint
from hauberk_plugins.audit.disk import REAL, Disk
from hauberk_plugins.audit.errors import AuditDamaged, AuditUnwritable
from hauberk_plugins.audit.keybook import BEGIN, KEY, KeyBook
from hauberk_plugins.audit.levels import MissingHash
from hauberk_plugins.audit.logfile import LogFile
from hauberk_plugins.audit.merkle import root
from hauberk_plugins.audit.note import (
    MAX_BYTES,
    NoteError,
    VerifierKey,
    read_note,
    sign_note,
)
from hauberk_plugins.audit.record import line

CHECKPOINT: Final = "checkpoint"
#: The source of the log's own records.
_SOURCE: Final = "audit"
#: So many records may wait to be written with others; more are refused.
MAX_PENDING: Final = 10_000


@frozen
class Signed:
    """A checkpoint and its note."""

    checkpoint: Checkpoint
    note: str


class AuditLogger:
    """One log in one folder. Every method may be called from any thread.

    Args:
        folder: Where; made, 0700, where there is none.
        keys: What signs checkpoints; `None` where nothing does, so that nothing vouches for it.
        wall_ns: The wall clock.
        max_bytes: As `LogFile`.
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
        disk: Disk = REAL,
    ) -> None:
        self._folder = folder
        self._keys = keys
        self._wall_ns = wall_ns
        self._pending: list[bytes] = []
        self._lock = threading.Lock()
        self._last: Signed | None = None
        if keys is not None:
            self._last = self._kept(keys)
        trusted = self._last.checkpoint.size if self._last else 0
        self._log = LogFile(
            folder,
            self._torn,
            begin=self._begin,
            trusted=trusted,
            max_bytes=max_bytes,
            disk=disk,
        )
        try:
            if self._last is not None:
                self._check(self._last.checkpoint)
            self._announce()
        except BaseException:
            self._log.close()
            raise

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
        with self._lock:
            waiting, self._pending = self._pending, []
        try:
            return self._log.append([*waiting, *lines]) + len(waiting)
        except BaseException:
            with self._lock:
                self._pending = waiting + self._pending
            raise

    def log_later(self, line: bytes) -> None:
        """Record what may wait for others; `flush` or the next `log` writes it.

        Raises:
            AuditUnwritable: Too many wait: the disk takes nothing.
        """
        with self._lock:
            if len(self._pending) >= MAX_PENDING:
                why = f"{MAX_PENDING} records wait to be written"
                raise AuditUnwritable(self._folder, why, "look at the disk")
            self._pending.append(line)

    def log_action(self, user: str, action: str, details: Mapping[str, Any] | None = None) -> int:
        """Record what somebody did; return its index when it is durable.

        Raises:
            AuditError: It is not in the log.
        """
        fields = {"user": user, **(details or {})}
        return self.log(line(action, self._wall_ns(), _SOURCE, fields))

    def flush(self) -> None:
        """Make durable what waits.

        Raises:
            AuditError: It still waits.
        """
        with self._lock:
            waiting, self._pending = self._pending, []
        if not waiting:
            return
        try:
            self._log.append(waiting)
        except BaseException:
            with self._lock:
                self._pending = waiting + self._pending
            raise

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

    def _kept(self, keys: KeyBook) -> Signed | None:
        """Read the checkpoint that was left; it must be of one of the keys."""
        path = self._folder / CHECKPOINT
        try:
            note = read_private(path, MAX_BYTES).decode()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise NoteError(f"{path}: it is no text: it was changed") from None
        read = read_note(note)
        epoch, _ = keys.current()
        known = [keys.signer(number).verifier for number in range(epoch + 1)]
        if not read.signed_by(known):
            raise NoteError(
                f"{path}: none of this log's keys signed it: it was forged, or is another's"
            )
        return Signed(Checkpoint.parse(read.text), note)

    def _check(self, checkpoint: Checkpoint) -> None:
        """The hashes beside must lead to the checkpoint's root."""
        size = self._log.size
        if size < checkpoint.size:
            why = f"it holds {size} records, and its checkpoint {checkpoint.size}"
            raise AuditDamaged(self._folder, why, "look at it with `hauberk audit verify`")
        try:
            found = root(checkpoint.size, self._log.levels.get)
        except MissingHash:  # made again from the lines: verifying tells
            return
        if found != checkpoint.root:
            why = "its hashes do not lead to the root of its checkpoint"
            raise AuditDamaged(self._folder, why, "look at it with `hauberk audit verify`")

    def _announce(self) -> None:
        """Tell in the log of every epoch that it may not tell of yet."""
        if self._keys is None:
            return
        for epoch, key, certified in self._keys.unannounced():
            fields = {"epoch": epoch, "key": str(key), "certified": certified}
            self.log(line(KEY, self._wall_ns(), _SOURCE, fields))
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
