"""The end of `hauberk demo`: what happened is proven, and what was lost is restored."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hauberk.cli.demo_bot import Bot
from hauberk.cli.demo_operator import Operator
from hauberk.cli.demo_stage import SANE, Stage
from hauberk.cli.demo_story import Audit, Kept, Restore, Row, Story
from hauberk.cli.demo_tries import once
from hauberk.errors import HauberkError

#: What somebody who wants to rewrite history would replace, and by what.
_WORD, _OTHER = '"operation":"withdraw"', '"operation":"read"'
#: What an intruder does to the configuration.
_BACK_DOOR: Final = "mode: shadow\n"


def prove(stage: Stage, operator: Operator, story: Story) -> None:
    """Have the incidents listed and the log verified, and a copy in which one word was replaced."""
    stage.say("What is kept of all that? And is the log of it as it was written?")
    operator.log_in()
    story.incidents = tuple(
        Kept(one["title"], one["severity"], one["state"])
        for one in operator.incidents().document.get("incidents", ())
    )
    verified = operator.verify()
    told = operator.left().document.get("records", [])
    changed, copy = _tampered(stage)
    findings = operator.verify(copy).document.get("findings", [])
    story.audit = Audit(
        records=verified.document.get("records", 0),
        vouched=verified.document.get("vouched", 0),
        is_whole=verified.status == 0,
        told=len(told),
        arrived=len(stage.arrived()) - len(story.halt.arrived),
        changed=changed,
        named=tuple(_line(one) for one in findings),
    )


def restore(stage: Stage, operator: Operator, story: Story) -> None:
    """Lose the key ring, find a back door in the configuration, and go back to the point."""
    from hauberk import open as open_guard

    stage.say("Somebody opens a back door in hauberk.yml, and removes the key ring …")
    files = (stage.config, stage.state / "keyring.json")
    before = [file.read_bytes() for file in files]
    _intrude(stage)
    was_lost = operator.verify().status == 2
    began = time.monotonic()
    operator.restore()
    seconds = time.monotonic() - began
    is_same = [_read(file) for file in files] == before
    story.restore = Restore(was_lost, is_same, round(seconds, 2))
    story.rows["still"], story.rows["goes on"] = Row("an order after it"), Row("an order at last")
    with suppress(HauberkError), open_guard(stage.config) as guard:  # or nothing goes on
        bot = Bot(guard, stage.url, SANE)
        story.rows["still"] = once("an order after the restore", bot, bot.order())
        operator.log_in()
        operator.resume("the key was replaced")
        story.rows["goes on"] = once("an order after resume", bot, bot.order())


def _tampered(stage: Stage) -> tuple[int, Path]:
    """Copy the log, and replace one word in it; return in which line, and where."""
    copy = stage.folder / "copy"
    shutil.copytree(stage.state / "audit", copy)
    for file in sorted(copy.glob("*.jsonl")):
        lines = file.read_text("utf-8").splitlines(keepends=True)
        for n, line in enumerate(lines):
            if _WORD in line:
                lines[n] = line.replace(_WORD, _OTHER)
                file.write_text("".join(lines), encoding="utf-8")
                return n, copy
    return -1, copy


def _intrude(stage: Stage) -> None:
    text = stage.config.read_text("utf-8").replace("main: {", "main: {allow: [withdraw], ", 1)
    stage.config.write_text(_BACK_DOOR + text, encoding="utf-8")
    (stage.state / "keyring.json").unlink()


def _line(finding: dict[str, Any]) -> int:
    return int(finding["line"]) if type(finding.get("line")) is int else -1


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
