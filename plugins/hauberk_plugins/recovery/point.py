"""A recovery point on the disk: read, verified, and copied out while it is verified."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

from hauberk.files import REAL, FileOperations
from hauberk_plugins.notes.note import VerifierKey
from hauberk_plugins.recovery.disk import copy, digest, make_folders, walk
from hauberk_plugins.recovery.errors import (
    NoSuchPoint,
    PointAltered,
    PointForeign,
    PointTooRecent,
)
from hauberk_plugins.recovery.manifest import (
    MAX_BYTES,
    BadManifest,
    Entry,
    LaterFormat,
    Manifest,
    is_id,
)
from hauberk_plugins.recovery.signature import NotSigned, signer_of, text_of

MANIFEST: Final = "manifest"


@frozen
class Point:
    """A recovery point, as its manifest says; `verify` tells whether that is so.

    Attributes:
        folder: Where it is.
        note: Its manifest with the signature.
        manifest: What that says.
        signer: Name and key id of who says to have signed it.
    """

    folder: Path
    note: str
    manifest: Manifest
    signer: tuple[str, bytes]

    @classmethod
    def read(cls, folder: Path, files: FileOperations = REAL) -> Point:
        """Read the manifest of a point; believe none of it.

        Raises:
            NoSuchPoint: There is no such folder.
            PointAltered: There is no manifest in it, or what stands there is none.
            PointTooRecent: A later version made it.
        """
        if not folder.is_dir():
            raise NoSuchPoint(folder, "there is no such point", "see `hauberk recovery list`")
        path = folder / MANIFEST
        note = _note(path, files)
        try:
            signer = signer_of(note)
            manifest = Manifest.from_text(text_of(note, None))
        except LaterFormat as error:
            remedy = "use the version of Hauberk that made it; nothing was restored"
            raise PointTooRecent(path, str(error), remedy) from None
        except (NotSigned, BadManifest) as error:
            raise PointAltered(path, str(error)) from None
        return cls(folder, note, manifest, signer)

    def check_signature(self, key: VerifierKey) -> None:
        """Check who signed it.

        Raises:
            PointForeign: Somebody else did; it is another installation's.
            PointAltered: The signature does not hold.
        """
        path = self.folder / MANIFEST
        try:
            text_of(self.note, key)
        except NotSigned as error:
            kind = PointAltered if self.signer == (key.name, key.key_id) else PointForeign
            raise kind(path, str(error)) from None

    def findings(self, told: Callable[[int], object], files: FileOperations = REAL) -> list[str]:
        """Say what in the folder is not as the manifest says, each file by its name.

        Args:
            told: Told how many bytes were read, after each file.
            files: The operating system.
        """

        def differs(entry: Entry, status: os.stat_result) -> str:
            size, hashed = digest(self.folder / entry.name, files)
            told(status.st_size)
            changed = "" if hashed == entry.digest else "was changed"
            return _wrong_size(entry, size) or changed

        return list(self._compared(differs))

    def check_shape(self) -> None:
        """Check names and lengths of its files; none of them is read.

        Raises:
            PointAltered: They are not as the manifest says.
            OSError: A folder cannot be listed.
        """
        for problem in self._compared(lambda entry, status: _wrong_size(entry, status.st_size)):
            raise PointAltered(self.folder, problem)

    def _compared(self, differs: Callable[[Entry, os.stat_result], str]) -> Iterator[str]:
        known = {entry.name: entry for entry in self.manifest.files}
        found = dict(walk(self.folder))
        found.pop(MANIFEST, None)
        yield from (f"{name} is missing" for name in known if name not in found)
        for name, status in found.items():
            entry = known.get(name)
            if not stat.S_ISREG(status.st_mode):
                yield f"{name} is {_kind(status)}, and no regular file"
            elif entry is None:
                yield f"{name} was added"
            elif why := differs(entry, status):
                yield f"{name} {why}"

    def verify(
        self,
        key: VerifierKey | None,
        told: Callable[[int], object] = lambda _: None,
        files: FileOperations = REAL,
    ) -> None:
        """Check signature and files.

        Args:
            key: Who must have signed it; `None` where that is not known.
            told: As `findings`.
            files: The operating system.

        Raises:
            PointAltered: It is not as it was made; names every file.
            PointForeign: As `check_signature`.
        """
        if key is not None:
            self.check_signature(key)
        if said := self.findings(told, files):
            problem = said[0] if len(said) == 1 else f"{len(said)} files are not as they were"
            raise PointAltered(self.folder, problem, tuple(said))

    def copy_out(
        self, to: Path, told: Callable[[int], object], files: FileOperations = REAL
    ) -> None:
        """Copy its files, each hashed as it is copied: what was verified is what is there.

        Args:
            to: A private folder.
            told: As `findings`.
            files: The operating system.

        Raises:
            PointAltered: One is not as it was made.
            OSError: It cannot be read or written.
        """
        for entry in self.manifest.files:
            target = make_folders(to, entry.name, files)
            if copy(self.folder / entry.name, target, files=files) != (entry.size, entry.digest):
                raise PointAltered(self.folder, f"{entry.name} was changed")
            told(entry.size)


def points(folder: Path) -> Iterator[Path]:
    """Yield the folders of points in a folder, oldest first."""
    try:
        found = sorted(path for path in folder.iterdir() if is_id(path.name))
    except FileNotFoundError:
        return
    yield from found


def _note(path: Path, files: FileOperations) -> str:
    try:
        status = files.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        why = "there is no manifest: it was copied by halves, or is no point"
        raise PointAltered(path, why) from None
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
        raise PointAltered(path, f"it is {_kind(status)}, and no manifest")
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        raise PointAltered(path, "it is no text: it was changed") from None


def _wrong_size(entry: Entry, size: int) -> str:
    return "" if size == entry.size else f"has {size} bytes, and not {entry.size}"


def _kind(status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return "a symbolic link"
    if stat.S_ISDIR(status.st_mode):
        return "an empty folder"
    return "a file" if stat.S_ISREG(status.st_mode) else "a device or a pipe"
