"""What a message says, and that nothing an outsider wrote acts on who reads it."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from hauberk import Outcome, Severity
from hauberk.records import Incident, to_json
from hauberk_plugins.notify.masking import masked, masked_text
from hauberk_plugins.notify.templates import (
    MAX_TITLE,
    cut,
    digest_message,
    incident_message,
    moment,
    trial_message,
    visible,
)
from hauberk_plugins.notify.window import Held, Window

NOW = 1_700_000_000_000_000_000
INCIDENT = Incident(
    "inc-7", "keys were used from elsewhere", Severity.HIGH, "monitor", NOW,
    json.dumps({"user": "alice", "sources": ["1.2.3.4", "5.6.7.8"], "seen": {"n": 2}}),
    (Outcome("restricted", plugin="killswitch"), Outcome("raised", False, plugin="flatten")),
)  # fmt: skip


def test_it_tells_what_happened_when_where_and_what_was_done() -> None:
    message = incident_message(INCIDENT, "bot-1", 2_000)
    assert message.title == "Hauberk HIGH: keys were used from elsewhere"
    assert message.body.splitlines() == [
        "keys were used from elsewhere",
        "severity: HIGH",
        "when: 2023-11-14 22:13:20 UTC",
        "where: bot-1",
        "reported by: monitor",
        "incident: inc-7",
        "done:",
        "  killswitch: restricted",
        "  flatten: FAILED: raised",
        "details:",
        "  user: alice",
        "  sources: 1.2.3.4, 5.6.7.8",
        "  seen: n=2",
    ]


def test_a_digest_says_how_many_of_what_the_worst_first() -> None:
    held = (
        Held("login failed", Severity.MEDIUM, "monitor", 9_997),
        Held("keys are gone", Severity.HIGH, "audit", 2),
    )
    window = Window(NOW, held=held, others=1_000, first_ns=NOW, last_ns=NOW + 59 * 10**9)
    message = digest_message(window, "bot-1", 2_000)
    assert message.title == "Hauberk HIGH: 10,999 incidents in 59 s"
    assert message.severity is Severity.HIGH
    assert message.body.splitlines()[-4:] == [
        "what:",
        "  2 times HIGH: keys are gone (audit)",
        "  9,997 times MEDIUM: login failed (monitor)",
        "  1,000 times others",
    ]


def test_a_test_says_that_nothing_has_happened() -> None:
    message = trial_message("bot-1", NOW)
    assert "nothing has happened" in message.title
    assert message.severity is Severity.LOW


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        ("pay\u200bpal", "pay\\u200bpal"),
        ("\u2028next", "\\u2028next"),
        ("\ud800", "\\ud800"),
        ("log in at https://evil.example", "log in at https[:]//evil.example"),
        ("Müller 株式会社", "Müller 株式会社"),
    ],
)
def test_what_acts_on_a_reader_is_shown_for_what_it_is(text: str, shown: str) -> None:
    assert visible(text) == shown


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(
    st.text(min_size=1),
    st.dictionaries(st.text(), json_values, max_size=5),
    st.lists(st.builds(Outcome, st.text(), st.booleans(), plugin=st.text()), max_size=3),
    st.integers(80, 3_000),
    st.integers(-(10**25), 10**25),
)
def test_whatever_stands_in_an_incident_no_line_is_forged_and_no_bound_passed(
    title: str, details: dict[str, Any], outcomes: list[Outcome], most: int, at_ns: int
) -> None:
    incident = Incident(
        "inc-1", title, Severity.LOW, "bot", at_ns, to_json(details), tuple(outcomes)
    )
    message = incident_message(incident, "bot-1", most)
    assert len(message.title) <= MAX_TITLE
    assert len(message.body) <= most
    for line in (message.title, *message.body.split("\n")):
        assert not {unicodedata.category(c) for c in line} & {"Cc", "Cf", "Zl", "Zp", "Cs"}
    tops = [line for line in message.body.split("\n")[1:] if not line.startswith("  ")]
    names = ["severity", "when", "where", "reported by", "incident", "done", "details", "…"]
    for line in tops:  # the last but one may be cut
        assert any(line.startswith(name) or name.startswith(line) for name in names)


def test_what_was_cut_is_said() -> None:
    assert cut("x" * 100, 100) == "x" * 100
    assert cut("x" * 101, 100).endswith("characters more)")
    assert len(cut("x" * 100_000, 100)) == 100


def test_a_moment_that_no_calendar_has_is_a_number() -> None:
    assert moment(10**25) == "10000000000000000 s since 1970"


@pytest.mark.parametrize(
    "details",
    [
        {"api_key": "hunter2"},
        {"note": "POST /order?signature=hunter2&x=1"},
        {"nested": [{"password": ["hunter2"]}]},
        {"headers": "Authorization: Bearer hunter2"},
        {"error": "postgres://bot:hunter2@db/x failed"},
        {"text": "{'secret': 'hunter2'}"},
    ],
)
def test_what_looks_like_a_credential_leaves_in_no_message(details: dict[str, Any]) -> None:
    message = incident_message(evolve(INCIDENT, details_json=json.dumps(details)), "bot", 2_000)
    assert "hunter2" not in message.body
    assert "[secret]" in message.body


def test_a_credential_in_a_title_or_in_what_was_done_is_masked_too() -> None:
    title, did = "GET /x?signature=hunter2 was denied", "raised Error: token=hunter2"
    incident = evolve(INCIDENT, title=title, outcomes=(Outcome(did, plugin="p"),))
    message = incident_message(incident, "bot", 2_000)
    window = Window(NOW, held=(Held(title, Severity.LOW, "bot"),))
    digest = digest_message(window, "bot", 2_000)
    assert "hunter2" not in message.title + message.body + digest.body


def test_what_does_not_is_left_as_it_is() -> None:
    plain = {"user": "alice", "n": 3, "why": "the key of account main was revoked"}
    assert masked(plain) == plain
    assert masked_text("x" * 5_000).endswith("x…")
