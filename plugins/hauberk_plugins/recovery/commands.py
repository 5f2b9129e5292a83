"""The commands `hauberk recovery …`."""

# B008, D417: cyclopts reads defaults; options describe themselves.

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, evolve

from hauberk.cli import Answer, Options, UsageError, table
from hauberk.command import Command, owner_of, started
from hauberk.errors import HauberkError, SealError, StoreError
from hauberk_plugins.notes.note import VerifierKey
from hauberk_plugins.recovery import audited
from hauberk_plugins.recovery.incident_recovery import IncidentRecovery
from hauberk_plugins.recovery.manifest import Manifest
from hauberk_plugins.recovery.results import Listed, Restored
from hauberk_plugins.recovery.surroundings import NAME

if TYPE_CHECKING:
    from rich.console import RenderableType

log = logging.getLogger("hauberk.recovery")

_DEFAULTS: Final = Options()
_MAY: Final = "recovery.write"


def create(  # noqa: D417
    *, reason: str = "", keep: int | None = None, options: Options = _DEFAULTS
) -> Answer:
    """Make a recovery point of configuration, key ring, store and audit, while bots go on.

    The key ring stays wrapped and what is sealed stays sealed: without the wrapping key, which is
    not in it, nobody reads a secret in a point. It says what it leaves out.

    For example:
        hauberk recovery create
        hauberk recovery create --reason "before the move to another machine"
        hauberk recovery create --keep 30 --json

    Args:
        reason: Why, for whoever chooses one later.
        keep: How many points are kept, the newest; 0 for all.
    """
    if keep is not None and keep < 0:
        raise UsageError("--keep: give how many points are kept, or 0 for all")
    with _recovery(options) as (recovery, emit):
        emit("create", {"reason": reason})
        made = recovery.create_recovery_point(reason, keep=keep)
    document = {
        **_document(made.manifest),
        "folder": str(made.folder),
        "key": str(made.key),
        "removed": list(made.removed),
    }
    return Answer(document, _created(made.manifest, made.folder, str(made.key), made.removed))


def list_(*, options: Options = _DEFAULTS) -> Answer:
    """List the recovery points, oldest first, as they say of themselves.

    For example:
        hauberk recovery list
        hauberk recovery list --json
    """
    with _recovery(options) as (recovery, _):
        found = list(recovery.points())
    document = {"points": [_listed(one) for one in found]}
    return Answer(document, lambda: _table(found))


def verify(  # noqa: D417
    point: str = "latest", /, *, key: str = "", options: Options = _DEFAULTS
) -> Answer:
    """Say whether a point is as it was made: its signature, and every file; exits 1 if not.

    For example:
        hauberk recovery verify
        hauberk recovery verify 20260131T0800
        hauberk recovery verify /media/usb/20260131T080000Z-0f9a3b77 --key 'hauberk-recovery/…'

    Args:
        point: Its name, the beginning of it, `latest`, or the path of a folder elsewhere.
        key: The key that must have signed it, as `hauberk recovery create` says it; this
            installation's unless given.
    """
    who = VerifierKey.parse(key) if key else None
    notes: list[str] = []
    with _recovery(options) as (recovery, _):
        manifest, is_signed = recovery.verify(recovery.find(point, notes.append), who)
    document = {**_document(manifest), "ok": True, "signature": is_signed, "notes": notes}
    told = f"{manifest.id}: {len(manifest.files)} files, as they were made"
    if not is_signed:
        told += (
            "\nNo key is known here, so nobody vouches for it: give --key, or see whether it opens "
            "with `hauberk recovery drill`."
        )
    return Answer(document, "\n".join([told, *notes]))


def drill(point: str = "latest", /, *, options: Options = _DEFAULTS) -> Answer:  # noqa: D417
    """Restore a point into a folder of its own, open everything there, and remove it again.

    It shows that the point can be gone back to, with the wrapping key that is here. Exits 1 if not.

    For example:
        hauberk recovery drill
        hauberk recovery drill /media/usb/20260131T080000Z-0f9a3b77 --json

    Args:
        point: Its name, the beginning of it, `latest`, or the path of a folder elsewhere.
    """
    notes: list[str] = []
    with _recovery(options) as (recovery, _):
        drilled = recovery.drill(recovery.find(point, notes.append))
    is_good = drilled.failed is None
    document = {
        **_document(drilled.manifest),
        "ok": is_good,
        "sealed_records": drilled.records,
        "checks": [asdict(check) for check in drilled.checks],
        "notes": notes,
    }
    rows = [("sealed records", "ok", f"{drilled.records}, each opened")]
    rows += [(check.what, check.status, check.found) for check in drilled.checks]
    rows += [("newer point", "warn", note) for note in notes]
    title = f"{drilled.manifest.id} {'opens' if is_good else 'does not stand'}"
    return Answer(
        document, lambda: table(title, ("what", "", "found"), rows), drilled.failed is None
    )


def restore(  # noqa: D417
    point: str = "",
    /,
    *,
    accept_rollback: bool = False,
    keep_config: bool = False,
    undo: bool = False,
    finish: bool = False,
    options: Options = _DEFAULTS,
) -> Answer:
    """Go back to a recovery point: verified, staged, swapped, verified again.

    Stop whatever uses the state folder first. What stands is kept as a point of its own, so that
    `--undo` goes back to it. The audit's log is never put back, a halt that is in force stays, and
    every session ends. Whatever fails, the state that stood before stands.

    For example:
        hauberk recovery restore latest
        hauberk recovery restore 20260131T0800 --accept-rollback
        hauberk recovery restore --undo

    Args:
        point: Its name, the beginning of it, `latest`, or the path of a folder elsewhere.
        accept_rollback: Do it although something was recorded since the point was made.
        keep_config: Leave the configuration as it is.
        undo: Go back to what stood before the last restore.
        finish: End a restore that was stopped in the middle, and nothing else.
    """
    if sum((bool(point), undo, finish)) != 1:
        raise UsageError("name a point (`hauberk recovery list`), or say --undo or --finish")
    _require(options)
    notes: list[str] = []

    def announce(manifest: Manifest) -> None:
        _tell(options, "restore", {"point": manifest.id})

    # Recorders are started apart: what they open here is about to be another.
    with _recovery(options, is_recorded=False) as (recovery, _):
        ended = recovery.finish()
        if finish:
            said = f"ended: {ended} is restored" if ended else "no restore was stopped"
            return Answer({"finished": ended}, said)
        if undo:
            done = recovery.undo(announce)
        else:
            done = recovery.restore_from_point(
                recovery.find(point, notes.append),
                accept_rollback=accept_rollback,
                keep_config=keep_config,
                announce=announce,
            )
    done = evolve(done, notes=(*notes, *done.notes))
    fields = {"point": done.manifest.id, "before": done.before, "sessions_ended": done.sessions}
    _tell(options, "restored", fields)
    document = {**_document(done.manifest), "before": done.before,
                "sessions_ended": done.sessions, "notes": list(done.notes)}  # fmt: skip
    return Answer(document, _restored(done))


def _tell(options: Options, kind: str, fields: dict[str, Any]) -> None:
    """Have the recorders hear of something; one that does not start stops nothing."""
    try:
        with started(options.config, NAME) as running:
            running.plugin.tell(kind, fields)
    except HauberkError as error:
        log.warning("%s is not recorded: %s", kind, error)


@contextmanager
def _recovery(
    options: Options, *, is_recorded: bool = True
) -> Iterator[tuple[IncidentRecovery, Callable[[str, dict[str, Any]], object]]]:
    with (
        started(options.config, NAME, is_recorded=is_recorded) as running,
        _progress() as told,
    ):
        yield running.plugin.recovery(options.config, told), running.plugin.tell


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """Show what is done on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _what, _count: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("looking") as shown:
        yield lambda what, count: shown.update(f"{what}: {count:,}")


def _require(options: Options) -> None:
    """Ask whether whoever types may; where nobody can be asked, the folder's owner may.

    Who may is kept in the state: where that cannot be read, it is what is to be restored.
    """
    try:
        options.require(_MAY)
    except (StoreError, SealError):
        if owner_of(options.config) is None:
            raise


def _document(manifest: Manifest) -> dict[str, Any]:
    return {
        "id": manifest.id,
        "made": manifest.made,
        "reason": manifest.reason,
        "version": manifest.hauberk,
        "bytes": manifest.size,
        "files": len(manifest.files),
        "audit_records": audited.size_of(manifest.checkpoint),
        "left_out": [asdict(one) for one in manifest.left_out],
    }


def _listed(one: Listed) -> dict[str, Any]:
    if one.manifest is None:
        return {"id": one.folder.name, "folder": str(one.folder), "problem": one.problem}
    return {**_document(one.manifest), "folder": str(one.folder), "problem": ""}


def _table(found: list[Listed]) -> RenderableType:
    columns = ("point", "made", "KiB", "files", "audit records", "reason")
    rows: list[tuple[object, ...]] = []
    for one in found:
        manifest = one.manifest
        if manifest is None:
            rows.append((one.folder.name, "", "", "", "", one.problem))
            continue
        size = audited.size_of(manifest.checkpoint)
        rows.append(
            (manifest.id, manifest.made, f"{manifest.size / 1024:.0f}", len(manifest.files),
             "" if size is None else size, manifest.reason)
        )  # fmt: skip
    return table(f"{len(found)} recovery points", columns, rows)


def _created(manifest: Manifest, folder: Path, key: str, removed: tuple[str, ...]) -> str:
    lines = [f"{manifest.id}: {len(manifest.files)} files in {folder}", f"key: {key}"]
    lines += [f"removed: {name}" for name in removed]
    lines += ["It leaves out:"] if manifest.left_out else []
    lines += [f"  {one.what}: {one.why}" for one in manifest.left_out]
    return "\n".join(lines)


def _restored(done: Restored) -> str:
    count = f"{done.sessions} session{'' if done.sessions == 1 else 's'} ended"
    lines = [f"restored: {done.manifest.id}, of {done.manifest.made}; {count}"]
    if done.before:
        lines.append(
            f"What stood before is the point {done.before}: `hauberk recovery restore --undo`"
        )
    return "\n".join([*lines, *done.notes])


_GROUP: Final = "Recovery points, and going back to one."
COMMANDS: Final = (
    Command("recovery create", create, _MAY, group=_GROUP),
    Command("recovery list", list_, _MAY),
    Command("recovery verify", verify, _MAY),
    Command("recovery drill", drill, _MAY),
    # It asks by itself: where the state cannot be read, nobody else could say who may.
    Command("recovery restore", restore),
)
