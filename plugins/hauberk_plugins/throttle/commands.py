"""The command `hauberk budgets`: how every window of every running guard stands."""

# B008, D417: cyclopts reads defaults; options describe themselves.

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hauberk.cli import Answer, Options
from hauberk.command import Command, started
from hauberk_plugins.throttle.limiting import Row, sharer_of

_NAME: Final = "throttle"
#: What a running guard says of a budget, and as what it is shown.
_COLUMNS: Final = (
    ("venue", "venue"),
    ("window", "window"),
    ("scope", "scope"),
    ("sharer", "of"),
    ("used", "used"),
    ("theirs", "theirs"),
    ("size", "size"),
    ("left", "left"),
    ("waiting", "waiting"),
    ("frozen_s", "frozen, s"),
)
#: So many columns are text, and so wide at most.
_LEFT: Final = 4
_WIDEST: Final = 48
_NUMBERS: Final = frozenset({"used", "size", "left", "waiting"})
_KEYS: Final = frozenset({name for name, _ in _COLUMNS} | {"base", "reserved", "seconds", "kind"})
#: More than these are not told: the fullest come first.
_MOST: Final = 500


def as_data(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return rows as JSON says them, the fullest first."""
    fullest = sorted(rows, key=lambda row: (-row.frozen_ns, row.left / row.window.size, row.key))
    return [
        {
            "venue": row.key[0],
            "base": row.key[1],
            "window": row.window.name,
            "kind": str(row.window.kind),
            "seconds": row.window.seconds,
            "scope": str(row.window.scope),
            "sharer": sharer_of(row.key),
            "size": row.window.size,
            "reserved": row.window.reserve,
            "used": row.used,
            "theirs": row.theirs,
            "left": row.left,
            "waiting": row.waiting,
            "frozen_s": round(row.frozen_ns / 1e9, 3),
        }
        for row in fullest[:_MOST]
    ]


def budgets(*, options: Options = Options()) -> Answer:  # noqa: B008
    """Show how much of each limit of each exchange is used, by every bot that is running.

    Used is what counts now: what was sent from here, or what the exchange says is used, whichever
    is more; theirs is what the exchange last said. Nothing is asked of anybody: it is as old as a
    few seconds.

    For example:
        hauberk budgets
    """
    from hauberk.status import statuses

    with started(options.config, _NAME, is_recorded=False) as running:
        found = [
            {"pid": status.pid, **row}
            for status in statuses(running.plugin.state_dir)
            for row in _rows(status.plugins.get(_NAME))
        ]
    return Answer({"budgets": found}, _table(found))


def _table(found: list[dict[str, Any]]) -> str:
    """Draw rows for a person, numbers to the right."""
    if not found:
        return "no bot is running, or none has sent anything lately"
    head = [shown for _, shown in _COLUMNS]
    lines = [head, *([_shown(row[name]) for name, _ in _COLUMNS] for row in found)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if at >= _LEFT else text.ljust(width)
            for at, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    # What stands in the folder may hold anything: nothing of it is to move the cursor.
    return "".join(c if c.isprintable() else "?" for c in str(value))[:_WIDEST]


def _rows(said: Any) -> list[dict[str, Any]]:
    """Take what a guard has left; it is only as good as the folder."""
    rows = said.get("budgets") if type(said) is dict else None
    return [row for row in rows if _is_row(row)] if type(rows) is list else []


def _is_row(row: Any) -> bool:
    return (
        type(row) is dict
        and row.keys() == _KEYS
        and all(type(row[name]) is int for name in _NUMBERS)
        and all(type(row[name]) in (str, int, float, type(None)) for name in row)
    )


COMMANDS: Final = (Command("budgets", budgets),)
