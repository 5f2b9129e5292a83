"""What came of making, listing, drilling and restoring."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from attrs import frozen

from hauberk.command import FAIL, Check
from hauberk_plugins.notes.note import VerifierKey
from hauberk_plugins.recovery.manifest import Manifest

#: What the reason of a point begins with that a restore has made.
BEFORE: Final = "before restoring "


def is_before(manifest: Manifest) -> bool:
    """Whether a restore made a point, of what stood before."""
    return manifest.reason.startswith(BEFORE)


@frozen
class Created:
    """A point that was made.

    Attributes:
        manifest: What it holds.
        folder: Where it is.
        key: Who signed it.
        removed: Points that were removed, since more than enough were there.
    """

    manifest: Manifest
    folder: Path
    key: VerifierKey
    removed: tuple[str, ...] = ()


@frozen
class Listed:
    """A point in the folder, as its manifest says.

    Attributes:
        folder: Where it is.
        manifest: What it holds; `None` where that cannot be read.
        problem: What is wrong with the manifest; empty for nothing.
    """

    folder: Path
    manifest: Manifest | None
    problem: str = ""


@frozen
class Drilled:
    """What came of opening a copy of a point.

    Attributes:
        manifest: What it holds.
        records: How many sealed records were opened.
        checks: What its plugins say of it.
    """

    manifest: Manifest
    records: int
    checks: tuple[Check, ...]

    @property
    def failed(self) -> Check | None:
        """The first that failed; `None` where nothing did."""
        return next((check for check in self.checks if check.status == FAIL), None)


@frozen
class Restored:
    """What came of a restore.

    Attributes:
        manifest: What was restored.
        before: The point that holds what stood before; empty where that could not be read.
        sessions: How many sessions were in the point, and ended.
        notes: What whoever did it should know.
    """

    manifest: Manifest
    before: str
    sessions: int
    notes: tuple[str, ...]
