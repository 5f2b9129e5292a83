"""What stands in the state folder beside the store: a file that halts, and the newest state.

Processes that share the folder learn from it at their next request, without asking a store that
may hang. A write changes the folder's own time, so that one `stat` of the folder tells whether
there is anything to look at.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from hauberk.errors import UnsafeFile
from hauberk.files import REAL, FileOperations, read_private, write_private
from hauberk_plugins.killswitch.stored import Stored
from hauberk_plugins.killswitch.switch import NORMAL, BadState, State

#: While something of this name stands in the state folder, everything is halted.
HALT: Final = "HALT"
#: The newest state, for processes that share the folder.
RELAY: Final = "killswitch.json"
_LOCK: Final = "killswitch.lock"
#: Folders' times tick with the kernel, at worst every 10 ms: what is younger may change unseen.
_SLACK_NS: Final = 50_000_000
_MAX_BYTES: Final = 64 * 1024
_TRIES: Final = 50


@frozen
class Found:
    """What stands in the folder.

    Attributes:
        dropped: What tells the file that halts from another one; empty where there is none.
        relay: The newest state; version 0 is one that no store has; `None` where there is none.
        problem: Why the folder cannot be read; empty where it can.
        torn: What is wrong with the newest state; empty where nothing is.
    """

    dropped: str = ""
    relay: Stored | None = None
    problem: str = ""
    torn: str = ""


class StateFolder:
    """Looks at a state folder, and leaves states there.

    Args:
        path: The folder; before it is there for the first time, nothing is in it.
        files: The operating system.
        wall_ns: The wall clock that files are dated by.
    """

    def __init__(
        self, path: Path, *, files: FileOperations = REAL, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.path = path
        self._files = files
        self._wall_ns = wall_ns
        self._text = str(path)
        self._stat = files.stat
        self._seen: tuple[int, int] | None = None
        self._was_there = False
        self._read: tuple[tuple[int, int, int], Stored] | None = None

    def is_stirred(self) -> bool:
        """Whether there may be something that `look` has not seen; for every request."""
        try:
            found = self._stat(self._text)
        except FileNotFoundError:
            return self._was_there
        except OSError:
            return True
        changed_ns = found.st_mtime_ns
        return (found.st_ino, changed_ns) != self._seen or self._wall_ns() - changed_ns < _SLACK_NS

    def look(self) -> Found:
        """Read all of it; what cannot be read is named, never raised."""
        try:
            folder = self._stat(self._text)
            # Before the look: what changes meanwhile is looked at again.
            self._seen = folder.st_ino, folder.st_mtime_ns
            self._was_there = True
            dropped = self._dropped()
            try:
                return Found(dropped, self._relay())
            except (UnsafeFile, BadState) as error:
                return Found(dropped, torn=f"{self.path / RELAY}: {error}")
        except FileNotFoundError:
            self._seen = None
            return Found(problem="it is gone") if self._was_there else Found()
        except OSError as error:
            self._seen = None
            return Found(problem=reason_of(error))

    def relay(self, stored: Stored, *, is_forced: bool = False) -> None:
        """Leave a state for the other processes, unless a newer one stands there.

        Args:
            stored: Of version 0, one that no store has yet: it may only add.
            is_forced: Whether it counts as newer whatever its version.

        Raises:
            OSError, UnsafeFile: It cannot be written.
        """
        with self._turn():
            try:
                stands = self._relay()
            except (OSError, UnsafeFile, BadState):
                stands = None
            left = stored if stands is None or is_forced else _newer(stands, stored)
            if left is stands or left.state is None:
                return
            told = {"version": left.version, "state": json.loads(left.state.to_bytes())}
            write_private(self.path / RELAY, json.dumps(told).encode(), files=self._files)

    def drop(self, reason: str) -> Path:
        """Put the file that halts in place; one that stands there stays as it is.

        Raises:
            OSError, UnsafeFile: It cannot be.
        """
        path = self.path / HALT
        with suppress(FileExistsError):
            try:
                write_private(path, f"{reason}\n".encode(), replace=False, files=self._files)
            except FileExistsError:
                raise
            except OSError:  # a full disk may have room for a name yet
                self._files.close(self._files.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        return path

    def _dropped(self) -> str:
        try:
            found = self._stat(f"{self._text}/{HALT}", follow_symlinks=False)
        except FileNotFoundError:
            return ""
        return f"{found.st_ino}:{found.st_mtime_ns}"

    def _relay(self) -> Stored | None:
        try:
            found = self._stat(f"{self._text}/{RELAY}", follow_symlinks=False)
        except FileNotFoundError:
            return None
        mark = found.st_ino, found.st_mtime_ns, found.st_size
        if self._read is None or self._read[0] != mark:
            content = read_private(self.path / RELAY, _MAX_BYTES, files=self._files)
            self._read = mark, _parsed(content)
        return self._read[1]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Write one after the other; not for ever: a stopped process must not hold up a halt."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        lock = os.open(self.path / _LOCK, flags, 0o600)
        try:
            for _ in range(_TRIES):
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.EINTR):
                        raise
                    time.sleep(0.002)
            yield
        finally:
            os.close(lock)


def reason_of(error: OSError | UnsafeFile) -> str:
    """Say why a file cannot be used."""
    if isinstance(error, UnsafeFile):
        return str(error)
    return error.strerror or type(error).__name__


def _parsed(content: bytes) -> Stored:
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError):
        raise BadState("it is not JSON") from None
    if type(found) is not dict or set(found) != {"version", "state"}:
        raise BadState("it has other fields than version and state")
    if type(found["version"]) is not int or found["version"] < 0:
        raise BadState("its version is no number")
    return Stored(State.from_json(found["state"]), found["version"])


def _newer(stands: Stored, stored: Stored) -> Stored:
    """Return what is to stand: of two that a store has, by version; what it has not yet stays."""
    ours, theirs = stored.state or NORMAL, stands.state or NORMAL
    if not stored.version:
        return Stored(theirs.joined(ours), 0) if theirs.joined(ours) is not theirs else stands
    if not stands.version and ours.joined(theirs) is not ours:
        return stands
    return stored if stored.version > stands.version else stands
