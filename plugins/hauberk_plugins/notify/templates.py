"""What a message says: plain text, made of an incident or of a count of many.

What an outsider may have written into an incident can neither act on whatever shows the message nor
hide or reorder a line of it, and is no link that could be followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from attrs import field, frozen

from hauberk.records import Incident, Severity
from hauberk_plugins.notify.masking import masked, masked_text
from hauberk_plugins.notify.window import Held, Window

MAX_TITLE: Final = 120
_MAX_VALUE: Final = 300
_NS: Final = 1_000_000_000


@frozen
class Message:
    """What is sent.

    Attributes:
        title: One line; the subject of an email.
        body: Lines of plain text.
        severity: Of the worst that it tells of.
    """

    title: str
    body: str = field(repr=False)
    severity: Severity


def incident_message(incident: Incident, where: str, max_chars: int) -> Message:
    """Tell of one incident.

    Args:
        incident: Which, with what responders have done so far.
        where: Which machine and bot it is of.
        max_chars: How long the body may be.
    """
    lines = [
        visible(masked_text(incident.title)),
        f"severity: {incident.severity}",
        f"when: {moment(incident.at_ns)}",
        f"where: {visible(where)}",
        f"reported by: {visible(incident.source)}",
        f"incident: {visible(incident.id)}",
    ]
    # What was done stands before the details, which may be long.
    lines += _section("done", _done(incident))
    lines += _section("details", _details(masked(incident.details)))
    title = f"Hauberk {incident.severity}: {visible(masked_text(incident.title))}"
    return Message(_cut_title(title), cut("\n".join(lines), max_chars), incident.severity)


def digest_message(window: Window, where: str, max_chars: int) -> Message:
    """Tell of many incidents: how many of what, the worst first.

    Args:
        window: What was held back.
        where: Which machine and bot it is of.
        max_chars: How long the body may be.
    """
    worst = max(one.severity for one in window.held)
    span_s = max(window.last_ns - window.first_ns, 0) // _NS
    many = "1 incident" if window.count == 1 else f"{window.count:,} incidents"
    title = f"Hauberk {worst}: {many} in {span_s:,} s"
    lines = [
        f"{many}, besides what was sent at once",
        f"from: {moment(window.first_ns)}",
        f"to: {moment(window.last_ns)}",
        f"where: {visible(where)}",
    ]
    lines += _section("what", _counted(window))
    return Message(_cut_title(title), cut("\n".join(lines), max_chars), worst)


def trial_message(where: str, now_ns: int) -> Message:
    """Return what `hauberk notify test` sends."""
    body = (
        f"Nothing has happened. This route works.\nwhen: {moment(now_ns)}\nwhere: {visible(where)}"
    )
    return Message("Hauberk test: nothing has happened", body, Severity.LOW)


def visible(text: str) -> str:
    """Return text on one line in which every character is seen for what it is.

    Controls, line breaks of every kind, what reverses the order of reading, what has no width, and
    surrogates are written out; a URL is written so that nothing makes a link of it.
    """
    text = text.replace("://", "[:]//")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def moment(at_ns: int) -> str:
    """Write wall time, or its number where no calendar has it."""
    try:
        return f"{datetime.fromtimestamp(at_ns // _NS, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{at_ns // _NS} s since 1970"


def cut(text: str, max_chars: int) -> str:
    """Return text of so many characters at most, which says what was left out."""
    if len(text) <= max_chars:
        return text
    note = f"\n… ({len(text) - max_chars:,} characters more)"
    return text[: max(max_chars - len(note), 0)] + note[:max_chars]


def _cut_title(title: str) -> str:
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…"


def _section(name: str, lines: Iterable[str]) -> list[str]:
    found = [f"  {line}" for line in lines]
    return [f"{name}:", *found] if found else []


def _done(incident: Incident) -> Iterator[str]:
    for outcome in incident.outcomes:
        failed = "" if outcome.ok else "FAILED: "
        yield f"{visible(outcome.plugin)}: {failed}{_short(masked_text(outcome.did))}"


def _details(details: Any) -> Iterator[str]:
    for name, value in details.items():
        yield f"{_short(name)}: {_short(_plain(value))}"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_plain(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return str(value)


def _short(text: str) -> str:
    text = visible(text)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…"


def _counted(window: Window) -> Iterator[str]:
    for one in sorted(window.held, key=_rank):
        title, source = _short(masked_text(one.title)), visible(one.source)
        yield f"{one.count:,} times {one.severity}: {title} ({source})"
    if window.others:
        yield f"{window.others:,} times others"


def _rank(one: Held) -> tuple[int, int]:
    return -one.severity, -one.count
