"""`hauberk incident report|list|show|resolve`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.plugins.killswitch.conftest import Run

import hauberk
from hauberk import Severity
from hauberk.command import started


def reported(run: Run, *words: str, title: str = "odd fills", severity: str = "LOW") -> str:
    ran = run("incident", "report", title, "--severity", severity, "--json", *words)
    assert ran.status == 0, ran.err
    incident: str = ran.document["incident"]
    return incident


def test_an_incident_is_reported_listed_shown_and_resolved(run: Run) -> None:
    name = reported(run, "--detail", "symbol=BTCUSDT", "--detail", "fills=12")
    assert name in run("incident", "list").out
    shown = run("incident", "show", name, "--json").document
    assert shown["details"]["symbol"] == "BTCUSDT"
    assert shown["details"]["fills"] == 12
    assert (shown["state"], shown["count"], shown["source"]) == ("contained", 1, "hauberk")
    assert [one["plugin"] for one in shown["outcomes"]] == ["killswitch"]
    assert "BTCUSDT" in run("incident", "show", name).out
    assert run("incident", "resolve", name, "--resolution", "a test").status == 0
    assert run("incident", "show", name, "--json").document["resolution"] == "a test"
    assert run("incident", "list", "--open", "--json").document == {
        "incidents": [], "unreadable": [],
    }  # fmt: skip
    assert "No incident is open" in run("incident", "list", "--open").out
    assert name in run("incident", "list").out


def test_where_a_halt_cancels_all_incidents_can_still_be_looked_at(run: Run, config: Path) -> None:
    with config.open("a") as file:
        file.write("killswitch: {cancel_all: {accounts: {main: {symbols: [BTCUSDT]}}}}\n")
    for words in (("list",), ("show", "inc-none")):
        ran = run("incident", *words, "--json")
        assert "transport" not in ran.out + ran.err


def test_who_reports_is_part_of_it(run: Run) -> None:
    name = reported(run)
    assert run("incident", "show", name, "--json").document["details"]["by"]


def test_the_same_again_is_counted_in_another_process_too(run: Run) -> None:
    assert reported(run) == reported(run)
    (one,) = run("incident", "list", "--json").document["incidents"]
    assert one["count"] == 2


@pytest.mark.parametrize("severity", ["low", "High", "CRITICAL"])
def test_a_severity_may_be_written_in_any_case(run: Run, severity: str) -> None:
    ran = run("incident", "report", "x", "--severity", severity, "--json")
    assert ran.document["severity"] == severity.upper()


@pytest.mark.parametrize(
    "words",
    [
        ("report", "x"),
        ("report", "x", "--severity", "HIHG"),
        ("report", "x", "--severity", "HIGH", "--detail", "no equals sign"),
        ("report", "--severity", "HIGH"),
        ("report", "", "--severity", "HIGH"),
        ("show",),
        ("resolve", "inc-1"),
        ("resolve", "inc-1", "--resolution", " "),
        ("resolve", "inc-1", "--resolution", "x"),
        ("show", "inc-1"),
    ],
)
def test_what_was_typed_wrong_is_said_and_reports_nothing(run: Run, words: tuple[str, ...]) -> None:
    ran = run("incident", *words)
    assert ran.status == 2
    assert ran.err
    assert run("incident", "list", "--json").document["incidents"] == []


def test_a_severity_that_was_mistyped_is_offered(run: Run) -> None:
    assert "HIGH" in run("incident", "report", "x", "--severity", "HIHG").err


@pytest.mark.parametrize(
    ("detail", "value"),
    [("a=1", 1), ("a=x=y", "x=y"), ("a=", ""), ('a={"b": [1]}', {"b": [1]}), ("a=null", None)],
)
def test_a_value_is_json_or_else_text(run: Run, detail: str, value: object) -> None:
    name = reported(run, "--detail", detail)
    assert run("incident", "show", name, "--json").document["details"]["a"] == value


def test_a_secret_under_its_name_is_masked(run: Run) -> None:
    name = reported(run, "--detail", "api_key=hunter2")
    ran = run("incident", "show", name)
    assert "hunter2" not in ran.out
    assert "[secret]" in ran.out


def test_a_title_forges_nothing_on_a_terminal(run: Run) -> None:
    reported(run, title="x\x1b[2K\x1b[1Fnothing is wrong")
    assert "\x1b[2K" not in run("incident", "list").out


def test_a_record_that_cannot_be_read_is_named(run: Run, config: Path) -> None:
    name = reported(run)
    with started(config, "killswitch") as running:
        running.provider("store").scoped("killswitch").put("incident/inc-torn", b"torn")
    ran = run("incident", "list", "--json")
    assert ran.status == 1
    assert [one["incident"] for one in ran.document["unreadable"]] == ["inc-torn"]
    assert [one["incident"] for one in ran.document["incidents"]] == [name]
    assert "inc-torn" in run("incident", "list").out
    assert run("incident", "show", "inc-torn").status != 0


def test_a_running_bot_knows_that_one_was_resolved_elsewhere(config: Path, run: Run) -> None:
    with hauberk.open(config) as guard:
        first = guard.report("odd fills", Severity.LOW)
        part = guard.snapshot.part("killswitch")
        assert part is not None
        assert part.plugin._clerk.ask(30)
        run("incident", "resolve", first.id, "--resolution", "a test")
        assert part.plugin._clerk.ask(30)
        assert guard.incidents[0].resolution == "a test"
        assert guard.report("odd fills", Severity.LOW).id != first.id


def test_an_incident_that_a_bot_reported_is_resolved_by_it_too(config: Path, run: Run) -> None:
    with hauberk.open(config) as guard:
        name = guard.report("odd fills", Severity.LOW).id
        guard.resolve(name, "a test")
    assert run("incident", "show", name, "--json").document["state"] == "resolved"
    with hauberk.open(config) as guard, pytest.raises(hauberk.MisuseError, match="no incident"):
        guard.resolve("inc-nobody", "x")


def test_one_of_an_earlier_process_is_resolved_by_the_next(config: Path, run: Run) -> None:
    with hauberk.open(config) as guard:
        name = guard.report("odd fills", Severity.LOW).id
    with hauberk.open(config) as guard:
        assert guard.resolve(name, "a test").resolution == "a test"
    assert run("incident", "show", name, "--json").document["resolution"] == "a test"


def test_where_what_must_act_did_not_the_answer_is_no(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hauberk_plugins.killswitch.switch import KillSwitch

    def fail(*_: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(KillSwitch, "rise", fail)
    ran = run("incident", "report", "x", "--severity", "CRITICAL", "--json")
    assert ran.status == 1
    assert ran.document["state"] == "open"


def test_help_teaches_with_examples(run: Run) -> None:
    for command in ("report", "list", "show", "resolve"):
        assert f"hauberk incident {command} " in run("incident", command, "--help").out
