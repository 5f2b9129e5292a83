"""Whose a file or folder is, who else may use it, and which command mends that."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from shlex import quote
from typing import Final

from hauberk.errors import UnsafeFile

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def check_alone(path: Path, found: os.stat_result) -> None:
    """Raise `UnsafeFile` unless it is ours and nobody else may use it."""
    check_ours(path, found)
    if found.st_mode & _OTHERS:
        raise open_to_others(path, found)


def check_ours(path: Path, found: os.stat_result) -> None:
    """Raise `UnsafeFile` unless it belongs to the user that runs this."""
    if found.st_uid != os.geteuid():
        raise UnsafeFile(path, f"it belongs to user id {found.st_uid}",
                         f"run as that user, or: chown {os.geteuid()} {_quoted(path)}")  # fmt: skip


def check_folder(path: Path, found: os.stat_result) -> None:
    """Check that nobody else can put a file into a folder, or take one out of it."""
    mode = stat.S_IMODE(found.st_mode)
    if mode & _OTHERS_WRITE and mode & stat.S_ISVTX:
        own = _quoted(path / "hauberk")
        raise UnsafeFile(path, f"others may write into it (mode {mode:04o})",
                         f"use a folder of your own: mkdir -m 700 {own}")  # fmt: skip
    check_ours(path, found)
    if mode & _OTHERS_WRITE:
        raise UnsafeFile(path, f"others may write into it (mode {mode:04o})",
                         f"run: chmod go-w {_quoted(path)}")  # fmt: skip


def check_obeyed(path: Path, found: os.stat_result) -> None:
    """Check that nobody but root can change a file that we obey, or put another in its place.

    A folder open to its group alone, which is what a umask of 002 makes, is let pass.

    Args:
        path: The file; a link is followed, and must be ours too.
        found: What was opened under that path.

    Raises:
        UnsafeFile: Somebody can; says what to run.
    """
    path = path.absolute()
    real = Path(os.path.realpath(path))
    _check_obeyed(real, found, _OTHERS_WRITE)
    link = path.lstat()
    if stat.S_ISLNK(link.st_mode):
        _check_whose(path, link)
    for folder in dict.fromkeys((path.parent, real.parent)):
        status = folder.stat()
        _check_obeyed(folder, status, 0 if status.st_mode & stat.S_ISVTX else stat.S_IWOTH)


def _check_obeyed(path: Path, found: os.stat_result, others: int) -> None:
    _check_whose(path, found)
    if found.st_mode & others:
        mode = stat.S_IMODE(found.st_mode)
        raise UnsafeFile(path, f"others can change it (mode {mode:04o})",
                         f"look at what it says, then run: chmod go-w {_quoted(path)}")  # fmt: skip


def _check_whose(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in (0, os.geteuid()):
        whose = f"it belongs to user id {found.st_uid}, who could have us run anything"
        own = f"chown -h {os.geteuid()} {_quoted(path)}"
        raise UnsafeFile(path, whose, f"run as that user; or look at what it says, then: {own}")


def open_to_others(path: Path, found: os.stat_result) -> UnsafeFile:
    """Return what to raise for a mode that is not as it must be."""
    mode = stat.S_IMODE(found.st_mode)
    right = 700 if stat.S_ISDIR(found.st_mode) else 600
    problem = "others may use it" if mode & _OTHERS else "we may not use it"
    return UnsafeFile(path, f"{problem} (mode {mode:04o})", f"run: chmod {right} {_quoted(path)}")


def no_such_kind(path: Path, found: os.stat_result, wanted: str) -> UnsafeFile:
    """Return what to raise for a link, or for another kind of thing than is wanted."""
    if stat.S_ISLNK(found.st_mode):
        return UnsafeFile(path, "it is a symbolic link", "name what it leads to")
    return UnsafeFile(path, f"it is no {wanted}", "move it away")


def unreadable(path: Path, error: OSError) -> Exception:
    """Return what to raise where a file could not be opened to be read."""
    if error.errno == errno.ELOOP:
        return UnsafeFile(path, "it is a symbolic link", "name what it leads to")
    if error.errno in (errno.ENXIO, errno.ENODEV):  # a socket, a device that is not there
        return UnsafeFile(path, "it is no regular file", "move it away")
    if error.errno == errno.EACCES:
        return UnsafeFile(path, f"user id {os.geteuid()} may not read it",
                          f"run: chmod 600 {_quoted(path)}")  # fmt: skip
    return error


def _quoted(path: Path) -> str:
    return quote(str(path))
