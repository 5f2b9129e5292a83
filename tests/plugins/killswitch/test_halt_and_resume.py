"""`hauberk halt`, a dropped file and `hauberk resume` against guards that run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.plugins.killswitch.conftest import Run

import hauberk
from hauberk import Denied, Guard, Incident, Request, Severity, StoreError
from hauberk_plugins.killswitch import dropped
from hauberk_plugins.killswitch.folder import HALT, StateFolder
from hauberk_plugins.killswitch.plugin import KillSwitchPlugin

ACCOUNT = Request("GET", "https://api.binance.com/api/v3/account")
ORDER = Request(
    "POST",
    "https://api.binance.com/api/v3/order",
    params=(("symbol", "BTCUSDT"), ("side", "BUY"), ("type", "MARKET"), ("quantity", "1")),
)
CANCEL = Request(
    "DELETE", "https://api.binance.com/api/v3/openOrders", params=(("symbol", "BTCUSDT"),)
)
REASON = ("--reason", "mended")
PATIENCE_S = 30


@pytest.fixture
def bot(config: Path) -> Iterator[Guard]:
    """A guard that runs."""
    with hauberk.open(config) as guard:
        yield guard


@pytest.fixture
def state(config: Path) -> Path:
    return config.parent / "hauberk-state"


def switch(guard: Guard) -> KillSwitchPlugin:
    part = guard.snapshot.part("killswitch")
    assert part is not None
    plugin: KillSwitchPlugin = part.plugin
    return plugin


def why_not(guard: Guard, request: Request = ACCOUNT) -> str:
    """Why the kill switch stops a request; empty where it does not."""
    try:
        guard.clear(request)
    except Denied as denied:
        return denied.reason if denied.plugin == "killswitch" else ""
    return ""


def test_a_halt_by_command_stops_a_running_bot_at_its_next_request(bot: Guard, run: Run) -> None:
    assert not why_not(bot)
    halted = run("halt", "--reason", "orders that nobody placed", "--json")
    assert halted.status == 0
    assert halted.document["incident"] in why_not(bot)
    assert "halted since 'orders that nobody placed'" in why_not(bot, CANCEL)


def test_it_is_lifted_in_a_running_bot_too(bot: Guard, run: Run) -> None:
    run("halt")
    assert why_not(bot)
    assert run("resume", *REASON).status == 0
    assert not why_not(bot)


def test_a_halt_calls_the_hooks_of_running_bots(bot: Guard, run: Run) -> None:
    heard: list[Incident] = []
    told = threading.Event()

    @bot.on_incident
    def flatten(incident: Incident) -> None:
        heard.append(incident)
        told.set()

    document = run("halt", "--json").document
    assert told.wait(PATIENCE_S)
    assert [(i.id, i.severity) for i in heard] == [(document["incident"], Severity.CRITICAL)]


def test_a_high_incident_by_command_restricts_a_running_bot(bot: Guard, run: Run) -> None:
    run("incident", "report", "odd fills", "--severity", "HIGH")
    assert "restricted since 'odd fills'" in why_not(bot, ORDER)
    assert not why_not(bot)
    assert not why_not(bot, CANCEL)


def test_what_waits_is_asked_again_when_a_file_is_dropped(bot: Guard, state: Path) -> None:
    epoch = bot.kernel.epoch
    (state / HALT).touch()
    rechecked = threading.Event()
    while bot.kernel.epoch == epoch and not rechecked.wait(0.01):
        pass
    assert switch(bot)._switch.state.level


def test_a_dropped_file_stops_the_next_request_and_is_reported_once(
    bot: Guard, config: Path, state: Path, run: Run
) -> None:
    told = threading.Event()

    @bot.on_incident
    def heard(incident: Incident) -> None:
        told.set()

    (state / HALT).touch()
    assert why_not(bot)
    assert told.wait(PATIENCE_S)
    with hauberk.open(config) as other:
        switch(other)._watch()
        assert why_not(other)
    listed = run("incident", "list", "--json").document["incidents"]
    assert [(one["title"], one["count"]) for one in listed] == [(dropped.TITLE, 1)]


def test_resume_refuses_while_the_file_is_there_and_it_halts_on_until_resumed(
    bot: Guard, state: Path, run: Run
) -> None:
    told = threading.Event()

    @bot.on_incident
    def heard(incident: Incident) -> None:
        told.set()

    (state / HALT).touch()
    why_not(bot)
    assert told.wait(PATIENCE_S)
    refused = run("resume", *REASON)
    assert refused.status != 0
    assert f"{state / HALT} is there, and halts by itself: remove it" in refused.err
    (state / HALT).unlink()
    assert dropped.TITLE in why_not(bot)
    assert run("resume", *REASON).status == 0
    assert not why_not(bot)


def test_a_file_that_is_there_at_the_start_halts_from_the_start(config: Path, state: Path) -> None:
    with hauberk.open(config):
        pass
    (state / HALT).touch()
    with hauberk.open(config) as guard:
        assert why_not(guard)


def test_a_halt_works_where_the_guard_cannot_be_opened(
    bot: Guard, config: Path, state: Path, run: Run
) -> None:
    config.write_text(config.read_text() + "nonsense: true\n")
    halted = run("halt", "--reason", "fire", "--json")
    assert halted.status == 0
    assert halted.document["file"] == str(state / HALT)
    assert (state / HALT).read_text() == "fire\n"
    assert why_not(bot)


def test_a_halt_works_where_the_store_does_not(
    bot: Guard, state: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise StoreError("down")

    (state / "store.sqlite").write_bytes(b"no database" * 1_000)
    halted = run("halt", "--json")
    assert halted.status == 0
    assert why_not(bot)


def test_where_nothing_can_be_written_it_says_that_nothing_is_halted(
    bot: Guard, config: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(StateFolder, "drop", full)
    config.write_text(config.read_text() + "nonsense: true\n")
    halted = run("halt")
    assert halted.status != 0
    assert "nothing is halted" in halted.err
    assert "Read-only file system" in halted.err


def test_a_halt_needs_no_reason_but_an_empty_one_is_none(run: Run) -> None:
    assert run("halt", "--reason", " ").status == 2


def test_a_halt_survives_a_reload_and_a_running_bot_hears_of_the_lift_after_it(
    bot: Guard, config: Path, run: Run
) -> None:
    run("halt")
    config.write_text(config.read_text() + "killswitch: {cancel_all: {deadline_s: 3}}\n")
    bot.reload()
    assert why_not(bot)
    run("resume", *REASON)
    assert not why_not(bot)


def test_in_shadow_a_halt_is_kept_and_stops_nothing(config: Path, run: Run) -> None:
    text = config.read_text()
    config.write_text("mode: shadow\n" + text)
    with hauberk.open(config) as guard:
        run("halt")
        assert not why_not(guard)
        guard.clear(ACCOUNT)  # keys are given out too
    config.write_text(text)
    with hauberk.open(config) as guard:
        assert why_not(guard)


def test_keys_are_not_given_out_while_everything_is_halted(bot: Guard, run: Run) -> None:
    keys = bot.kernel.crew.view.provider("keys")
    assert keys is not None
    keys.credentials("main")  # type: ignore[attr-defined]
    run("halt")
    why_not(bot)
    with pytest.raises(hauberk.HauberkError, match=r"no key is given out.*halted since"):
        keys.credentials("main")  # type: ignore[attr-defined]
    run("resume", *REASON)
    why_not(bot)
    keys.credentials("main")  # type: ignore[attr-defined]


def test_a_restriction_leaves_keys_to_cancel_with(bot: Guard, run: Run) -> None:
    run("incident", "report", "odd fills", "--severity", "HIGH")
    bot.clear(CANCEL)


def test_a_state_folder_that_is_gone_halts(bot: Guard, state: Path) -> None:
    state.rename(state.with_name("away"))
    assert "the state folder" in why_not(bot)
    state.with_name("away").rename(state)
    assert not why_not(bot)


def test_doctor_tells_what_is_stopped(bot: Guard, run: Run) -> None:
    assert "nothing is stopped" in run("doctor").out
    run("halt")
    told = run("doctor").out
    assert "halted since 'halted by hand'" in told
    assert "hauberk resume" in told


def test_one_report_that_a_restart_brings_again_is_one_with_a_count(config: Path, run: Run) -> None:
    for _ in range(2):
        with hauberk.open(config) as guard:
            guard.report("clock is wrong", Severity.LOW)
    (listed,) = run("incident", "list", "--json").document["incidents"]
    assert (listed["title"], listed["count"]) == ("clock is wrong", 2)


def test_resume_asks_for_a_login_of_the_last_five_minutes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, float]] = []

    def check(capability: str, config: Path, *, fresh_s: float = 0) -> str:
        asked.append((capability, fresh_s))
        return "alice"

    monkeypatch.setattr("hauberk.cli.access.check_access", check)
    assert run("resume", *REASON, "--json").document["by"] == "alice"
    assert asked == [("resume", 300)]


def test_who_may_not_halt_is_refused_and_halts_nothing(
    bot: Guard, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(capability: str, config: Path, *, fresh_s: float = 0) -> str:
        raise Denied("auth", f"{capability}: not you")

    monkeypatch.setattr("hauberk.cli.access.check_access", refuse)
    assert run("halt").status == 1
    assert not why_not(bot)
