from __future__ import annotations

import json
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from hauberk.records import Event, to_json
from hauberk.secret import Secret
from hauberk_plugins.logs.lines import EventLog, Format, level_of

NAMES = st.sampled_from(
    ["event", "level", "timestamp", "source", "stack", "exception", "exc_info", "logger", "name"]
) | st.text(max_size=8)
FIELDS = st.dictionaries(NAMES, st.text() | st.integers() | st.lists(st.text(), max_size=2))


def event(kind: str = "request.denied", **fields: object) -> Event:
    return Event(kind, 1_700_000_000_000_000_001, "kernel", False, "r-1", "main", to_json(fields))


def lines_of(form: Format, *events: Event) -> list[str]:
    written: list[str] = []
    log = EventLog(written.append, form, "debug")
    for each in events:
        log.write(each)
    return written


def test_json_is_one_object_a_line() -> None:
    (line,) = lines_of("json", event(reason="no", plugin="policy"))
    assert json.loads(line) == {
        "event": "request.denied",
        "level": "warning",
        "timestamp": "2023-11-14T22:13:20.000000001Z",
        "source": "kernel",
        "request_id": "r-1",
        "account": "main",
        "fields": {"reason": "no", "plugin": "policy"},
    }


def test_the_console_shows_fields_beside_the_rest() -> None:
    (line,) = lines_of("console", event(reason="no", source="x"))
    assert "request.denied" in line
    assert "account='main'" in line
    assert "reason='no'" in line
    assert "fields.source='x'" in line


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_newline_in_a_value_forges_no_line(form: Format) -> None:
    (line,) = lines_of(form, event(reason="x\n2023-11-14 [info] request.left \x1b[2K\r"))
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert "\r" not in line


def test_a_value_cannot_pass_for_another_field() -> None:
    (line,) = lines_of("console", event(reason="x account='other'"))
    assert '''reason="x account='other'"''' in line


def test_a_name_cannot_pass_for_another_field() -> None:
    (line,) = lines_of("console", event(**{"x account='other' y": 1}))
    assert """"x account='other' y"=1""" in line


@given(st.text(), FIELDS, st.sampled_from(["console", "json"]))
def test_whatever_is_told_is_one_line(kind: str, fields: dict[str, object], form: Format) -> None:
    told = Event(kind, 0, "kernel", fields_json=to_json(fields))
    (line,) = lines_of(form, told)
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    if form == "json":
        assert json.loads(line)["source"] == "kernel"


@pytest.mark.parametrize("form", ["console", "json"])
def test_secrets_are_masked(form: Format) -> None:
    told = event(
        url="https://x/?signature=abcdef0123", apiKey="abcdef0123", wrapped=Secret("abcdef0123")
    )
    assert "abcdef0123" not in lines_of(form, told)[0]


def test_events_below_the_level_are_left_out() -> None:
    written: list[str] = []
    log = EventLog(written.append, "json", "warning")
    log.write(event("request.left"))
    log.write(event("request.denied"))
    assert len(written) == 1


@pytest.mark.parametrize(
    ("kind", "fields", "level"),
    [
        ("request.intent", {}, logging.DEBUG),
        ("request.left", {}, logging.INFO),
        ("login.denied", {}, logging.WARNING),
        ("incident.reported", {"severity": "LOW"}, logging.INFO),
        ("incident.reported", {"severity": "MEDIUM"}, logging.WARNING),
        ("incident.reported", {"severity": "HIGH"}, logging.ERROR),
        ("incident.handled", {"severity": "CRITICAL"}, logging.CRITICAL),
        ("incident.resolved", {}, logging.INFO),
    ],
)
def test_an_event_is_as_loud_as_what_it_tells(
    kind: str, fields: dict[str, str], level: int
) -> None:
    assert level_of(kind, fields) == level


def test_the_programs_own_structlog_is_left_alone() -> None:
    before = structlog.get_config()
    lines_of("json", event())
    assert structlog.get_config() == before
    assert not structlog.is_configured()
