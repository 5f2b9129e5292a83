"""What the command `login` keeps for later: the session, and the token of the device.

Both are files of mode 0600 in folders of mode 0700, named by the hash of the configuration's path,
so that two bots on one machine do not share them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hauberk.files import make_private_folder, name_on_disk, read_private, write_private
from hauberk.secret import Secret
from hauberk_plugins.auth.quiet import quietly

_LIMIT: Final = 4_096


def device_path(config: Path, environ: Mapping[str, str], home: Path) -> Path:
    """Where the token of this device is: it outlasts a restart."""
    folder = _folder(environ, "XDG_STATE_HOME") or home / ".local" / "state"
    return folder / "hauberk" / f"{_name(config)}.device"


def keep(path: Path, secret: Secret) -> None:
    """Write a secret, in place of another there may be.

    That is removed first, not replaced: a process killed in between then leaves neither, rather
    than a secret under a name that nobody looks for.

    Raises:
        UnsafeFile: Others could read it, or put another there.
        OSError: It cannot be written.
    """
    make_private_folder(path.parent)
    with _turn(path.parent):
        path.unlink(missing_ok=True)
        write_private(path, secret, replace=False)


def kept(path: Path) -> Secret | None:
    """Read a secret; `None` where there is none.

    Raises:
        UnsafeFile: Others can read it, or it is not ours.
    """
    with suppress(FileNotFoundError):
        return quietly(f"reading {path}", lambda: Secret(read_private(path, _LIMIT)))
    return None


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Keep other commands out meanwhile, by a lock that ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _folder(environ: Mapping[str, str], variable: str) -> Path | None:
    # The XDG specification has relative paths ignored.
    path = Path(environ.get(variable, ""))
    return path if path.is_absolute() else None


def _name(config: Path) -> str:
    return name_on_disk(str(config.resolve()))
