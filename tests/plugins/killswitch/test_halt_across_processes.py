"""A bot in a process of its own, halted, restarted and let go on from another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.killswitch.conftest import Run

from hauberk_plugins.killswitch.folder import HALT

BOT = """\
import os, sys, json, hauberk
from hauberk import Request, Severity

def tell(**what):
    # In one piece: the hook tells on another thread.
    os.write(1, json.dumps(what).encode() + b"\\n")

guard = hauberk.open(sys.argv[1])

@guard.on_incident
def heard(incident):
    tell(heard=incident.title)

tell(ready=True)
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "report":
        tell(incident=guard.report(rest, Severity.CRITICAL).id)
        continue
    try:
        guard.clear(Request("GET", "https://api.binance.com/api/v3/account"))
        tell(left=True)
    except hauberk.Denied as denied:
        tell(left=False, by=denied.plugin, why=denied.reason)
guard.close()
"""


class Bot:
    """The other process: asked by a line, answers by one."""

    def __init__(self, config: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", BOT, str(config)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.heard: list[str] = []
        self.answer()

    def ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            found: dict[str, Any] = json.loads(line)
            if "heard" not in found:
                return found
            self.heard.append(found["heard"])
        raise EOFError("the bot is gone")

    def hear(self) -> str:
        """Wait for the next incident that its hook is called about."""
        assert self._process.stdout is not None
        while not self.heard:
            self.heard.append(json.loads(self._process.stdout.readline())["heard"])
        return self.heard.pop(0)

    def signal(self, number: int) -> None:
        os.kill(self._process.pid, number)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


Begin = Callable[[], Bot]


@pytest.fixture
def bot(config: Path) -> Iterator[Begin]:
    begun: list[Bot] = []

    def begin() -> Bot:
        begun.append(Bot(config))
        return begun[-1]

    yield begin
    for one in begun:
        one.end()


def test_a_bot_is_halted_and_let_go_on_while_it_runs(bot: Begin, run: Run) -> None:
    one = bot()
    assert one.ask("clear") == {"left": True}
    run("halt", "--reason", "fire")
    stopped = one.ask("clear")
    assert (stopped["left"], stopped["by"]) == (False, "killswitch")
    assert one.hear() == "fire"
    run("resume", "--reason", "out")
    assert one.ask("clear") == {"left": True}


def test_what_one_bot_reports_stops_the_other_also_after_a_kill_and_a_restart(
    bot: Begin, run: Run
) -> None:
    one, other = bot(), bot()
    incident = one.ask("report withdrawals that nobody made")["incident"]
    assert incident in other.ask("clear")["why"]
    assert other.hear() == "withdrawals that nobody made"
    for process in (one, other):
        process.signal(signal.SIGKILL)
    assert incident in bot().ask("clear")["why"]
    run("resume", "--reason", "mended")
    assert bot().ask("clear") == {"left": True}


def test_a_dropped_file_stops_every_bot_and_one_of_them_reports_it(
    bot: Begin, run: Run, config: Path
) -> None:
    bots = [bot(), bot()]
    file = config.parent / "hauberk-state" / HALT
    file.touch()
    assert [one.ask("clear")["left"] for one in bots] == [False, False]
    assert len({one.hear() for one in bots}) == 1
    assert run("resume", "--reason", "x").status != 0
    file.unlink()
    assert run("resume", "--reason", "x").status == 0
    assert [one.ask("clear")["left"] for one in bots] == [True, True]
    (listed,) = run("incident", "list", "--json").document["incidents"]
    assert listed["count"] == 1


def test_a_bot_that_was_stopped_meanwhile_is_halted_when_it_goes_on(bot: Begin, run: Run) -> None:
    one = bot()
    one.signal(signal.SIGSTOP)
    try:
        assert run("halt").status == 0
    finally:
        one.signal(signal.SIGCONT)
    assert one.ask("clear")["by"] == "killswitch"
