"""All that the audit log asks of the operating system, so that a test may fail each."""

from __future__ import annotations

import fcntl
import os
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
    flock = staticmethod(fcntl.flock)
    listdir = staticmethod(os.listdir)
    mkdir = staticmethod(os.mkdir)


REAL: Final = Disk()
