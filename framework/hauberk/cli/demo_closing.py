"""The table with which `hauberk demo` ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from hauberk.cli.answer import table
from hauberk.cli.demo_promises import PROMISES, unkept
from hauberk.cli.demo_story import Row, Story

INSTALL: Final = "pip install 'hauberk[notify]'"


@frozen
class Line:
    """One line.

    Attributes:
        what: What happened.
        did: What Hauberk did.
        took: How long it took; empty where that tells nothing.
        kept: Whether all that is promised of it came true; `None` where it was skipped.
    """

    what: str
    did: str
    took: str
    kept: bool | None


def lines(story: Story) -> list[Line]:
    """Return the lines, in the order of the story."""
    return [
        Line(what, did(story), took(story), _kept(story, scene))
        for scene, what_of, did, took in _LINES
        for what in (what_of(story),)
    ]


def closing(story: Story) -> Any:
    """Draw the table, and the verdict."""
    from rich.console import Group
    from rich.text import Text

    marks = {True: Text("✓", "green"), False: Text("✗", "bold red"), None: Text("-", "dim")}
    drawn = table(
        "What happened, and what Hauberk did",
        ("", "what happened", "what Hauberk did", "took"),
        [(marks[one.kept], one.what, one.did, one.took) for one in lines(story)],
    )
    parts = [Text(), drawn, Text()]
    if story.mails is None:
        parts.append(Text(f"Nobody was told by mail: {INSTALL}", style="yellow"))
    if broken := unkept(story):
        parts.append(Text("Not as promised: " + "; ".join(broken), style="bold red"))
    else:
        skipped = (
            sum(promise.scene == "mails" for promise in PROMISES) if story.mails is None else 0
        )
        count = len(PROMISES) - skipped
        parts.append(Text(f"All {count} promises were kept, in {story.seconds:.0f} s.", "green"))
    parts.append(Text("Nothing is left behind: its folder is removed.", style="dim"))
    return Group(*parts)


def _kept(story: Story, scene: str) -> bool | None:
    if scene == "mails" and story.mails is None:
        return None
    return all(promise.is_kept(story) for promise in PROMISES if promise.scene == scene)


def _row(name: str) -> Callable[[Story], Row]:
    return lambda story: story.rows[name]


def _what(name: str) -> Callable[[Story], str]:
    return lambda story: story.rows[name].what


def _seconds(name: str) -> Callable[[Story], str]:
    return lambda story: f"{story.rows[name].seconds:.1f} s"


def _nothing(_: Story) -> str:
    return ""


def _says(text: str) -> Callable[[Story], str]:
    return lambda _: text


def _sent(name: str) -> Callable[[Story], str]:
    def told(story: Story) -> str:
        row, count = story.rows[name], story.exchange.answered_429 or "no"
        refused = f", {row.refused} refused" if row.refused else ""
        return f"paced: {row.answered} answered{refused}, {count} 429"

    return told


def _by(name: str) -> Callable[[Story], str]:
    def told(story: Story) -> str:
        row = story.rows[name]
        return f"refused by {row.by}" if row.refused else "left"

    return told


def _alarm(story: Story, title: str) -> str:
    for alarm in story.alarms:
        if title in alarm.title:
            return f"{alarm.by}: {alarm.severity}"
    return "nobody notices"


def _guesses(story: Story) -> str:
    row = story.rows["unstopped"]
    return (f"{_by('guesses')(story)}; {_alarm(story, 'failed logins')}; "
            f"trading {'goes on' if row.answered else 'stops'}")  # fmt: skip


def _withdrawal(story: Story) -> str:
    order, cancel = story.rows["order"], story.rows["cancel"]
    return (f"{_by('withdrawal')(story)}; {_alarm(story, 'Funds')}; orders "
            f"{'refused' if order.refused else 'leave'}, cancels "
            f"{'pass' if cancel.answered else 'refused'}")  # fmt: skip


def _lift(story: Story) -> str:
    lift = story.lift
    refused = f"refused by {lift.refused_by}" if lift.refused_by else "not refused"
    return f"{refused}; after a login: {'lifted' if lift.is_lifted else 'not lifted'}"


def _runaway(story: Story) -> str:
    row = story.rows["runaway"]
    return f"stopped after {row.left} of {row.tried}; {_alarm(story, 'faster')}"


def _revoked(story: Story) -> str:
    row = story.rows["revoked"]
    return f"{row.by or 'answered'}; {_alarm(story, 'does not know a key')}"


def _halted(story: Story) -> str:
    row, did = story.rows["anything"], story.halt.did.get("killswitch", ("nothing done",))
    return f"{did[0]}: {'nothing leaves' if row.refused else 'requests leave'}"


def _cancelled(story: Story) -> str:
    did = story.halt.did.get("killswitch", ())[1:]
    return f"{'; '.join(did) or 'nothing cancelled'}; {story.halt.resting or 'none'} left"


def _kept_incidents(story: Story) -> str:
    contained = sum(incident.state == "contained" for incident in story.incidents)
    return f"{len(story.incidents)} incidents kept, {contained} of them contained"


def _mails(story: Story) -> str:
    if story.mails is None:
        return f"skipped: {INSTALL}"
    missing = ", ".join(story.unheard(story.mails))
    return f"{len(story.mails)} mails arrive" + (f", none of {missing}" if missing else "")


def _audited(story: Story) -> str:
    audit = story.audit
    return (
        f"{audit.records} records, {'as they were written' if audit.is_whole else 'NOT as written'}"
    )


def _named(story: Story) -> str:
    named = ", ".join(map(str, story.audit.named))
    return f"caught: line {named} was changed" if named else "not noticed"


def _restored(story: Story) -> str:
    same = "as they were" if story.restore.is_same else "NOT as they were"
    goes_on = "trading goes on" if story.rows["goes on"].answered else "nothing goes on"
    halted = "still halted" if story.rows["still"].refused else "NOT halted"
    return f"restored, {same}; {halted}; after resume {goes_on}"


_Told = Callable[[Story], str]
_LINES: Final[tuple[tuple[str, _Told, _Told, _Told], ...]] = (
    ("loop", _what("loop"), _sent("loop"), _seconds("loop")),
    ("burst", _what("burst"), _sent("burst"), _seconds("burst")),
    ("unknown", _what("unknown"), _by("unknown"), _nothing),
    ("elsewhere", _what("elsewhere"), _by("elsewhere"), _nothing),
    ("large", _what("large"), _by("large"), _nothing),
    ("guesses", _what("guesses"), _guesses, _seconds("guesses")),
    ("withdrawal", _what("withdrawal"), _withdrawal, _nothing),
    ("lift", _says("resume, without a login"), _lift, _nothing),
    ("runaway", _what("runaway"), _runaway, _seconds("runaway")),
    ("revoked", _what("revoked"), _revoked, _nothing),
    ("halt", _says("CRITICAL is reported"), _halted, lambda s: f"{s.halt.took_ms:.1f} ms"),
    ("cancel all", _says("an order still rests there"), _cancelled, _nothing),
    ("incidents", _says("hauberk incident list"), _kept_incidents, _nothing),
    ("mails", _says("the on-call engineer sleeps"), _mails, _nothing),
    ("audit", _says("hauberk audit verify"), _audited, _nothing),
    ("tampered", _says("one word of a copy replaced"), _named, _nothing),
    ("restore", _says("hauberk.yml changed, key ring gone"), _restored,
     lambda s: f"{s.restore.seconds:.1f} s"),
)  # fmt: skip
