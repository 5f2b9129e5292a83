"""The commands `hauberk audit …`."""

# B008, D417: cyclopts reads defaults; options describe themselves.

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict

from hauberk.cli import Answer, Options, UsageError, table
from hauberk.command import Command, started
from hauberk_plugins.audit.begin_command import begin
from hauberk_plugins.audit.errors import AuditError
from hauberk_plugins.audit.examine import examine
from hauberk_plugins.audit.export_command import export
from hauberk_plugins.audit.findings import Verified
from hauberk_plugins.audit.index import Index, Query
from hauberk_plugins.audit.record import Record
from hauberk_plugins.audit.witness import FileWitness
from hauberk_plugins.notes.note import NoteError, VerifierKey

if TYPE_CHECKING:
    from rich.console import RenderableType

_DEFAULTS: Final = Options()
_NAME: Final = "audit"
_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])\Z")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FOLLOW_S: Final = 0.5
_LIMIT: Final = 100


def show(  # noqa: D417
    *,
    user: str = "",
    action: str = "",
    account: str = "",
    request: str = "",
    since: str = "",
    until: str = "",
    limit: int = _LIMIT,
    follow: bool = False,
    options: Options = _DEFAULTS,
) -> Answer:
    """Show what was recorded, oldest first.

    For example:
        hauberk audit show --user alice --since 2h
        hauberk audit show --action 'login.*' --since 2026-01-31T08:00
        hauberk audit show --request 4f1d-2a --json
        hauberk audit show --follow

    Args:
        user: Who did it.
        action: What was done, as `vault.put`, or the beginning of it, as `vault.*`.
        account: Of which account.
        request: Of which request, by its id.
        since: From when on: a time in UTC, or so long ago, as 90s, 15m, 2h, 7d.
        until: Before when, in the same way.
        limit: How many at most, the newest; 0 for all.
        follow: Go on with what is recorded from here on, until Ctrl-C.
    """
    now = datetime.now(UTC)
    query = Query(
        user=user,
        action=action,
        account=account,
        request=request,
        since_ns=_time("--since", since, now),
        until_ns=_time("--until", until, now),
        limit=limit or None,
    )
    with started(options.config, _NAME, is_recorded=False) as audit:
        folder = audit.plugin.folder
    with closing(Index(folder)) as index:
        found = list(index.find(query))
        if follow:
            _follow(index, query, found, as_json=options.json)
            return Answer(None)
    return Answer({"records": [_document(n, record) for n, record in found]}, lambda: _table(found))


def verify(  # noqa: D417
    *,
    key: str = "",
    witness: tuple[Path, ...] = (),
    folder: Path | None = None,
    options: Options = _DEFAULTS,
) -> Answer:
    """Say whether the log is what was written, and which line is not; exits 1 where one is not.

    For example:
        hauberk audit verify
        hauberk audit verify --witness /media/usb/checkpoint
        hauberk audit verify --folder copy/audit --key 'hauberk/0123456789abcdef+…'

    Args:
        key: The key of the log's first epoch, as `hauberk audit checkpoint` prints it, where this
            configuration does not hold it.
        witness: A file that holds a checkpoint; those of the configuration are asked besides.
        folder: Another log than the configuration's, such as a copy.
    """
    notes: list[str] = []
    remembered: str | None = None
    with started(options.config, _NAME, is_recorded=False) as audit:
        plugin = audit.plugin
        where = folder or plugin.folder
        if folder is None and not key and plugin.keys is not None:
            remembered = plugin.keys.remembered()
        if not where.is_dir():
            raise AuditError(where, "there is no such folder", "name one with --folder")
        first = VerifierKey.parse(key) if key else None
        if first is None and plugin.keys is not None:
            first = plugin.keys.signer(0).verifier
        witnesses = [*(FileWitness(path) for path in witness), *plugin.witnesses.all]
        for one in witnesses:
            note = one.held()
            if note is not None:
                notes.append(note)
        verified = examine(where, first, notes, remembered, plugin.digests)
    document = {
        "ok": verified.is_good,
        "records": verified.size,
        "root": verified.root.hex(),
        "vouched": verified.vouched,
        "findings": [asdict(finding) for finding in verified.findings],
        "cannot_exclude": list(verified.cannot_exclude),
    }
    return Answer(document, _told(verified), verified.is_good)


def checkpoint(*, options: Options = _DEFAULTS) -> Answer:
    """Vouch for all there is, have the witnesses hold it, and print it with the log's key.

    Whoever knows the key can verify a copy of the log anywhere.

    For example:
        hauberk audit checkpoint
        hauberk audit checkpoint --json > /media/usb/checkpoint.json
    """
    with started(options.config, _NAME, is_recorded=False) as audit:
        signed, keys = audit.plugin.seal(), audit.plugin.keys
        first = "" if keys is None else str(keys.signer(0).verifier)
    if signed is None:
        raise NoteError("no key signs this log: list `encryption` and `storage` under `plugins:`")
    document = {"note": signed.note, "size": signed.checkpoint.size, "key": first}
    return Answer(document, f"{signed.note}\nkey: {first}")


def rotate_key(*, options: Options = _DEFAULTS) -> Answer:
    """Begin another epoch: a fresh key signs, certified by the old one in the log.

    For example:
        hauberk audit rotate-key
    """
    with started(options.config, _NAME) as audit:
        key = audit.plugin.opened().rotate_key()
    return Answer({"key": str(key)}, f"signs from here on: {key}")


def _follow(index: Index, query: Query, found: list[tuple[int, Record]], *, as_json: bool) -> None:
    """Print what was found and what comes, a line each, until somebody stops it."""
    write: Callable[[str], object] = sys.stdout.write
    with suppress(KeyboardInterrupt):
        while True:
            for n, record in found:
                write((json.dumps(_document(n, record)) if as_json else _row(n, record)) + "\n")
                query = Query(**{**asdict(query), "start": n + 1, "limit": None})
            sys.stdout.flush()
            time.sleep(_FOLLOW_S)
            found = list(index.find(query))


def _document(n: int, record: Record) -> dict[str, Any]:
    return {
        "n": n,
        "at": record.at,
        "kind": record.kind,
        "source": record.source,
        "user": record.user,
        "account": record.account,
        "request": record.request,
        "fields": dict(record.fields),
    }


def _row(n: int, record: Record) -> str:
    parts = (str(n), record.at[:23] + "Z", record.kind, record.user, record.account, record.request)
    said = "  ".join([*parts, json.dumps(record.fields)])
    return "".join(char if char.isprintable() else "\ufffd" for char in said)


def _table(found: list[tuple[int, Record]]) -> RenderableType:
    columns = ("n", "at", "what", "who", "account", "request", "fields")
    rows = [
        (n, record.at[:23] + "Z", record.kind, record.user or record.source, record.account,
         record.request, json.dumps(record.fields))
        for n, record in found
    ]  # fmt: skip
    return table(f"{len(found)} records", columns, rows)


def _told(verified: Verified) -> str:
    def sentences() -> Iterator[str]:
        what = "not what was written" if verified.findings else "as they were written"
        yield f"{verified.size} records, {what}; a checkpoint vouches for {verified.vouched}."
        for finding in verified.findings:
            yield f"  {finding.text}"
        for doubt in verified.cannot_exclude:
            yield f"  This cannot exclude {doubt}."

    return "\n".join(sentences())


def _time(option: str, text: str, now: datetime) -> int | None:
    if not text:
        return None
    match = _AGO.match(text)
    try:
        at = (
            now - timedelta(**{_UNITS[match[2]]: int(match[1])})
            if match
            else datetime.fromisoformat(text)
        )
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise UsageError(f"{option}: give a time as 2026-01-31T08:00, or so long ago as 15m")
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since // timedelta(microseconds=1)) * 1_000


_GROUP: Final = "What happened, and whether the record of it is whole."
COMMANDS: Final = (
    Command("audit show", show, "audit.read", group=_GROUP),
    Command("audit verify", verify, "audit.read"),
    Command("audit export", export, "audit.read"),
    Command("audit checkpoint", checkpoint, "audit.read"),
    Command("audit rotate-key", rotate_key, "config.write"),
    Command("audit begin", begin, "config.write"),
)
