"""Nonces that rise per key: across threads, processes and restarts, whatever the clock does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from hauberk.errors import StoreConflict, StoreError
from hauberk.ports import Store
from hauberk_plugins.signing.noncefile import NonceError, NonceFile, Taken

#: By the name that venue files use: how many nanoseconds a nonce's unit has.
UNITS: Final = {"ms": 1_000_000, "us": 1_000}
#: How far a block reaches beyond the first nonce taken out of it, in nanoseconds: the store is
#: written once in that time at most, and a process that starts after a crash begins behind it.
AHEAD_NS: Final = 2_000_000_000
#: For how long nonces are taken one by one after another machine took some, in nanoseconds.
WARY_NS: Final = 60_000_000_000
#: A nonce that is this far ahead of the clock is damage: it would use the key up for good.
FAR_NS: Final = 366 * 24 * 3_600 * 1_000_000_000

_DIGITS: Final = 20
_TRIES: Final = 64
_NOTHING: Final = Taken(0, 0, 0)
_NO_FILE: Final[AbstractContextManager[None]] = nullcontext()


class Nonces:
    """Nonces of one key: the time in a unit, and always above every one before.

    Three things keep them rising. A number in memory, under a lock, for threads. A file, locked for
    two system calls, for the processes of a machine. And in the store a mark that no nonce handed
    out ever reaches: whoever needs more moves it by compare-and-set, and what lies between the old
    mark and the new one is nobody else's. After a crash, a power cut or on another machine, whoever
    starts begins there.

    A machine that finds the mark where it did not put it shares the key with another one. From then
    on it takes nonces one by one, so that they rise in the order in which all machines take them;
    with a block each, all but the machine with the highest block would be refused.

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
        self._wary = WARY_NS // self._unit_ns
        self._far = FAR_NS // self._unit_ns
        self._wall_ns = wall_ns
        self._file = None if folder is None else NonceFile(folder / f"nonce-{unit}-{name}")
        self._store = store
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._taken = _NOTHING
        #: Whether this process has looked at the mark.
        self._has_begun = False

    def take(self) -> str:
        """Return the next nonce.

        Raises:
            NonceError: The file or the record is not what was written, or cannot be written: says
                what to do.
        """
        with self._lock, _NO_FILE if self._file is None else self._file.held() as held:
            before = self._taken if held is None else held.taken
            if self._process != os.getpid() or (held is not None and held.is_fresh):
                # Nobody knows what was handed out before: the mark does.
                self._process, self._has_begun = os.getpid(), False
            last, end, wary = before
            now = self._wall_ns() // self._unit_ns
            value = max(now, self._taken.last + 1, last + 1)
            is_sound = last < end <= last + self._ahead
            if self._has_begun and is_sound and value < end:
                self._check_near(value, now)
                taken = Taken(value, end, wary)
            else:
                taken = self._reserved(value, now, before)
                self._has_begun = True
            if held is not None:
                held.keep(taken)
            self._taken = taken
        return str(taken.last)

    def _reserved(self, value: int, now: int, before: Taken) -> Taken:
        """Move the mark above a nonce, or above one that lies above the mark."""
        if self._store is None:
            self._check_near(value, now)
            return Taken(value, value + self._ahead, 0)
        try:
            for _ in range(_TRIES):
                record = self._store.get(self._record)
                mark = 0 if record is None else _number(record.value, self._record)
                if record is not None and before.last > mark:  # the mark is always written first
                    where = "memory" if self._file is None else self._file.path
                    raise NonceError(
                        f"{where} holds a nonce that nobody handed out: remove it, the mark in "
                        "the store stands in for it"
                    )
                wary = self._wariness(mark, now, before)
                wanted = value
                if mark != before.end or not self._has_begun:
                    wanted = max(value, mark)
                self._check_near(wanted, now)
                end = max(wanted + (1 if wary > now else self._ahead), mark)
                version = 0 if record is None else record.version
                try:
                    self._store.put(self._record, b"%d" % end, version=version)
                except StoreConflict:
                    continue  # somebody moved it
                return Taken(wanted, end, wary)
        except StoreError as error:
            raise NonceError(f"the nonce cannot be kept: {error}") from None
        raise NonceError("the nonce cannot be kept: other machines change it all the time")

    def _wariness(self, mark: int, now: int, before: Taken) -> int:
        """Say up to which time nonces are to be taken one by one."""
        if mark == before.end:  # as this machine left it
            return before.wary
        if before.end:
            return now + self._wary
        # Whoever has put it there was stopped just now, or is a machine that is there still: it
        # has used its block up by then, and has come to the mark.
        return now + 2 * self._ahead if mark > now else 0

    def _check_near(self, value: int, now: int) -> None:
        if value > now + self._far:
            raise NonceError(
                "the next nonce would lie more than a year ahead of the clock: what is kept of "
                "them was changed by other means, or the clock is wrong. Set the clock, else "
                "run: hauberk nonces reset ACCOUNT"
            )

    def forget(self) -> None:
        """Remove file and record: the next nonce is the present time.

        Raises:
            NonceError: They cannot be removed.
        """
        try:
            with self._lock:
                if self._file is not None:
                    self._file.close()
                    self._file.path.unlink(missing_ok=True)
                if self._store is not None:
                    self._store.delete(self._record)
                self._taken, self._has_begun = _NOTHING, False
        except (OSError, StoreError) as error:
            raise NonceError(f"the nonces cannot be forgotten: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()


def _number(value: bytes, record: str) -> int:
    if not value.isdigit() or len(value) > _DIGITS:
        raise NonceError(
            f"the record {record!r} of signing holds no number: it was changed by other means. "
            "Nothing is signed with this key until it is: hauberk nonces reset ACCOUNT"
        )
    return int(value)
