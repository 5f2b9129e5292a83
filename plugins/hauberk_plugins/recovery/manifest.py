"""The manifest of a recovery point: what is in it, by name, length and SHA-256, and what is not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

FORMAT: Final = 1
#: A longer one is none of ours.
MAX_BYTES: Final = 16 << 20
_HEADER: Final = "hauberk recovery point"
#: What names of points are like, as a regular expression.
ID_FORM: Final = r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}"
_ID: Final = re.compile(rf"{ID_FORM}\Z")
_MADE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
_PART: Final = re.compile(r"[^/\x00-\x1f\x7f]{1,255}\Z")
_HASH: Final = re.compile(r"[0-9a-f]{64}\Z")
_FIELDS: Final = {
    "format", "id", "made", "reason", "hauberk", "backend", "checkpoint", "config", "files",
    "left_out",
}  # fmt: skip
_MAX_DEPTH: Final = 8


class BadManifest(Exception):
    """A text is no manifest; says why."""


class LaterFormat(BadManifest):
    """It is one, of a later version."""


@frozen
class Entry:
    """A file of a point.

    Attributes:
        name: Relative to the point, with `/` between parts; never upwards.
        size: Bytes.
        digest: Its SHA-256, hexadecimal.
    """

    name: str
    size: int
    digest: str


@frozen
class LeftOut:
    """Something that a point does not hold.

    Attributes:
        what: What.
        why: Why not, and what to do about it.
    """

    what: str
    why: str


@frozen
class Manifest:
    """What a recovery point holds.

    Attributes:
        id: Its name: when it was made, and something random.
        made: When, UTC.
        reason: Why, in words of whoever made it.
        hauberk: The version that made it.
        backend: Where the records were kept: the provider of `store`; empty for nowhere.
        checkpoint: The audit's newest checkpoint then, a signed note; empty where there was none.
        config: The name that the configuration had.
        files: All of its files but the manifest itself, by name.
        left_out: What it does not hold.
    """

    id: str
    made: str
    reason: str
    hauberk: str
    backend: str
    checkpoint: str
    config: str
    files: tuple[Entry, ...] = field(repr=False)
    left_out: tuple[LeftOut, ...] = field(repr=False)

    @property
    def size(self) -> int:
        """How much its files hold together, bytes."""
        return sum(entry.size for entry in self.files)

    def to_text(self) -> str:
        """Write it as the text of a note: what it is, then JSON on one line."""
        plain = {
            "format": FORMAT,
            "id": self.id,
            "made": self.made,
            "reason": self.reason,
            "hauberk": self.hauberk,
            "backend": self.backend,
            "checkpoint": self.checkpoint,
            "config": self.config,
            "files": [[one.name, one.size, one.digest] for one in self.files],
            "left_out": [[one.what, one.why] for one in self.left_out],
        }
        return f"{_HEADER} {FORMAT}\n{_canonical(plain)}\n"

    @classmethod
    def from_text(cls, text: str) -> Manifest:
        """Read one, strictly.

        Raises:
            LaterFormat: A later version wrote it.
            BadManifest: It is none.
        """
        header, _, rest = text.partition("\n")
        name, _, version = header.rpartition(" ")
        if name != _HEADER or not version.isdecimal() or len(version) > 9:
            raise BadManifest("it is no manifest of a recovery point")
        if int(version) > FORMAT:
            raise LaterFormat(f"it has the format {version}, and {FORMAT} is read here")
        try:
            plain = json.loads(rest)
            manifest = _manifest(plain)
        except (ValueError, RecursionError, TypeError, KeyError):
            raise BadManifest("it holds what no manifest holds") from None
        if manifest.to_text() != text:
            raise BadManifest("it is not written as Hauberk writes it")
        return manifest


def is_id(text: str) -> bool:
    """Whether it is the name of a point."""
    return _ID.match(text) is not None


def is_safe(name: str) -> bool:
    """Whether a file's name stays within the point: no `..`, nothing absolute, no controls."""
    parts = name.split("/")
    return len(parts) <= _MAX_DEPTH and all(
        _PART.match(part) is not None and part not in (".", "..") for part in parts
    )


def _manifest(plain: Any) -> Manifest:
    _must(type(plain) is dict and plain.keys() == _FIELDS and plain["format"] == FORMAT)
    texts = ("id", "made", "reason", "hauberk", "backend", "checkpoint", "config")
    _must(all(type(plain[name]) is str for name in texts))
    _must(is_id(plain["id"]) and _MADE.match(plain["made"]) is not None)
    _must(is_safe(plain["config"]) and "/" not in plain["config"])
    files = tuple(_entry(one) for one in plain["files"])
    names = [one.name for one in files]
    _must(names == sorted(set(names)))
    left_out = tuple(LeftOut(*_texts(one)) for one in plain["left_out"])
    return Manifest(**{name: plain[name] for name in texts}, files=files, left_out=left_out)


def _entry(plain: Any) -> Entry:
    _must(type(plain) is list and len(plain) == 3)
    name, size, digest = plain
    _must(type(name) is str and type(size) is int and type(digest) is str)
    if not is_safe(name):
        raise BadManifest(f"it names {name[:200]!a}, which leads out of it")
    _must(size >= 0 and _HASH.match(digest) is not None)
    return Entry(name, size, digest)


def _texts(plain: Any) -> tuple[str, str]:
    _must(type(plain) is list and len(plain) == 2 and all(type(one) is str for one in plain))
    return plain[0], plain[1]


def _must(holds: bool) -> None:
    if not holds:
        raise BadManifest("it holds what no manifest holds")


def _canonical(plain: Mapping[str, Any]) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
