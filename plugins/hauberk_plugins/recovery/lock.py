"""Who uses a state folder: a bot as long as it runs, a restore alone.

A lock on a file there ends with the process that holds it, however that ends, and holds between
containers that share the folder.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hauberk.status import statuses
from hauberk_plugins.recovery.errors import NotRestored, StateInUse

FILE: Final = "recovery.lock"
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class InUse:
    """Held by a bot while it runs.

    Args:
        state: The state folder.

    Raises:
        BlockingIOError: A restore is under way.
        OSError: The lock cannot be made.
    """

    def __init__(self, state: Path) -> None:
        self._descriptor = os.open(state / FILE, _FLAGS, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BaseException:
            os.close(self._descriptor)
            raise

    def end(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold a lock alone.

    Args:
        path: Its file.
        what: What to say where somebody else has it.

    Raises:
        StateInUse: Somebody else has it.
        NotRestored: It cannot be made.
    """
    try:
        descriptor = os.open(path, _FLAGS, 0o600)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise NotRestored(path, why, "check the folder and the disk") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateInUse(path, what, "stop it, then do this again") from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def state_alone(state: Path) -> Iterator[None]:
    """Have a state folder for oneself.

    Raises:
        StateInUse: Another process uses it.
        NotRestored: The lock cannot be made.
    """
    with alone(state / FILE, "another process uses the state folder"):
        for status in statuses(state):
            if status.pid != os.getpid():
                raise StateInUse(
                    state, f"process {status.pid} uses it", "stop it, then do this again"
                )
        yield
