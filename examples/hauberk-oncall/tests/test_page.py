"""The page says what happened, whatever stands in the incident."""

from __future__ import annotations

import json
from typing import Any

from hauberk import Incident, Outcome, Severity
from hypothesis import given
from hypothesis import strategies as st

from hauberk_oncall.page import MAX_SUMMARY, WORDS, page

NOW = 1_700_000_000_000_000_000


def read(incident: Incident) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page(incident, "routing-key"))
    return found


def test_it_tells_what_happened_and_what_was_done() -> None:
    outcomes = (Outcome("halted", plugin="killswitch"), Outcome("raised", False, plugin="flatten"))
    incident = Incident("inc-7", "keys are gone", Severity.HIGH, "monitor", NOW, '{"user": "al"}',
                        outcomes)  # fmt: skip
    assert read(incident) == {
        "routing_key": "routing-key",
        "event_action": "trigger",
        "dedup_key": "inc-7",
        "payload": {
            "summary": "keys are gone",
            "severity": "error",
            "source": "hauberk/monitor",
            "timestamp": "2023-11-14T22:13:20+00:00",
            "custom_details": {
                "done": ["killswitch: halted", "flatten FAILED: raised"],
                "user": "al",
            },
        },
    }


@given(
    st.text(min_size=1),
    st.sampled_from(Severity),
    st.integers(-(10**30), 10**30),
    st.dictionaries(st.text(), st.text() | st.integers()),
)
def test_every_incident_makes_a_page(
    title: str, severity: Severity, at_ns: int, details: dict[str, Any]
) -> None:
    found = read(Incident("inc-1", title, severity, "bot", at_ns, json.dumps(details)))
    assert found["payload"]["severity"] == WORDS[severity]
    assert 0 < len(found["payload"]["summary"]) <= MAX_SUMMARY
    assert found["dedup_key"] == "inc-1"
