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
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hauberk.files import make_private_folder
from hauberk_plugins.audit.disk import REAL, Disk, sync_folder, write_all
from hauberk_plugins.audit.errors import AuditDamaged, AuditUnwritable
from hauberk_plugins.audit.group import Group, Ticket
from hauberk_plugins.audit.levels import KEPT, Levels, MissingHash
from hauberk_plugins.audit.lock import Lock
from hauberk_plugins.audit.merkle import HASH_BYTES, Frontier, leaf_hash
from hauberk_plugins.audit.segments import MAX_LINE, Segment, segments
from hauberk_plugins.audit.torn import Notice, TornTails

#: The longest record and its newline fit in: what has none in so many bytes is no record.
_CHUNK: Final = MAX_LINE + 1
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_CHECK: Final = "look at it with `hauberk audit verify`"


class LogFile:
    """One log in one folder, open for appending.

    Args:
        folder: Made, 0700, where there is none.
        notice: Makes the record of a torn tail.
        begin: Makes the record that an empty log begins with.
        trusted: How many records were vouched for. Their hashes are known to be on the disk: one
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
        self._torn = TornTails(folder, notice, disk)
        self._max_bytes = max_bytes
        self._disk = disk
        self._group = Group(self._serve, lambda why: AuditUnwritable(folder, why, _CHECK))
        self.levels = Levels(folder, disk, is_writable=True)
        self._trusted = trusted
        self._descriptor = -1
        self._frontier = Frontier()
        self._segment = Segment(0)
        self._offset = 0
        try:
            make_private_folder(folder)
            self._lock = Lock(folder, disk)
        except OSError as error:
            raise _unwritable(folder, error) from error
        try:
            with self._locked():
                self._load()
                self._commit([])
                if begin is not None and not self._frontier.size:
                    self._commit([Ticket([begin()])])
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
        self.refuse_unwritable(lines)
        return self._group.append(lines)

    def refuse_unwritable(self, lines: Sequence[bytes]) -> None:
        """Refuse what could never be written, and would keep others that wait with it from it.

        Raises:
            AuditUnwritable: One is too long, or is no line.
        """
        for line in lines:
            if b"\n" in line or not 0 < len(line) <= MAX_LINE:
                why = f"a record of {len(line)} bytes, or with a line break, is none"
                raise AuditUnwritable(self.folder, why, "emit a shorter one")

    def state(self) -> Frontier:
        """Return the tree as it now stands, what other processes appended included.

        Raises:
            AuditError: It cannot be read.
        """
        with self._group.alone(), self._locked():
            self._commit([])
            return self._frontier.copy()

    def rotate(self, is_over: Callable[[bytes], bool] = lambda _: True) -> None:
        """End the segment; the next record begins another.

        Args:
            is_over: Whether it is to be ended, by its first record.

        Raises:
            AuditError: It cannot be ended.
        """
        with self._group.alone(), self._locked():
            self._commit([])
            first = self._segment.first
            if self._frontier.size > first and is_over(self.first_line(first)):
                self._begin(Segment(self._frontier.size))

    def first_line(self, segment: int) -> bytes:
        """Return the first record of the segment that begins with a record, or nothing.

        Raises:
            OSError: It cannot be read.
        """
        with (self.folder / Segment(segment).name).open("rb") as file:
            return file.readline(MAX_LINE + 1).rstrip(b"\n")

    def close(self) -> None:
        """Close its files."""
        self.levels.close()
        self._lock.close()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                self._disk.close(descriptor)

    def _serve(self, batch: Sequence[Ticket]) -> None:
        with self._locked():
            self._commit(batch)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with self._lock.held():
                yield
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def _load(self) -> None:
        """Find the last segment, and the tree up to it."""
        found = segments(self.folder)
        self._torn.find()
        if not found:
            if self._trusted:
                why = f"no record is there, and {self._trusted} were vouched for"
                raise AuditDamaged(self.folder, why, _CHECK)
            self._begin(Segment(0))
            return
        if found[0].first != 0:
            raise AuditDamaged(self.folder / Segment(0).name, "it is not there", _CHECK)
        size = found[-1].first
        try:
            if any(self.levels.count(level) < size >> level for level in KEPT if size >> level):
                raise MissingHash(0, size)
            self._frontier = Frontier.of(size, self.levels.get)
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
        sync_folder(self._disk, self.folder)

    def _commit(self, batch: Sequence[Ticket]) -> None:
        """Under the lock: read on, then append."""
        self._read_on()
        while (after := Segment(self._frontier.size)) != self._segment and self._exists(after):
            self._open(after)
            self._read_on()
        self._refuse_removed()
        torn = self._torn.records()
        lines = [*torn, *(line for ticket in batch for line in ticket.lines)]
        if not lines:
            self._flush_levels()
            return
        if self._offset >= self._max_bytes:
            self._begin(Segment(self._frontier.size))
        first = self._frontier.size + len(torn)
        self._write(b"".join(line + b"\n" for line in lines))
        if torn:
            self._torn.recorded()
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
        self._torn.keep(torn, self._frontier.size)
        self._disk.ftruncate(self._descriptor, self._offset)
        self._disk.fdatasync(self._descriptor)

    def _refuse_removed(self) -> None:
        """Whoever writes to a file that was taken away writes where nobody will read it."""
        path, ours = self.folder / self._segment.name, self._disk.fstat(self._descriptor)
        try:
            stands = self._disk.stat(str(path))
        except FileNotFoundError:
            stands = None
        if stands is None or (stands.st_dev, stands.st_ino) != (ours.st_dev, ours.st_ino):
            why = "it was removed or replaced while the log was open"
            raise AuditDamaged(path, why, "restart, and see what the start says")

    def _write(self, data: bytes) -> None:
        try:
            write_all(self._disk, self._descriptor, data)
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
            is_noted = len(noted) == HASH_BYTES  # else it was cut off, and is made again
            if first + index < self._trusted and is_noted and noted != leaf:
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


def _unwritable(path: Path, error: OSError) -> AuditUnwritable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AuditUnwritable(path, "there is no room for another record", "make room")
    return AuditUnwritable(path, error.strerror or type(error).__name__, "look at the disk")
