"""The commands `hauberk incident …`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from hauberk.cli import Answer, Options, table
from hauberk.command import Command, started, whole
from hauberk.errors import InvalidValue
from hauberk.records import Severity
from hauberk.spelling import nearest
from hauberk_plugins.killswitch.handler import IncidentHandler
from hauberk_plugins.killswitch.incident_record import Kept
from hauberk_plugins.killswitch.reach import ensured

if TYPE_CHECKING:
    from rich.console import RenderableType

_NAME: Final = "killswitch"
_DEFAULTS: Final = Options()
_S: Final = 1_000_000_000


def report(  # noqa: D417 - what every command takes describes itself
    title: str,
    /,
    *,
    severity: str,
    detail: Sequence[str] = (),
    options: Options = _DEFAULTS,
) -> Answer:
    """Report an incident; returns when all responders have acted or their time is over.

    HIGH leaves only reading, cancelling and orders that reduce; CRITICAL
    halts everything, ends sessions and disables keys. Both hold in every
    process, until `hauberk resume`. LOW and MEDIUM stop nothing. The same
    again, while it is open, is counted and not told again.

    Exits 1 if what must act did not, or if nothing outside this command stops.

    For example:
        hauberk incident report "key seen in a paste" --severity CRITICAL
        hauberk incident report "odd fills" --severity HIGH --detail symbol=BTCUSDT

    Args:
        title: One line.
        severity: LOW, MEDIUM, HIGH or CRITICAL.
        detail: Any name, and its value: JSON, or else text. No secrets: they would be in the
            history of your shell.
    """
    who = options.require("incident.report")
    details = {"by": who, **dict(map(_pair, detail))}
    with whole(options.config) as running:
        incident = running.guard.kernel.report("hauberk", title, _severity(severity), details)
        reach = ensured(running, incident)
    incident = evolve(incident, outcomes=(*incident.outcomes, *reach.outcomes))
    rows = [(one.plugin, "done" if one.ok else "failed", one.did) for one in incident.outcomes]

    def drawn() -> RenderableType:
        head = (
            f"{incident.id}: {incident.severity} {incident.state}, reported {incident.count} times"
        )
        return table(head, ("responder", "", "did"), rows)

    return Answer(incident.told(), drawn, ok=incident.is_contained and not reach.problem)


def list_incidents(  # noqa: D417
    *, open_: bool = False, options: Options = _DEFAULTS
) -> Answer:
    """List incidents, the oldest first, of every process.

    Exits 1 if a record cannot be read; it is named.

    For example:
        hauberk incident list --open

    Args:
        open_: Only those that are not resolved.
    """
    with started(options.config, _NAME, is_recorded=False) as running:
        found = _handler(running.plugin).list()
    shown = [one for one in found.kept if not (open_ and one.incident.resolution)]
    document = {
        "incidents": [_summary(one) for one in shown],
        "unreadable": [{"incident": name, "why": why} for name, why in found.unreadable.items()],
    }
    if not shown and not found.unreadable:
        return Answer(document, "No incident is open." if open_ else "There was no incident.")

    def drawn() -> RenderableType:
        rows = [
            (one.incident.id, str(one.incident.severity), one.incident.state,
             str(one.incident.count), _moment(one.last_ns), one.incident.source,
             one.incident.title)
            for one in shown
        ]  # fmt: skip
        for name, why in found.unreadable.items():
            rows.append((name, "", "unreadable", "", "", "", why))
        heads = ("incident", "severity", "state", "count", "last", "reported by", "title")
        return table("", heads, rows)

    return Answer(document, drawn, ok=not found.unreadable)


def show(incident_id: str, /, *, options: Options = _DEFAULTS) -> Answer:  # noqa: D417
    """Show all about an incident: details, what each responder did, how it was resolved.

    For example:
        hauberk incident show inc-0123456789ab-1

    Args:
        incident_id: As `hauberk incident list` shows it.
    """
    with started(options.config, _NAME, is_recorded=False) as running:
        kept = _handler(running.plugin).get(incident_id)
    incident = kept.incident
    document = incident.told() | _summary(kept)

    def drawn() -> RenderableType:
        rows = [("incident", ", ".join(kept.ids)), ("title", incident.title)]
        rows += [("severity", str(incident.severity)), ("state", incident.state)]
        rows += [("reported by", incident.source), ("count", str(incident.count))]
        rows += [("first", _moment(incident.at_ns)), ("last", _moment(kept.last_ns))]
        rows += [(f"detail {name}", _text(value)) for name, value in incident.details.items()]
        rows += [("again", _text(one)) for one in document["repeats"]]
        rows += [
            (one.plugin, f"{one.did} ({'done' if one.ok else 'failed'}, {one.took_ns / 1e9:.3f} s)")
            for one in incident.outcomes
        ]
        if incident.resolution:
            rows.append(("resolution", f"{_moment(kept.resolved_ns)} {incident.resolution}"))
        return table("", ("", ""), rows)

    return Answer(document, drawn)


def resolve(  # noqa: D417
    incident_id: str, /, *, resolution: str, options: Options = _DEFAULTS
) -> Answer:
    """Mark an incident as resolved. It lifts no halt: that is `hauberk resume`.

    The same again, from then on, is another incident, and everybody is told.

    For example:
        hauberk incident resolve inc-0123456789ab-1 --resolution "key replaced"

    Args:
        incident_id: As `hauberk incident list` shows it.
        resolution: What was done.
    """
    if not resolution.strip():
        raise InvalidValue("--resolution: say what was done")
    with started(options.config, _NAME) as running:
        _handler(running.plugin).get(incident_id)  # which says what is wrong
        incident = running.guard.kernel.resolve("hauberk", incident_id, resolution)
    document = {"incident": incident.id, "resolution": incident.resolution}
    return Answer(document, f"{incident.id} resolved: {incident.resolution}")


def _handler(plugin: Any) -> IncidentHandler:
    handler: IncidentHandler | None = plugin.incident_book.handler
    if handler is None:
        why = "incidents are not kept: grant `store` to killswitch, and name its provider"
        raise InvalidValue(f"{why} under `ports:`")
    return handler


def _severity(text: str) -> Severity:
    names = [one.name for one in Severity]
    if text.upper() not in names:
        # Without what was typed: it may be a secret in the wrong place.
        what = f"--severity is one of {', '.join(names)}"
        raise InvalidValue(f"{what}{nearest(text.upper(), names)}")
    return Severity[text.upper()]


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidValue("--detail: give a name and a value: --detail NAME=VALUE")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _summary(kept: Kept) -> dict[str, Any]:
    one = kept.incident
    return {
        "incident": one.id,
        "also": list(kept.also),
        "title": one.title,
        "severity": one.severity.name,
        "state": one.state,
        "count": one.count,
        "source": one.source,
        "first": _moment(one.at_ns),
        "last": _moment(kept.last_ns),
        "resolved": _moment(kept.resolved_ns) if kept.resolved_ns else None,
        "resolution": one.resolution,
    }


def _moment(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // _S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_GROUP: Final = "Report what is wrong, see what was done about it, and close it."
COMMANDS: Final = (
    Command("incident report", report, group=_GROUP),
    Command("incident list", list_incidents, "audit.read"),
    Command("incident show", show, "audit.read"),
    Command("incident resolve", resolve, "incident.resolve"),
)
