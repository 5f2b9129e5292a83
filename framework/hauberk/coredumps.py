"""A process that holds keys leaves none of its memory in a core dump when it crashes."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

#: Which parts of its memory a process puts into a dump (Linux, core(5)); a hexadecimal mask.
_FILTER: Final = Path("/proc/self/coredump_filter")


def forbid() -> None:
    """Have this process, and those that it starts from here on, leave no core dump.

    The limit is the soft one: it goes up again only where somebody raises it on purpose, as who
    debugs a crash of the bot's own may, and the hard one stays as the bot's children need it.
    The limit does not bind a program that the kernel pipes dumps to (`core_pattern`), so no
    memory is let into a dump either.
    """
    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    with suppress(OSError):  # no Linux, or a read-only /proc
        _FILTER.write_bytes(b"0")
