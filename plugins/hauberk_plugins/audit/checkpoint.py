"""Checkpoints (C2SP tlog-checkpoint): how large a log was, and its root, signed."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from attrs import field, frozen

from hauberk_plugins.audit.merkle import HASH_BYTES, MAX_SIZE
from hauberk_plugins.notes.note import NoteError

_SIZE: Final = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")


@frozen
class Checkpoint:
    """What a log held at a moment.

    Attributes:
        origin: Which log, the first line.
        size: How many records.
        root: The root of its tree, 32 bytes.
        extra: Further lines, for whoever knows them.
    """

    origin: str
    size: int
    root: bytes = field(repr=lambda root: root.hex()[:16])
    extra: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text of its note."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extra)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a note's text, strictly: what it says can be written in one way only.

        Raises:
            NoteError: It is none.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines):
            raise NoteError("a checkpoint has an origin, a size and a root, a line each")
        origin, size, written, *extra = lines
        try:
            root = base64.b64decode(written, validate=True)
        except (binascii.Error, ValueError):
            root = b""
        if not _SIZE.match(size) or int(size) > MAX_SIZE or len(root) != HASH_BYTES:
            raise NoteError("a checkpoint's size or root is not of the form that it must have")
        made = cls(origin, int(size), root, tuple(extra))
        if made.text != text:
            raise NoteError("a checkpoint's root is written in more than one way")
        return made
