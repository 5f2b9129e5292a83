"""Records: an event as one line of JSON, and back.

Text is written in ASCII, with everything else escaped, so that no line break, control character
or change of direction in it can forge a line or hide one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from attrs import field, frozen

from hauberk.records import Event
from hauberk_plugins.audit.segments import MAX_LINE

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z\Z", re.ASCII)
_LAST_NS: Final = 253_402_300_799 * 1_000_000_000
_TEXTS: Final = ("kind", "source", "request", "account")
#: Fields whose value is who did it, the first that there is.
_WHO: Final = ("user", "by", "who")
#: So many characters of a text that stands beside the fields are kept of one that is cut.
_KEPT: Final = 256


@frozen
class Record:
    """What a line says.

    Attributes:
        at: When, UTC, to the nanosecond.
        kind: What happened.
        source: Who says so.
        request: Of which request, or empty.
        account: Of which account, or empty.
        fields: What else.
    """

    at: str
    kind: str
    source: str
    request: str = ""
    account: str = ""
    fields: Mapping[str, Any] = field(factory=dict)

    @property
    def user(self) -> str:
        """Who did it, as far as the event says; empty where it does not."""
        for name in _WHO:
            if isinstance(found := self.fields.get(name), str):
                return found
        return ""


def event_line(event: Event) -> bytes:
    """Write an event as a record."""
    return line(
        event.kind, event.at_ns, event.source, event.fields, event.request_id, event.account
    )


def line(
    kind: str,
    at_ns: int,
    source: str,
    fields: Mapping[str, Any],
    request: str = "",
    account: str = "",
) -> bytes:
    """Write a record.

    Args:
        kind: What happened.
        at_ns: When, nanoseconds since the epoch.
        source: Who says so.
        fields: What else; what JSON can say.
        request: Of which request.
        account: Of which account.

    Returns:
        One line of ASCII without its newline. What would make it longer than a record may be is
        cut: a note of its length and SHA-256 stands in its place.
    """
    said: dict[str, Any] = {"at": moment(at_ns), "kind": kind, "source": source}
    if request:
        said["request"] = request
    if account:
        said["account"] = account
    said["fields"] = dict(fields)
    raw = _raw(said)
    return raw if len(raw) <= MAX_LINE else _cut(said)


def _raw(said: object) -> bytes:
    text = json.dumps(said, separators=(",", ":"), allow_nan=False)
    return text.replace("\x7f", "\\u007f").encode("ascii")


def _cut(said: dict[str, Any]) -> bytes:
    """Write what is too long: the longest fields first are cut, and all where they are too many."""
    for name in _TEXTS:
        if len(text := said.get(name, "")) > _KEPT:
            said[name] = f"{text[:_KEPT]} {json.dumps(_note(_raw(text)))}"
    fields, whole = said["fields"], _raw(said["fields"])
    written = {name: _raw(value) for name, value in fields.items()}
    room = MAX_LINE - len(_raw({**said, "fields": {}}))
    size = len(whole)
    for name in sorted(written, key=lambda name: len(written[name]), reverse=True):
        if size <= room:
            break
        note = _note(written[name])
        size += len(_raw(note)) - len(written[name])
        fields[name] = note
    if size > room:
        said["fields"] = _note(whole)
    return _raw(said)


def _note(raw: bytes) -> dict[str, Any]:
    """Say in the place of what was cut how long it was, as JSON, and its SHA-256."""
    return {"cut": len(raw), "sha256": sha256(raw).hexdigest()}


def read_line(raw: bytes) -> Record | None:
    """Read a record back; `None` where the line is none."""
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if type(said) is not dict or not {"at", "kind", "source", "fields"} <= set(said):
        return None
    texts = [said.get(name, "") for name in _TEXTS]
    if type(said["fields"]) is not dict or not all(type(text) is str for text in texts):
        return None
    if type(said["at"]) is not str or nanoseconds(said["at"]) is None:
        return None
    kind, source, request, account = texts
    return Record(said["at"], kind, source, request, account, said["fields"])


def moment(at_ns: int) -> str:
    """Write a time, UTC: years from 1970 to 9999, and what lies beyond as the nearest of them."""
    seconds, ns = divmod(min(max(at_ns, 0), _LAST_NS), 1_000_000_000)
    return f"{(_EPOCH + timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%S')}.{ns:09}Z"


def nanoseconds(at: str) -> int | None:
    """Read a time back, nanoseconds since the epoch; `None` where it is none."""
    match = _AT.match(at)
    if match is None:
        return None
    try:
        seconds = datetime.fromisoformat(match[1]).replace(tzinfo=UTC) - _EPOCH
    except ValueError:
        return None
    return int(seconds.total_seconds()) * 1_000_000_000 + int(match[2])


def epoch_ns(at: datetime) -> int:
    """Write a time, which has a time zone, as nanoseconds since the epoch."""
    return (at - _EPOCH) // timedelta(microseconds=1) * 1_000
