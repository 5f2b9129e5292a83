"""Nonces that rise per key: across threads, processes and restarts, whatever the clock does."""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hauberk.errors import SigningError, StoreConflict, StoreError, UnsafeFile
from hauberk.files import check_private, make_private_folder
from hauberk.ports import Store

#: By the name that venue files use: how many nanoseconds a nonce's unit has.
UNITS: Final = {"ms": 1_000_000, "us": 1_000}
#: How far ahead of what is handed out the mark in the store stands, in nanoseconds: it is written
#: once in that time at most, and a process that starts after a crash begins there.
AHEAD_NS: Final = 2_000_000_000

#: A nonce that is this far ahead of the clock is damage: it would use the key up for good.
FAR_NS: Final = 366 * 24 * 3_600 * 1_000_000_000

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NUMBER: Final = struct.Struct(">Q")
_DIGITS: Final = 20
_TRIES: Final = 20


class NonceError(SigningError):
    """No nonce can be vouched for, and so nothing is signed."""


class Nonces:
    """Nonces of one key: the time in a unit, and always above every one before.

    Three things keep them rising. A number in memory, under a lock, for threads. A file of eight
    bytes, locked for two system calls, for the processes of a machine. And in the store a mark that
    no nonce handed out ever reaches: after a crash, a power cut or on another machine, whoever
    starts begins there.

    Args:
        name: Stands for the key in names of files and records; letters, digits and `-`.
        unit: A name from `UNITS`.
        wall_ns: The wall clock, nanoseconds since the epoch; may step.
        folder: Where the file is kept; `None` where one process at a time uses the key.
        store: Where the mark is kept; `None` where nothing outlasts the process.
    """

    def __init__(
        self,
        name: str,
        unit: str,
        wall_ns: Callable[[], int],
        folder: Path | None,
        store: Store | None,
    ) -> None:
        self._record = f"nonce/{unit}/{name}"
        self._unit_ns = UNITS[unit]
        self._ahead = AHEAD_NS // self._unit_ns
        self._far = FAR_NS // self._unit_ns
        self._wall_ns = wall_ns
        self._path = None if folder is None else folder / f"nonce-{unit}-{name}"
        self._store = store
        self._lock = threading.Lock()
        self._descriptor, self._process = -1, os.getpid()
        self._last = 0
        #: What may be handed out lies below; 0 before the mark was first looked at.
        self._mark = 0

    def take(self) -> str:
        """Return the next nonce.

        Raises:
            NonceError: The file or the record is not what was written, or cannot be written: says
                what to do.
        """
        with self._lock, self._shared() as shared:
            if shared.is_fresh:  # nobody knows what was handed out before: the mark does
                self._mark = 0
            now = self._wall_ns() // self._unit_ns
            value = max(now, self._last + 1, shared.last + 1)
            if value >= self._mark:
                value = self._marked(value, shared.last)
            if value > now + self._far:
                raise NonceError(
                    "the next nonce would lie more than a year ahead of the clock: what is kept of "
                    "them was changed by other means, or the clock is wrong. Set the clock, else "
                    "run: hauberk nonces reset ACCOUNT"
                )
            shared.keep(value)
            self._last = value
        return str(value)

    def _marked(self, value: int, last: int) -> int:
        """Put the mark above a nonce; where this process has not seen it yet, begin there."""
        if self._store is None:
            self._mark = value + self._ahead
            return value
        try:
            for _ in range(_TRIES):
                record = self._store.get(self._record)
                mark = 0 if record is None else _number(record.value, self._record)
                if record is not None and last > mark:  # it never is: the mark is written first
                    raise NonceError(
                        f"{self._path} holds a nonce that nobody handed out: remove it, the mark "
                        "in the store stands in for it"
                    )
                if value > self._wall_ns() // self._unit_ns + self._far:
                    return value  # refused, and not made durable
                if not self._mark:
                    value = max(value, mark)
                wanted = max(value + self._ahead, mark)
                version = 0 if record is None else record.version
                try:
                    self._store.put(self._record, b"%d" % wanted, version=version)
                except StoreConflict:
                    continue  # another process moved it
                self._mark = wanted
                return value
        except StoreError as error:
            raise NonceError(f"the nonce cannot be kept: {error}") from None
        raise NonceError("the nonce cannot be kept: other processes change it all the time")

    def forget(self) -> None:
        """Remove file and record: the next nonce is the present time.

        Raises:
            NonceError: They cannot be removed.
        """
        try:
            with self._lock:
                self._close()
                if self._path is not None:
                    self._path.unlink(missing_ok=True)
                if self._store is not None:
                    self._store.delete(self._record)
                self._last = self._mark = 0
        except (OSError, StoreError) as error:
            raise NonceError(f"the nonces cannot be forgotten: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @contextmanager
    def _shared(self) -> Iterator[_Shared]:
        if self._path is None:
            yield _Shared(None, 0, is_fresh=False)
            return
        try:
            descriptor = self._locked(self._path)
        except UnsafeFile as error:
            raise NonceError(str(error)) from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise NonceError(f"{self._path} cannot be used: {why}") from None
        try:
            held = os.pread(descriptor, _NUMBER.size + 1, 0)
            if len(held) not in (0, _NUMBER.size):
                raise NonceError(
                    f"{self._path} does not hold a nonce: remove it, the mark in the store stands "
                    "in for it"
                )
            last = _NUMBER.unpack(held)[0] if held else 0
            yield _Shared(descriptor, last, is_fresh=not held)
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _locked(self, path: Path) -> int:
        """Return the file's descriptor, locked; opened again after a fork, or once removed."""
        if self._process != os.getpid():  # a lock would be the parent's as well
            self._descriptor, self._process = -1, os.getpid()
        while True:
            if self._descriptor < 0:
                self._descriptor = _opened(path)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if os.fstat(self._descriptor).st_nlink:
                return self._descriptor
            self._close()


class _Shared:
    """The last nonce of any process of this machine."""

    __slots__ = ("_descriptor", "is_fresh", "last")

    def __init__(self, descriptor: int | None, last: int, *, is_fresh: bool) -> None:
        self._descriptor = descriptor
        self.last = last
        self.is_fresh = is_fresh

    def keep(self, value: int) -> None:
        """Write the next one down."""
        if self._descriptor is None:
            return
        try:
            os.pwrite(self._descriptor, _NUMBER.pack(value), 0)
        except OSError as error:
            raise NonceError(f"the nonce cannot be kept: {error.strerror}") from None


def _opened(path: Path) -> int:
    try:
        descriptor = os.open(path, _FLAGS, 0o600)
    except FileNotFoundError:
        make_private_folder(path.parent)
        descriptor = os.open(path, _FLAGS, 0o600)
    try:
        if os.fstat(descriptor).st_size == 0:
            os.fchmod(descriptor, 0o600)  # whatever the umask took away
        check_private(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _number(value: bytes, record: str) -> int:
    if not value.isdigit() or len(value) > _DIGITS:
        raise NonceError(
            f"the record {record!r} of signing holds no number: it was changed by other means. "
            "Nothing is signed with this key until it is: hauberk nonces reset ACCOUNT"
        )
    return int(value)
