"""`hauberk demo`: all of it at a fraction of its length, and that its verdict misses nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from hauberk.cli import demo_stage
from hauberk.cli.answer import drawn
from hauberk.cli.demo import SCALE as WHOLE
from hauberk.cli.demo import perform
from hauberk.cli.demo_closing import INSTALL, closing, lines
from hauberk.cli.demo_promises import PROMISES, unkept
from hauberk.cli.demo_stage import staged
from hauberk.cli.demo_story import (
    Alarm,
    Audit,
    Exchange,
    Halt,
    Kept,
    Lift,
    Restore,
    Row,
    Scale,
    Story,
)
from hauberk.guard import Guard
from hauberk_plugins.sandbox import SandboxExchange

#: One order more than a window holds: one wait. Nothing is late even where much else runs.
SCALE = Scale(
    loop=6, burst=2, runaway=6, runaway_at=3, weight=50, weight_s=1, orders=5, orders_s=1,
    jitter_ms=1_000, mail_s=60.0,
)  # fmt: skip
PACED = "more orders than a window holds wait for the next one"


def test_every_promise_comes_true_and_is_seen_to(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said = []
    answer = perform(SCALE, said.append)
    assert answer.document["unkept"] == []
    assert answer.ok
    assert [(row["tried"], row["left"], row["answered"], row["refused"], row["by"])
            for row in answer.document["rows"]] == [
        (6, 6, 6, 0, ""),
        (2, 2, 2, 0, ""),
        (1, 0, 0, 1, "policy"),
        (1, 0, 0, 1, "kernel"),
        (1, 0, 0, 1, "prudence"),
        (12, 0, 0, 12, "auth"),
        (1, 1, 1, 0, ""),
        (1, 1, 1, 0, ""),
        (1, 0, 0, 1, "policy"),
        (1, 0, 0, 1, "killswitch"),
        (1, 1, 1, 0, ""),
        (1, 1, 1, 0, ""),
        (1, 1, 1, 0, ""),
        (6, 3, 3, 3, "killswitch"),
        (3, 3, 0, 0, "exchange: 401"),
        (1, 0, 0, 1, "killswitch"),
        (1, 0, 0, 1, "killswitch"),
        (1, 1, 1, 0, ""),
    ]  # fmt: skip
    assert answer.document["rows"][0]["seconds"] >= 1
    assert answer.document["exchange"] == {
        "requests": 21, "orders": 16, "answered_429": 0, "withdrawals": 0
    }  # fmt: skip
    assert {line["kept"] for line in answer.document["table"]} == {True}
    assert "  $ hauberk audit verify" in said
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_happen_is_not_claimed(hauberk, monkeypatch):
    monkeypatch.setattr("hauberk.cli.demo.SCALE", evolve(SCALE, loop=0, burst=0, mail_s=0.0))
    monkeypatch.setattr(Guard, "register", lambda *_args, **_options: "")
    monkeypatch.setattr(SandboxExchange, "revoke_key", lambda *_: None)
    monkeypatch.setattr("hauberk.cli.demo_mail.Mailbox._keep", lambda *_: None)
    monkeypatch.setattr("hauberk.cli.demo_evidence._OTHER", '"operation":"withdraw"')
    for name in ("enrol", "log_in", "restore"):
        monkeypatch.setattr(f"hauberk.cli.demo_operator.Operator.{name}", lambda _: None)
    uncancelled = demo_stage._CONFIG.replace("  cancel_all: {{accounts", "  dead_man: {{}}\n#")
    monkeypatch.setattr(demo_stage, "_CONFIG", uncancelled)
    monkeypatch.setattr("hauberk.cli.demo_scenes._LANE_S", 0.0)
    ran = hauberk("demo", "--json")
    assert ran.status == 1
    assert ran.err == ""
    assert ran.document["unkept"] == [
        PACED,
        "every order of the loop is answered",
        "every order from asyncio is answered",
        "the bot's own hook refuses 50 BTC",
        "the monitor reports the guesses as MEDIUM",
        "the monitor reports the withdrawal as HIGH, and trading is restricted",
        "the incident reaches the bot's own hook",
        "nobody lifts it without a login",
        "the monitor reports the runaway loop as HIGH",
        "a revoked key is answered 401",
        "the monitor reports the revoked key as HIGH",
        "what rests at the exchange is cancelled, and nothing else arrives there",
        "mail arrives of MEDIUM, HIGH and CRITICAL",
        "the changed line of a copy is named, and no other",
        "what was lost is restored, byte for byte",
        "it is still halted after that",
        "after a fresh login and resume, trading goes on",
    ]


def test_ctrl_c_ends_it_at_once_and_leaves_nothing(tmp_path):
    environ = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "hauberk.cli", "demo"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ,
        # Of a suite that runs in the background, children ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        while "user add" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "hauberk: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_the_whole_demo_is_paced_in_the_loop_and_in_the_burst():
    assert WHOLE.loop > 2 * WHOLE.orders
    assert WHOLE.burst > WHOLE.orders
    assert WHOLE.runaway > WHOLE.runaway_at


def test_without_the_extra_nobody_is_told_and_the_rest_goes_on(monkeypatch):
    monkeypatch.setattr("hauberk.cli.demo_stage.can_notify", lambda: False)
    from hauberk import open as open_guard

    with staged(SCALE, lambda _: None) as stage:
        assert stage.mailbox is None
        with open_guard(stage.config, transient=True) as guard:
            names = [part.name for part, _ in guard.snapshot.parts]
    assert "killswitch" in names
    assert "notify" not in names


# The verdict by itself: each thing that can go wrong breaks a promise.


def alarm(title: str, severity: str = "HIGH", did: str = "restricted") -> Alarm:
    """What the monitor reported."""
    return Alarm("monitor", title, severity, {"killswitch": did} if did else {})


GUESSES = alarm("Many failed logins from one place", "MEDIUM", "")
FUNDS = alarm("Funds or rights were to be moved")
FAST = alarm("Orders come faster than this bot trades")
KEY = alarm("The exchange does not know a key any more", did="restricted already")
ALARMS = (GUESSES, FUNDS, FAST, KEY)


def story() -> Story:
    """One in which all went well."""
    answered = ("unstopped", "resting", "cancel", "lifted", "left", "goes on")
    refused = {
        **dict.fromkeys(("withdrawal", "unknown"), "policy"),
        **dict.fromkeys(("order", "anything", "still"), "killswitch"),
        "elsewhere": "kernel",
        "large": "prudence",
    }
    rows = {
        "loop": Row("", tried=6, left=6, answered=6, seconds=1.25),
        "burst": Row("", tried=2, left=2, answered=2),
        "guesses": Row("", tried=12, refused=12, by="auth"),
        "runaway": Row("", tried=6, left=3, answered=3, refused=3, by="killswitch"),
        "revoked": Row("", tried=3, left=3, by="exchange: 401"),
        **{name: Row("", tried=1, left=1, answered=1) for name in answered},
        **{name: Row("", tried=1, refused=1, by=by) for name, by in refused.items()},
    }
    return Story(
        SCALE,
        rows,
        ALARMS,
        paused=True,
        lift=Lift("auth", True),
        halt=Halt({"killswitch": ("halted", "all orders cancelled (main spot BTCUSDT)")}, 0.5,
                  ("DELETE /api/v3/openOrders",), 0),
        incidents=tuple(Kept(one.title, one.severity, "contained") for one in ALARMS),
        mails=("Hauberk MEDIUM: a", "Hauberk HIGH: b", "Hauberk CRITICAL: c"),
        exchange=Exchange(21, 16, 0, 0),
        audit=Audit(100, 100, True, 20, 20, 41, (41,)),
        restore=Restore(True, True, 1.0),
    )  # fmt: skip


def test_when_all_went_well_nothing_is_unkept():
    assert unkept(story()) == []


Change = Callable[[Story], Story]


def row(name: str, **values: object) -> Change:
    """Have one row be otherwise."""
    return lambda story: evolve(
        story, rows={**story.rows, name: evolve(story.rows[name], **values)}
    )


def part(name: str, **values: Any) -> Change:
    """Have a part be otherwise."""
    return lambda story: evolve(story, **{name: evolve(getattr(story, name), **values)})


def but(**values: Any) -> Change:
    """Have something be otherwise."""
    return lambda story: evolve(story, **values)


BROKEN = [
    (row("loop", seconds=0.99), PACED),
    (but(scale=evolve(SCALE, orders=6)), PACED),
    (row("loop", answered=5), "every order of the loop is answered"),
    (part("exchange", answered_429=1), "the exchange never answers 429 or 418"),
    (row("burst", answered=1), "every order from asyncio is answered"),
    (part("exchange", orders=15), "the exchange takes every order, once"),
    (part("exchange", orders=17), "the exchange takes every order, once"),
    (part("exchange", requests=22), "the exchange sees what left, and nothing else"),
    (row("unknown", tried=2), "what no map knows is refused by policy"),
    (row("elsewhere", by="policy"), "another host is refused by the kernel"),
    (row("large", refused=0), "the bot's own hook refuses 50 BTC"),
    (row("guesses", refused=11, left=1), "every guessed password is refused"),
    (but(alarms=(FUNDS, FAST, KEY)), "the monitor reports the guesses as MEDIUM"),
    (but(alarms=(evolve(GUESSES, by="bot"), FUNDS, FAST, KEY)),
     "the monitor reports the guesses as MEDIUM"),
    (row("unstopped", answered=0), "nobody stops trading from outside"),
    (row("withdrawal", by="throttle"), "the withdrawal is refused by policy"),
    (part("exchange", withdrawals=1), "the exchange sees no withdrawal"),
    (but(alarms=(GUESSES, evolve(FUNDS, did={}), FAST, KEY)),
     "the monitor reports the withdrawal as HIGH, and trading is restricted"),
    (but(alarms=(GUESSES, evolve(FUNDS, by="bot"), FAST, KEY)),
     "the monitor reports the withdrawal as HIGH, and trading is restricted"),
    (but(paused=False), "the incident reaches the bot's own hook"),
    (row("order", refused=0), "after HIGH, an order is refused by the kill switch"),
    (row("cancel", answered=0), "after HIGH, a cancel is answered"),
    (part("lift", refused_by=""), "nobody lifts it without a login"),
    (part("lift", is_lifted=False), "a fresh login lifts it in another process, and here"),
    (row("lifted", answered=0), "a fresh login lifts it in another process, and here"),
    (row("runaway", refused=2), "the runaway loop is stopped by the kill switch"),
    (row("runaway", by="throttle"), "the runaway loop is stopped by the kill switch"),
    (but(alarms=(GUESSES, FUNDS, KEY)), "the monitor reports the runaway loop as HIGH"),
    (row("revoked", by=""), "a revoked key is answered 401"),
    (but(alarms=(GUESSES, FUNDS, FAST)), "the monitor reports the revoked key as HIGH"),
    (part("halt", did={"killswitch": ("it failed",)}), "CRITICAL halts"),
    (row("anything", by="policy"), "after CRITICAL, nothing leaves"),
    (part("halt", resting=1),
     "what rests at the exchange is cancelled, and nothing else arrives there"),
    (lambda story: part("exchange", requests=20)(part("halt", arrived=())(story)),
     "what rests at the exchange is cancelled, and nothing else arrives there"),
    (but(incidents=()), "every incident is kept, and was contained"),
    (lambda story: evolve(story, incidents=story.incidents[1:]),
     "every incident is kept, and was contained"),
    (lambda story: evolve(story, incidents=(*story.incidents[1:],
                                            evolve(story.incidents[0], state="open"))),
     "every incident is kept, and was contained"),
    (but(mails=("Hauberk MEDIUM: CRITICAL", "Hauberk HIGH: b")),
     "mail arrives of MEDIUM, HIGH and CRITICAL"),
    (part("audit", is_whole=False), "the audit's log is as it was written"),
    (part("audit", vouched=99), "the audit's log is as it was written"),
    (part("audit", told=19), "it tells of every request that left"),
    (part("audit", named=()), "the changed line of a copy is named, and no other"),
    (part("audit", named=(41, 42)), "the changed line of a copy is named, and no other"),
    (part("audit", changed=-1, named=(-1,)), "the changed line of a copy is named, and no other"),
    (part("restore", was_lost=False), "what was lost is restored, byte for byte"),
    (part("restore", is_same=False), "what was lost is restored, byte for byte"),
    (row("still", refused=0), "it is still halted after that"),
    (row("goes on", answered=0), "after a fresh login and resume, trading goes on"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "broken"), BROKEN)
def test_whatever_goes_otherwise_is_a_promise_broken(change, broken):
    changed = change(story())
    assert unkept(changed) == [broken]
    assert [line.kept for line in lines(changed)].count(False) == 1


def test_every_promise_can_be_broken():
    assert {broken for _, broken in BROKEN} == {promise.words for promise in PROMISES}


def shown(told: Story) -> str:
    """What a person reads."""
    return drawn(lambda console: console.print(closing(told)), width=200, no_color=True)


def test_a_person_is_told_that_all_went_well():
    assert f"All {len(PROMISES)} promises were kept" in shown(story())
    assert "✗" not in shown(story())
    assert "caught: line 41 was changed" in shown(story())


def test_a_person_is_told_what_was_not_as_promised():
    text = shown(part("audit", named=())(story()))
    assert "Not as promised: the changed line of a copy is named, and no other" in text
    assert text.count("✗") == 1


def test_what_was_skipped_is_no_promise_kept():
    told = evolve(story(), mails=None)
    assert unkept(told) == []
    assert [line.kept for line in lines(told)].count(None) == 1
    assert f"All {len(PROMISES) - 1} promises were kept" in shown(told)
    assert INSTALL in shown(told)
