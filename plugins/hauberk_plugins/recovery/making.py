"""Making a recovery point: everything of one moment in a folder, then its manifest, then its name.

Until the last step the folder has another name, so that there is a whole point or none.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from hauberk.errors import UnsafeFile
from hauberk.files import (
    FileOperations,
    make_private_folder,
    read_private,
    write_private,
)
from hauberk.ports import BackedUp
from hauberk_plugins.notes.note import SignerKey
from hauberk_plugins.recovery import audited
from hauberk_plugins.recovery.disk import copy, entries, make_folders, sync_folder
from hauberk_plugins.recovery.errors import PointNotMade
from hauberk_plugins.recovery.manifest import ID_FORM, LeftOut, Manifest
from hauberk_plugins.recovery.point import MANIFEST
from hauberk_plugins.recovery.signature import signed

#: Where things are in a point.
CONFIG: Final = "config"
STATE: Final = "state"
#: In the state folder, and so in a point.
RING: Final = "keyring.json"
STORE: Final = "store.sqlite"
_MAKING: Final = ".making-"
_REMOVED: Final = ".removed-"
_DRILL: Final = ".drill-"
_OURS: Final = re.compile(
    rf"(?:{re.escape(_MAKING)}|{re.escape(_REMOVED)}){ID_FORM}"
    rf"|{re.escape(_DRILL)}[0-9a-f]{{8}}"
)
_TRIES: Final = 5


@frozen
class Source:
    """What a point is made of.

    Attributes:
        config: The configuration.
        included: Further files, relative to its folder.
        state: The state folder.
        store: What provides `store`.
        backend: What that is.
        has_log: Whether the audit's log is taken too, not only its checkpoint.
        left_out: What is known to be left out.
    """

    config: Path
    included: Sequence[str]
    state: Path
    store: BackedUp
    backend: str
    has_log: bool
    left_out: Sequence[LeftOut]


def identifier(wall_ns: int, random: Callable[[int], bytes]) -> tuple[str, str]:
    """Return the name of a point that is made now, and the time, UTC."""
    now = datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC)
    return f"{now:%Y%m%dT%H%M%SZ}-{random(4).hex()}", f"{now:%Y-%m-%dT%H:%M:%SZ}"


def make(
    folder: Path,
    empty: Manifest,
    source: Source,
    signer: SignerKey,
    told: Callable[[str, int], object],
    files: FileOperations,
) -> Manifest:
    """Make a point.

    Args:
        folder: Where points are.
        empty: Its manifest, but for what is in it.
        source: What it is made of.
        signer: Signs it.
        told: Told what is done, and how much is left of it, as it goes on.
        files: The operating system.

    Returns:
        Its manifest.

    Raises:
        PointNotMade: Something cannot be read or written; nothing is left of it.
        StoreError: The records cannot be read.
    """
    try:
        with _unfinished(folder, empty.id, files) as making:
            _copy_configuration(making, source, files)
            _copy_store(making, source, told, files)
            checkpoint = _copy_log(making, source, files)
            left_out = source.left_out
            if not source.has_log and checkpoint:
                what = LeftOut("the audit's log", "`recovery.log: false`: copy the folder yourself")
                left_out = (*left_out, what)
            manifest = evolve(
                empty,
                backend=source.backend,
                checkpoint=checkpoint,
                config=source.config.name,
                files=tuple(entries(making, lambda size: told("hashing", size), files)),
                left_out=tuple(left_out),
            )
            write_private(
                making / MANIFEST, signed(manifest.to_text(), signer).encode(), files=files
            )
            return manifest
    except OSError as error:
        where = error.filename or folder
        why = error.strerror or type(error).__name__
    raise PointNotMade(where, f"{why}: no point was made", "make room, or mend what it says")


def clear_unfinished(folder: Path) -> None:
    """Remove what those who were killed have left; call it while nobody else makes points.

    Nothing else that stands there: the folder may be somebody's home, or a disk with snapshots.
    """
    with suppress(FileNotFoundError):
        for path in list(folder.iterdir()):
            if _OURS.fullmatch(path.name) and _is_own_folder(path):
                shutil.rmtree(path, ignore_errors=True)


def drill_folder(folder: Path, random: Callable[[int], bytes]) -> Path:
    """Return where a drill copies to."""
    return folder / f"{_DRILL}{random(4).hex()}"


def remove(point: Path, files: FileOperations) -> None:
    """Remove a point.

    Raises:
        OSError: It stands as it did.
    """
    # Its name first: what is removed by halves is no point.
    gone = point.with_name(f"{_REMOVED}{point.name}")
    files.rename(point, gone)
    shutil.rmtree(gone, ignore_errors=True)


def _is_own_folder(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


@contextmanager
def _unfinished(folder: Path, name: str, files: FileOperations) -> Iterator[Path]:
    making = folder / f"{_MAKING}{name}"
    make_private_folder(making, files=files)
    try:
        yield making
        _sync_all(making, files)
        files.rename(making, folder / name)
        sync_folder(folder, files)
    except BaseException:
        with suppress(OSError):  # where it had its name already
            (folder / name).rename(making)
        shutil.rmtree(making, ignore_errors=True)
        raise


def _sync_all(root: Path, files: FileOperations) -> None:
    for path, folders, _ in os.walk(root):
        folders.sort()
        sync_folder(Path(path), files)


def _copy_configuration(making: Path, source: Source, files: FileOperations) -> None:
    real = Path(os.path.realpath(source.config))
    copy(real, make_folders(making, f"{CONFIG}/{source.config.name}", files), files=files)
    for name in source.included:
        copy(
            source.config.parent / name, make_folders(making, f"{CONFIG}/{name}", files),
            files=files,
        )  # fmt: skip


def _copy_store(
    making: Path, source: Source, told: Callable[[str, int], object], files: FileOperations
) -> None:
    """Copy records and key ring of one moment: no key that a record needs was forgotten since."""
    path = make_folders(making, f"{STATE}/{STORE}", files)
    for _ in range(_TRIES):
        before = ring_of(source.state, files)
        source.store.back_up(path, lambda left: told("copying the store", left))
        if ring_of(source.state, files) == before:
            if before is not None:
                write_private(making / STATE / RING, before, files=files)
            return
        path.unlink(missing_ok=True)
    why = "the key ring is written again and again"
    raise PointNotMade(source.state / RING, why, "let the rotation end, and try again")


def ring_of(state: Path, files: FileOperations) -> bytes | None:
    """Return the content of the key ring's file, its keys still wrapped; `None` for none.

    Raises:
        OSError: It cannot be read.
    """
    try:
        return read_private(state / RING, files=files)
    except FileNotFoundError:
        return None
    except UnsafeFile as error:
        raise PointNotMade(error.path, error.problem, error.remedy) from None


def _copy_log(making: Path, source: Source, files: FileOperations) -> str:
    """Copy the audit's log.

    Somebody may be appending: the checkpoint goes first and the lines last, so that it vouches for
    no more than there are hashes, and those are of no more than there are lines.

    Returns:
        The checkpoint.
    """
    checkpoint = audited.kept(source.state)
    folder = source.state / audited.FOLDER
    if not source.has_log or not folder.is_dir():
        return checkpoint
    names = sorted(one.name for one in folder.iterdir() if not audited.NOT_COPIED.match(one.name))
    segments = [name for name in names if audited.SEGMENT.match(name)]
    others = [name for name in names if name not in segments and name != audited.CHECKPOINT]
    to = make_folders(making, f"{STATE}/{audited.FOLDER}/{audited.CHECKPOINT}", files)
    if checkpoint:
        write_private(to, checkpoint.encode(), files=files)
    for name in (*others, *segments):
        limit = _whole_lines(folder / name) if name in segments else None
        copy(folder / name, to.with_name(name), limit=limit, files=files)
    return checkpoint


def _whole_lines(path: Path) -> int:
    """Return where the last whole line of a segment ends: somebody may be writing the next."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - (1 << 16))
            file.seek(start)
            last = file.read(end - start).rfind(b"\n")
            if last >= 0:
                return start + last + 1
            end = start
    return 0
