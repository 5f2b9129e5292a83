"""A log on the disk: lines that are only ever appended, by any number of threads and processes.

- What `append` returns is durable. Callers that come together are written and forced to the disk
  together: the first of them does it for all who wait.
- A lock on a file orders processes. Whoever takes it first reads what others have appended, so all
  go on with one tree.
- A process that dies while it writes leaves a torn tail: bytes without a newline at the end. They
  were never acknowledged. Whoever comes next puts them aside, cuts them off, and appends a record
  of it.
- After a failed write or sync nobody knows what the disk holds, so what was written is cut off, and
  the callers are told.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeAlias

from hauberk.files import make_private_folder
from hauberk_plugins.audit.disk import REAL, Disk
from hauberk_plugins.audit.errors import AuditDamaged, AuditError, AuditUnwritable
from hauberk_plugins.audit.levels import Levels, MissingHash
from hauberk_plugins.audit.merkle import HASH_BYTES, Frontier, leaf_hash
from hauberk_plugins.audit.segments import Segment, segments

#: A longer record is refused: it would be read into memory as a whole.
MAX_LINE: Final = 1 << 20
_CHUNK: Final = 1 << 20
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_CHECK: Final = "look at it with `hauberk audit verify`"

#: Makes the record of a torn tail: of its file, its length and its SHA-256.
Notice: TypeAlias = Callable[[str, int, str], bytes]


class _Ticket:
    """Lines of one caller, on their way."""

    __slots__ = ("error", "first", "lines")

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.lines = lines
        self.first = -1
        self.error: AuditError | None = None


class LogFile:
    """One log in one folder, open for appending.

    Args:
        folder: Made, 0700, where there is none.
        notice: Makes the record of a torn tail.
        begin: Makes the record that an empty log begins with.
        trusted: How many of the hashes beside are known to be on the disk: of so many records, one
            that has another hash was changed. What was written since the last power cut may lack.
        max_bytes: A segment that is larger is ended.
        disk: The operating system.

    Raises:
        AuditError: It cannot be opened, or is damaged; says what to do.
    """

    def __init__(
        self,
        folder: Path,
        notice: Notice,
        *,
        begin: Callable[[], bytes] | None = None,
        trusted: int = 0,
        max_bytes: int = 64 << 20,
        disk: Disk = REAL,
    ) -> None:
        self.folder = folder
        self._notice = notice
        self._max_bytes = max_bytes
        self._disk = disk
        self._mutex = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_Ticket] = []
        self.levels = Levels(folder, disk)
        self._trusted = trusted
        self._notices: list[bytes] = []
        self._descriptor = -1
        self._frontier = Frontier()
        self._segment = Segment(0)
        self._offset = 0
        try:
            make_private_folder(folder)
            self._lock = disk.open(
                str(folder / "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise _unwritable(folder, error) from error
        try:
            with self._locked():
                self._load()
                self._commit([])
                if begin is not None and not self._frontier.size:
                    self._commit([_Ticket([begin()])])
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """How many records it held when this process last looked."""
        return self._frontier.size

    def append(self, lines: Sequence[bytes]) -> int:
        """Append records; return the index of the first when all are durable.

        Args:
            lines: At least one, without newlines in them.

        Raises:
            AuditUnwritable: None of them is in the log.
            AuditDamaged: Somebody else has changed it.
        """
        for line in lines:
            if b"\n" in line or not 0 < len(line) <= MAX_LINE:
                why = f"a record of {len(line)} bytes, or with a line break, is none"
                raise AuditUnwritable(self.folder, why, "emit a shorter one")
        ticket = _Ticket(lines)
        with self._mutex:
            self._waiting.append(ticket)
        with self._turn:
            if ticket.first < 0 and ticket.error is None:
                with self._mutex:
                    batch, self._waiting = self._waiting, []
                self._serve(batch)
        if ticket.error is not None:
            raise ticket.error
        return ticket.first

    def state(self) -> Frontier:
        """Return the tree as it now stands, what other processes appended included.

        Raises:
            AuditError: It cannot be read.
        """
        with self._turn, self._locked():
            self._commit([])
            return self._frontier.copy()

    def rotate(self) -> None:
        """End the segment; the next record begins another.

        Raises:
            AuditUnwritable: There is no room for it.
        """
        with self._turn, self._locked():
            self._commit([])
            if self._frontier.size > self._segment.first:
                self._begin(Segment(self._frontier.size))

    def close(self) -> None:
        """Close its files."""
        self.levels.close()
        for descriptor in (self._descriptor, self._lock):
            if descriptor >= 0:
                with suppress(OSError):
                    self._disk.close(descriptor)
        self._descriptor = self._lock = -1

    def _serve(self, batch: Sequence[_Ticket]) -> None:
        """Append what several callers want, and tell each."""
        try:
            with self._locked():
                self._commit(batch)
        except AuditError as error:
            for ticket in batch:
                ticket.error = error
        except BaseException as error:
            # Whatever it is, nobody who waits may be told that it is durable.
            for ticket in batch:
                ticket.error = AuditUnwritable(self.folder, type(error).__name__, _CHECK)
            raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._disk.flock(self._lock, fcntl.LOCK_EX)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        try:
            yield
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        finally:
            with suppress(OSError):
                self._disk.flock(self._lock, fcntl.LOCK_UN)

    def _load(self) -> None:
        """Find the last segment, and the tree up to it."""
        found = segments(self.folder)
        if not found:
            self._begin(Segment(0))
            return
        if found[0].first != 0:
            raise AuditDamaged(self.folder / Segment(0).name, "it is not there", _CHECK)
        try:
            self._frontier = Frontier.of(found[-1].first, self.levels.get)
        except MissingHash:
            self._rebuild(found)
            return
        self._open(found[-1])

    def _rebuild(self, found: Sequence[Segment]) -> None:
        """Make the tree again from the lines."""
        self._frontier = Frontier()
        for segment in found:
            if self._frontier.size != segment.first:
                why = f"{self._frontier.size} records stand before it, not {segment.first}"
                raise AuditDamaged(self.folder / segment.name, why, _CHECK)
            self._open(segment)
            self._read_on()
            self._flush_levels()

    def _open(self, segment: Segment) -> None:
        descriptor = self._disk.open(str(self.folder / segment.name), _FLAGS, 0o600)
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
        self._descriptor, self._segment, self._offset = descriptor, segment, 0

    def _begin(self, segment: Segment) -> None:
        path = str(self.folder / segment.name)
        descriptor = self._disk.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
        self._descriptor, self._segment, self._offset = descriptor, segment, 0
        folder = self._disk.open(str(self.folder), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._disk.fsync(folder)
        finally:
            self._disk.close(folder)

    def _commit(self, batch: Sequence[_Ticket]) -> None:
        """Under the lock: read on, then append."""
        self._read_on()
        while (after := Segment(self._frontier.size)) != self._segment and self._exists(after):
            self._open(after)
            self._read_on()
        lines = [*self._notices, *(line for ticket in batch for line in ticket.lines)]
        if not lines:
            self._flush_levels()
            return
        if self._offset >= self._max_bytes:
            self._begin(Segment(self._frontier.size))
        first = self._frontier.size + len(self._notices)
        self._write(b"".join(line + b"\n" for line in lines))
        self._notices = []
        for line in lines:
            self._grow(leaf_hash(line), is_known=False)
        for ticket in batch:
            ticket.first = first
            first += len(ticket.lines)
        self._flush_levels()

    def _exists(self, segment: Segment) -> bool:
        return (self.folder / segment.name).exists()

    def _read_on(self) -> None:
        """Take in what stands behind what is known."""
        while True:
            size = self._disk.fstat(self._descriptor).st_size
            if size == self._offset:
                return
            path = self.folder / self._segment.name
            if size < self._offset:
                raise AuditDamaged(path, "records that stood in it are gone", _CHECK)
            raw = self._disk.pread(self._descriptor, min(size - self._offset, _CHUNK), self._offset)
            whole = raw.rfind(b"\n") + 1
            if whole:
                self._take(raw[: whole - 1].split(b"\n"))
                self._offset += whole
            elif len(raw) > MAX_LINE or self._is_ended():
                raise AuditDamaged(path, "it ends in something that is no record", _CHECK)
            else:
                self._put_aside(raw)

    def _put_aside(self, torn: bytes) -> None:
        """Keep a torn tail elsewhere, and cut it off."""
        digest = sha256(torn).hexdigest()
        name = f"torn-{self._frontier.size:015}-{digest[:16]}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = self._disk.open(str(self.folder / name), flags, 0o600)
        try:
            _write_all(self._disk, descriptor, torn)
            self._disk.fsync(descriptor)
        finally:
            self._disk.close(descriptor)
        self._disk.ftruncate(self._descriptor, self._offset)
        self._disk.fdatasync(self._descriptor)
        self._notices.append(self._notice(name, len(torn), digest))

    def _write(self, data: bytes) -> None:
        try:
            _write_all(self._disk, self._descriptor, data)
            self._disk.fdatasync(self._descriptor)
        except BaseException:
            # Where even this fails, whoever comes next finds a torn tail, or lines that nobody
            # was told of: neither is an acknowledged record that is lost.
            with suppress(OSError):
                self._disk.ftruncate(self._descriptor, self._offset)
            raise
        self._offset += len(data)

    def _take(self, lines: Sequence[bytes]) -> None:
        """Grow by lines that stand there; hashes that stand beside them already are kept."""
        first = self._frontier.size
        row = self.levels.row(0, first, len(lines))
        for index, line in enumerate(lines):
            leaf, noted = leaf_hash(line), row[index * HASH_BYTES : (index + 1) * HASH_BYTES]
            if first + index < self._trusted and noted and noted != leaf:
                path = self.folder / self._segment.name
                raise AuditDamaged(path, f"record {first + index} was changed", _CHECK)
            self._grow(leaf, is_known=noted == leaf)

    def _grow(self, leaf: bytes, *, is_known: bool) -> None:
        place = self._frontier.size
        for level, node in self._frontier.append(leaf):
            if level or not is_known:
                self.levels.note(level, place >> level, node)

    def _flush_levels(self) -> None:
        # They can be made again: a record is none the less durable.
        with suppress(OSError):
            self.levels.flush()

    def _is_ended(self) -> bool:
        """Whether a later segment is there: then nobody was writing to this one."""
        return any(segment > self._segment for segment in segments(self.folder))


def _write_all(disk: Disk, descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        written = disk.write(descriptor, left)
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        left = left[written:]


def _unwritable(path: Path, error: OSError) -> AuditUnwritable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AuditUnwritable(path, "there is no room for another record", "make room")
    return AuditUnwritable(path, error.strerror or type(error).__name__, "look at the disk")
