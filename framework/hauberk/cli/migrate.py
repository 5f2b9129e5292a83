"""`hauberk migrate`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from hauberk.cli.answer import Answer, printable, table
from hauberk.cli.failure import UsageError, unwritable
from hauberk.cli.guide.leftovers import KEY, STORAGE, Found, User, look
from hauberk.cli.guide.takeover import Row, State, Takeover, Trails
from hauberk.cli.guide.trail import Trail
from hauberk.cli.options import Options
from hauberk.errors import StoreError
from hauberk.sealed import NAMESPACE, TAKEN_OVER

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hauberk.command import Started

#: Whose records account references of the form `vault:NAME` lead to.
_KEYS: Final = "keys"
_AUTH: Final = "auth"
_AUDIT: Final = "audit"
_TAKEN: Final = frozenset({State.DONE, State.THERE})


def migrate(
    folder: Path,
    /,
    *,
    role: str = "viewer",
    skip_unreadable: bool = False,
    delete: bool = False,
    options: Options = Options(),
) -> Answer:
    """Take over what the security guide's code left in a folder.

    That is .encryption_key and what it opens: records and users in .secure_storage, and
    the sealed values of config.yml. Each is opened, sealed into the state, and read back.
    The lines of audit.log are recorded, each marked as unproven. The old files stay until
    you say --delete. Doing it again changes nothing.

    For example:
        hauberk migrate ../oldbot
        hauberk migrate ../oldbot --delete

    Args:
        folder: Where the guide's code ran.
        role: What each user that is taken over may do.
        skip_unreadable: Take over the rest, where something cannot be read.
        delete: Remove what was taken over, once it was read back.
    """
    from hauberk_plugins.encryption.fernet import open_fernet

    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name the one in which the guide's code ran")
    found = look(folder, open_fernet)
    if not found:
        return Answer(_document([], ()), f"There is nothing to take over in {folder}.")
    with _takeover(options.config, found, role) as takeover:
        rows = takeover.compare(found)
        blocking = {State.DIFFERS} if skip_unreadable else {State.DIFFERS, State.UNREADABLE}
        if not blocking.isdisjoint(row.state for row in rows):
            return _answer(rows, (), _advice(rows), ok=False)
        try:
            takeover.write(found)
        except OSError as error:
            raise unwritable(error, "mend it, then do this again") from None
        rows = _read_back(rows, takeover.compare(found))
    if not delete:
        said = f"The old files are still in {folder}: remove them with --delete."
        return _answer(rows, (), said)
    try:
        return _answer(rows, _delete(folder, rows), "")
    except OSError as error:
        raise unwritable(error, "mend it, then do this again") from None


@contextmanager
def _takeover(config: Path, found: Sequence[Found], role: str) -> Iterator[Takeover]:
    """Start what keeps users, if there are any and something keeps them, and what seals."""
    from hauberk.command import started
    from hauberk.opening import load

    plan = load(config)
    name = plan.settings.ports.get("sealed")
    if name is None:
        raise UsageError("nothing keeps sealed records: add `sealed: storage` to `ports:`")
    has_users = any(isinstance(one, User) for one in found)
    if has_users and any(planned.name == _AUTH for planned in plan.planned):
        name = _AUTH
    with started(config, name) as run:
        users = None
        if name == _AUTH:
            from hauberk.cli.guide.users import AuthUsers

            users = AuthUsers(run.plugin.auth, role)
        trails = None
        if any(isinstance(one, Trail) for one in found):
            trails = _trails(run)
        yield Takeover(
            run.provider("sealed").scoped(_KEYS),
            users,
            run.provider("vault").scoped(NAMESPACE),
            config.parent / TAKEN_OVER,
            trails,
        )


def _trails(run: Started) -> Trails | None:
    """Return what records, if the plugin `audit` is listed."""
    part = run.guard.snapshot.part(_AUDIT)
    if part is None:
        return None
    from hauberk.cli.guide.records import AuditRecords

    plugin: Any = part.plugin
    return AuditRecords(plugin.opened(), run.guard.kernel.clock.wall_ns)


def _read_back(before: Sequence[Row], after: Sequence[Row]) -> list[Row]:
    """Return the rows as they ended.

    Raises:
        StoreError: Something was written and is not there.
    """
    for row, was in zip(after, before, strict=True):
        if was.state is State.ABSENT and row.state is not State.THERE:
            raise StoreError(
                f"{row.became} was written and could not be read back: nothing was deleted; "
                "look at `hauberk doctor`, then do this again"
            )
    return [
        evolve(row, state=State.DONE) if was.state is State.ABSENT else row
        for row, was in zip(after, before, strict=True)
    ]


def _delete(folder: Path, rows: Sequence[Row]) -> tuple[Path, ...]:
    """Remove the files of which everything was taken over; the key last, if nothing needs it."""
    left = {row.file for row in rows if row.state not in _TAKEN}
    gone = [path for path in dict.fromkeys(row.file for row in rows) if path not in left]
    if not left and (folder / KEY).exists():
        gone.append(folder / KEY)
    for path in gone:
        path.unlink(missing_ok=True)
    storage = folder / STORAGE
    if storage.is_dir() and not os.listdir(storage):  # noqa: PTH208 - whether, not what
        storage.rmdir()
    return tuple(gone)


def _advice(rows: Sequence[Row]) -> str:
    if any(row.state is State.DIFFERS for row in rows):
        return "Nothing was done: mend what the table says, then do this again."
    return "Nothing was done: mend what the table says, or leave it out with --skip-unreadable."


def _answer(rows: Sequence[Row], deleted: Sequence[Path], said: str, *, ok: bool = True) -> Answer:
    def draw() -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        cells = [
            (row.file, row.became, f"{row.state}: {row.why}" if row.why else row.state)
            for row in rows
        ]
        drawn = table("", ("old file", "here", ""), cells)
        lines = [*(f"Deleted: {path}" for path in deleted), *filter(None, [said])]
        return Group(drawn, "", *(Text(printable(line)) for line in lines))

    return Answer(_document(rows, deleted), draw, ok)


def _document(rows: Sequence[Row], deleted: Sequence[Path]) -> dict[str, Any]:
    return {
        "files": [
            {"file": str(row.file), "became": row.became, "state": row.state, "why": row.why}
            for row in rows
        ],
        "deleted": [str(path) for path in deleted],
    }
