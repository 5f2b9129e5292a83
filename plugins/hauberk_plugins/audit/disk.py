"""All that the audit log asks of the operating system, so that a test may fail each."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final


class Disk:
    """The calls, as `os` has them."""

    open = staticmethod(os.open)
    close = staticmethod(os.close)
    write = staticmethod(os.write)
    pread = staticmethod(os.pread)
    pwrite = staticmethod(os.pwrite)
    fdatasync = staticmethod(getattr(os, "fdatasync", os.fsync))
    fsync = staticmethod(os.fsync)
    ftruncate = staticmethod(os.ftruncate)
    fstat = staticmethod(os.fstat)
    stat = staticmethod(os.stat)
    flock = staticmethod(fcntl.flock)
    listdir = staticmethod(os.listdir)
    mkdir = staticmethod(os.mkdir)
    rename = staticmethod(os.rename)
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)


REAL: Final = Disk()


def write_all(disk: Disk, descriptor: int, data: bytes) -> None:
    """Write every byte.

    Raises:
        OSError: Not all were.
    """
    left = memoryview(data)
    while left:
        written = disk.write(descriptor, left)
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        left = left[written:]


def sync_folder(disk: Disk, folder: Path) -> None:
    """Make the names of files in a folder durable.

    Raises:
        OSError: They are not.
    """
    descriptor = disk.open(str(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        disk.fsync(descriptor)
    finally:
        disk.close(descriptor)


def set_aside(folder: Path, at_ns: int) -> Path | None:
    """Give a folder another name, durably: one that nothing has.

    Args:
        folder: Which.
        at_ns: When, nanoseconds since the epoch.

    Returns:
        The other name; `None` where there is no such folder.

    Raises:
        OSError: It has its own name still, or nobody knows whether for good.
    """
    day = datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside, number = folder.with_name(f"{folder.name}-{day}"), 1
    while aside.exists():
        number += 1
        aside = folder.with_name(f"{folder.name}-{day}-{number}")
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return None
    sync_folder(REAL, folder.parent)
    return aside
